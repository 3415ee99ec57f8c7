"""The stand-in's implementation of Vertex AI's GenerateContent, over REST and gRPC."""
