"""Comparing parsed tool calls, and the snapshot files that hold what a test expects of them."""

SUFFIX = "calls"
"""The ending of a snapshot file; no other extension of syrupy claims it."""
