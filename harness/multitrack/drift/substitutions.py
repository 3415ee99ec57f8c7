"""What of an answer comes back in later requests, and is another text each time: ids, signatures, the model's words.

A conversation goes on with the answer that came, and so with its ids. Where the answer did not drift, a later request
says the same as the recorded one as soon as its echoes are put in the words of the tape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from multitrack.diagnosis.call_results import answer_of
from multitrack.tape import jsontext
from multitrack.tape.exchange import Request, Response
from multitrack.wires.framing import FrameParser

# OpenAI's and Google's names for what only its maker reads
_OPAQUE = frozenset(
    {
        "id",
        "call_id",
        "item_id",
        "response_id",
        "responseId",
        "encrypted_content",
        "signature",
        "thoughtSignature",
        "thought_signature",
    }
)


def opaque(recorded: Response, live: Response) -> dict[str, str]:
    """For each id and signature in the ``live`` answer the one that stands in its place in the ``recorded`` one."""
    then, now = _opaque(recorded.body), _opaque(live.body)
    return {
        new: old
        for name, texts in now.items()
        for new, old in zip(texts, then.get(name, ()), strict=False)
        if new != old
    }


def words(recorded: Response, live: Response) -> dict[str, str]:
    """The text of the ``live`` answer, with that of the ``recorded`` one."""
    then, now = answer_of(recorded.body), answer_of(live.body)
    both = (then.text if then else None, now.text if now else None)
    return {both[1]: both[0]} if both[0] and both[1] and both[0] != both[1] else {}


def told(request: Request, echoes: Mapping[str, str]) -> Request:
    """``request`` with each text that is one of ``echoes`` as it is on the tape."""
    if not echoes:
        return request
    parts = urlsplit(request.url)
    steps = [unquote(step) for step in parts.path.split("/")]
    if any(step in echoes for step in steps):
        path = "/".join(quote(echoes.get(step, step), safe=":@!$&'()*+,;=~") for step in steps)
        request = replace(request, url=urlunsplit(parts._replace(path=path)))
    try:
        document = jsontext.parse(request.body)
    except ValueError:
        return request
    return replace(request, body=json.dumps(_told(document, echoes)).encode())


def _told(value: Any, echoes: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return echoes.get(value, value)
    if isinstance(value, dict):
        return {key: _told(item, echoes) for key, item in value.items()}
    if isinstance(value, list):
        return [_told(item, echoes) for item in value]
    return value


def _opaque(body: bytes) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for document in _documents(body):
        for name, text in _held(document):
            found.setdefault(name, {})[text] = None
    return {name: list(texts) for name, texts in found.items()}


def _documents(body: bytes) -> Iterator[Any]:
    frames = FrameParser()
    for event in (*frames.feed(body), *frames.close()):
        try:
            yield jsontext.parse(event.data)
        except ValueError:
            continue


def _held(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _OPAQUE and isinstance(item, str) and item:
                yield key, item
            else:
                yield from _held(item)
    elif isinstance(value, list):
        for item in value:
            yield from _held(item)
