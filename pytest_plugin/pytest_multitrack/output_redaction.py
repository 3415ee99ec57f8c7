"""Remove secrets from the output of pytest and from the reports that plugins write.

``output_hooks`` passes the objects that pytest's hooks receive to ``OutputRedactor``: reports, warnings, and pytest's
own errors. The redactor removes the secrets from these objects.
"""

from __future__ import annotations

import linecache
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from types import FunctionType, ModuleType
from typing import Any

import pytest

from multitrack.errors import BadOption
from multitrack.printable import escape_coloured
from multitrack.reporting.terminal import PLAIN_FIELDS
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.word_boundaries import REDACTED
from pytest_multitrack import pytest_internals
from pytest_multitrack.secret_search import SecretSearch

_MIN_LENGTH = 8
"""The length of the shortest secret."""

_SHORTENED = frozenset({"longrepr", "context"})
"""The attributes of a report in which pytest shortens long values: the error, and the parameters of a subtest."""

_LOOK_EQUAL = re.compile(r"^(?:E\s+)?(?:AssertionError: )?(?:assert )?(.*__redacted__.*?) [!=]= \1\W*$", re.MULTILINE)
_NOTE = "multitrack: the two values differ, but look equal, because the secrets in them were redacted"

_MAX_DEPTH = 4
_MAX_VALUES = 2_000
_MAX_CHARACTERS = 200_000


class OutputRedactor:
    """The redactor that removes secrets from the output of one process of a run.

    The redactor recognizes secrets by their value or by their shape. Project and region names are replaced only in
    the output of tests with a tape.
    """

    def __init__(self, config: pytest.Config, *, has_options: bool) -> None:
        """Create the redactor.

        Args:
            config: The run's configuration.
            has_options: Whether the run's options are known, so that the ``allow_secrets`` setting can be read.
        """
        self._config = config
        self._has_options = has_options
        self._tapes: Sequence[Redactor] = ()
        self._secrets: set[str] = set()
        self._search = SecretSearch()
        self._by_shape = self._create_redactor({})
        self._cache: dict[tuple[str, bool], str] = {}

    def learn(self, variables: list[tuple[str, str]], secrets: Iterable[str], tapes: Sequence[Redactor]) -> None:
        """Add secrets that must be removed from the output.

        Args:
            variables: Names and values of environment variables. A name can occur several times, with different
                values.
            secrets: The values of secrets.
            tapes: The redactors of the running test's tapes.
        """
        for environment in _without_repeats(variables):
            self._add_secrets(self._create_redactor(environment).known_secrets)
        self._add_secrets(secrets)
        self._tapes = tapes

    def _add_secrets(self, values: Iterable[str]) -> None:
        if not self._secrets.issuperset(values := set(values)):
            self._secrets |= values
            self._cache.clear()

    def _create_redactor(self, environment: Mapping[str, str]) -> Redactor:
        if not self._has_options:
            return Redactor(environment)
        try:
            from pytest_multitrack import cassette_options

            allowed = cassette_options.resolve_run_settings(self._config).allow_secrets
        except (BadOption, ImportError):
            # a bad option is reported when the tests are collected; without the `test` extra, no option can be set
            allowed = ()
        return Redactor(environment, allow_secrets=allowed)

    # texts

    def redact_text(self, text: str, *, may_be_cut: bool = False) -> str:
        """Return ``text`` without secrets.

        Args:
            may_be_cut: Whether pytest can have shortened the values in ``text``.
        """
        if len(text) < _MIN_LENGTH:
            return text
        key = (text, may_be_cut)
        if (redacted := self._cache.get(key)) is None:
            redacted = self._redact(text, may_be_cut=may_be_cut)
            if len(self._cache) >= 16:
                self._cache.clear()
            self._cache[key] = self._cache[redacted, may_be_cut] = redacted
        for redactor in reversed(self._tapes):
            redacted = redactor.redact_printed(redacted)
        return redacted

    def _redact(self, text: str, *, may_be_cut: bool) -> str:
        if may_be_cut:
            self._add_secrets(self._by_shape.find_secrets(text))
        self._search.add(self._secrets)
        # first, because a secret that was already replaced in part can no longer be recognized by its shape
        text = self._search.hide(text, may_be_cut=may_be_cut)
        for known in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(known, REDACTED).replace(repr(known)[1:-1], REDACTED)
        while found := sorted(set(self._by_shape.find_secrets(text)), key=len, reverse=True):
            for written in found:
                text = text.replace(written, REDACTED)
        return text

    # reports

    def are_clean(self, results: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether the ``results`` of tapes contain only the names of tests and cassettes, without secrets."""
        if any(value for result in results for name, value in result.items() if name not in PLAIN_FIELDS):
            return False
        names = "\n".join(f"{result['test']}\n{result['tape']}" for result in results)
        return self.redact_text(names) == names

    def redact_report(
        self,
        report: pytest.TestReport | pytest.CollectReport,
        texts: Mapping[str, Any],
        error: BaseException | None = None,
    ) -> None:
        """Remove secrets from ``report``.

        Args:
            report: The report of a phase, of a subtest, or of a collection.
            texts: The attributes of the report that can hold text from the test.
            error: The exception that the report describes, if it is known. The local variables in its frames show which
                secrets pytest has printed in part.
        """
        longrepr = texts.get("longrepr")
        if error is not None and longrepr is not None and "..." in report.longreprtext:
            self._learn_frames(error)
        for name, value in texts.items():
            redacted = self.redact_value(value, may_be_cut=name in _SHORTENED)
            if redacted is not value:
                vars(report)[name] = redacted
        if longrepr is not None:
            self._check_longrepr(report)

    def _check_longrepr(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Add an explanation if two values look equal because of redaction.

        Otherwise, if another plugin created the representation of the failure, redact this representation.
        """
        text = report.longreprtext
        if _LOOK_EQUAL.search(text) and _NOTE not in text:
            pytest_internals.append_failure_line(report, _NOTE)
            return
        if pytest_internals.is_pytest_representation(report.longrepr):
            return
        if (redacted := self.redact_text(text, may_be_cut=True)) != text:
            report.longrepr = redacted

    def redact_value(self, value: Any, *, may_be_cut: bool = False) -> Any:
        """Return ``value`` without secrets.

        pytest's representations of errors are changed in place. If ``value`` has no secrets, it is returned
        unchanged.

        Args:
            value: A string, a container of strings, or pytest's representation of an error.
            may_be_cut: Whether a string can end in the middle of a secret because it was truncated.
        """

        def redact(part: Any) -> Any:
            match part:
                case str():
                    redacted = self.redact_text(part, may_be_cut=may_be_cut)
                    if may_be_cut and self._tapes:
                        # an error shows values from cassettes, which may contain control characters
                        redacted = escape_coloured(redacted)
                    return part if redacted == part else redacted
                case list() if part and all(isinstance(line, str) for line in part):
                    return _redact_lines(part, redact)
                case list() | tuple() if type(part) in (list, tuple):
                    items = [redact(item) for item in part]
                    is_same = all(new is old for new, old in zip(items, part, strict=True))
                    return part if is_same else type(part)(items)
                case dict():
                    changed = {name: redact(item) for name, item in part.items()}
                    return part if all(changed[name] is part[name] for name in part) else changed
            if pytest_internals.is_representation(part):
                for name, item in pytest_internals.list_attributes(part):
                    if (redacted := redact(item)) is not item:
                        object.__setattr__(part, name, redacted)
            return part

        return redact(value)

    def _learn_frames(self, error: BaseException) -> None:
        """Learn the secrets in the local variables of ``error``'s frames. pytest can print these secrets shortened."""
        self._add_secrets(self._by_shape.find_secrets("\n\n".join(_list_texts(error))))

    # everything else

    def redact_junit(self) -> None:
        """Remove secrets from the attributes that the test has added to its ``--junit-xml`` element."""
        attributes = pytest_internals.find_junit_attributes(self._config)
        for name, value in attributes.items():
            attributes[name] = self.redact_text(value)

    def redact_junit_properties(self) -> None:
        """Remove secrets from the properties that fixtures have added to the whole ``--junit-xml`` suite."""
        properties = pytest_internals.find_junit_properties(self._config)
        properties[:] = [(name, self.redact_text(value)) for name, value in properties]

    def redact_interruption(self) -> None:
        """Remove secrets from the error that the terminal prints after Ctrl-C or ``pytest.exit``."""
        self.redact_value(pytest_internals.find_interruption(self._config), may_be_cut=True)

    def redact_warning(self, warning: warnings.WarningMessage) -> None:
        """Remove secrets from the text of ``warning`` and from the line of source code that pytest prints with it."""
        text = str(warning.message)
        if (redacted := self.redact_text(text)) != text:
            category = type(warning.message)
            try:
                replacement = category(redacted)
                is_equal = str(replacement) == redacted
            except Exception:  # a class with other arguments
                is_equal = False
            warning.message = replacement if is_equal else UserWarning(redacted)
        line = warning.line or linecache.getline(warning.filename, warning.lineno)
        if (redacted := self.redact_text(line)) != line:
            warning.line = redacted


def _redact_lines(lines: list[str], redact: Callable[[str], str]) -> list[str]:
    """Redact ``lines`` as one string, because a secret can span several lines."""
    if any("\n" in line for line in lines):
        text = "".join(lines)
        redacted = redact(text)
        return lines if redacted is text else [redacted]
    text = "\n".join(lines)
    redacted = redact(text)
    return lines if redacted is text else redacted.split("\n")


def _without_repeats(variables: list[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Split ``variables`` into mappings. A name that has two values appears in two mappings."""
    rest = variables
    while rest:
        environment: dict[str, str] = {}
        repeated = []
        for name, value in rest:
            if environment.setdefault(name, value) != value:
                repeated.append((name, value))
        yield environment
        rest = repeated


def _list_texts(error: BaseException) -> Iterator[str]:
    """Yield the strings in all local variables in the traceback of ``error``.

    The tracebacks of the errors that led to ``error`` are included. No code of the visited objects is run.
    """
    seen: set[int] = set()
    pending: list[tuple[object, int]] = [(value, 0) for value in _list_locals(error)]
    count = characters = 0
    while pending and count < _MAX_VALUES and characters < _MAX_CHARACTERS:
        value, depth = pending.pop()
        count += 1
        kind = type(value)
        if issubclass(kind, str):
            text = str.__str__(value)
        elif issubclass(kind, bytes | bytearray):
            text = bytes(value).decode("utf-8", "replace")  # type: ignore[call-overload]  # it is one of the two
        else:
            if depth < _MAX_DEPTH and id(value) not in seen:
                seen.add(id(value))
                pending += [(part, depth + 1) for part in islice(_list_parts(value), _MAX_VALUES)]
            continue
        characters += len(text)
        yield text[:_MAX_CHARACTERS]


def _list_locals(error: BaseException) -> Iterator[object]:
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        current = errors.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        errors += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            errors += current.exceptions
        yield from current.args
        traceback = current.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            # not the variables of a module, which include everything that the module imports
            if frame.f_locals is not frame.f_globals:
                yield from frame.f_locals.values()
            traceback = traceback.tb_next


def _list_parts(value: object) -> Iterator[object]:
    kind = type(value)
    if issubclass(kind, dict):
        yield from chain.from_iterable(dict.items(value))  # type: ignore[arg-type]
    elif issubclass(kind, list):
        yield from list.__iter__(value)  # type: ignore[arg-type]
    elif issubclass(kind, tuple):
        yield from tuple.__iter__(value)  # type: ignore[arg-type]
    elif kind is set or kind is frozenset:
        yield from value  # type: ignore[misc]
    elif not issubclass(kind, type | ModuleType | FunctionType):
        try:
            attributes = object.__getattribute__(value, "__dict__")
        except AttributeError:
            return
        if type(attributes) is dict:
            yield from attributes.values()
