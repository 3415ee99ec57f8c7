"""The wire format of Anthropic's Messages API."""

from multitrack.wires.anthropic.anthropic_format import AnthropicFormat
from multitrack.wires.registry import register

register(AnthropicFormat())
