"""The stand-in for Ollama's own API."""
