"""The sessions, which define how a tape handles requests in each mode."""
