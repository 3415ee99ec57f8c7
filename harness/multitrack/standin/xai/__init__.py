"""xAI's gRPC API of the stand-in."""
