"""The defaults of parameters, by API operation. Sending a default means the same as leaving the parameter out.

The values come from the API references, such as https://platform.openai.com/docs/api-reference/chat/create and
https://docs.anthropic.com/en/api/messages. For a parameter that is not listed here, sending the default counts as a
change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from multitrack.tape import jsontext

_SAMPLING: Mapping[str, Any] = {"temperature": 1, "top_p": 1}
_PENALTIES: Mapping[str, Any] = {"presence_penalty": 0, "frequency_penalty": 0}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "/chat/completions": {
        **_SAMPLING,
        **_PENALTIES,
        "n": 1,
        "stream": False,
        "logprobs": False,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "store": False,
        "response_format": {"type": "text"},
        "service_tier": "auto",
    },
    "/completions": {**_SAMPLING, **_PENALTIES, "n": 1, "best_of": 1, "stream": False, "echo": False, "max_tokens": 16},
    "/responses": {
        **_SAMPLING,
        "stream": False,
        "store": True,
        "background": False,
        "truncation": "disabled",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "service_tier": "auto",
        "text": {"format": {"type": "text"}},
    },
    "/embeddings": {"encoding_format": "float"},
    "/images/generations": {"n": 1, "stream": False},
    "/messages": {"temperature": 1, "stream": False, "tool_choice": {"type": "auto"}},
}


def is_default(url: str, name: str, value: Any) -> bool:
    """Return whether ``value`` is the default of the top-level parameter ``name`` in the API operation at ``url``."""
    path = urlsplit(url).path.rstrip("/")
    ends = [end for end in _DEFAULTS if path.endswith(end)]
    if not ends:
        return False
    defaults = _DEFAULTS[max(ends, key=len)]
    return name in defaults and jsontext.canonical(defaults[name]) == jsontext.canonical(value)
