"""The wire format of Ollama's own API."""

from multitrack.wires.ollama.ollama_format import OllamaFormat
from multitrack.wires.registry import register

register(OllamaFormat())
