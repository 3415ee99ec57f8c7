"""Remove secrets from stored and printed texts, and replace private names with pseudonyms."""
