"""Read one interaction from the values of a file, and refuse keys and values that this version does not know."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args

from multitrack.tape import jsontext
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.file import yaml_text
from multitrack.tape.file.blobs import Blobs
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.reencoding import can_encode, split_encodings

_INTERACTION = frozenset({"request", "response", "provenance", "tests", "models", "results"})
_REQUEST = frozenset({"method", "uri", "headers", "body"})
_RESPONSE = frozenset({"status", "headers", "body", "layout", "encoding", "chunks", "ending", "failure"})


class UnknownFeature(ValueError):
    """The file has a key or a value that this version does not know. A later version may have written the file."""


def read_interaction(item: Any, blobs: Blobs) -> Interaction:
    """Return the interaction in ``item``, a value of the file.

    Raises:
        UnknownFeature: A key or a value is unknown to this version.
        KeyError, TypeError, ValueError: A part is missing or wrong.
    """
    item = _require_known_keys(item, "the interaction", _INTERACTION)
    request, response = _require_known_keys(item["request"], "the request", _REQUEST), item["response"]
    response = _require_known_keys(response, "the response", _RESPONSE)
    ending: Ending = response.get("ending", "complete")
    provenance: Provenance = item.get("provenance", "live")
    if ending not in get_args(Ending) or provenance not in get_args(Provenance):
        raise UnknownFeature(f"unknown ending {ending!r} or provenance {provenance!r}")
    status = _require_mapping(response["status"], "the status")
    if type(status["code"]) is not int:
        raise TypeError(f"the status code is {status['code']!r}")
    encoding, is_encoding_requested, is_raw = _read_encoding(response.get("encoding", ""))
    return Interaction(
        Request(
            _require_text(request["method"], "the method"),
            _require_text(request["uri"], "the uri"),
            _read_headers(request["headers"]),
            blobs.restore(_read_body(request["body"])),
        ),
        Response(
            status["code"],
            _require_text(status["message"], "the status message"),
            _read_headers(response["headers"]),
            _read_response_body(response),
            ending,
            _read_chunks(response.get("chunks", {})),
            _read_failure(response.get("failure")),
            encoding,
            is_encoding_requested,
            is_raw,
        ),
        tuple(_require_text(test, "a test") for test in item.get("tests", ())),
        provenance,
        tuple(
            (_require_text(tool, "a tool"), _require_text(path, "a model"))
            for tool, path in _require_mapping(item.get("models", {}), "the models").items()
        ),
        tuple(_require_text(result, "a result") for result in item["results"]) if "results" in item else None,
    )


def _read_response_body(response: Mapping[str, Any]) -> bytes:
    body = _read_body(_require_known_keys(response["body"], "the response's body", {"string"})["string"])
    if (layout := response.get("layout")) is None:
        return body
    if layout not in jsontext.LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}")
    text = body.decode()
    document = text.rstrip("\n")
    return (jsontext.restore_layout(document, layout) + text[len(document) :]).encode()


def _read_encoding(value: Any) -> tuple[str, bool, bool]:
    """Return the encoding, whether it was requested, and whether it is raw deflate (without the frame of zlib)."""
    is_requested, is_raw = True, False
    if isinstance(value, dict):
        found = _require_known_keys(value, "the encoding", {"name", "requested", "raw"})
        value, is_requested, is_raw = found["name"], bool(found.get("requested", True)), bool(found.get("raw"))
    encoding = _require_text(value, "the encoding")
    if not can_encode(encoding) or (is_raw and split_encodings(encoding)[-1:] != ["deflate"]):
        raise ValueError(f"unknown encoding {encoding!r}")
    return encoding, is_requested, is_raw


def _read_chunks(value: Any) -> Chunks:
    found = _require_mapping(value, "the value of chunks")
    by = found.get("by", "event")
    if by not in ("event", "item"):
        raise UnknownFeature(f"chunks are counted by event or by item, not by {by!r}")
    cuts = [_require_text(cut, "a cut").split("+") for cut in found.get("cut", ())]
    return Chunks(
        joined=tuple(int(event) for event in found.get("joined", ())),
        cut=tuple((int(event), int(offset)) for event, offset in cuts),
        gaps=tuple(int(gap) for gap in found.get("gaps_ms", ())),
        by_item=by == "item",
    )


def _read_failure(value: Any) -> Failure | None:
    if value is None:
        return None
    found = _require_mapping(value, "the failure")
    during: During = found.get("during", "read")
    if during not in get_args(During):
        raise UnknownFeature(f"the failure has an unknown value of during: {during!r}")
    error, message, code = (found.get(name, "") for name in ("error", "message", "code"))
    return Failure(
        _require_text(error, "the error"),
        _require_text(message, "its message"),
        during,
        _require_text(code, "its code"),
    )


def _require_mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {value!r:.60}, not a mapping")
    return value


def _require_known_keys(value: Any, name: str, keys: Collection[str]) -> dict[str, Any]:
    found = _require_mapping(value, name)
    # an unknown key may be the rest of a text that lost its indentation
    if others := found.keys() - keys:
        raise UnknownFeature(f"{name} has an unknown key {min(map(str, others))!r}")
    return found


def _require_text(value: Any, name: str) -> str:
    if isinstance(value, bytes):
        value = yaml_text.restore_text(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r:.60}, not text")
    return value


def _read_headers(headers: Any) -> Headers:
    return tuple(
        (_require_text(name, "the name of a header"), _require_text(value, f"the header {name}"))
        for name, values in _require_mapping(headers, "the value of headers").items()
        for value in (values if isinstance(values, list) else [values])
    )


def _read_body(body: Any) -> bytes:
    return body if isinstance(body, bytes) else _require_text(body, "the body").encode()
