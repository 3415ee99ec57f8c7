"""Differences between the tool calls in live responses and those in recorded responses."""
