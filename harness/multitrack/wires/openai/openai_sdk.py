"""The SDK that all APIs of OpenAI share."""

from types import MappingProxyType

SDKS = MappingProxyType({"openai": "openai"})
"""The distribution of the SDK, keyed by the name of its module."""
