"""The SDK for OpenAI's APIs, which have several wire formats."""

from types import MappingProxyType

SDKS = MappingProxyType({"openai": "openai"})
"""The SDK's distribution, keyed by the name of its module."""
