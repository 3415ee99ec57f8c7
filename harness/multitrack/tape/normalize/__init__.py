"""Convert a request to the form in which it is recorded and compared: decoded, filtered and redacted."""
