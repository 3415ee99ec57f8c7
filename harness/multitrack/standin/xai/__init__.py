"""The stand-in for xAI's gRPC API."""
