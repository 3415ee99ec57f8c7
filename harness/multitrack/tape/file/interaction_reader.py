"""Read one interaction from the values in a file, and refuse keys and values that this version does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from multitrack.tape import jsontext
from multitrack.tape.chunks import Chunks
from multitrack.tape.deferred_response import DeferredResponse
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.file.blobs import Blobs
from multitrack.tape.file.nesting import is_nested_too_deeply
from multitrack.tape.file.value_checks import (
    UnknownFeature,
    format_value,
    require_bool,
    require_known_keys,
    require_list,
    require_mapping,
    require_number,
    require_status,
    require_text,
    require_texts,
    require_url,
)
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.reencoding import can_encode, split_encodings

_INTERACTION = frozenset({"request", "response", "provenance", "source", "tests", "models", "results", "rebound"})
_REQUEST = frozenset({"method", "uri", "headers", "body"})
_RESPONSE = frozenset({"status", "headers", "body", "layout", "encoding", "chunks", "ending", "failure"})
_ENDINGS, _PROVENANCES, _PHASES = (frozenset(get_args(kind)) for kind in (Ending, Provenance, During))
_STATUS = frozenset({"code", "message"})
_CHUNKS = frozenset({"by", "joined", "cut", "gaps_ms"})
_FAILURE = frozenset({"error", "message", "during", "code"})
# an event and an offset within it; no body is so large that more than 15 digits are needed
_CUT = re.compile(r"([0-9]{1,15})\+([0-9]{1,15})", re.ASCII)
_MOST_EVENTS = 10**15
_LONGEST_GAP = 24 * 60 * 60 * 1000

# keys that no other recorder writes
OWN_KEYS = frozenset({"provenance", "source", "tests", "models", "results", "rebound"})
OWN_RESPONSE_KEYS = frozenset({"layout", "encoding", "chunks", "ending", "failure"})


def read_interaction(item: Any, blobs: Blobs) -> Interaction:
    """Read an interaction from ``item``, a value in the cassette file.

    Raises:
        UnknownFeature: A key or a value is unknown to this version.
        KeyError, TypeError, ValueError: A part is missing or wrong.
    """
    item = require_known_keys(item, "the interaction", _INTERACTION)
    request = require_known_keys(item["request"], "the request", _REQUEST)
    response = require_known_keys(item["response"], "the response", _RESPONSE)
    ending: Ending = response.get("ending", "complete")
    provenance: Provenance = item.get("provenance", "live")
    if ending not in _ENDINGS or provenance not in _PROVENANCES:
        raise UnknownFeature(f"unknown ending {format_value(ending)} or provenance {format_value(provenance)}")
    return Interaction(
        Request(
            _read_method(request["method"]),
            require_url(request["uri"]),
            _read_headers(request["headers"]),
            _require_shallow(blobs.restore(_read_body(request["body"])), "the request"),
        ),
        _read_response(response, ending),
        require_texts(item["tests"], "the value of tests", "a test") if "tests" in item else (),
        provenance,
        _read_models(item["models"]) if "models" in item else (),
        require_texts(item["results"], "the value of results", "a result") if "results" in item else None,
        require_text(item.get("source", ""), "the source"),
        require_bool(item.get("rebound", False), "the value of rebound"),
    )


def _read_method(value: Any) -> str:
    method = require_text(value, "the method")
    if not method or not method.strip():
        raise ValueError("the method is empty")
    return method


def _require_shallow(body: bytes, name: str) -> bytes:
    if is_nested_too_deeply(body):
        raise ValueError(f"the JSON in the body of {name} is nested too deeply")
    return body


def _read_models(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (require_text(tool, "a tool"), require_text(path, "a model"))
        for tool, path in require_mapping(value, "the models").items()
    )


def _read_response(response: Mapping[str, Any], ending: Ending) -> Response:
    status = require_known_keys(response["status"], "the status", _STATUS)
    encoding, is_encoding_requested, is_raw = (
        _read_encoding(response["encoding"]) if "encoding" in response else ("", True, False)
    )
    stored = _read_body(require_known_keys(response["body"], "the response's body", {"string"})["string"])
    found = Response(
        require_status(status["code"]),
        require_text(status["message"], "the status message"),
        _read_headers(response["headers"]),
        _require_shallow(stored, "the response"),
        ending,
        _read_chunks(response["chunks"]) if "chunks" in response else Chunks(),
        _read_failure(response["failure"]) if "failure" in response else None,
        encoding,
        is_encoding_requested,
        is_raw,
    )
    if "layout" not in response:
        return found
    if (layout := response["layout"]) not in jsontext.LAYOUTS:
        raise UnknownFeature(f"unknown layout {format_value(layout)}")
    stored.decode()  # raises an error now and not on replay
    return DeferredResponse.create(lambda: found.with_body(_restore_layout(stored, layout)))


def _restore_layout(stored: bytes, layout: str) -> bytes:
    text = stored.decode()
    document = text.rstrip("\n")
    return (jsontext.restore_layout(document, layout) + text[len(document) :]).encode()


def _read_encoding(value: Any) -> tuple[str, bool, bool]:
    """Return the encoding, whether the request accepted it, and whether it is raw deflate (without a zlib wrapper)."""
    is_requested, is_raw = True, False
    if isinstance(value, dict):
        found = require_known_keys(value, "the encoding", {"name", "requested", "raw"})
        value = found["name"]
        is_requested = require_bool(found.get("requested", True), "the value of requested")
        is_raw = require_bool(found.get("raw", False), "the value of raw")
    encoding = require_text(value, "the encoding")
    if not can_encode(encoding) or (is_raw and split_encodings(encoding)[-1:] != ["deflate"]):
        raise UnknownFeature(f"unknown encoding {format_value(encoding)}")
    return encoding, is_requested, is_raw


def _read_chunks(value: Any) -> Chunks:
    found = require_known_keys(value, "the value of chunks", _CHUNKS)
    by = found.get("by", "event")
    if by not in ("event", "item"):
        raise UnknownFeature(f"the 'by' key must be 'event' or 'item', not {format_value(by)}")
    return Chunks(
        joined=tuple(
            require_number(event, "a joined event", least=1, most=_MOST_EVENTS)
            for event in require_list(found.get("joined", []), "the value of joined")
        ),
        cut=tuple(_read_cut(cut) for cut in require_list(found.get("cut", []), "the value of cut")),
        gaps=tuple(
            require_number(gap, "a gap", least=0, most=_LONGEST_GAP)
            for gap in require_list(found.get("gaps_ms", []), "the value of gaps_ms")
        ),
        by_item=by == "item",
    )


def _read_cut(value: Any) -> tuple[int, int]:
    text = require_text(value, "a cut")
    found = _CUT.fullmatch(text)
    if found is None or not (event := int(found[1])):
        raise ValueError(f"a cut must be an event and an offset, such as 3+17, not {format_value(text)}")
    return event, int(found[2])


def _read_failure(value: Any) -> Failure:
    found = require_known_keys(value, "the failure", _FAILURE)
    during: During = found.get("during", "read")
    if during not in _PHASES:
        raise UnknownFeature(f"the failure's key 'during' has the unknown value {format_value(during)}")
    error, message, code = (found.get(name, "") for name in ("error", "message", "code"))
    return Failure(
        require_text(error, "the error"),
        require_text(message, "its message"),
        during,
        require_text(code, "its code"),
    )


def _read_headers(headers: Any) -> Headers:
    return tuple(
        [
            (require_text(name, "the name of a header"), require_text(value, "a header"))
            for name, values in require_mapping(headers, "the value of headers").items()
            for value in (values if isinstance(values, list) else [values])
        ]
    )


def _read_body(body: Any) -> bytes:
    return body if isinstance(body, bytes) else require_text(body, "the body").encode()
