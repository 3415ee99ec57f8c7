"""The behaviour of a tape in each of its modes: one session for each mode."""
