"""Reduce bodies to canonical text, so that equivalent bodies compare as equal."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from multitrack.tape import jsontext

if TYPE_CHECKING:
    from email.message import EmailMessage, Message


def canonicalize_body(body: bytes, content_type: str | None) -> str:
    """Return the canonical text of ``body``. Bodies with the same meaning have the same canonical text.

    JSON is compared as a document. A form is compared by its decoded pairs, and a multipart body by its parts,
    without the boundary. All other bodies are compared by their bytes.
    """
    kind = _read_media_type(content_type)
    # For arrays and objects the first byte decides, because some provider clients send JSON as text/plain, and a
    # cassette stores all of them indented. A number or a string may be plain text.
    if _is_container(body) or _is_json(kind):
        try:
            return jsontext.canonicalize(body)
        except ValueError:
            pass
    # aiohttp adds the content type of a form below the level at which vcrpy records, so vcrpy's cassettes lack it
    if kind == _FORM or (not kind and _is_form(body)):
        return jsontext.canonical(_parse_form(body))
    if kind.startswith("multipart/"):
        return jsontext.canonical(_parse_multipart(body, content_type or ""))
    return decode_text(body)


def list_stored_forms(body: bytes, content_type: str | None) -> tuple[str, ...]:
    """Return the canonical texts that a body can stand for.

    They are needed to compare bodies that vcrpy recorded for aiohttp. For aiohttp, vcrpy stores the ``data`` or
    ``json`` argument, not the bytes that were sent. vcrpy does not store the content type that aiohttp derives from the
    argument, either. The stored body is therefore ambiguous:

    - The mapping ``{"a": "1"}`` was sent either as a form or as JSON.
    - The text ``s`` was sent either as text or as the JSON string ``"s"``.

    A live request and a recording match if their bodies have one of these texts in common.

    Args:
        body: The body of a live request, or of a recorded request without a content type.
        content_type: The content type of a live request. None for a recorded body whose type is unknown.
    """
    kind = _read_media_type(content_type)
    if kind == _FORM:
        return (_canonicalize_pairs(_parse_form(body)),)
    if kind.startswith("multipart/"):
        return (_canonicalize_pairs(_read_multipart_fields(body, content_type or "")),)
    if kind and _is_container(body):
        return ()
    if kind and not _is_json(kind):
        # vcrpy does not store the content type either, so recorded text can look like a form
        return (_TEXT + decode_text(body),) if _is_form(body) else ()
    try:
        document = jsontext.parse(body)
    except ValueError:
        return () if kind else (_TEXT + decode_text(body),)
    if kind:
        return (_TEXT + _format_scalar(document),)
    texts = {_TEXT + decode_text(body), _TEXT + _format_scalar(document)}
    pairs = _list_argument_pairs(document)
    return (*sorted(texts), *(() if pairs is None else (_canonicalize_pairs(pairs),)))


_CONTAINER = re.compile(rb"\s*[{\[]")
_FORM = "application/x-www-form-urlencoded"
# the prefixes of the strings that `list_stored_forms` returns, so that a form never equals plain text
_PAIRS, _TEXT = "form:", "text:"


def _read_media_type(content_type: str | None) -> str:
    return (content_type or "").split(";")[0].strip().lower()


def _is_container(body: bytes) -> bool:
    """Return whether a JSON body is an array or an object. The body can be large, so it is not copied."""
    return _CONTAINER.match(body) is not None


def _is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")


def _parse_form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True)


def _canonicalize_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    # vcrpy sorts the keys of a mapping, so only the order of fields with the same name is known
    return _PAIRS + jsontext.canonical([list(pair) for pair in sorted(pairs, key=lambda pair: pair[0])])


def _list_argument_pairs(document: Any) -> list[tuple[str, str]] | None:
    """Return the name-value pairs of a form that vcrpy recorded from aiohttp's ``data``. None for other data."""
    if isinstance(document, list):
        if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in document):
            return None
        items = [(pair[0], pair[1]) for pair in document]
    elif isinstance(document, dict):
        items = list(document.items())
    else:
        return None
    return [
        (name, value if isinstance(value, str) else str(value))
        for name, values in items
        for value in (values if isinstance(values, list) else [values])
    ]


def _format_scalar(document: Any) -> str:
    return document if isinstance(document, str) else jsontext.canonical(document)


def _is_form(body: bytes) -> bool:
    text = body.decode("latin-1")
    return bool(text) and urlencode(parse_qsl(text, keep_blank_values=True)) == text


def decode_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(body).decode()


def _parse_multipart(body: bytes, content_type: str) -> list[list[object]]:
    return [
        [sorted([name.lower(), str(value)] for name, value in part.items()), decode_text(_read_payload(part))]
        for part in _list_parts(body, content_type)
    ]


def _read_multipart_fields(body: bytes, content_type: str) -> list[tuple[str, str]]:
    return [
        (str(part.get_param("name", "", "content-disposition")), decode_text(_read_payload(part)))
        for part in _list_parts(body, content_type)
    ]


def _list_parts(body: bytes, content_type: str) -> list[Message]:
    # imported here, because most suites send no multipart bodies, and the import takes several milliseconds
    from email.parser import BytesParser
    from email.policy import HTTP

    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    message: EmailMessage = BytesParser(policy=HTTP).parsebytes(head + body)
    return list(message.iter_parts())


def _read_payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
