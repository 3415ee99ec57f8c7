"""Read the metadata at the end of Multitrack's cassettes, and refuse values that this version does not understand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple, get_args

from multitrack.tape.file import yaml_text
from multitrack.tape.file.blobs import Blobs
from multitrack.tape.file.value_checks import (
    UnknownFeature,
    format_value,
    require_mapping,
    require_text,
    require_texts,
)
from multitrack.tape.interaction import Provenance

END_MARKER = "provenance"
"""The last key of the metadata, which is also the last key of the file. A cassette without this key was cut off."""

_DEEPEST = 20
_PROVENANCES = get_args(Provenance)
_TEXTS = ("placeholders",)
_TESTS = ("appends", "keeps_errors")
_STRUCTURED = frozenset({END_MARKER, "blobs", "format", "sdks", "unanswered", *_TEXTS, *_TESTS})
"""The keys whose values are not free text. Each has its own check."""


class Metadata(NamedTuple):
    """The metadata of a cassette.

    Attributes:
        kept: The keys and values that must be preserved when the cassette is rewritten.
        blobs: Large pieces of base64 data that the interactions refer to.
    """

    kept: Mapping[str, Any]
    blobs: Blobs


def read_metadata(metadata: Mapping[Any, Any]) -> Metadata:
    """Read the ``metadata`` of a cassette in Multitrack's format, which must have the ``END_MARKER`` key.

    Keys that this version does not know are kept, if the writer can write their values.

    Raises:
        UnknownFeature: A value is unknown to this version.
        TypeError, ValueError: A value is wrong.
    """
    if metadata[END_MARKER] not in _PROVENANCES:
        raise UnknownFeature(f"metadata.{END_MARKER} is {format_value(metadata[END_MARKER])}, which is unknown")
    kept = {}
    for key, value in metadata.items():
        if type(value) is str and type(key) is str and key not in _STRUCTURED:
            kept[key] = value
            continue
        name = f"metadata.{require_text(key, 'a key of metadata')}"
        if key in (END_MARKER, "blobs"):
            continue
        if key in _TEXTS:
            require_texts(value, name, f"an item of {name}")
        elif key in _TESTS:
            _require_tests(value, name)
        elif key in ("recorder", "recorded_at"):
            require_text(value, name)
        elif key == "sdks":
            for text in chain.from_iterable(require_mapping(value, name).items()):
                require_text(text, f"an item of {name}")
        elif key == "unanswered":
            _require_tests(list(require_mapping(value, name)), f"the keys of {name}")
            require_texts(list(value.values()), name, f"a value of {name}")
        kept[key] = yaml_text.restore_text(_require_plain(value, name))
    return Metadata(kept, _read_blobs(metadata.get("blobs", {})))


def _require_tests(value: Any, name: str) -> None:
    if not isinstance(value, list):
        raise TypeError(f"{name} is {format_value(value)}, not a list")
    for test in value:
        if test is not None:
            require_text(test, f"a test in {name}")


def _require_plain(value: Any, name: str, depth: int = 0) -> Any:
    """Return ``value`` if a cassette can store it. Raises ValueError or TypeError otherwise."""
    if depth > _DEEPEST:
        raise ValueError(f"{name} is nested too deeply")
    match value:
        case dict():
            for key, item in value.items():
                _require_plain(key, name, depth + 1)
                _require_plain(item, name, depth + 1)
        case list():
            for item in value:
                _require_plain(item, name, depth + 1)
        case bytes():
            require_text(value, name)
        case int():
            format(value)  # raises for numbers with thousands of digits
        case str() | float() | None:
            pass
        case _:
            raise UnknownFeature(f"{name} contains {format_value(value)}, which is unknown")
    return value


def _read_blobs(value: Any) -> Blobs:
    found = require_mapping(value, "metadata.blobs")
    return Blobs(
        {
            require_text(digest, "a key of metadata.blobs"): require_text(piece, "a value of metadata.blobs")
            for digest, piece in found.items()
        }
    )
