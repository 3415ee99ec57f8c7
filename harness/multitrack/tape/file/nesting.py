"""Recognize bodies whose JSON is nested too deeply for Multitrack and for most clients."""

from __future__ import annotations

import json

from multitrack import wires

_DEEP = 1_000
"""The depth near which Python's own decoder raises an error."""
_BRACKETS = b"[]{}"
_OTHERS = bytes(byte for byte in range(256) if byte not in _BRACKETS)


def is_nested_too_deeply(body: bytes) -> bool:
    """Return whether ``body``, or the arguments of a tool call in it, contain JSON that is nested too deeply to decode.

    Most bodies have too few brackets to be nested too deeply. Only bodies with enough brackets are decoded.
    """
    if body.count(b"[") + body.count(b"{") < _DEEP or not _may_be_deep(body):
        return False
    try:
        if wires.recognize(body) is None:
            _decode(body)
        else:
            for call in wires.decode(body):
                _decode(call.arguments or "")
    except RecursionError:
        return True
    return False


def _may_be_deep(body: bytes) -> bool:
    """Return whether more than ``_DEEP`` brackets are open at any point, counting brackets within strings as well."""
    brackets = body.translate(None, _OTHERS)
    depth, start = 0, 0
    while start < len(brackets):
        # take only as many brackets as are needed to reach the depth
        part = brackets[start : start + max(1, _DEEP - depth)]
        depth = max(0, depth + 2 * (part.count(b"[") + part.count(b"{")) - len(part))
        if depth >= _DEEP:
            return True
        start += len(part)
    return False


def _decode(text: str | bytes) -> None:
    try:
        json.loads(text)
    except ValueError:
        return
