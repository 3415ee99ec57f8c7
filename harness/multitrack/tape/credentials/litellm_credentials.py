"""Stand-ins for the keys that LiteLLM reads from the environment for each request.

LiteLLM passes these keys to its own HTTP clients. A key for OpenAI or Azure goes to OpenAI's SDK instead, for which
Multitrack has another stand-in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.credentials import is_active, is_replaying
from multitrack.tape.patching import Patch
from multitrack.tape.stand_in_word import STAND_IN_WORD

GetSecret = Callable[..., Any]


def patches(module: ModuleType) -> list[Patch]:
    """Patch ``get_secret``, the function that LiteLLM uses to read all keys."""
    return [Patch(module, "get_secret", _add_stand_in)]


def _add_stand_in(get_secret: GetSecret) -> GetSecret:
    @wraps(get_secret)
    def get_secret_or_stand_in(secret_name: str, *args: Any, **kwargs: Any) -> Any:
        secret = get_secret(secret_name, *args, **kwargs)
        # only during replay, because LiteLLM's clients would otherwise send the stand-in to a provider
        if secret is None and is_active() and is_replaying() and _is_key(secret_name):
            return STAND_IN_WORD
        return secret

    return get_secret_or_stand_in


def _is_key(name: str) -> bool:
    return name.endswith("_API_KEY") and not name.startswith(("OPENAI_", "AZURE_"))


credentials.register("litellm.secret_managers.main", patches)
