"""Vertex AI's GenerateContent over REST and gRPC, as the stand-in implements it."""
