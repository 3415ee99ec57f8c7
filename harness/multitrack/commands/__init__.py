"""Commands that change cassettes and snapshots without running a test: move, convert, reject and undo."""
