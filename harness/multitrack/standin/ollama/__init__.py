"""Ollama's own API of the stand-in."""
