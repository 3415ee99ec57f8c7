"""Vertex AI's GenerateContent, as the stand-in speaks it, over REST and gRPC."""
