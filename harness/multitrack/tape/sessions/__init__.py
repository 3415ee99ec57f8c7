"""What a tape does with requests in each of its modes: one session for each mode."""
