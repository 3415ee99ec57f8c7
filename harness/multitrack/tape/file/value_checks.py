"""Check the types of values that a file contains. Each function raises an error that shows the wrong value."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from multitrack.tape.file import yaml_text

NOT_UNDERSTOOD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""The errors that reading a wrong value may raise."""

_MAX_SHOWN = 60


class UnknownFeature(ValueError):
    """The file contains a key or a value that this version of Multitrack does not know.

    A later version of Multitrack may have written the file.
    """


def format_value(value: Any) -> str:
    """Return a short form of ``value`` for a message, however large or deep the value is.

    A long string is described, not shortened, because redaction would not recognize a part of a secret. A list or a
    mapping is described, too, because its values can be credentials, such as the value of a header.
    """
    match value:
        case dict() if value:
            return "a mapping"
        case list() | tuple() if value:
            return "a list"
        case set() if value:
            return "a set"
        case str() | bytes() if len(value) > _MAX_SHOWN:
            return f"{'text' if isinstance(value, str) else 'data'} of {len(value):,} characters"
    try:
        text = repr(value)
        return text if len(text) <= 2 * _MAX_SHOWN else f"a long {type(value).__name__}"
    except ValueError:  # Python does not print numbers with thousands of digits
        return f"a very large {type(value).__name__}"


def require_mapping(value: Any, name: str) -> dict[Any, Any]:
    """Return ``value`` if it is a mapping. Raises TypeError otherwise."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {format_value(value)}, not a mapping")
    return value


def require_list(value: Any, name: str) -> list[Any]:
    """Return ``value`` if it is a list. Raises TypeError otherwise."""
    if not isinstance(value, list):
        raise TypeError(f"{name} is {format_value(value)}, not a list")
    return value


def require_known_keys(value: Any, name: str, keys: Collection[str]) -> dict[str, Any]:
    """Return ``value`` if it is a mapping and all of its keys are in ``keys``."""
    found = require_mapping(value, name)
    # an unknown key may be the rest of a block of text that lost its indentation
    if others := found.keys() - keys:
        raise UnknownFeature(f"{name} has an unknown key {format_value(min(others, key=str))}")
    return found


def require_text(value: Any, name: str) -> str:
    """Return the text in ``value``. Bytes are converted back to the text that the writer stored as bytes."""
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        value = yaml_text.restore_text(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {format_value(value)}, not text")
    return value


def require_texts(value: Any, name: str, item_name: str) -> tuple[str, ...]:
    """Return the items of ``value`` if it is a list of strings."""
    return tuple([require_text(item, item_name) for item in require_list(value, name)])


def require_number(value: Any, name: str, *, least: int, most: int) -> int:
    """Return ``value`` if it is a whole number from ``least`` to ``most``."""
    if type(value) is not int:  # True is a number, too
        raise TypeError(f"{name} is {format_value(value)}, not a whole number")
    if not least <= value <= most:
        raise ValueError(f"{name} is {format_value(value)}, not a number from {least} to {most}")
    return value


def require_bool(value: Any, name: str) -> bool:
    """Return ``value`` if it is true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {format_value(value)}, not true or false")
    return value


def require_url(value: Any) -> str:
    """Return ``value`` if it is a URL with a valid host and port."""
    url = require_text(value, "the uri")
    try:
        _check_url(url)
    except ValueError:
        # the error quotes a part of the URL, which may contain a password
        raise ValueError("the uri is invalid: its host or its port cannot be read") from None
    return url


# cached, because the cassettes of a project contain few URLs
@lru_cache(maxsize=256)
def _check_url(url: str) -> None:
    urlsplit(url).port  # noqa: B018 - raises for an invalid port


def require_status(value: Any) -> int:
    """Return ``value`` if it is the status code of a final response.

    Codes below 200 are refused, because clients would wait for another response. Codes without exactly three digits
    are refused, because http.client rejects them.
    """
    if type(value) is not int or not 200 <= value <= 999:
        raise ValueError(f"the status code is {format_value(value)}, not a number from 200 to 999")
    return value
