"""Parallel tool calls, recorded once and tested forever."""
