"""Replace strings that differ in each response and reappear in later requests: ids, signatures, and the model's text.

A program continues the conversation with the live response, so its next request repeats strings from that response.
To find the recording of that request, these strings are replaced with the recorded ones. If the response did not
drift, the result is equal to the recorded request.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from multitrack.diagnosis.call_results import parse_answer
from multitrack.tape import jsontext
from multitrack.tape.exchange import Request, Response
from multitrack.wires import registry
from multitrack.wires.framing import FrameParser


def map_opaque_ids(recorded: Response, live: Response) -> dict[str, str]:
    """Map the ids and signatures in the live response to those at the same positions in the recorded response."""
    then, now = _find_opaque_ids(recorded.body), _find_opaque_ids(live.body)
    return {
        new: old
        for name, texts in now.items()
        for new, old in zip(texts, then.get(name, ()), strict=False)
        if new != old
    }


def map_texts(recorded: Response, live: Response) -> dict[str, str]:
    """Map the live response's text to the recorded response's text.

    Returns an empty mapping if the texts are equal or one of them is missing.
    """
    then, now = parse_answer(recorded.body), parse_answer(live.body)
    both = (then.text if then else None, now.text if now else None)
    return {both[1]: both[0]} if both[0] and both[1] and both[0] != both[1] else {}


def restore_recorded_texts(request: Request, substitutions: Mapping[str, str]) -> Request:
    """Replace each live text in ``request`` with its recorded text."""
    if not substitutions:
        return request
    parts = urlsplit(request.url)
    steps = [unquote(step) for step in parts.path.split("/")]
    if any(step in substitutions for step in steps):
        path = "/".join(quote(substitutions.get(step, step), safe=":@!$&'()*+,;=~") for step in steps)
        request = replace(request, url=urlunsplit(parts._replace(path=path)))
    try:
        document = jsontext.parse(request.body)
    except ValueError:
        return request
    return replace(request, body=json.dumps(_replace_texts(document, substitutions)).encode())


def _replace_texts(value: Any, substitutions: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return substitutions.get(value, value)
    if isinstance(value, dict):
        return {key: _replace_texts(item, substitutions) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_texts(item, substitutions) for item in value]
    return value


def _find_opaque_ids(body: bytes) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    keys = registry.opaque_keys()
    for document in _parse_documents(body):
        for name, text in _iterate_opaque_ids(document, keys):
            found.setdefault(name, {})[text] = None
    return {name: list(texts) for name, texts in found.items()}


def _parse_documents(body: bytes) -> Iterator[Any]:
    frames = FrameParser()
    for event in (*frames.feed(body), *frames.close()):
        try:
            yield jsontext.parse(event.data)
        except ValueError:
            continue


def _iterate_opaque_ids(value: Any, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in keys and isinstance(item, str) and item:
                yield key, item
            else:
                yield from _iterate_opaque_ids(item, keys)
    elif isinstance(value, list):
        for item in value:
            yield from _iterate_opaque_ids(item, keys)
