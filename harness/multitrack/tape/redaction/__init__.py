"""Redaction: what must not reach the disk, and the plain words in its place."""
