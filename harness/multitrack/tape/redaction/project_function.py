"""Call the function with which a project removes private data, such as people's names and addresses."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from multitrack.errors import BadOption
from multitrack.tape import jsontext
from multitrack.tape.redaction.text_changes import TextChange

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?', re.DOTALL)
_IS_JSON = re.compile(r"\s*[\[{\"]|(?:(?:data|event|id|retry):.*\r?\n)*data:\s?[\[{\"]")
_FORM_VALUE = re.compile(r"(?<==)[^&\s]+")
_IS_FORM = re.compile(r"[\w.%+\[\]-]+=[^\s&\"{}<>]*(?:&[\w.%+\[\]-]+=[^\s&\"{}<>]*)*\s*")
_URL_PART = re.compile(r"(?<=/)[^/?#&=]+|(?<==)[^&#]+")
_WORD = re.compile(r"\w+|\W")
_MAX_COMPARED = 2000
"""In a string with at most this many words, the changed words are found one by one.

In a longer string, everything from the first change to the last one counts as changed.
"""


@lru_cache(maxsize=16)
def load_function(path: str) -> ProjectFunction:
    """Return the function at ``path``, such as ``tests.privacy:remove_names``.

    Raises:
        BadOption: ``path`` does not have this form, the module cannot be imported, or the module has no such
            function.
    """
    module_name, colon, name = path.partition(":")
    if not (module_name and colon and name):
        raise BadOption(f"redact must be a function such as 'tests.privacy:remove_names', not {path!r}")
    try:
        module = _import(module_name)
    except ImportError as error:
        raise BadOption(f"redact = {path!r}: the module {module_name} cannot be imported: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise BadOption(f"redact = {path!r}: the module {module_name} has no function {name}")
    return ProjectFunction(path, function)


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        # unlike `python -m pytest`, the command line does not add the project to Python's path
        sys.path.insert(0, str(Path.cwd()))
        try:
            return import_module(name)
        finally:
            sys.path.remove(str(Path.cwd()))


class ProjectFunction:
    """The function that a project sets as ``redact`` in ``[tool.multitrack]``. It removes private data from strings."""

    def __init__(self, path: str, function: Callable[[str], str]) -> None:
        self._path = path
        self._function = function

    def redact_text(self, text: str, describe_location: Callable[[], str] = str) -> str:
        """Return the result of the project's function for ``text``.

        Args:
            text: One value from a request or a response, or any other string.
            describe_location: Returns where the text is, for messages. Default: an empty string.

        Raises:
            BadOption: The function raises an error, does not return a string, or changes text that it has already
                redacted.
        """
        try:
            redacted = self._function(text)
            repeated = self._function(redacted) if isinstance(redacted, str) and redacted != text else redacted
        except Exception as error:
            *_, frame = traceback.extract_tb(error.__traceback__)
            problem = f"raised {type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"
            # not with the error, whose message may quote the private data
            raise self._fail(problem, describe_location) from None
        if not isinstance(redacted, str):
            raise self._fail(f"must return a string, not {type(redacted).__name__}", describe_location)
        if repeated != redacted:
            problem = (
                "changed its own result when it was called again; "
                "it must return that result unchanged, because a text is sometimes redacted twice"
            )
            raise self._fail(problem, describe_location)
        return redacted

    def find_changes(self, text: str) -> list[TextChange]:
        """Return the parts of ``text`` that the project's function changes."""
        redacted = self.redact_text(text)
        return [] if redacted == text else list(_compare(text, redacted))

    def redact_body(self, text: str) -> str:
        """Apply the project's function to each value in the body ``text``.

        In a JSON body, every string except the names of fields is a value. In a form, the values are those of the
        fields. Any other body is one value.
        """
        if _IS_JSON.match(text):
            return _JSON_STRING.sub(lambda match: self._redact_string(match, text), text)
        if _IS_FORM.fullmatch(text):
            return _FORM_VALUE.sub(lambda match: self._redact_quoted(match[0], unquote_plus, quote_plus), text)
        return self.redact_text(text)

    def redact_url(self, url: str) -> str:
        """Apply the project's function to each part of the path and each value in the query of ``url``."""
        scheme, separator, rest = url.rpartition("://")
        return scheme + separator + _URL_PART.sub(lambda match: self._redact_quoted(match[0], unquote, quote), rest)

    def _redact_string(self, match: re.Match[str], text: str) -> str:
        if match["key"]:
            return match[0]
        try:
            value = json.loads(match[0], strict=False)
        except ValueError:
            return match[0]
        redacted = self.redact_text(value, lambda: _find_json_path(text, value))
        return match[0] if redacted == value else json.dumps(redacted, ensure_ascii=match[0].isascii())

    def _redact_quoted(self, part: str, decode: Callable[[str], str], encode: Callable[[str], str]) -> str:
        value = decode(part)
        redacted = self.redact_text(value)
        return part if redacted == value else encode(redacted)

    def _fail(self, problem: str, describe_location: Callable[[], str]) -> BadOption:
        location = describe_location()
        return BadOption(f"redact = {self._path!r}: the function {problem}{f' (at {location})' if location else ''}")


def _compare(before: str, after: str) -> Iterator[TextChange]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > _MAX_COMPARED:
        start = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        common = min(len(before), len(after)) - start
        end = next((i for i in range(common) if before[-1 - i] != after[-1 - i]), common)
        yield TextChange(start, len(before) - end, after[start : len(after) - end])
        return
    starts = [0]
    for word in old:
        starts.append(starts[-1] + len(word))
    for kind, first, last, new_first, new_last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield TextChange(starts[first], starts[last], "".join(new[new_first:new_last]))


def _find_json_path(text: str, value: str) -> str:
    """Return the JSON path of the string ``value`` in ``text``. Empty if ``text`` is not a JSON document."""
    try:
        document = json.loads(text)
    except ValueError:
        return ""
    return next((path for path, leaf in jsontext.iterate_strings(document) if leaf == value), "")
