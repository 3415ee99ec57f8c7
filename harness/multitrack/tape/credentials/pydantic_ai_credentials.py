"""Stand-ins for the API keys that pydantic-ai's providers read from the environment before they create a client.

The patches only cover providers that use an OpenAI client, an Anthropic client or a ``google.genai`` client, because
these clients refuse to send a stand-in to a provider.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.credentials import is_active
from multitrack.tape.credentials.stand_in_key import EncodedStandInKey, StandInKey
from multitrack.tape.patching import Patch

Init = Callable[..., None]

# The providers whose client is one of OpenAI's or Anthropic's, or a `google.genai` client.
_PROVIDERS = (
    "alibaba",
    "anthropic",
    "azure",
    "cerebras",
    "crusoe",
    "deepseek",
    "fireworks",
    "google",
    "heroku",
    "meta",
    "moonshotai",
    "nebius",
    "openai",
    "openrouter",
    "ovhcloud",
    "sambanova",
    "together",
    "vercel",
    "zai",
)

# the arguments that pass a client, which already has a key
_CLIENTS = ("openai_client", "anthropic_client", "client")


def patches(module: ModuleType) -> list[Patch]:
    """Patch the constructors of the providers that ``module`` defines."""
    return [
        Patch(provider, "__init__", _complete_azure if name == "AzureProvider" else _retry_with_stand_in)
        for name, provider in vars(module).items()
        if isinstance(provider, type)
        and provider.__module__ == module.__name__
        and "api_key" in inspect.signature(vars(provider).get("__init__", object)).parameters
    ]


def _retry_with_stand_in(init: Init) -> Init:
    @wraps(init)
    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        try:
            init(self, *args, **given)
        except Exception as missing:
            if not _is_missing_key(missing, given):
                raise
            takes_anthropic = "anthropic_client" in inspect.signature(init).parameters
            key = (EncodedStandInKey if takes_anthropic else StandInKey).replacing(missing)
            try:
                init(self, *args, **{**given, "api_key": key})
            except Exception:
                raise missing from None
            if not _refuses_live_requests(self.client, key):
                raise missing from None

    return __init__


def _complete_azure(init: Init) -> Init:
    @wraps(init)
    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        try:
            init(self, *args, **given)
        except Exception as missing:
            if args or not _is_missing_key(missing, given):
                raise
            import openai

            # the SDK's own constructor completes the endpoint, the version and the key
            names = ("azure_endpoint", "api_version", "http_client")
            client = openai.AsyncAzureOpenAI(**{name: given[name] for name in names if name in given})
            init(self, openai_client=client)

    return __init__


def _is_missing_key(error: Exception, given: dict[str, Any]) -> bool:
    if not is_active() or given.get("api_key") or any(given.get(name) is not None for name in _CLIENTS):
        return False
    return isinstance(error, sys.modules["pydantic_ai.exceptions"].UserError)


def _refuses_live_requests(client: Any, key: StandInKey) -> bool:
    for module, name in (("openai", "AsyncOpenAI"), ("anthropic", "AsyncAnthropic")):
        if module in sys.modules and isinstance(client, getattr(sys.modules[module], name)):
            return client.api_key is key
    return "google.genai" in sys.modules and isinstance(client, sys.modules["google.genai"].Client)


for _provider in _PROVIDERS:
    credentials.register(f"pydantic_ai.providers.{_provider}", patches)
