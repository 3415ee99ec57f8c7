"""Remove secrets from what is stored or printed, and replace private names with pseudonyms."""
