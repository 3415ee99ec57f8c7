"""Tapes: a tape holds a cassette's content, finds the recording for a request, and writes new recordings."""
