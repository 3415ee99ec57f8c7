"""Redact text that a stream splits into fragments, one per event.

If a model repeats a secret in a streamed response, the secret arrives in pieces. No piece looks like a secret. All
pieces of a string are therefore redacted together.

An event is one of these:

- the ``data:`` of a server-sent event, as JSON or plain text
- a line of a JSON Lines body
- an item of a JSON array

The list of tokens with their log probabilities (``logprobs``) also contains text in pieces. This is true even for an
answer that is not streamed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from multitrack.tape import jsontext
from multitrack.tape.redaction.logprobs import TOKEN_KEYS, find_tokens
from multitrack.wires import json_rewriting, registry

_BLANK = "\ufeff \t\r\n"
"""The characters that a body can begin with before its first event: parsers of JSON and of event streams skip them."""

_TOKENS = object()
"""The key of the place for tokens with log probabilities."""

RedactPieces: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
"""Redacts the joined pieces of a string. Returns the pieces unchanged if no secret is divided between them."""

_Visit: TypeAlias = Callable[["_FragmentNode", str, Any, Any], None]
"""Called for each string in a document, with its place, the string, its container, and its key or position there."""


def redact_fragments(text: str, redact_pieces: RedactPieces) -> str:
    """Redact the strings in ``text`` that a stream splits across several events.

    The pieces of a string are joined for the search. If there is nothing to redact, ``text`` itself is returned.
    """
    body = text.lstrip(_BLANK)
    if len(body) < len(text):
        redacted = redact_fragments(body, redact_pieces)
        return text if redacted is body else text[: len(text) - len(body)] + redacted
    match text[:1]:
        case "[":
            return _redact_array(text, redact_pieces)
        case "{":
            if any(key in text for key in TOKEN_KEYS) and isinstance(document := _parse(text), dict):
                return _redact_tokens(text, document, redact_pieces)
            return _redact_events(text, "{", redact_pieces) if "\n{" in text else text
    return _redact_events(text, "data:", redact_pieces) if "data:" in text else text


class _FragmentNode:
    """A place in the documents of a stream. ``pieces`` has the strings at this place, in the order of the documents.

    Places form a tree, whose edges are object keys and list positions.
    """

    __slots__ = ("children", "pieces", "positions")

    def __init__(self) -> None:
        self.children: dict[object, _FragmentNode] = {}
        """The places one level below, by their keys or positions."""
        self.pieces: list[str] = []
        self.positions: list[int] = []
        """The position of each piece's document."""

    def add_place(self, key: object) -> _FragmentNode:
        """Add a child place for ``key`` and return it."""
        place = self.children[key] = _FragmentNode()
        return place

    def iterate_texts(self) -> Iterator[tuple[object, _FragmentNode]]:
        """Find the strings below this place that are split into pieces. Yield the key and the place of each."""
        for key, place in self.children.items():
            # values such as the model and the id are the same in each event, so they are not pieces of a string
            if len(place.pieces) > 1 and place.pieces.count(place.pieces[0]) < len(place.pieces):
                yield key, place
            yield from place.iterate_texts()


class _Documents:
    """The documents of one stream. Only one document is kept in memory at a time, because a stream can be long."""

    def __init__(self) -> None:
        self._root = _FragmentNode()
        self._keys = registry.fragment_keys()
        self._changes: dict[int, dict[_FragmentNode, list[str | None]]] = defaultdict(dict)
        """By document position and place: the new strings, with None for each string that stays unchanged."""

    def add(self, position: int, document: Any) -> None:
        """Collect the strings of the document at ``position``."""

        def collect(place: _FragmentNode, piece: str, container: Any, key: Any) -> None:
            del container, key
            pieces = place.pieces
            # most strings, such as the model, are the same in each event, and need memory only once
            pieces.append(pieces[0] if pieces and piece == pieces[0] else piece)
            place.positions.append(position)

        self._walk(document, self._root, collect)

    def redact(self, redact_pieces: RedactPieces, *, only_tokens: bool = False) -> set[int]:
        """Redact the strings that are split across several documents. With ``only_tokens``, redact only tokens.

        Return the positions of the documents that change.
        """
        for key, place in self._root.iterate_texts():
            if only_tokens and key is not _TOKENS:
                continue
            redacted = redact_pieces(place.pieces)
            if redacted is place.pieces:
                continue
            strings = list(zip(place.positions, place.pieces, redacted, strict=True))
            changed = {position for position, piece, new in strings if piece != new}
            for position, piece, new in strings:
                if position in changed:
                    self._changes[position].setdefault(place, []).append(None if piece == new else new)
        return set(self._changes)

    def apply_changes(self, position: int, document: Any) -> None:
        """Write the redacted strings into ``document``, the document at ``position``."""
        changes = {place: iter(pieces) for place, pieces in self._changes[position].items()}
        # all are collected before any is applied: changing a token also changes other strings, which have their own
        # changes
        leaves: list[tuple[Any, Any, str]] = []

        def collect(place: _FragmentNode, piece: str, container: Any, key: Any) -> None:
            del piece
            if place in changes and (new := next(changes[place])) is not None:
                leaves.append((container, key, new))

        self._walk(document, self._root, collect)
        # the tokens first, because they compare the other strings with their old values
        for container, key, new in sorted(leaves, key=lambda leaf: isinstance(leaf[0], dict | list)):
            container[key] = new

    def _walk(self, value: Any, place: _FragmentNode, visit: _Visit) -> None:
        """Call ``visit`` for each string in ``value``, which is at ``place``.

        If an object has any of the ``fragment_keys``, such as ``index``, the values of these keys become part of the
        object's place. In a list, these values replace the object's position.
        """
        keys = self._keys
        is_list = type(value) is list
        if not is_list and not keys.isdisjoint(value):
            for identity in sorted(keys.intersection(value)):
                place = place.children.get(found := str(value[identity])) or place.add_place(found)
        children = place.children
        for key, item in enumerate(value) if is_list else value.items():
            kind = type(item)
            if kind is list and not is_list and (tokens := find_tokens(value, str(key))):
                # an event's tokens are a part of the text, however many there are
                place_of_list = children.get(key) or place.add_place(key)
                place_of_tokens = place_of_list.children.get(_TOKENS) or place_of_list.add_place(_TOKENS)
                for token in tokens:
                    visit(place_of_tokens, token[None], token, None)
            elif kind is str:
                visit(children.get(key) or place.add_place(key), item, value, key)
            elif kind is dict or kind is list:
                # a choice or a call is identified by one of the keys, not by its position in the array of a delta
                has_identity = is_list and kind is dict and not keys.isdisjoint(item)
                self._walk(item, place if has_identity else children.get(key) or place.add_place(key), visit)


def _redact_events(text: str, mark: str, redact_pieces: RedactPieces) -> str:
    documents = _Documents()
    position = 0
    for position, (start, end) in enumerate(_find_lines(text, mark), start=1):
        documents.add(position, _read_event(text[start:end])[0])
    changed = documents.redact(redact_pieces) if position > 1 else set()
    if not changed:
        return text
    parts: list[str] = []
    previous = 0
    for position, (start, end) in enumerate(_find_lines(text, mark), start=1):
        if position in changed:
            document, write = _read_event(text[start:end])
            documents.apply_changes(position, document)
            parts += text[previous:start], write(document)
            previous = end
    return "".join([*parts, text[previous:]])


def _find_lines(text: str, mark: str) -> Iterator[tuple[int, int]]:
    """Yield the span of the data in each line that begins with ``mark``.

    ``mark`` is ``{`` or ``data:``. Only ``{`` is part of the data.
    """
    # the methods of str search ten times as fast as a regular expression
    start = 0 if text.startswith(mark) else text.find(f"\n{mark}") + 1 or -1
    while start >= 0:
        if mark == "data:":
            start += len(mark) + text.startswith(" ", start + len(mark))
        end = text.find("\n", start)
        line_end = len(text) if end < 0 else end
        yield start, line_end - (line_end > start and text[line_end - 1] == "\r")
        start = text.find(f"\n{mark}", line_end) + 1 or -1


def _read_event(text: str) -> tuple[Any, Callable[[Any], str]]:
    """Return an event's document, and the function that writes it.

    Plain text, or a JSON document that is a single string, is put into a list, so that its string can be replaced.
    """
    document = _parse(text)
    if isinstance(document, str):
        return [document], lambda changed: _format_compact(changed[0])
    if not isinstance(document, dict | list):
        return [text], lambda changed: str(changed[0])
    return document, _format_compact


def _redact_array(text: str, redact_pieces: RedactPieces) -> str:
    items = _parse(text)
    if not isinstance(items, list) or len(items) < 2:
        return text
    documents = _Documents()
    for position, item in enumerate(items):
        if isinstance(item, dict | list):
            documents.add(position, item)
    changed = documents.redact(redact_pieces)
    for position in changed:
        documents.apply_changes(position, items[position])
    return json_rewriting.format_json(items) if changed else text


def _redact_tokens(text: str, document: Any, redact_pieces: RedactPieces) -> str:
    """Redact secrets in the log-probability tokens of ``text``, the body of a response that is not streamed."""
    documents = _Documents()
    documents.add(0, document)
    if not documents.redact(redact_pieces, only_tokens=True):
        return text
    documents.apply_changes(0, document)
    return json_rewriting.rewrite_json(text, document)


def _parse(text: str) -> Any:
    if text[:64].lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return jsontext.load_shallow(text)
    except (ValueError, RecursionError):
        return None


def _format_compact(document: Any) -> str:
    return json_rewriting.format_json(document, separators=(",", ":"))
