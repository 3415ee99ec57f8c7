"""A tape's behaviour in each of its modes: one session for each mode."""
