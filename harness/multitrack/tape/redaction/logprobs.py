"""Find an answer's tokens and their log probabilities, so that a secret that spans several tokens can be redacted.

https://platform.openai.com/docs/api-reference/chat/object, https://ai.google.dev/api/generate-content#LogprobsResult
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

TOKEN_KEYS = ('"token"', '"tokens"')
"""One of these is in each JSON document that has log probabilities."""

_ALTERNATIVES = ("top_logprobs", "topLogprobs")


class Token:
    """One token of the text.

    ``token[0]`` reads the token, and an assignment to ``token[0]`` replaces it. The index is ignored.
    """

    def __init__(self, fields: Any, key: str | int, alternatives: object) -> None:
        self._fields = fields
        self._key = key
        self._alternatives = alternatives

    def __getitem__(self, _: object) -> str:
        token: str = self._fields[self._key]
        return token

    def __setitem__(self, _: object, token: str) -> None:
        """Replace the token, its bytes, and its entry in the list of alternatives."""
        old = self._fields[self._key]
        self._fields[self._key] = token
        if isinstance(self._fields, dict):
            _set_bytes(self._fields, token)
        if isinstance(self._alternatives, dict) and old in self._alternatives:
            self._alternatives[token] = self._alternatives.pop(old)
        for other in self._alternatives if isinstance(self._alternatives, list) else ():
            if isinstance(other, dict) and other.get("token") == old:
                other["token"] = token
                _set_bytes(other, token)


def _set_bytes(fields: dict[str, Any], token: str) -> None:
    content = token.encode("utf-8", "surrogatepass")
    match fields.get("bytes"):
        case list():
            fields["bytes"] = list(content)
        case str():  # protobuf JSON
            fields["bytes"] = base64.b64encode(content).decode()


def find_tokens(fields: Mapping[str, Any], key: str) -> Sequence[Token]:
    """Return the tokens in the list ``fields[key]``. Empty if the list contains items that are not tokens."""
    items = fields[key]
    if not isinstance(items, list) or not items:
        return ()
    if all(isinstance(item, dict) and isinstance(item.get("token"), str) for item in items):
        if key == "chosenCandidates":
            others = [
                one.get("candidates") if isinstance(one, dict) else None for one in _read_list(fields, "topCandidates")
            ]
        else:
            others = [next((item[name] for name in _ALTERNATIVES if name in item), None) for item in items]
        return [Token(item, "token", other) for item, other in _pair(items, others)]
    if key == "tokens" and "token_logprobs" in fields and all(isinstance(item, str) for item in items):
        # the older completions API
        others = _read_list(fields, "top_logprobs")
        return [Token(items, position, other) for position, (_, other) in enumerate(_pair(items, others))]
    return ()


def _read_list(fields: Mapping[str, Any], key: str) -> list[Any]:
    value = fields.get(key)
    return value if isinstance(value, list) else []


def _pair(items: Sequence[Any], others: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items, [*others, *[None] * len(items)], strict=False))
