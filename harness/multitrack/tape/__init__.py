"""The tape: it holds the content of a cassette, finds the recording for a request, and writes new recordings."""
