"""The registry of wire formats.

A package in this folder registers its formats when it is imported. To look up a format by its name, only the package
with this format is imported, so that a client loads only its own provider's formats. To recognize a document whose
format is unknown, all packages are imported.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from operator import itemgetter
from typing import Any

from multitrack.wires.event_stream import EventStreamParser
from multitrack.wires.wire_format import WireFormat

_PACKAGE = __name__.rpartition(".")[0]
# the number of bytes at the end of a stream that are searched for an end mark; Anthropic pads its mark with spaces
_LONGEST_END = 1000

_formats: dict[str, WireFormat] = {}
_in_order: list[WireFormat] = []


def register(wire_format: WireFormat) -> None:
    """Register ``wire_format`` under its name.

    Raises:
        ValueError: If the name belongs to another format.
    """
    known = _formats.setdefault(wire_format.name, wire_format)
    # by name, because a module that is imported again, as in an inner run of pytest, defines its class again
    if _locate(known) != _locate(wire_format):
        raise ValueError(
            f"the wire format {wire_format.name!r} is already registered by {type(known).__module__}; "
            f"give {type(wire_format).__qualname__} another name"
        )
    _formats[wire_format.name] = wire_format
    _in_order[:] = sorted(_formats.values(), key=lambda known: (known.precedence, known.name))
    _join_sets.cache_clear()


def _locate(wire_format: WireFormat) -> tuple[str, str]:
    return type(wire_format).__module__, type(wire_format).__qualname__


def find_format(wire: str) -> WireFormat | None:
    """Return the wire format with the name ``wire``, with or without ``.stream`` at the end. None if there is none."""
    name = wire.removesuffix(".stream")
    if name not in _formats:
        _load_package(name.partition(".")[0])
    return _formats.get(name)


def get_format(wire: str) -> WireFormat:
    """Return the wire format whose name is ``wire``. The name can end with ``.stream``.

    Raises:
        ValueError: If no format has this name.
    """
    wire_format = _formats.get(wire) or find_format(wire)
    if wire_format is None:
        raise ValueError(f"unknown wire format {wire!r}; use one of: {', '.join(format_names())}")
    return wire_format


def all_formats() -> Sequence[WireFormat]:
    """Return all formats in order of precedence: the first that recognizes a document is used."""
    _load_all_packages()
    return _in_order


def format_names() -> tuple[str, ...]:
    """Return the names of all formats in alphabetical order, each followed by the name for streamed answers."""
    formats = sorted(all_formats(), key=lambda wire_format: wire_format.name)
    return tuple(name for wire_format in formats for name in (wire_format.name, wire_format.stream_name))


def opaque_keys() -> frozenset[str]:
    """Return the ``WireFormat.opaque_keys`` of all formats."""
    return _join_sets("opaque_keys")


def fragment_keys() -> frozenset[str]:
    """Return the ``WireFormat.fragment_keys`` of all formats."""
    return _join_sets("fragment_keys")


def credential_headers() -> frozenset[str]:
    """Return the ``WireFormat.credential_headers`` of all formats."""
    return _join_sets("credential_headers")


# computed once, because every replayed request needs such a set
@cache
def _join_sets(attribute: str) -> frozenset[str]:
    return frozenset().union(*(getattr(wire_format, attribute) for wire_format in all_formats()))


def has_end_mark(body: bytes) -> bool:
    """Return whether ``body`` ends with one of the ``WireFormat.end_marks``."""
    if body.startswith(b"\0"):
        # end marks match text, so the last binary frame is compared as if it were a server-sent event
        events = EventStreamParser().feed(body)
        body = b"data: " + events[-1].data.encode() if events else b""
    end = body[-_LONGEST_END:].rstrip()
    return any(re.search(rb"(?:%b)\Z" % mark, end) for wire_format in all_formats() for mark in wire_format.end_marks)


def call_id_keys() -> tuple[str, ...]:
    """Return the ``WireFormat.call_id_key`` of all formats, with ``id`` last.

    ``id`` is last because in a format with a different key, the ``id`` of an object is not necessarily the id of the
    call.
    """
    keys = {wire_format.call_id_key for wire_format in all_formats()}
    return (*sorted(keys - {"id"}), "id")


def sdk_packages() -> frozenset[str]:
    """Return the top-level packages of all SDKs."""
    return frozenset(module.partition(".")[0] for module in sdks())


def sdks() -> dict[str, str]:
    """Return the distributions of all SDKs, in alphabetical order, keyed by the names of their modules."""
    found = {module: name for wire_format in all_formats() for module, name in wire_format.sdks.items()}
    return dict(sorted(found.items(), key=itemgetter(1)))


def find_model_in_url(url: str) -> str | None:
    """Return the name of the model in the URL of a request, or None if no format finds a model there."""
    return next((model for wire_format in all_formats() if (model := wire_format.find_model_in_url(url))), None)


def recognize_request(document: Mapping[str, Any], url: str = "") -> WireFormat | None:
    """Return the format of ``document``, the parsed body of a request, or None if no format recognizes it."""
    return next((known for known in all_formats() if known.recognizes_request(document, url)), None)


def recognize_document(document: Mapping[str, Any]) -> str | None:
    """Return the name of the wire format of an answer. None if no format recognizes the answer.

    ``document`` is the parsed body of the answer.
    """
    formats = all_formats()
    for wire_format in formats:
        if (name := wire_format.recognize_answer(document)) is not None:
            return name
    error = document.get("error")
    # an error that is only text has no form: Ollama, LM Studio and other servers send it
    if isinstance(error, Mapping) and error:
        return next((wire_format.name for wire_format in formats if wire_format.recognizes_error(error)), None)
    return None


@cache
def _list_packages() -> frozenset[str]:
    path = import_module(_PACKAGE).__path__
    return frozenset(module.name for module in pkgutil.iter_modules(path) if module.ispkg)


@cache
def _load_all_packages() -> None:
    for package in _list_packages():
        _load_package(package)


@cache
def _load_package(name: str) -> None:
    if name in _list_packages():
        import_module(f"{_PACKAGE}.{name}")
