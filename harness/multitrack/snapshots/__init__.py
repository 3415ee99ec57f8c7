"""Compare received tool calls with expected calls, and store the expected calls in snapshot files."""

SUFFIX = "calls"
"""The extension of a snapshot file; no other syrupy extension uses it."""
