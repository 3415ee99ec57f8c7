"""Redact texts that a stream of JSON documents splits into fragments, one per document.

If a model repeats a secret in a streamed response, the secret arrives in pieces, and no piece looks like a secret.
A text is therefore redacted as a whole. The documents are the ``data:`` of server-sent events, the lines of JSON lines,
or the items of a JSON array.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from multitrack.tape import jsontext
from multitrack.wires import registry

_DATA = re.compile(r"^data:[ ]?(\{.*?)\r?$", re.MULTILINE)
_LINE = re.compile(r"^(\{.*?)\r?$", re.MULTILINE)

Leaf = tuple[Any, Any]
"""The location of a string: its container, and its key or position there."""
_LeavesByPath = dict[tuple[object, ...], list[tuple[int, Leaf]]]


def redact_fragments(text: str, redact: Callable[[str], str]) -> str:
    """Redact the texts that are spread over several documents in ``text``, each as a whole.

    The result is ``text`` itself if it is not a stream of JSON documents, or if it contains no such secret.
    """
    if text.startswith("["):
        return _redact_array(text, redact)
    found = list((_LINE if text.startswith("{") else _DATA).finditer(text))
    if len(found) < 2:
        return text
    documents = [_parse(match[1]) for match in found]
    changed = _redact_documents(documents, redact)
    # from the end, so that the offsets of the other matches stay valid
    for position in sorted(changed, reverse=True):
        match = found[position]
        text = text[: match.start(1)] + _format_compact(documents[position]) + text[match.end(1) :]
    return text


def _redact_array(text: str, redact: Callable[[str], str]) -> str:
    documents = _parse(text)
    if not isinstance(documents, list) or len(documents) < 2:
        return text
    return json.dumps(documents, ensure_ascii=False) if _redact_documents(documents, redact) else text


def _parse(text: str) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if jsontext.is_too_deep(document) else document


def _format_compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _redact_documents(documents: list[Any], redact: Callable[[str], str]) -> set[int]:
    """Redact, in place, the texts that are spread over ``documents``.

    Return the positions of the documents that changed.
    """
    leaves_by_path: _LeavesByPath = defaultdict(list)
    keys = sorted(registry.fragment_keys())
    for position, document in enumerate(documents):
        _collect_strings(document, (), position, leaves_by_path, keys)
    changed: set[int] = set()
    for leaves in leaves_by_path.values():
        pieces = [container[key] for _, (container, key) in leaves]
        whole = "".join(pieces)
        clean = redact(whole)
        if len(pieces) < 2 or clean == whole or clean == "".join(map(redact, pieces)):
            continue
        for (position, (container, key)), piece in zip(leaves, _split(pieces, whole, clean), strict=True):
            if container[key] != piece:
                container[key] = piece
                changed.add(position)
    return changed


def _collect_strings(
    value: Any, path: tuple[object, ...], position: int, leaves_by_path: _LeavesByPath, keys: Sequence[str]
) -> None:
    """Collect the strings in ``value`` by their path.

    A path consists of keys of objects and positions in lists. If an object has any of ``keys``, such as ``index``, the
    values of these become part of the path. For an item of a list, they replace its position.
    """
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    identity = tuple(str(value[key]) for key in keys if key in value) if isinstance(value, dict) else ()
    for key, item in items:
        # a choice or a call is identified by one of ``keys``, not by its position in the array of a delta
        has_identity = isinstance(value, list) and isinstance(item, dict) and any(name in item for name in keys)
        step = (*path, *identity) if has_identity else (*path, *identity, key)
        if isinstance(item, str):
            leaves_by_path[step].append((position, (value, key)))
        else:
            _collect_strings(item, step, position, leaves_by_path, keys)


def _split(pieces: list[str], whole: str, clean: str) -> list[str]:
    """Split ``clean``, the redacted form of ``whole``, into as many pieces as ``pieces``.

    The text before and after the change stays in its pieces. The changed text goes into the piece where the change
    begins.
    """
    before = _count_common(whole, clean)
    after = _count_common(whole[before:][::-1], clean[before:][::-1])
    changed = clean[before : len(clean) - after]
    ends = list(accumulate(map(len, pieces)))
    first = min(bisect_right(ends, before), len(pieces) - 1)
    return [
        whole[start : min(end, before)]
        + (changed if position == first else "")
        + whole[max(start, len(whole) - after) : end]
        for position, (start, end) in enumerate(pairwise([0, *ends]))
    ]


def _count_common(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    pairs = zip(one, other, strict=False)
    return next((length for length, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
