"""Redact text that a stream splits into fragments, one per event.

If a model repeats a secret in a streamed response, the secret arrives in pieces, and no piece looks like a secret.
All pieces of a string are therefore redacted together. The events are the ``data:`` of server-sent events, which may be
JSON or plain text, the lines of JSON lines, or the items of a JSON array. The list of tokens with their log
probabilities (``logprobs``) also has text in pieces, even in an answer that is not streamed.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from multitrack.tape import jsontext
from multitrack.tape.redaction.logprobs import TOKEN_KEYS, find_tokens
from multitrack.wires import json_rewriting, registry

_DATA = re.compile(r"^data:[ ]?(.*?)\r?$", re.MULTILINE)
_LINE = re.compile(r"^(\{.*?)\r?$", re.MULTILINE)

_TOKENS = object()
"""The end of the path of the tokens with log probabilities."""

RedactPieces: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
"""Redacts the joined pieces of a string. Returns the pieces unchanged if no secret is divided between them."""

Leaf = tuple[Any, Any]
"""The location of a string: its container, and its key or position there."""
_LeavesByPath = dict[tuple[object, ...], list[tuple[int, Leaf]]]


def redact_fragments(text: str, redact_pieces: RedactPieces) -> str:
    """Redact the texts that are spread over several events in ``text``, each as a whole.

    The result is ``text`` itself if it is not a stream, or if no secret is spread over several events.
    """
    match text[:64].lstrip("\ufeff \t\r\n")[:1]:
        case "[":
            return _redact_array(text, redact_pieces)
        case "{":
            if any(key in text for key in TOKEN_KEYS) and isinstance(document := _parse(text), dict):
                return _redact_tokens(text, document, redact_pieces)
            return _redact_events(text, _LINE, redact_pieces) if "\n{" in text else text
    return _redact_events(text, _DATA, redact_pieces) if "data:" in text else text


def _redact_events(text: str, pattern: re.Pattern[str], redact_pieces: RedactPieces) -> str:
    found = list(pattern.finditer(text))
    if len(found) < 2:
        return text
    documents = [_parse(match[1]) for match in found]
    # plain text, or a JSON document that is a single string, is put into a list, so that its string can be replaced
    texts = {position for position, document in enumerate(documents) if document is None}
    strings = {position for position, document in enumerate(documents) if isinstance(document, str)}
    for position in texts | strings:
        documents[position] = [found[position][1] if position in texts else documents[position]]
    changed = _redact_documents(documents, redact_pieces)
    if not changed:
        return text
    parts: list[str] = []
    end = 0
    for position in sorted(changed):
        document = documents[position][0] if position in texts | strings else documents[position]
        written = document if position in texts else _format_compact(document)
        parts += text[end : found[position].start(1)], written
        end = found[position].end(1)
    return "".join([*parts, text[end:]])


def _redact_array(text: str, redact_pieces: RedactPieces) -> str:
    documents = _parse(text)
    if not isinstance(documents, list) or len(documents) < 2:
        return text
    return json.dumps(documents, ensure_ascii=False) if _redact_documents(documents, redact_pieces) else text


def _redact_tokens(text: str, document: Any, redact_pieces: RedactPieces) -> str:
    """Redact the tokens in an answer that is not streamed."""
    changed = _redact_documents([document], redact_pieces, only_tokens=True)
    return json_rewriting.rewrite_json(text, document) if changed else text


def _parse(text: str) -> Any:
    if text[:1] not in ("{", "[", '"'):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if jsontext.is_too_deep(document) else document


def _format_compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _redact_documents(documents: list[Any], redact_pieces: RedactPieces, *, only_tokens: bool = False) -> set[int]:
    """Redact, in place, the strings that are spread over ``documents``. With ``only_tokens``, redact only the tokens.

    Return the positions of the documents that changed.
    """
    leaves_by_path: _LeavesByPath = defaultdict(list)
    keys = frozenset(registry.fragment_keys())
    for position, document in enumerate(documents):
        if isinstance(document, dict | list):
            _collect_strings(document, (), position, leaves_by_path, keys)
    changed: set[int] = set()
    for path, leaves in leaves_by_path.items():
        if only_tokens and path[-1] is not _TOKENS:
            continue
        pieces = [container[key] for _, (container, key) in leaves]
        # values such as the model and the id are the same in each event, so they are not pieces of a string
        if len(pieces) < 2 or pieces.count(pieces[0]) == len(pieces):
            continue
        for (position, (container, key)), piece in zip(leaves, redact_pieces(pieces), strict=True):
            if container[key] != piece:
                container[key] = piece
                changed.add(position)
    return changed


def _collect_strings(
    value: Any, path: tuple[object, ...], position: int, leaves_by_path: _LeavesByPath, keys: frozenset[str]
) -> None:
    """Collect the strings in ``value`` by their path.

    A path consists of keys of objects and positions in lists. If an object has any of ``keys``, such as ``index``,
    their values become part of the path. If the object is an item of a list, they replace its position.
    """
    is_list = isinstance(value, list)
    if not is_list and not keys.isdisjoint(value):
        path = (*path, *(str(value[key]) for key in sorted(keys.intersection(value))))
    for key, item in enumerate(value) if is_list else value.items():
        if isinstance(value, dict) and (tokens := find_tokens(value, str(key))):
            # the tokens of an event are a part of the text, however many there are
            leaves_by_path[*path, key, _TOKENS] += ((position, (token, None)) for token in tokens)
        elif isinstance(item, str):
            leaves_by_path[*path, key].append((position, (value, key)))
        elif isinstance(item, dict | list):
            # a choice or a call is identified by one of ``keys``, not by its position in the array of a delta
            has_identity = is_list and isinstance(item, dict) and not keys.isdisjoint(item)
            _collect_strings(item, path if has_identity else (*path, key), position, leaves_by_path, keys)
