"""Reduce bodies to a canonical text, so that equivalent bodies compare as equal."""

from __future__ import annotations

import base64
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl, urlencode

from multitrack.tape import jsontext


def canonicalize_body(body: bytes, content_type: str | None) -> str:
    """Return the same text for all bodies that mean the same.

    JSON is compared as a document, a form by its decoded pairs, multipart by its parts without the boundary, and
    anything else by its bytes.
    """
    kind = (content_type or "").split(";")[0].strip().lower()
    # aiohttp adds the content type of a form below the level at which vcrpy records, so those cassettes do not have it
    if kind == "application/x-www-form-urlencoded" or (not kind and _is_form(body)):
        return jsontext.canonical(parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True))
    if kind.startswith("multipart/"):
        return jsontext.canonical(_parse_multipart(body, content_type or ""))
    # the first byte decides, not the content type: some clients of providers send JSON as text/plain
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return jsontext.canonical(jsontext.parse(body))
        except ValueError:
            pass
    return _decode_text(body)


def _is_form(body: bytes) -> bool:
    text = body.decode("latin-1")
    return bool(text) and urlencode(parse_qsl(text, keep_blank_values=True)) == text


def _decode_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(body).decode()


def _parse_multipart(body: bytes, content_type: str) -> list[list[object]]:
    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    message: EmailMessage = BytesParser(policy=HTTP).parsebytes(head + body)
    return [
        [sorted([name.lower(), str(value)] for name, value in part.items()), _decode_text(_read_payload(part))]
        for part in message.iter_parts()
    ]


def _read_payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
