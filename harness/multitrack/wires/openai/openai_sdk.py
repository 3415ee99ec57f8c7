"""The SDK that all OpenAI APIs share."""

from types import MappingProxyType

SDKS = MappingProxyType({"openai": "openai"})
"""The SDK's distribution, keyed by the name of its module."""
