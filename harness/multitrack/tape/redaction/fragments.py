"""Streams of JSON documents: a text that comes in fragments, one in each document, is scrubbed as one text.

A model that repeats a secret in a streamed answer sends it in pieces, none of which looks like a secret; the
joined arguments would. The documents are the ``data:`` of server-sent events, or the items of a JSON array.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any

from multitrack.tape import jsontext

_DATA = re.compile(r"^data:[ ]?(\{.*?)\r?$", re.MULTILINE)
# what tells one text of an answer from another that is streamed at the same time
_IDENTITY = ("index", "output_index", "content_index", "summary_index", "item_id")

Leaf = tuple[Any, Any]
"""Where a string stands: its container, and the key or position there."""


def scrubbed(text: str, scrub: Callable[[str], str]) -> str:
    """``text`` with every text that is spread over its documents scrubbed as a whole; ``text`` itself where
    it is no stream of JSON documents, or where nothing was found."""
    if text.startswith("["):
        return _array(text, scrub)
    found = list(_DATA.finditer(text))
    documents = [_parsed(match[1]) for match in found]
    changed = _scrub_documents(documents, scrub)
    # from the end, so that the places of the others stay where they are
    for position in sorted(changed, reverse=True):
        match = found[position]
        text = text[: match.start(1)] + _compact(documents[position]) + text[match.end(1) :]
    return text


def _array(text: str, scrub: Callable[[str], str]) -> str:
    documents = _parsed(text)
    if not isinstance(documents, list) or len(documents) < 2:
        return text
    return json.dumps(documents, ensure_ascii=False) if _scrub_documents(documents, scrub) else text


def _parsed(text: str) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if jsontext.is_deep(document) else document


def _compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _scrub_documents(documents: list[Any], scrub: Callable[[str], str]) -> set[int]:
    """Scrub the texts that run through ``documents``, in place; the positions of those that changed."""
    threads: dict[tuple[object, ...], list[tuple[int, Leaf]]] = defaultdict(list)
    for position, document in enumerate(documents):
        _collect(document, (), position, threads)
    changed: set[int] = set()
    for leaves in threads.values():
        pieces = [container[key] for _, (container, key) in leaves]
        whole = "".join(pieces)
        clean = scrub(whole)
        if len(pieces) < 2 or clean == whole or clean == "".join(map(scrub, pieces)):
            continue
        for (position, (container, key)), piece in zip(leaves, _cut(pieces, whole, clean), strict=True):
            if container[key] != piece:
                container[key] = piece
                changed.add(position)
    return changed


def _collect(
    value: Any,
    path: tuple[object, ...],
    position: int,
    threads: dict[tuple[object, ...], list[tuple[int, Leaf]]],
) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    identity = tuple(str(value[key]) for key in _IDENTITY if key in value) if isinstance(value, dict) else ()
    for key, item in items:
        # a choice or a call is told by its index, wherever in the array of a delta it stands
        indexed = isinstance(value, list) and isinstance(item, dict) and "index" in item
        step = (*path, *identity) if indexed else (*path, *identity, key)
        if isinstance(item, str):
            threads[step].append((position, (value, key)))
        else:
            _collect(item, step, position, threads)


def _cut(pieces: list[str], whole: str, clean: str) -> list[str]:
    """``clean`` in as many pieces: those before and behind of what was changed stay as they are, and all that
    was put in between goes to the piece in which the change begins."""
    before = _common(whole, clean)
    behind = _common(whole[before:][::-1], clean[before:][::-1])
    changed = clean[before : len(clean) - behind]
    ends = list(accumulate(map(len, pieces)))
    first = min(bisect_right(ends, before), len(pieces) - 1)
    return [
        whole[start : min(end, before)]
        + (changed if position == first else "")
        + whole[max(start, len(whole) - behind) : end]
        for position, (start, end) in enumerate(pairwise([0, *ends]))
    ]


def _common(one: str, other: str) -> int:
    """How many characters ``one`` and ``other`` begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((length for length, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
