"""Parse bodies of requests into documents, in which a difference is located by form field, part, line or JSON path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from multitrack.tape import jsontext
from multitrack.tape.exchange import Request
from multitrack.tape.matching.difference import Difference

if TYPE_CHECKING:
    from email.message import Message

_FORM = "application/x-www-form-urlencoded"
_BOUNDARY = re.compile(r"boundary=", re.IGNORECASE)


class FormFields(dict[str, Any]):
    """A mapping from the names of a form's fields to their values.

    If several fields have the same name, the keys are numbered: ``tag[0]``, ``tag[1]``.
    """


class MultipartParts(dict[str, Any]):
    """A mapping from the names in a multipart body to its parts.

    If several parts have the same name, the keys are numbered: ``image[0]``, ``image[1]``.
    """


class MultipartPart(dict[str, Any]):
    """A part of a multipart body: its content (key ``CONTENT``), its headers, and the parameters of its headers."""


class JsonLines(list[Any]):
    """The documents of a body with one JSON document per line."""


CONTENT = "content"


def parse_body(request: Request) -> Any:
    """Return the body of ``request`` as a document, or as text if it has no structure."""
    return _parse(request.body, request.header("content-type") or "")


def _parse(body: bytes, content_type: str) -> Any:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _FORM or (not kind and _is_form(body)):
        return FormFields(_group(parse_qsl(body.decode("utf-8", "backslashreplace"), keep_blank_values=True)))
    if kind.startswith("multipart/") and _BOUNDARY.search(content_type):
        return MultipartParts(_group(_list_parts(body, content_type)))
    try:
        return jsontext.parse(body)
    except ValueError:
        pass
    lines = body.splitlines()
    if len(lines) > 1 and all(line.lstrip()[:1] in (b"{", b"[", b"") for line in lines):
        try:
            return JsonLines(jsontext.parse(line) for line in lines if line.strip())
        except ValueError:
            pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("utf-8", "backslashreplace")


def name_format(document: Any) -> str:
    """Return the name of a parsed body's format."""
    match document:
        case FormFields():
            return "a form"
        case MultipartParts():
            return "a multipart form"
        case JsonLines():
            return "JSON lines"
        case str():
            return "text"
    return "JSON"


def _is_form(body: bytes) -> bool:
    # vcrpy's cassettes lack the content type of a form that aiohttp sent
    text = body.decode("latin-1")
    return bool(text) and "=" in text and urlencode(parse_qsl(text, keep_blank_values=True)) == text


def _group(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {
        name if len(found) == 1 else f"{name}[{position}]": value
        for name, found in values.items()
        for position, value in enumerate(found)
    }


def _list_parts(body: bytes, content_type: str) -> list[tuple[str, Any]]:
    from email.parser import BytesParser
    from email.policy import HTTP

    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return [_read_part(part, number) for number, part in enumerate(message.iter_parts(), start=1)]


def _read_part(part: Message, number: int) -> tuple[str, Any]:
    payload = part.get_payload(decode=True)
    headers = {name.lower(): str(value) for name, value in part.items()}
    headers.pop("content-disposition", None)
    name = part.get_param("name", header="content-disposition")
    if filename := part.get_filename():
        headers["filename"] = filename
    content = _parse(payload if isinstance(payload, bytes) else b"", part.get("content-type") or "text/plain")
    return str(name) if name else f"number {number}", MultipartPart({**headers, CONTENT: content})


def locate_difference(difference: Difference, recorded: Any, sent: Any) -> str:
    """Return where ``difference`` is, such as ``form field "prompt"``, ``line 2: $.model`` or ``$.messages[0]``."""
    names: list[str] = []
    begin = 0
    documents = [recorded, sent]
    for depth, step in enumerate(difference.path):
        if name := next(filter(None, (_name_step(one, step) for one in documents)), None):
            names.append(name)
            begin = depth + 1
        elif any(isinstance(one, MultipartPart) for one in documents):
            begin = depth + 1  # skip the key CONTENT
        documents = [_descend(one, step) for one in documents]
    rest = Difference(difference.path[begin:], None, None)
    if not names:
        return str(rest)
    return ", ".join(names) + (f": {rest}" if rest.path else "")


def _name_step(document: Any, step: str | int) -> str | None:
    match document, step:
        case FormFields(), str():
            return f"form field {_quote(step)}"
        case MultipartParts(), str():
            return f"part {_quote(step)}"
        case MultipartPart(), str():
            return None if step == CONTENT else step
        case JsonLines(), int():
            return f"line {step + 1}"
    return None


def _quote(name: str) -> str:
    return jsontext.canonical(name)


def _descend(document: Any, step: Any) -> Any:
    try:
        return document[step]
    except (KeyError, IndexError, TypeError):
        return None
