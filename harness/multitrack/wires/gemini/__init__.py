"""Gemini's wire format, for the Gemini API and for Vertex AI."""

from multitrack.wires.gemini.gemini_format import GeminiFormat
from multitrack.wires.registry import register

register(GeminiFormat())
