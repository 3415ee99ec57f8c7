"""Mutations that know the structure of an input: a line, a node of a JSON document, a field of an event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 99999, 10**30, 1.5, -0.0, "", "x", "\x1b[2J", "\ud800", "null", "{}", '{"a":',
    [], {}, [[]], [{}], {"": None}, [None], "id", "STOP", "data: x\n\n", "\u202e", "😀", "0" * 40,
)  # fmt: skip
_WORDS: tuple[bytes, ...] = (
    b"null", b"~", b"[]", b"{}", b"-1", b"99999", b"!!binary ", b"!!float x", b"!!python/tuple ", b"!!set ", b"&a ",
    b"*a", b"<<: ", b"? ", b"---\n", b"...\n", b"\t", b"'", b'"', b"|-\n", b"\x00", b"\xff", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"{", b"[", b": ", b"# ", b"0x1F", b"1e400", b"2024-13-45",
    b"<<<<<<< HEAD\n", b"=======\n",
    b"data: ", b"\n\n", b"\r\n", b"event: error\n", b"[DONE]", b"sk-proj-0123456789abcdefghijABCDEFGHIJ", b"\\u0000",
    b"\\", b"%2F", b"AKIAIOSFODNN7EXAMPLE", b"projects/acme-prod-7/", b"Content-Length: 9\r\n", b"0\r\n\r\n",
)  # fmt: skip


def mutate(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a mutated copy of ``data``, which may contain parts of ``others``."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        kind = random.randrange(6)
        if kind <= 1:
            data = _mutate_lines(data, random, others)
        elif kind == 2:
            data = _mutate_bytes(data, random)
        else:
            data = _mutate_json(data, random)
    return data


def _mutate_bytes(data: bytes, random: Random) -> bytes:
    start = random.randint(0, len(data))
    match random.randrange(5):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + data[min(len(data), start + random.choice((1, 2, 8, 64))) :]
        case 2:
            return data[:start] + random.choice(_WORDS) + data[start:]
        case 3:
            end = min(len(data), start + random.choice((1, 4, 32)))
            return data[:start] + random.choice(_WORDS) + data[end:]
        case _:
            return data[:start] + bytes([random.randrange(256)]) + data[start + 1 :]


def _mutate_lines(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines[at] = b" " * random.randrange(6) + lines[at].lstrip()
        case 3:
            key, colon, _ = lines[at].partition(b": ")
            lines[at] = key + colon + random.choice(_WORDS)
        case 4:
            other = random.choice(others).split(b"\n") if others else lines
            lines.insert(at, random.choice(other))
        case _:
            other_at = random.randrange(len(lines))
            lines[at], lines[other_at] = lines[other_at], lines[at]
    return b"\n".join(lines)


def _mutate_json(data: bytes, random: Random) -> bytes:
    """Change a node of a JSON document, which is either the whole ``data`` or one of its lines."""
    try:
        return _dump(_mutate_document(json.loads(data), random), random)
    except (ValueError, RecursionError):
        pass
    lines = data.split(b"\n")
    starts = [number for number, line in enumerate(lines) if b"{" in line]
    if not starts:
        return _mutate_bytes(data, random)
    at = random.choice(starts)
    head, brace, rest = lines[at].partition(b"{")
    try:
        lines[at] = head + _dump(_mutate_document(json.loads(brace + rest), random), random)
    except (ValueError, RecursionError):
        return _mutate_lines(data, random, ())
    return b"\n".join(lines)


def _dump(document: Any, random: Random) -> bytes:
    text = json.dumps(document, ensure_ascii=random.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def _mutate_document(document: Any, random: Random) -> Any:
    places: list[tuple[Any, Any]] = []
    _collect(document, places)
    if not places:
        return random.choice(_VALUES)
    container, key = random.choice(places)
    match random.randrange(6):
        case 0:
            del container[key]
        case 1:
            container[key] = random.choice(_VALUES)
        case 2:
            other, other_key = random.choice(places)
            container[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else other))
        case 3 if isinstance(container, list):
            container.insert(random.randint(0, len(container)), json.loads(json.dumps(container[key])))
        case 4 if isinstance(container[key], str):
            text = container[key]
            at = random.randint(0, len(text))
            container[key] = text[:at] + random.choice(("", '"', "}", "\\", "\n", "é", "\x00")) + text[at + 1 :]
        case _:
            container[key] = [container[key]] if random.random() < 0.5 else {"": container[key]}
    return document


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    for key in range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ():
        places.append((value, key))
        _collect(value[key], places)
