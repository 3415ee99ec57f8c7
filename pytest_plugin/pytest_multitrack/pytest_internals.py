"""All code that uses undocumented names of pytest. If pytest changes these names, only this file has to change."""

from __future__ import annotations

import copy
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from traceback import FrameSummary, format_list
from types import FrameType
from typing import Any

import pytest
from _pytest import setuponly
from _pytest._code.code import (
    ReprEntryNative,
    ReprExceptionInfo,
    ReprFileLocation,
    ReprTraceback,
    TerminalRepr,
    Traceback,
)
from _pytest._io import TerminalWriter
from _pytest.config import ConftestImportFailure
from _pytest.junitxml import xml_key
from _pytest.runner import runtestprotocol

from multitrack.repetitions import get_unrepeated_name, get_unrepeated_nodeid

# the first alternative consumes a doubled backslash, so that what follows it is not taken for an escape
_ESCAPE = re.compile(r"\\\\|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")


def get_test_name(item: pytest.Item) -> str:
    """Return the node id of ``item`` as a user passes it on the command line.

    With ``--dist loadgroup``, the pytest-xdist workers append the name of a group to the node id. That name is
    removed, and so is the id of a repetition.
    """
    if item.parent is None:
        return item.nodeid
    name = f"{item.parent.nodeid}::{item.name}"
    has_group = item.nodeid.startswith(f"{name}@")
    return f"{item.parent.nodeid}::{get_unrepeated_name(item)}" if has_group else get_unrepeated_nodeid(item)


def add_function_fixture(item: pytest.Item, name: str) -> None:
    """Set up the ``name`` fixture before all function-scoped fixtures that ``item`` requests.

    Does nothing for an item without fixtures, such as a test in a YAML file.
    """
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None:
        return
    if name in names:
        names.remove(name)
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    wider = [other for other in names if (found := definitions.get(other)) and found[-1].scope != "function"]
    names.insert(max((names.index(other) + 1 for other in wider), default=0), name)


def unescape_parameters(name: str) -> str:
    """Unescape the printable characters that pytest escaped in the parameter ids in a test's ``name``.

    pytest writes ``test_x[Z\\xfcrich]`` for the ``Zürich`` parameter, and doubles a backslash. Escaped control
    characters stay escaped.
    """
    function, bracket, parameters = name.partition("[")
    return function + bracket + _ESCAPE.sub(_unescape, parameters)


def _unescape(found: re.Match[str]) -> str:
    digits = found[0][2:]
    code = int(digits, 16) if digits else 0
    is_printable = 0x7F < code <= sys.maxunicode and chr(code).isprintable()
    return chr(code) if is_printable else found[0]


def run_repeatedly(
    item: pytest.Item, nextitem: pytest.Item | None, times: int
) -> Iterator[Sequence[pytest.TestReport]]:
    """Run ``item`` the given number of ``times``, and yield the reports of each run without logging them.

    Function-scoped fixtures are set up for each run. Fixtures with a wider scope are set up once, and torn down after
    the last run unless ``nextitem`` uses them. Uses the runtest protocol as pytest-rerunfailures does, so that hooks,
    fixtures and pytest-xdist see ordinary runs.
    """
    for run in range(1, times + 1):
        # another item with the same parents makes pytest tear down only the fixtures of this item
        following = nextitem if run == times else copy.copy(item)
        yield runtestprotocol(item, log=False, nextitem=following)


def get_request(item: pytest.Item) -> pytest.FixtureRequest | None:
    """Return the fixture request of ``item``, which also has the fixtures that were requested at run time."""
    return getattr(item, "_request", None)


def list_fixture_definitions(name: str, item: pytest.Item) -> Sequence[pytest.FixtureDef[object]]:
    """Return the definitions of the ``name`` fixture that ``item`` can use, the closest one last."""
    return item.session._fixturemanager.getfixturedefs(name, item) or ()


def is_builtin_fixture(fixturedef: pytest.FixtureDef[object]) -> bool:
    """Return whether pytest itself defines the fixture."""
    module = getattr(fixturedef.func, "__module__", None) or ""
    return module.startswith("_pytest.")


def discard_failed_fixture(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
    """Tear down a fixture whose setup raised a ``BaseException`` that is not an ``Exception``.

    pytest assumes that the fixture is already torn down. Because of this, the next test that uses the fixture would
    fail.
    """
    fixturedef.cached_result = (None, None, None)
    fixturedef.finish(request)  # type: ignore[arg-type]  # it is the SubRequest of the fixture


def wrap_finalizers(
    request: pytest.FixtureRequest, wrap: Callable[[Callable[[], object]], Callable[[], object]]
) -> None:
    """Wrap each finalizer that the fixture of ``request`` adds after this call."""
    add = request.addfinalizer
    vars(request)["addfinalizer"] = lambda finalizer: add(wrap(finalizer))


def replace_failure_text(report: pytest.TestReport, text: str) -> None:
    """Make ``text`` the whole text of the failed ``report``, without a traceback.

    The text is stored in pytest's own representation, because pytest-xdist transfers any other representation as a
    plain string. ``--tb=line`` only shows 50 characters of a plain string, and the summary in pytest before 9 shows
    nothing.
    """
    from multitrack.printable import escape_controls

    path, line, _ = report.location
    text = escape_controls(text)
    vars(report)["longrepr"] = ReprExceptionInfo(
        ReprTraceback([ReprEntryNative([f"{text}\n"])], extraline=None, style="native"),
        ReprFileLocation(path, (line or 0) + 1, text),
    )


_STYLES_WITH_FRAMES = ("auto", "long", "short", "native")


def add_user_frames(
    report: pytest.TestReport,
    config: pytest.Config,
    error: pytest.ExceptionInfo[BaseException] | None,
    frames: Sequence[FrameSummary],
    *,
    is_user_frame: Callable[[FrameType], bool],
) -> None:
    """Add the frames of the user's code after the text of the failed ``report``, in the style of ``--tb``.

    Args:
        report: A report whose text was set by ``replace_failure_text``.
        error: The error with the traceback. None if the code under test caught it.
        frames: The frames to show, always in the short style, if there is no traceback.
        is_user_frame: Whether to show a frame of the traceback. ``--full-trace`` shows all frames.
    """
    style = config.option.tbstyle
    if style not in _STYLES_WITH_FRAMES:
        return
    shown = Traceback(
        entry
        for entry in (error.traceback if error is not None else ())
        if config.option.fulltrace or is_user_frame(entry.frame.raw)
    )
    entries: list[Any]
    if error is None or not shown:
        entries = [ReprEntryNative([line]) for line in _format_frames(frames, config)]
    elif style == "native":
        raw = [FrameSummary(str(entry.path), entry.lineno + 1, entry.name) for entry in shown]
        entries = [ReprEntryNative([line]) for line in format_list(raw)]
    else:
        if style == "auto":
            shown = Traceback([*shown[:1], *(entry.with_repr_style("short") for entry in shown[1:-1]), *shown[1:][-1:]])
        entries = list(_represent(error, shown, config).reprentries)
    if entries:
        text_entries = vars(report)["longrepr"].reprtraceback.reprentries
        if entries[0].style != "long":  # an entry in the long style starts with an empty line
            text_entries[-1].lines[-1] += "\n"
        text_entries += entries


def _represent(error: pytest.ExceptionInfo[BaseException], shown: Traceback, config: pytest.Config) -> ReprTraceback:
    represented = error.getrepr(
        style="short" if config.option.tbstyle == "short" else "long",
        showlocals=config.option.showlocals,
        funcargs=True,
        tbfilter=lambda _: shown,
        chain=False,
    ).reprtraceback
    if represented is None:
        return ReprTraceback([], None, "short")
    for entry in represented.reprentries:
        # the message of the error, which is printed already
        entry.lines = [line for line in entry.lines if not line.startswith("E  ")]
    return represented


def _format_frames(frames: Sequence[FrameSummary], config: pytest.Config) -> Iterator[str]:
    folder = f"{config.invocation_params.dir}{os.sep}"
    for frame in frames:
        yield f"{frame.filename.removeprefix(folder)}:{frame.lineno}: in {frame.name}\n    {frame.line}\n"


@dataclasses.dataclass(eq=False)
class _PaintedEntry(ReprEntryNative):
    """A traceback entry that is printed in colour if the terminal supports it."""

    paint: Callable[[str], str]

    def toterminal(self, tw: TerminalWriter) -> None:
        tw.write(self.paint("".join(self.lines)) if tw.hasmarkup else "".join(self.lines))


def paint_failure(report: pytest.TestReport, first_line: str, paint: Callable[[str], str]) -> None:
    """In the failed ``report``, colour the traceback entries whose text starts with ``first_line``.

    ``paint`` adds the colour to a text. Call this function in the process that prints the report. pytest-xdist cannot
    transfer a coloured entry, and only the printing process knows whether the terminal supports colours.
    """
    traceback = getattr(report.longrepr, "reprtraceback", None)
    entries = getattr(traceback, "reprentries", None) or []
    for index, entry in enumerate(entries):
        if isinstance(entry, ReprEntryNative) and "".join(entry.lines).startswith(first_line):
            entries[index] = _PaintedEntry(entry.lines, paint)


def prepend_failure_line(report: pytest.TestReport, line: str) -> None:
    """Put ``line`` before the text of the failed ``report`` and before its line in the short summary."""
    from multitrack.printable import escape_controls

    text: Any = report.longrepr
    line = escape_controls(line)
    chain = getattr(text, "chain", None)
    traceback = chain[0][0] if chain else getattr(text, "reprtraceback", None)
    crash = getattr(text, "reprcrash", None)
    if traceback is None or crash is None:
        replace_failure_text(report, f"{line}\n{text}")
        return
    traceback.reprentries.insert(0, ReprEntryNative([f"{line}\n"]))
    crash.message = f"{line}\n{crash.message}"


def first_failure_line(report: pytest.TestReport) -> str:
    """Return the first line of the error message of the failed ``report``."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longreprtext).partition("\n")[0]


def is_representation(value: object) -> bool:
    """Return whether ``value`` is an object that pytest prints in full: an error or the context of a subtest."""
    return isinstance(value, TerminalRepr) or type(value).__name__ == "SubtestContext"


def is_pytest_representation(longrepr: object) -> bool:
    """Return whether ``longrepr`` is one of pytest's own representations.

    All text that such a representation prints is in its attributes.
    """
    return isinstance(longrepr, str | tuple) or type(longrepr).__module__.startswith("_pytest.")


def list_attributes(value: object) -> Iterator[tuple[str, Any]]:
    """Yield the names and the values of ``value``'s attributes."""
    # a dataclass may have slots, and its subclass, such as the representation of a failed doctest, other attributes
    fields = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    names = dict.fromkeys([*fields, *getattr(value, "__dict__", ())])
    return ((name, getattr(value, name)) for name in names)


def find_conftest_error(error: BaseException) -> BaseException | None:
    """Return the exception that ended the import of a conftest. None for any other ``error``.

    pytest prints the returned exception.
    """
    return error.cause if isinstance(error, ConftestImportFailure) else None


def append_failure_line(report: pytest.TestReport | pytest.CollectReport, line: str) -> None:
    """Put ``line`` after the text of the failed ``report``."""
    traceback = _find_traceback(report.longrepr)
    if traceback is None:
        report.longrepr = f"{report.longreprtext}\n{line}"
    else:
        traceback.reprentries.append(ReprEntryNative([f"{line}\n"]))


def _find_traceback(longrepr: Any) -> Any:
    chain = getattr(longrepr, "chain", None)
    return chain[-1][0] if chain else getattr(longrepr, "reprtraceback", None)


_OWN_JUNIT_ATTRIBUTES = frozenset({"classname", "name", "file", "line", "url", "time"})


def find_junit_attributes(config: pytest.Config) -> dict[str, Any]:
    """Return the attributes that the ``record_xml_attribute`` fixture has set in the latest test."""
    xml = config.stash.get(xml_key, None)
    if xml is None or not xml.node_reporters_ordered:
        return {}
    attributes: dict[str, Any] = getattr(xml.node_reporters_ordered[-1], "attrs", {})
    return attributes if attributes.keys() - _OWN_JUNIT_ATTRIBUTES else {}


def find_junit_properties(config: pytest.Config) -> list[tuple[str, str]]:
    """Return the list of properties that the ``record_testsuite_property`` fixture has set."""
    xml = config.stash.get(xml_key, None)
    return [] if xml is None else xml.global_properties


def find_interruption(config: pytest.Config) -> object:
    """Return the representation of the error that ended the run. None if there is none."""
    terminalreporter = config.pluginmanager.get_plugin("terminalreporter")
    return getattr(terminalreporter, "_keyboardinterrupt_memo", None)


def print_line(config: pytest.Config, line: str) -> None:
    """Print a line between the results of two tests. Do nothing if the run has no terminal reporter."""
    terminalreporter = config.pluginmanager.get_plugin("terminalreporter")
    if terminalreporter is not None:
        terminalreporter.write_line(line)


def write_raw(writer: Any, text: str) -> None:
    """Write to the file of pytest's terminal writer, so that the writer does not count ``text`` as part of its line."""
    writer._file.write(text)
    writer._file.flush()


def print_failures(terminalreporter: Any, category: str) -> None:
    """Print the failures of a summary category in the format of pytest's "failed" category."""
    stats = terminalreporter.stats
    if category in stats:
        others, stats["failed"] = stats.get("failed"), stats[category]
        try:
            terminalreporter.summary_failures()
        finally:
            del stats["failed"]
            if others is not None:
                stats["failed"] = others


def is_doctest(item: pytest.Item) -> bool:
    """Return whether ``item`` is a doctest."""
    return isinstance(item, pytest.DoctestItem) if hasattr(pytest, "DoctestItem") else False


def redact_shown_parameters(config: pytest.Config, redact: Callable[[str], str]) -> None:
    """Redact the parameters that ``--setup-show``, ``--setup-only`` and ``--setup-plan`` print."""
    original: Callable[..., str] = vars(setuponly)["saferepr"]

    def format_parameter(value: object, maxsize: int | None = None, **options: Any) -> str:
        # the whole value, because a part of a secret is not recognized
        text = original(value, None, **options)
        if (redacted := redact(text)) == text:
            return original(value, maxsize, **options)
        return redacted if maxsize is None or len(redacted) <= maxsize else f"{redacted[: maxsize - 3]}..."

    vars(setuponly)["saferepr"] = format_parameter
    config.add_cleanup(lambda: vars(setuponly).update(saferepr=original))
