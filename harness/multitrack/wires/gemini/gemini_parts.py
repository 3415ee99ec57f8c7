"""Convert the content of a message in OpenAI's form to Gemini's ``parts``.

The input is described at https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages, and the
output at https://ai.google.dev/api/caching#Part. Parts of the Responses API, such as ``input_image``, are accepted,
too.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from posixpath import splitext
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from multitrack.wires.lenient_json import as_object, as_text

_MessagePart = Mapping[str, Any]


def convert_content(content: object, location: str, role: str) -> list[dict[str, Any]]:
    """Convert ``content`` to parts. The list is empty if the content is empty.

    Only a user can send images, audio and files. The type of an image or file at a URL is derived from the file name
    extension in the URL, or from a ``format`` key next to the URL. LiteLLM uses the same key:
    https://docs.litellm.ai/docs/completion/vision#explicitly-specify-image-type. Gemini has no field for the name of
    a file, so the name is used only to find the type.

    Args:
        content: The content of a message.
        location: Where the message is, such as ``messages[1]``; for error messages.
        role: The role of the message.

    Raises:
        ValueError: If Gemini does not support a part. The error says which part.
    """
    match content:
        case None:
            return []
        case str():
            parts = [{"text": content}]
        case list():
            parts = [_convert_part(part, f"{location}.content[{number}]", role) for number, part in enumerate(content)]
        case _:
            raise ValueError(
                f"{location}.content is a {type(content).__name__}; pass a string, or a list of parts such as "
                f"{{'type': 'text', 'text': ...}}"
            )
    # Vertex refuses the whole request if one part is empty text.
    return [part for part in parts if part != {"text": ""}]


def _convert_part(part: object, location: str, role: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise ValueError(f"{location} is a {type(part).__name__}; pass a dictionary such as {{'type': 'text', ...}}")
    kind = part.get("type")
    if kind in _TEXTS:
        return _convert_text(part, location, "text")
    if kind == "refusal" and role == "assistant":
        return _convert_text(part, location, "refusal")
    convert = _CONVERTERS.get(kind) if isinstance(kind, str) else None
    if convert is None:
        raise ValueError(
            f"{location} has the type {kind!r}, which Gemini does not support; use text, image_url, input_audio or file"
        )
    if role != "user":
        raise ValueError(
            f"{location} has the type {kind!r}, but a message with the role {role!r} can contain only text; "
            f"move the part to a message with the role 'user'"
        )
    return convert(part, location)


def _convert_text(part: _MessagePart, location: str, key: str) -> dict[str, Any]:
    text = part.get(key)
    if not isinstance(text, str):
        raise ValueError(f"{location} has no {key}; add the text under the key {key!r}")
    return {"text": text}


def _convert_image(part: _MessagePart, location: str) -> dict[str, Any]:
    image = part.get("image_url")
    options = as_object(image) or part
    if (detail := options.get("detail")) not in (None, "auto"):
        raise ValueError(
            f"{location} has the detail {detail!r}, but Gemini has one setting for the whole request; "
            f"remove the detail, or set media_resolution for the request"
        )
    url = image if isinstance(image, str) else as_text(as_object(image).get("url"))
    source = url or as_text(part.get("file_id"))
    if not source:
        raise ValueError(f"{location} has no image_url.url; add the URL of the image, or a data URL")
    return _convert_url(source, location, as_text(options.get("format")))


def _convert_audio(part: _MessagePart, location: str) -> dict[str, Any]:
    audio = as_object(part.get("input_audio"))
    data, kind = as_text(audio.get("data")), as_text(audio.get("format"))
    if not data or not kind:
        raise ValueError(
            f"{location} needs input_audio.data and input_audio.format; add the audio in base64, and its format"
        )
    return _write_inline(f"audio/{kind}", _normalize_base64(data, location))


def _convert_file(part: _MessagePart, location: str) -> dict[str, Any]:
    # The Responses API has these fields in the part itself.
    file = as_object(part.get("file")) or part
    kind = as_text(file.get("format"))
    source = as_text(file.get("file_url")) or as_text(file.get("file_id"))
    if not (data := as_text(file.get("file_data"))):
        if not source:
            raise ValueError(f"{location} has no file.file_data; add the file as a data URL")
        return _convert_url(source, location, kind)
    if data[:5].lower() == "data:":
        return _convert_url(data, location, kind)
    if not (kind := kind or _TYPES.get(_extension(as_text(file.get("filename")) or ""))):
        raise ValueError(
            f"{location} has data of an unknown file type; write file.file_data as 'data:<type>;base64,...'"
        )
    return _write_inline(kind, _normalize_base64(data, location))


_TEXTS = ("text", "input_text", "output_text")
_CONVERTERS: dict[str, Callable[[_MessagePart, str], dict[str, Any]]] = {
    "image_url": _convert_image,
    "input_image": _convert_image,
    "input_audio": _convert_audio,
    "file": _convert_file,
    "input_file": _convert_file,
}

# The types that Gemini accepts: https://ai.google.dev/gemini-api/docs/file-input-methods and
# https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference#filedata
# The standard library's mimetypes reads the machine's own list, and knows WebP only since Python 3.13. With mimetypes,
# the same conversation would become a different request on a different machine, and a replay would miss.
_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
    ".heic": "image/heic", ".heif": "image/heif", ".pdf": "application/pdf", ".txt": "text/plain", ".csv": "text/csv",
    ".html": "text/html", ".xml": "text/xml", ".mp3": "audio/mp3", ".wav": "audio/wav", ".aac": "audio/aac",
    ".aiff": "audio/aiff", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp4": "video/mp4", ".mov": "video/mov",
    ".mpeg": "video/mpeg", ".mpg": "video/mpg", ".webm": "video/webm", ".avi": "video/avi", ".wmv": "video/wmv",
    ".flv": "video/x-flv", ".3gp": "video/3gpp",
}  # fmt: skip

# https://www.rfc-editor.org/rfc/rfc2397
_DATA_URL = re.compile(
    r"data:(?P<kind>[^;,]*)(?:;[^;,]+)*?(?P<base64>;base64)?,(?P<data>.*)", re.DOTALL | re.IGNORECASE
)
_FILE_URL = re.compile(r"(?:https?|gs)://[^/]+/(?P<path>[^?#]*)", re.IGNORECASE)


def _convert_url(url: str, location: str, kind: str | None) -> dict[str, Any]:
    """Convert a data URL or a file URL to a part. ``kind`` overrides the type in the URL."""
    if inline := _DATA_URL.match(url):
        if not (kind := kind or inline["kind"]):
            raise ValueError(f"{location} has a data URL without a type; write the URL as 'data:<type>;base64,...'")
        data = inline["data"]
        if not inline["base64"]:
            return _write_inline(kind, b64encode(unquote_to_bytes(data)).decode())
        return _write_inline(kind, _normalize_base64(unquote(data) if "%" in data else data, location))
    file_url = _FILE_URL.match(url)
    if file_url is None:
        raise ValueError(
            f"{location} refers to {_shorten(url)}, which Gemini cannot read; "
            f"use a data URL, or a URL that begins with https:// or gs://"
        )
    if not (kind := kind or _TYPES.get(_extension(file_url["path"]))):
        raise ValueError(
            f"{location} has the URL {_shorten(url)}, whose file type is unknown; "
            f"add the type next to the URL, such as 'format': 'image/jpeg', or use a data URL"
        )
    return {"fileData": {"mimeType": _correct_type(kind), "fileUri": url}}


def _extension(path: str) -> str:
    return splitext(path)[1].lower()


def _write_inline(kind: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": _correct_type(kind), "data": data}}


def _correct_type(kind: str) -> str:
    # OpenAI accepts the wrong type `image/jpg`, but Gemini refuses it.
    return "image/jpeg" if kind == "image/jpg" else kind


def _normalize_base64(data: str, location: str) -> str:
    """Return ``data`` in the standard alphabet, padded and without whitespace.

    The SDKs accept different variants of base64, so all variants are converted to one.
    """
    if _is_base64(data):
        return data
    data = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    data += "=" * (-len(data) % 4)
    if not _is_base64(data):
        raise ValueError(f"{location} has data that is not valid base64; encode the bytes with base64.b64encode")
    return data


def _is_base64(data: str) -> bool:
    try:
        b64decode(data, validate=True)
    except ValueError:
        return False
    return True


def _shorten(url: str) -> str:
    return repr(url if len(url) <= 100 else url[:100] + "...")
