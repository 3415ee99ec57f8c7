"""Differences between live responses and recorded ones, compared as tool calls."""
