"""The content of a message in OpenAI's form, written as Gemini's ``parts``.

From https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages, by the names of the Responses
API as well, to https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from posixpath import splitext
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from multitrack.wires.lenient_json import as_object, as_text

Part = Mapping[str, Any]


def convert_content(content: object, place: str, role: str) -> list[dict[str, Any]]:
    """``content``, which stands at ``place`` in a message of ``role``, as parts; none where it says nothing.

    Pictures, sound and files are told to Gemini by a user only. Of a picture or file behind an address, the type
    is told by the address' ending, or by ``format`` beside the address, as LiteLLM has it
    (https://docs.litellm.ai/docs/completion/vision#explicitly-specify-image-type). The name of a file has no place
    in Gemini, and gives the type alone.

    Raises ValueError, naming the part, for what Gemini cannot be told.
    """
    match content:
        case None:
            return []
        case str():
            written = [{"text": content}]
        case list():
            written = [_part(part, f"{place}.content[{number}]", role) for number, part in enumerate(content)]
        case _:
            raise ValueError(
                f"{place}.content is a {type(content).__name__}; it may be text, or a list of parts such as "
                f"{{'type': 'text', 'text': ...}}"
            )
    # Vertex refuses a whole request for one part of empty text
    return [part for part in written if part != {"text": ""}]


def _part(part: object, where: str, role: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise ValueError(f"{where} is a {type(part).__name__}; a part is a dictionary such as {{'type': 'text', ...}}")
    kind = part.get("type")
    if kind in _TEXTS:
        return _text(part, where, "text")
    if kind == "refusal" and role == "assistant":
        return _text(part, where, "refusal")
    write = _MEDIA.get(kind) if isinstance(kind, str) else None
    if write is None:
        raise ValueError(
            f"{where} is of the type {kind!r}, which Gemini cannot be told; a part may be of the types "
            f"text, image_url, input_audio and file"
        )
    if role != "user":
        raise ValueError(
            f"{where} is of the type {kind!r}, and a message of the role {role!r} may hold text only; "
            f"put it into a message of the role 'user'"
        )
    return write(part, where)


def _text(part: Part, where: str, key: str) -> dict[str, Any]:
    text = part.get(key)
    if not isinstance(text, str):
        raise ValueError(f"{where} has no {key}; write what is said into {key!r}")
    return {"text": text}


def _image(part: Part, where: str) -> dict[str, Any]:
    image = part.get("image_url")
    described = as_object(image) or part
    if (detail := described.get("detail")) not in (None, "auto"):
        raise ValueError(
            f"{where} asks for the detail {detail!r}, which Gemini sets for a request as a whole; "
            f"leave it out, or set the request's media_resolution"
        )
    url = image if isinstance(image, str) else as_text(as_object(image).get("url"))
    address = url or as_text(part.get("file_id"))
    if not address:
        raise ValueError(f"{where} has no image_url.url; write the picture's address there, or a data URL")
    return _media(address, where, as_text(described.get("format")))


def _audio(part: Part, where: str) -> dict[str, Any]:
    audio = as_object(part.get("input_audio"))
    data, kind = as_text(audio.get("data")), as_text(audio.get("format"))
    if not data or not kind:
        raise ValueError(f"{where} has no input_audio.data and input_audio.format; write the sound there, in base64")
    return _inline(f"audio/{kind}", _base64(data, where))


def _document(part: Part, where: str) -> dict[str, Any]:
    # the Responses API has the fields in the part itself
    file = as_object(part.get("file")) or part
    kind = as_text(file.get("format"))
    address = as_text(file.get("file_url")) or as_text(file.get("file_id"))
    if not (data := as_text(file.get("file_data"))):
        if not address:
            raise ValueError(f"{where} has no file.file_data; write the file there, as a data URL")
        return _media(address, where, kind)
    if data[:5].lower() == "data:":
        return _media(data, where, kind)
    if not (kind := kind or _TYPES.get(_ending(as_text(file.get("filename")) or ""))):
        raise ValueError(f"{where} does not tell the file's type; write file.file_data as 'data:<type>;base64,...'")
    return _inline(kind, _base64(data, where))


_TEXTS = ("text", "input_text", "output_text")
_MEDIA: dict[str, Callable[[Part, str], dict[str, Any]]] = {
    "image_url": _image,
    "input_image": _image,
    "input_audio": _audio,
    "file": _document,
    "input_file": _document,
}

# https://ai.google.dev/gemini-api/docs/file-input-methods and
# https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference#filedata name what may be sent.
# Not by mimetypes, which reads the machine's own list, and knows WebP from Python 3.13 on: the same conversation
# would be another request on another machine, and miss on a tape.
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
_ADDRESS = re.compile(r"(?:https?|gs)://[^/]+/(?P<path>[^?#]*)", re.IGNORECASE)


def _media(url: str, where: str, kind: str | None) -> dict[str, Any]:
    """What is in a data URL, or stands at an address, with ``kind`` before the type that the URL itself tells."""
    if inline := _DATA_URL.match(url):
        if not (kind := kind or inline["kind"]):
            raise ValueError(f"{where} has a data URL without a type; write it as 'data:<type>;base64,...'")
        data = inline["data"]
        if not inline["base64"]:
            return _inline(kind, b64encode(unquote_to_bytes(data)).decode())
        return _inline(kind, _base64(unquote(data) if "%" in data else data, where))
    address = _ADDRESS.match(url)
    if address is None:
        raise ValueError(
            f"{where} names {_shown(url)}, from where Gemini reads nothing; "
            f"write a data URL, or an address that begins with https:// or gs://"
        )
    if not (kind := kind or _TYPES.get(_ending(address["path"]))):
        raise ValueError(
            f"{where} has the URL {_shown(url)}, which does not tell the type that Gemini must be told; "
            f"write it beside the URL, as in 'format': 'image/jpeg', or send a data URL"
        )
    return {"fileData": {"mimeType": _known(kind), "fileUri": url}}


def _ending(path: str) -> str:
    return splitext(path)[1].lower()


def _inline(kind: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": _known(kind), "data": data}}


def _known(kind: str) -> str:
    # a common slip, which OpenAI takes and Gemini refuses
    return "image/jpeg" if kind == "image/jpg" else kind


def _base64(data: str, where: str) -> str:
    """``data`` in the common alphabet, padded and without white space, since the SDKs differ in what they read."""
    if _is_base64(data):
        return data
    data = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    data += "=" * (-len(data) % 4)
    if not _is_base64(data):
        raise ValueError(f"{where} holds data that is no base64; encode the bytes with base64.b64encode")
    return data


def _is_base64(data: str) -> bool:
    try:
        b64decode(data, validate=True)
    except ValueError:
        return False
    return True


def _shown(url: str) -> str:
    return repr(url if len(url) <= 100 else url[:100] + "...")
