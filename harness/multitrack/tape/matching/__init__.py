"""Matching: what of a request is compared, and which recorded interaction answers it."""
