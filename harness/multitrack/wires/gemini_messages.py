"""A conversation in OpenAI's form, written as the ``contents`` of a Gemini request.

From https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages
to https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from mimetypes import guess_type
from typing import Any, NamedTuple

from multitrack.wires.untrusted import mapping, objects, word


class Conversation(NamedTuple):
    """The parts of the system instruction, and the contents."""

    system: list[dict[str, Any]]
    contents: list[dict[str, Any]]


def conversation(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """``messages`` in Gemini's form; they themselves are left as they are.

    Raises ValueError, naming the message, for what Gemini cannot be told: a system message after the
    conversation has begun, an answer to a call that nobody made, a part of an unknown kind.
    """
    system: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    called: dict[str, str] = {}
    after_tool = False
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if not isinstance(message, Mapping):
            raise ValueError(f"{place} is a {type(message).__name__}, and no dictionary with role and content")
        role = message.get("role")
        match role:
            case "system" | "developer" if contents:
                raise ValueError(
                    f"{place} has the role {role!r}, which Gemini takes at the beginning only; "
                    f"move it there, or give it the role 'user'"
                )
            case "system" | "developer":
                system += _parts(message, place, only_text=True)
            case "user":
                contents.append({"role": "user", "parts": _parts(message, place)})
            case "assistant":
                contents.append({"role": "model", "parts": _said(message, place, called)})
            case "tool" | "function" if after_tool:
                # the answers to calls made together belong together
                contents[-1]["parts"].append(_result(message, place, called))
            case "tool" | "function":
                contents.append({"role": "user", "parts": [_result(message, place, called)]})
            case _:
                raise ValueError(f"{place} has the role {role!r}, which Gemini does not know")
        after_tool = role in ("tool", "function")
    return Conversation(system, contents)


def _parts(message: Mapping[str, Any], place: str, *, only_text: bool = False) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"text": content}]
    parts = []
    for number, part in enumerate(objects(content)):
        where = f"{place}.content[{number}]"
        kind = part.get("type")
        write = _PARTS.get(kind) if isinstance(kind, str) else None
        if write is None or (only_text and kind != "text"):
            raise ValueError(f"{where} is of the type {kind!r}, which cannot be sent to Gemini there")
        parts.append(write(part, where))
    if not parts:
        raise ValueError(f"{place} has no content")
    return parts


def _text(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    text = part.get("text")
    if not isinstance(text, str):
        raise ValueError(f"{where} has no text")
    return {"text": text}


def _image(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    image = part.get("image_url")
    url = image if isinstance(image, str) else word(mapping(image).get("url"))
    if not url:
        raise ValueError(f"{where} has no image_url.url")
    return _blob(url, where) or _file(url, where)


def _audio(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    audio = mapping(part.get("input_audio"))
    data, kind = word(audio.get("data")), word(audio.get("format"))
    if not data or not kind:
        raise ValueError(f"{where} has no input_audio.data and input_audio.format")
    return {"inlineData": {"mimeType": f"audio/{'mpeg' if kind == 'mp3' else kind}", "data": data}}


def _document(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    blob = _blob(word(mapping(part.get("file")).get("file_data")) or "", where)
    if blob is None:
        raise ValueError(f"{where} has no file.file_data with a data URL; Gemini knows no files of OpenAI's")
    return blob


_PARTS: dict[str, Callable[[Mapping[str, Any], str], dict[str, Any]]] = {
    "text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _document,
}

# https://www.rfc-editor.org/rfc/rfc2397
_DATA_URL = re.compile(r"data:(?P<kind>[^;,]+)(?:;[^;,]+)*?(?P<base64>;base64)?,(?P<data>.*)", re.DOTALL)


def _blob(url: str, where: str) -> dict[str, Any] | None:
    found = _DATA_URL.fullmatch(url)
    if found is None:
        return None
    if not found["base64"]:
        raise ValueError(f"{where} has a data URL that is not in base64")
    return {"inlineData": {"mimeType": found["kind"], "data": found["data"]}}


def _file(url: str, where: str) -> dict[str, Any]:
    kind, _ = guess_type(url.partition("?")[0])
    if kind is None:
        raise ValueError(f"{where} has the URL {url!r}, which does not tell the type of the image")
    return {"fileData": {"mimeType": kind, "fileUri": url}}


def _said(message: Mapping[str, Any], place: str, called: dict[str, str]) -> list[dict[str, Any]]:
    has_content = bool(message.get("content"))
    parts = _parts(message, place, only_text=True) if has_content else []
    if refusal := word(message.get("refusal")):
        parts.append({"text": refusal})
    for number, call in enumerate(objects(message.get("tool_calls"))):
        where = f"{place}.tool_calls[{number}]"
        part = _called(mapping(call.get("function")), where)
        if call_id := word(call.get("id")):
            called[call_id] = part["functionCall"]["name"]
        parts.append(part)
    if legacy := mapping(message.get("function_call")):
        parts.append(_called(legacy, f"{place}.function_call"))
    if not parts:
        raise ValueError(f"{place} has neither content nor tool_calls")
    return parts


def _called(function: Mapping[str, Any], where: str) -> dict[str, Any]:
    name = word(function.get("name"))
    if not name:
        raise ValueError(f"{where} has no function.name")
    try:
        args = json.loads(function.get("arguments") or "{}")
    except (TypeError, ValueError):
        args = None
    if not isinstance(args, dict):
        raise ValueError(f"{where} has arguments that are no JSON object, which Gemini cannot be told")
    return {"functionCall": {"name": name, "args": args}}


def _result(message: Mapping[str, Any], place: str, called: Mapping[str, str]) -> dict[str, Any]:
    call_id = message.get("tool_call_id")
    # Gemini tells an answer by the function's name, not by the call's id
    name = called.get(call_id) if isinstance(call_id, str) else word(message.get("name"))
    if not name:
        raise ValueError(f"{place} answers the call {call_id!r}, which no message before it makes")
    text = "".join(part["text"] for part in _parts(message, place, only_text=True))
    try:
        response = json.loads(text)
    except ValueError:
        response = text
    if not isinstance(response, dict):
        # https://ai.google.dev/api/caching#FunctionResponse: an answer that is no object is called "output"
        response = {"output": response}
    return {"functionResponse": {"name": name, "response": response}}
