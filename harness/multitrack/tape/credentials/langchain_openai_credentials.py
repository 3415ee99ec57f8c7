"""Create the synchronous client of LangChain's OpenAI models if there is no API key.

Without a key, the constructors of these models create only an asynchronous client, which gets a stand-in for the key.
The constructors skip the synchronous client, because the key might come from an asynchronous function. The patches
create the synchronous client with the same stand-in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.credentials import is_active
from multitrack.tape.credentials.stand_in_key import StandInKey
from multitrack.tape.patching import Patch

Init = Callable[..., None]


def patches(module: ModuleType) -> list[Patch]:
    """Patch the constructors of the chat models and the embeddings."""
    classes = (getattr(module, name, None) for name in ("BaseChatOpenAI", "OpenAIEmbeddings"))
    return [
        Patch(model_class, "__init__", _add_sync_client) for model_class in classes if isinstance(model_class, type)
    ]


def _add_sync_client(init: Init) -> Init:
    @wraps(init)
    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        init(self, *args, **given)
        if self.client is None and is_active():
            async_client = self.async_client._client
            if isinstance(async_client.api_key, StandInKey):
                client = _create_sync_client(self, async_client)
                if hasattr(self, "root_client"):
                    self.root_client = client
                    self.client = client.chat.completions
                else:
                    self.client = client.embeddings

    return __init__


def _create_sync_client(model: Any, async_client: Any) -> Any:
    import openai

    return openai.OpenAI(
        api_key=async_client.api_key,
        organization=async_client.organization,
        base_url=async_client.base_url,
        timeout=async_client.timeout,
        max_retries=async_client.max_retries,
        default_headers=model.default_headers,
        default_query=model.default_query,
        http_client=model.http_client,
    )


for _module in ("chat_models", "embeddings"):
    credentials.register(f"langchain_openai.{_module}.base", patches)
