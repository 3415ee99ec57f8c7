"""The word that replaces a missing credential."""

STAND_IN_WORD = "multitrack-stand-in"
"""Used in place of a missing key or token while a cassette replays. It must never be sent."""
