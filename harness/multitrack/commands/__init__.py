"""Commands that change cassettes and snapshots without running a test: accept, mv, convert, prune, reject, undo."""
