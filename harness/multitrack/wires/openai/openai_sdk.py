"""The SDK that belongs to all wire formats of OpenAI's APIs."""

from types import MappingProxyType

SDKS = MappingProxyType({"openai": "openai"})
"""The SDK's distribution, keyed by the name of its module."""
