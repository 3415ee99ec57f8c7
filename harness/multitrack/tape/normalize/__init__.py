"""Bring a request into the form in which it is recorded and compared: decoded, filtered and redacted."""
