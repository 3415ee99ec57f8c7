"""The wire format of Gemini, over the Gemini API and over Vertex AI."""

from multitrack.wires.gemini.gemini_format import GeminiFormat
from multitrack.wires.registry import register

register(GeminiFormat())
