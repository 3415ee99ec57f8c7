"""The registry of wire formats.

A package in this folder registers its formats when it is imported. It is imported when one of its formats is looked up
by name, or when a document of an unknown format is recognized, so that a client loads only its own format.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from multitrack.wires.wire_format import WireFormat

_PACKAGE = __name__.rpartition(".")[0]

_formats: dict[str, WireFormat] = {}
_in_order: list[WireFormat] = []


def register(wire_format: WireFormat) -> None:
    """Make ``wire_format`` known by its name.

    Raises:
        ValueError: If the name belongs to another format.
    """
    known = _formats.setdefault(wire_format.name, wire_format)
    if type(known) is not type(wire_format):
        raise ValueError(
            f"the wire format {wire_format.name!r} is already registered by {type(known).__module__}; "
            f"give {type(wire_format).__qualname__} another name"
        )
    _in_order[:] = sorted(_formats.values(), key=lambda known: (known.precedence, known.name))


def find_format(wire: str) -> WireFormat | None:
    """Return the format with the name ``wire``, with or without ``.stream``, or None if there is none."""
    name = wire.removesuffix(".stream")
    if name not in _formats:
        _load_package(name.partition(".")[0])
    return _formats.get(name)


def all_formats() -> Sequence[WireFormat]:
    """Return all formats, in the order in which they are asked to recognize a document."""
    _load_all_packages()
    return _in_order


def format_names() -> tuple[str, ...]:
    """Return the names of all formats in alphabetical order, each followed by the name for streamed answers."""
    formats = sorted(all_formats(), key=lambda wire_format: wire_format.name)
    return tuple(name for wire_format in formats for name in (wire_format.name, wire_format.stream_name))


def recognize_document(document: Mapping[str, Any]) -> str | None:
    """Return the name of the format of ``document``, the parsed body of an answer, or None if it is not known."""
    formats = all_formats()
    for wire_format in formats:
        if (name := wire_format.recognize_answer(document)) is not None:
            return name
    if error := document.get("error"):
        fields = error if isinstance(error, Mapping) else {}
        return next((wire_format.name for wire_format in formats if wire_format.recognizes_error(fields)), None)
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
