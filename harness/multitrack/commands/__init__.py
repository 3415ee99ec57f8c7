"""Commands that change cassettes and snapshots without running a test: move, convert, prune, reject and undo."""
