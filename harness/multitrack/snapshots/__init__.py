"""Compare tool calls with the expected ones, and store the expected ones in snapshot files."""

SUFFIX = "calls"
"""The extension of a snapshot file; no other syrupy extension uses it."""
