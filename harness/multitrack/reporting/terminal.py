"""Lines that a test run prints to the terminal."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from multitrack.errors import TapeViolation
from multitrack.text_difference import measure_columns
from multitrack.wording import count_noun, enumerate_positions


@dataclass(frozen=True, slots=True)
class TapeSummary:
    """The summary of one tape in one test.

    Args:
        test: The name of the test or the fixture that opened the tape. Empty if it is unknown.
        is_test: Whether a test, and not a fixture, opened the tape.
        mode: The mode of the tape.
        tape: The path of the cassette, in the form to show in reports.
        played: The number of interactions that were replayed.
        recorded: The number of interactions that were recorded.
        pending: The path of the file with the pending recording. Empty if no recording is pending.
        reason: Why the recording is pending.
        unplayed: The positions of the interactions that were not replayed although the test passed.
        failed_request: The request whose failure makes the recording useless. Empty if no request failed.
        record_hint: The command that records the test again. Empty if no request failed.
        days: The age of the cassette in days if it is older than ``max_age``.
        replaced: The cassettes in other formats that this recording has replaced.
        short_variables: The environment variables whose passwords are too short to be removed.
        rebound: Lines that show how each rebound request differs from the recorded request.
        tokens: The number of tokens in the replayed requests and answers. Answers without token counts count as 0.
        seconds: The recorded times of the replayed answers.
    """

    test: str
    is_test: bool
    mode: str
    tape: str
    played: int
    recorded: int
    pending: str = ""
    reason: str = ""
    unplayed: Sequence[int] = ()
    days: int | None = None
    failed_request: str = ""
    record_hint: str = ""
    replaced: Sequence[str] = ()
    short_variables: Sequence[str] = ()
    rebound: Sequence[str] = ()
    tokens: int = 0
    seconds: float = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data that pytest-xdist can transfer, without empty optional fields."""
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in values if value or name in _REQUIRED}


_REQUIRED = frozenset(field.name for field in fields(TapeSummary) if field.default is MISSING)

PLAIN_FIELDS = _REQUIRED | {"days", "unplayed"}
"""The fields that hold numbers, or the name of a test, a mode or a cassette."""


def format_violation(error: TapeViolation) -> str:
    """Return the failure message for ``error``. If it has a cause, the message ends with the cause's first line."""
    text = f"{type(error).__name__}: {error}"
    if error.__cause__ is not None:
        first_line = (str(error.__cause__).splitlines() or [""])[0]
        text += f"\n  then: {type(error.__cause__).__name__}: {first_line}"
    return text


_RED, _GREEN, _BOLD, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[0m"
_COLOURS = {"recorded:": _RED, "sent:": _GREEN}


def paint_violation(text: str) -> str:
    """Colour the ``text`` of a violation: its first line, the words that differ, and the command.

    The carets below the words that differ are left out, because the colours replace them.
    """
    # here, because most runs have no violation, and the summary of a run must not load the code that compares requests
    from multitrack.tape.miss import REBIND_ADVICE, RECORD_ADVICE

    before_commands = [f"  {advice}" for advice in (RECORD_ADVICE, REBIND_ADVICE)]
    lines = text.splitlines(keepends=True)
    painted: list[str] = []
    colour = ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        label, _, value = line.strip().partition(" ")
        if _is_caret_line(line) and colour:
            continue
        colour = _COLOURS.get(label, "")
        if colour and _is_caret_line(following):
            painted.append(_paint_marked(line, following, colour))
        elif colour and value and not value.lstrip().startswith("..."):
            painted.append(line.replace(value, f"{colour}{value}{_PLAIN}"))
        elif line.startswith("CassetteMiss: "):
            painted.append(f"{_BOLD}{_RED}{line.rstrip()}{_PLAIN}\n")
        elif (advice := next(filter(line.startswith, before_commands), None)) is not None:
            painted.append(f"{advice}{_BOLD}{line.rstrip().removeprefix(advice)}{_PLAIN}\n")
        else:
            painted.append(line)
    return "".join(painted)


def _is_caret_line(line: str) -> bool:
    return bool(line.strip()) and not line.strip().strip("^ ")


def _paint_marked(line: str, carets: str, colour: str) -> str:
    """Return ``line`` with ``colour`` for the characters above ``carets``."""
    painted, column, is_on = "", 0, False
    for char in line:
        is_marked = carets[column : column + 1] == "^"
        if is_marked != is_on:
            painted += colour if is_marked else _PLAIN
            is_on = is_marked
        painted += char
        column += measure_columns(char)
    return painted


def pending_advice_lines(pending: Sequence[str], rerun_hint: str) -> Iterator[str]:
    """Yield lines that explain how to accept the ``pending`` recordings of a failed test.

    Args:
        pending: The paths of the files with the pending recordings.
        rerun_hint: The command that runs the test again, and updates its snapshots if it has any.
    """
    cassettes = "cassette is" if len(pending) == 1 else "cassettes are"
    yield f"The {cassettes} unchanged. If the new recording is right:"
    yield f"  multitrack accept {' '.join(map(shlex.quote, pending))}"
    yield f"  {rerun_hint}"


def failed_recording_lines(failed_request: str, record_hint: str) -> Iterator[str]:
    """Yield lines that explain what to do if a recording is useless because a request failed."""
    yield f"The cassette is unchanged, because a request failed: {failed_request}"
    yield "After you fix the cause, record again:"
    yield f"  {record_hint}"


def summary_lines(facts: Sequence[TapeSummary], *, is_quiet: bool = False) -> Iterator[str]:
    """Yield the lines at the end of a run. There are none if no tape was used.

    Args:
        facts: The summaries of the tapes.
        is_quiet: Whether to leave out the line about a run that only replayed (default: False).
    """
    written = [fact for fact in facts if fact.recorded and not fact.pending]
    rebound = [fact for fact in facts if fact.rebound]
    parts = list(_count_requests(facts, written, rebound))
    if parts and (written or rebound or not is_quiet):
        yield f"multitrack: {', '.join(parts)}"
    yield from _rebound_lines(Counter(change for fact in rebound for change in fact.rebound))
    yield from _all_pending_lines(facts)
    unplayed = [
        (fact.tape, f"{fact.tape}: {enumerate_positions(fact.unplayed)}{_name_test(fact)}")
        for fact in facts
        if fact.unplayed
    ]
    positions = sum(len(fact.unplayed) for fact in facts)
    yield from _list_cassettes("not replayed", f"{count_noun(positions, 'interaction')} in", unplayed)
    for old_file, new_file in {replaced: fact.tape for fact in facts for replaced in fact.replaced}.items():
        yield f"multitrack: delete {old_file}, which is no longer replayed, because {new_file} has replaced it"
    if short := sorted({variable for fact in facts for variable in fact.short_variables}):
        values = "the value of {} is" if len(short) == 1 else "the values of {} are"
        yield (
            f"multitrack: {values.format(', '.join(short))} too short to be removed from recordings; "
            f"record with a credential of at least 12 characters"
        )
    ages = {fact.tape: fact.days for fact in facts if fact.days is not None}
    old = [(tape, f"{tape}: recorded {days} days ago") for tape, days in ages.items()]
    yield from _list_cassettes("old", f"recorded at least {min(ages.values(), default=0)} days ago:", old)


def _count_requests(
    facts: Sequence[TapeSummary], written: Sequence[TapeSummary], rebound: Sequence[TapeSummary]
) -> Iterator[str]:
    if tests := {fact.test for fact in facts if fact.is_test}:
        yield count_noun(len(tests), "test") + " used a cassette"
    if played := sum(fact.played for fact in facts):
        tokens, seconds = sum(fact.tokens for fact in facts), sum(fact.seconds for fact in facts)
        saved = [f"{tokens:,} tokens"] if tokens else []
        saved += [f"{seconds:.1f} s"] if seconds >= _SHORTEST else []
        yield f"{count_noun(played, 'request')} replayed" + (f" ({' and '.join(saved)} saved)" if saved else "")
    if written:
        yield (
            f"{count_noun(sum(fact.recorded for fact in written), 'request')} recorded in "
            f"{count_noun(len({fact.tape for fact in written}), 'cassette')}"
        )
    if rebound:
        yield (
            f"{count_noun(sum(len(fact.rebound) for fact in rebound), 'request')} rebound in "
            f"{count_noun(len({fact.tape for fact in rebound}), 'cassette')}"
        )


_SHORTEST = 0.1


def _list_cassettes(problem: str, summary: str, lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each cassette that has a problem. If there are many, yield their number and some of their names.

    Args:
        problem: The beginning of each line, which says what is wrong.
        summary: The words before the number of cassettes, if there are many.
        lines: Pairs of a cassette's name and the text for its line.
    """
    if len(lines) <= _MAX_NAMED:
        yield from (f"multitrack: {problem}: {line}" for _, line in lines)
        return
    names = list(dict.fromkeys(name for name, _ in lines))
    yield f"multitrack: {problem}: {summary} {count_noun(len(names), 'cassette')}"
    yield _list_names(names)


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"  in {', '.join(names[:_MAX_NAMED])}{more}"


_MAX_NAMED = 3


def finding_lines(tests: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the lines for problems that several tests have in common.

    Args:
        tests: A dictionary from the description of a problem to the tests that fail because of it.
    """
    for finding, names in tests.items():
        if len(names) == 1:
            continue
        first, *rest = finding.splitlines()
        reason = first.removeprefix("reason: ")
        yield f"multitrack: {count_noun(len(names), 'test')} failed for the same reason: {reason}"
        yield from (f"  {line.removeprefix('  ')}" for line in rest)
        yield _list_names(names)


def _all_pending_lines(facts: Sequence[TapeSummary]) -> Iterator[str]:
    """Yield the lines about pending recordings.

    If many recordings are pending for the same reason, the lines only say how many.
    """
    by_file: dict[str, list[TapeSummary]] = {}
    for fact in facts:
        if fact.pending:
            by_file.setdefault(fact.pending, []).append(fact)
    by_reason: dict[str, list[str]] = {}
    for pending, found in by_file.items():
        if len(found) == 1 and not found[0].failed_request:
            by_reason.setdefault(found[0].reason, []).append(pending)
    counted = {reason: files for reason, files in by_reason.items() if len(files) > _MAX_NAMED}
    for pending, found in by_file.items():
        if not any(pending in files for files in counted.values()):
            yield from _pending_lines(pending, found)
    for reason, files in counted.items():
        yield f"multitrack: pending: {len(files)} recordings: {reason}"
        yield _list_names(files)
        yield "  to accept all pending recordings: multitrack accept"


def _rebound_lines(changes: Mapping[str, int]) -> Iterator[str]:
    for change, count in changes.items():
        yield f"multitrack: rebound: the wording of {count_noun(count, 'request')} changed:"
        yield from change.splitlines()


def _pending_lines(pending: str, facts: Sequence[TapeSummary]) -> Iterator[str]:
    for fact in facts:
        yield f"multitrack: pending: {pending}: {fact.reason}{_name_test(fact) if len(facts) > 1 else ''}"
    failed = list(dict.fromkeys(fact.record_hint for fact in facts if fact.failed_request))
    for record_hint in failed:
        yield f"  to record the failed requests again: {record_hint}"
    accepted = [fact for fact in facts if not fact.failed_request]
    if accepted:
        then = " then, to" if failed else " to"
        yield f" {then} accept {'it' if len(accepted) == 1 else 'them'}: multitrack accept {shlex.quote(pending)}"


def _name_test(fact: TapeSummary) -> str:
    return f" ({fact.test})" if fact.test else ""


def unused_lines(unused: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Yield the lines about recordings that a full run did not use.

    Args:
        unused: A dictionary from each cassette to the positions of its unused interactions. An empty sequence means
            that the whole cassette is unused.
    """
    if not unused:
        yield "multitrack: this run used every recording"
        return
    yield "multitrack: this run did not use:"
    for cassette, interactions in unused.items():
        yield f"  {cassette}" + (f": {enumerate_positions(interactions)}" if interactions else "")


def partial_run_line(reason: str) -> str:
    """Return the line that replaces the report of unused recordings. ``reason`` says why this is not a full run."""
    return f"multitrack: unused recordings are only reported for a full run; this run {reason}"


def live_run_line(flag: str, count: int) -> str:
    """Return the line to print before a run that records all tests."""
    return f"multitrack: {flag}: {count_noun(count, 'test')} go{'es' if count == 1 else ''} live"


def remote_live_run_line(flag: str, count: int) -> str:
    """Return the line that replaces ``live_run_line`` if the count is unknown because remote workers run the tests."""
    return f"multitrack: {flag}: {count_noun(count, 'test')} selected; tests with a cassette go live"
