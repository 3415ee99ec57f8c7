"""Write JSON in an indented form for reading or in a canonical form for comparison, and parse it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_TOKEN = re.compile(r'\s*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+)', re.DOTALL)
_SCALAR = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}\[\],:"]+', re.DOTALL)
# Unicode line breaks, which YAML would read as the end of a line in a block
_BREAKS = {ord(char): f"\\u{ord(char):04x}" for char in "\x7f\x85\u2028\u2029\ufeff"}
_MAX_DEPTH = 200


def parse(text: str | bytes) -> Any:
    """Return the JSON document in ``text``.

    An object with a repeated key becomes a list of pairs, because a dictionary would lose one of its values.

    Raises:
        ValueError: ``text`` is not JSON, or is nested too deeply for recursive functions.
    """
    return _parse_with(_DECODER, text if isinstance(text, str) else _decode(text))


def load_shallow(text: str) -> Any:
    """Return the JSON document in ``text``, as ``json.loads`` does.

    Raises:
        ValueError: ``text`` is not JSON, or is nested too deeply for recursive functions.
    """
    return _parse_with(_PLAIN_DECODER, text)


def _parse_with(decoder: json.JSONDecoder, text: str) -> Any:
    try:
        document = decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # counting the brackets shows that almost all documents are shallow
    if text.count("{") + text.count("[") > _MAX_DEPTH and is_too_deep(document):
        raise ValueError("nested too deeply")
    return document


def _decode(text: bytes) -> str:
    # the standard library's function is slow, and needed only if the text has a byte order mark or is not UTF-8
    is_utf_8 = text[:1] in (b"{", b"[") and text[1:2] != b"\0"
    return text.decode("utf-8" if is_utf_8 else json.detect_encoding(text), "surrogatepass")


def is_json(text: str | bytes) -> bool:
    """Return whether ``parse`` accepts ``text``."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def replace_in_tokens(text: str, replace: Callable[[str], str]) -> str:
    """Return the JSON document ``text`` with ``replace`` applied to each string's content and to each other scalar.

    If ``replace`` changes a number, ``true``, ``false`` or ``null``, and the new text is not valid JSON, the new text
    becomes a string.
    """

    def replace_token(match: re.Match[str]) -> str:
        token = match[0]
        content = json.loads(token, strict=False) if token.startswith('"') else token
        replaced = replace(content)
        if replaced == content or (content is token and is_json(replaced)):
            return replaced if content is token else token
        return json.dumps(replaced, ensure_ascii=token.isascii())

    return _SCALAR.sub(replace_token, text)


def is_too_deep(document: Any) -> bool:
    """Return whether ``document`` is nested too deeply for recursive functions."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _build_object(pairs: list[tuple[str, Any]]) -> Any:
    document = dict(pairs)
    return document if len(document) == len(pairs) else [["__pair__", key, value] for key, value in pairs]


def indented(text: str) -> str | None:
    """Return ``text`` indented by two spaces, with every number, string and repeated key unchanged.

    ``None`` if ``text`` is not a JSON object or array, or is nested too deeply.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        json.loads(text)
        return _indent(_TOKEN.findall(text))
    except (ValueError, RecursionError):
        return None


def _indent(tokens: list[str]) -> str:
    pieces: list[str] = []
    line, is_empty = "\n", False
    deepest = "\n" + "  " * _MAX_DEPTH
    for token in tokens:
        if token in "}]":
            line = line[:-2]
            pieces.append(token if is_empty else line + token)
            is_empty = False
            continue
        if is_empty:
            pieces.append(line)
            is_empty = False
        if token in "{[":
            if line == deepest:
                raise ValueError("nested too deeply")
            line += "  "
            is_empty = True
            pieces.append(token)
        elif token == ",":
            pieces.append("," + line)
        elif token == ":":
            pieces.append(": ")
        else:
            pieces.append(token if token.isascii() and "\x7f" not in token else token.translate(_BREAKS))
    return "".join(pieces)


LAYOUTS = ("compact", "spaced")
"""The layouts of a document without line breaks: ``{"a":[1,2],"b":3}`` or ``{"a": [1, 2], "b": 3}``."""

_LINE_START = re.compile(r"\n *")
_ESCAPED_QUOTE = '\\": '
_HIDDEN_QUOTE = "\0"


def restore_layout(text: str, layout: str) -> str:
    """Undo ``indented``: return ``text`` in its original ``layout``, one of ``LAYOUTS``.

    The function must be fast, because it is called for each response of a cassette. A document is not restored
    exactly if one of its keys ends with a backslash.
    """
    # a string contains no line break, and no quote without a backslash
    if layout == "compact":
        text = text.replace(_ESCAPED_QUOTE, _HIDDEN_QUOTE).replace('": ', '":').replace(_HIDDEN_QUOTE, _ESCAPED_QUOTE)
    else:
        text = text.replace(",\n", ", \n")
    return _LINE_START.sub("", text)


def canonical(document: Any) -> str:
    """Return the same text for all equal JSON documents: keys sorted, no whitespace, ``1.0`` as ``1``.

    The order of arrays matters, and null differs from a missing key.
    """
    return _encode(_normalize(document))


def canonicalize(text: bytes) -> str:
    """Parse ``text`` and return its canonical form. Faster than ``canonical(parse(text))``.

    Raises:
        ValueError: ``text`` is not JSON, or is nested too deeply for recursive functions.
    """
    return _encode(_parse_with(_NUMBER_DECODER, _decode(text)))


def _encode(document: Any) -> str:
    text = _ENCODER.encode(document)
    # half of a surrogate pair stays escaped, because it cannot be printed
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _normalize(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normalize(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalize(item) for item in value]
    return _normalize_number(value) if isinstance(value, float) else value


def _normalize_number(value: float | str) -> float | int:
    number = float(value)
    return int(number) if number.is_integer() else number


def iterate_strings(document: Any, path: str = "$") -> Iterator[tuple[str, str]]:
    """Yield the JSON path and the text of each string in ``document``, including the names of fields."""
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for name, value in document.items():
            inner = f"{path}.{name}" if re.fullmatch(r"\w+", name) else f"{path}[{json.dumps(name)}]"
            yield path, name
            yield from iterate_strings(value, inner)
    elif isinstance(document, list):
        for position, value in enumerate(document):
            yield from iterate_strings(value, f"{path}[{position}]")


# created once, because creating them takes as long as parsing a small document
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_PLAIN_DECODER = json.JSONDecoder()
_DECODER = json.JSONDecoder(object_pairs_hook=_build_object)
_NUMBER_DECODER = json.JSONDecoder(object_pairs_hook=_build_object, parse_float=_normalize_number)
