"""Records the library of behaviours in cassettes/library, and writes docs/behaviours.md."""
