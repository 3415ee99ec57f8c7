"""Remove secrets from stored and printed text, and replace private names with pseudonyms."""
