"""The stand-in's implementation of xAI's gRPC API."""
