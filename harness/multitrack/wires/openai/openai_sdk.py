"""The SDK that all wire formats of OpenAI's APIs use: the openai package."""

from types import MappingProxyType

SDKS = MappingProxyType({"openai": "openai"})
"""The SDK's distribution, keyed by the name of its module."""
