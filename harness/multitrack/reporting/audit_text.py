"""Format the report of ``--calls-audit`` as sections of text, and as lines for the terminal.

Every string passes through the redactor, and characters that a terminal would interpret are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multitrack.audit.audit_report import ASKED, FORM, NOISE, UPGRADE, AuditReport, find_section
from multitrack.audit.changed_texts import mask_words
from multitrack.audit.classified_change import Kind
from multitrack.audit.comparison import COOKIE
from multitrack.audit.findings import Finding, Place, join_versions
from multitrack.audit.noise import DESCRIPTIONS, format_ignore
from multitrack.text_difference import escape_char
from multitrack.word_changes import TextPart
from multitrack.wording import count_noun

Redact = Callable[[str], str]

_CONTEXT = 30
_MAX_EXCERPT = 400
_MAX_VALUE = 70
MAX_VALUES = 3
_MAX_TESTS = 3
_MAX_PLACES = 8
_MAX_COMMAND = 400
_MAX_SHOWN_PATHS = 5
_TITLES = {
    ASKED: "The content of requests changed",
    FORM: "Only the form of requests changed",
    NOISE: "Values that change in each run",
}


@dataclass(slots=True)
class AuditEntry:
    """A finding of the audit as text: a title, and lines below. ``excerpt`` shows which words of a string changed."""

    number: int
    title: str
    lines: list[str] = field(default_factory=list)
    excerpt: list[TextPart] = field(default_factory=list)
    tests: Sequence[str] = ()
    fix: str = ""
    command: str = ""


@dataclass(slots=True)
class AuditSection:
    """A section of the audit report: findings, or lines about the cassettes."""

    title: str
    entries: list[AuditEntry] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def list_lines(report: AuditReport, redact: Redact, *, fails: bool, has_file: bool) -> Iterator[tuple[str, str]]:
    """Yield the lines of the audit report for the terminal, each with its colour. An empty colour means the default.

    Args:
        report: The result of the audit.
        redact: Removes secrets.
        fails: Whether findings make the run fail.
        has_file: Whether the report is also written to a file.
    """
    clean = make_cleaner(redact)
    yield from ((clean(line), "") for line in list_summary(report))
    for section in list_sections(report):
        yield "", ""
        yield clean(section.title), "bold"
        for entry in section.entries:
            yield clean(f"{entry.number:>3}. {entry.title}"), ""
            yield from ((clean(f"     {line}"), "") for line in describe_change(entry))
            yield clean(f"     in {_list_tests(entry.tests)}"), ""
            if entry.fix:
                yield clean(f"     {entry.fix}"), ""
            if entry.command:
                is_short = len(entry.command) <= _MAX_COMMAND
                where = "in the report" if has_file else "too long to print; write a report: --calls-audit=audit.md"
                command = entry.command if is_short else f"the command is {where}"
                yield clean(f"     {command}"), ""
        yield from ((clean(line), "") for line in section.lines)
    yield "", ""
    yield from _list_result(report, fails=fails)


def describe_change(entry: AuditEntry) -> Iterator[str]:
    """Yield the lines that show what changed, with the changed words of a string in brackets."""
    if entry.excerpt:
        yield mark_words(entry.excerpt, "[-", "-]", "{+", "+}")
    yield from entry.lines


def _list_result(report: AuditReport, *, fails: bool) -> Iterator[tuple[str, str]]:
    if not report.requests:
        yield "multitrack: audit: no request in this run was answered from a recording", "yellow"
        return
    code = "; exit code 1 because of --calls-audit-fail" if fails and report.findings else ""
    colour = "yellow" if report.findings else "green"
    yield f"multitrack: audit: {count_noun(len(report.findings), 'finding')}{code}", colour


def list_summary(report: AuditReport) -> Iterator[str]:
    """Yield the sentences at the beginning of the report."""
    if not report.requests:
        return
    replayed = f"{count_noun(report.requests, 'request')} of {count_noun(report.tests, 'test')} replayed"
    if not report.different:
        yield f"{replayed}; all equal their recordings."
    else:
        tests = len(report.different_tests)
        if report.passed_tests == tests:
            passed = "this test passed" if tests == 1 else "all of these tests passed"
        else:
            passed = f"{report.passed_tests} of these tests passed"
        differ = "differs from its recording" if report.different == 1 else "differ from their recordings"
        yield f"{replayed}; {report.different} ({count_noun(tests, 'test')}) {differ}; {passed}."
    if report.recorded:
        yield (
            f"This run was not a complete audit: it recorded {count_noun(report.recorded, 'request')}, and the report "
            f"covers only replayed requests."
        )
    elif report.recording:
        modes = ", ".join(sorted(set(report.recording.values())))
        yield (
            f"this run can record into {count_noun(len(report.recording), 'cassette')} (record mode {modes}), so "
            f"the audit of the tests that use them is incomplete; set the record mode to 'none' or 'once'"
        )
    if report.previous:
        yield f"This run was {report.previous}."
    if report.errors:
        first, *rest = report.errors
        yield f"The audit failed for {first}" + (f", and for {len(rest)} more" if rest else "")


def list_sections(report: AuditReport) -> Iterator[AuditSection]:
    """Yield the sections that are not empty, in the order of the report."""
    sections: dict[str, AuditSection] = {}
    for number, (finding, command) in enumerate(zip(report.findings, report.commands, strict=True), start=1):
        name = find_section(finding)
        title = _TITLES.get(name, "")
        if name == UPGRADE:
            title = _name_upgrade(finding, report)
        section = sections.setdefault(title, AuditSection(title))
        section.entries.append(_describe_finding(number, finding, report, command))
    if noise := sections.get(_TITLES[NOISE]):
        noise.lines += _list_combined_ignore(report)
    yield from sections.values()
    if lines := list(_list_cassette_lines(report)):
        yield AuditSection("Cassettes", lines=lines)


def _name_upgrade(finding: Finding, report: AuditReport) -> str:
    """Return the title of the section about a client's upgrade. The title contains all versions of the client."""
    clients = sorted(finding.clients)
    pairs = [one.clients[clients[0]] for one in report.findings if sorted(one.clients) == clients]
    old, new = join_versions(pairs)
    return f"Since {', '.join(clients)} {old} -> {new}"


def _describe_finding(number: int, finding: Finding, report: AuditReport, command: str) -> AuditEntry:
    first = finding.places[0]
    entry = AuditEntry(number, describe_title(finding), tests=finding.tests)
    if finding.kind.is_formal:
        entry.lines += [f"{_describe_formal(place)} ({_count_requests(place)})" for place in finding.places]
    else:
        entry.excerpt = _cut(first.change.parts)
        entry.lines += _list_values(first)
        for place in finding.places[1:_MAX_PLACES]:
            entry.lines.append(f"and {place.change.title}{_format_values(place)}")
        if len(finding.places) > _MAX_PLACES:
            entry.lines.append(f"and {len(finding.places) - _MAX_PLACES} more changes")
    count = count_noun(len(finding.requests), "request")
    following = count_noun(finding.following, "later request")
    follow = f", and in {following} that continue the same conversations" if finding.following else ""
    entry.lines.append(f"{first.change.where} · {count}{follow}" if not finding.kind.is_formal else f"{count}{follow}")
    if finding.kind is Kind.NOISE or any(place.change.noise for place in finding.places):
        entry.lines += _list_ignore(finding)
    elif finding.kind.is_formal and finding.ignore:
        entry.lines.append(f"to ignore it, add to [tool.multitrack]: {finding.ignore}")
    if finding.kind is not Kind.NOISE:
        cost = count_noun(report.count_cost(finding), "request")
        if command.startswith("multitrack rebind "):
            entry.fix, entry.command = "to keep the recorded answers, if they still fit:", command
        elif command:
            entry.fix, entry.command = f"to record again ({cost}):", command
        else:
            entry.fix = (
                f"to record again ({cost}): delete the cassettes of these tests, and run the tests in a record "
                f"mode such as 'once'"
            )
    return entry


def describe_title(finding: Finding) -> str:
    """Return a one-line description of what changed."""
    first = finding.places[0]
    if finding.kind is Kind.DEFAULT:
        return "defaults of parameters"
    if finding.kind is Kind.NULL:
        return "null or an empty value instead of no value, or vice versa"
    if finding.kind is Kind.FORM:
        return "form of texts and lists"
    if finding.kind is Kind.NOISE:
        kinds = " and ".join(DESCRIPTIONS[kind] for kind in first.change.noise)
        return f"{first.change.where}: {kinds}" + ("" if first.change.is_whole else ", in a longer text")
    return first.change.title


def _describe_formal(place: Place) -> str:
    change = place.change
    value = change.values[1] if change.values[0] == "(absent)" else change.values[0]
    shown = f" = {shorten(value)}" if change.kind is Kind.DEFAULT else ""
    return f"{change.where}{shown}: {change.title}"


def _list_values(place: Place) -> Iterator[str]:
    """Yield a line with the recorded and the live values of ``place``.

    Yield nothing if the whole body differs, or if an excerpt already shows the difference.
    """
    change = place.change
    if change.parts or change.kind is Kind.BODY:
        return
    if text := _format_values(place).removeprefix(": "):
        yield text


def _format_values(place: Place) -> str:
    change = place.change
    if change.kind is Kind.BODY or change.parts:
        return ""
    # one example is enough for values that are different each time
    limit = 1 if change.kind is Kind.NOISE else MAX_VALUES
    shown = []
    for pair, count in place.values.most_common(limit):
        values = dict.fromkeys(shorten(value) for value in pair if value != "(absent)")
        if values:
            shown.append(" -> ".join(values) + (f" ({count})" if count > 1 and len(place.values) > 1 else ""))
    if not shown:
        return ""
    more = f" and {len(place.values) - limit} more" if len(place.values) > limit else ""
    return ": " + ", ".join(shown) + more


def _list_ignore(finding: Finding) -> Iterator[str]:
    if finding.placeholders:
        yield f"to compare only the text around this value, add to [tool.multitrack]: {finding.placeholders}"
        if finding.ignore:
            yield f"or, to ignore this place in all requests: {finding.ignore}"
    elif finding.ignore and finding.ignores_messages:
        yield f"to ignore this place in all requests, add to [tool.multitrack]: {finding.ignore}"
    elif finding.ignore:
        yield f"to ignore it, add to [tool.multitrack]: {finding.ignore}"
    else:
        yield "no setting can ignore this difference, because the body is not JSON"


def _list_combined_ignore(report: AuditReport) -> Iterator[str]:
    noise = [finding for finding in report.findings if finding.kind is Kind.NOISE]
    whole = [place for finding in noise if not finding.ignores_messages for place in finding.places]
    paths = [path for place in whole if (path := place.ignore_path) is not None]
    if len(paths) > 1:
        yield f"     to ignore all these places, add: {format_ignore(paths)}"


def _count_requests(place: Place) -> str:
    return count_noun(len(place.requests), "request")


# cassettes


def _list_cassette_lines(report: AuditReport) -> Iterator[str]:
    if report.superseded:
        count = sum(map(len, report.superseded.values()))
        yield (
            f"{count_noun(count, 'request')} received the response of a different recording, although the "
            "cassette has an unused recording that matches exactly:"
        )
        yield from _list_paths(report.superseded)
        yield "     to replay the newer recordings: delete the older ones from these cassettes"
    if report.swapped:
        yield (
            f"in {count_noun(len(report.swapped), 'test')}, requests got each other's recorded responses: "
            f"{_list_tests(report.swapped)}"
        )
    for part, count in report.addresses.items():
        yield f"{count_noun(count, 'request')} had a different {part} than recorded (a matcher allows this)"
    yield from _list_unused(report)
    if report.silent:
        yield f"{count_noun(len(report.silent), 'test')} with a cassette sent no requests:"
        yield from (f"     {test} ({cassette})" for test, cassette in _limit(report.silent))
    yield from _list_secrets(report)


def _list_secrets(report: AuditReport) -> Iterator[str]:
    with_secrets = {
        path: rest for path, found in report.secrets.items() if (rest := [one for one in found if one != COOKIE])
    }
    if with_secrets:
        yield f"{count_noun(len(with_secrets), 'cassette')} with secrets:"
        yield from (f"     {path}: {', '.join(found)}" for path, found in _limit(list(with_secrets.items())))
    if cookies := len(report.secrets) - len(with_secrets):
        yield f"{count_noun(cookies, 'cassette')} with cookies in request headers"


def _list_unused(report: AuditReport) -> Iterator[str]:
    unused = report.unused
    by_reason = (
        ("for hosts that their tests no longer call", [one for one in unused if one.host]),
        ("that their tests did not reach", [one for one in unused if one.rest]),
        ("that only repeat a used recording", [one for one in unused if one.repetition]),
    )
    for reason, found in by_reason:
        if found:
            hosts = sorted({host for one in found for host in one.hosts}) if "hosts" in reason else []
            yield f"{count_noun(len(found), 'cassette')} with recordings {reason}" + (
                f" ({', '.join(hosts)}):" if hosts else ":"
            )
            yield from _list_paths([one.cassette for one in found])


def _list_paths(found: Iterable[str]) -> Iterator[str]:
    paths = list(found)
    yield from (f"     {path}" for path in _limit(paths))
    if len(paths) > _MAX_SHOWN_PATHS:
        yield f"     and {len(paths) - _MAX_SHOWN_PATHS} more"


def _limit(items: Sequence[Any]) -> Iterator[Any]:
    yield from items[:_MAX_SHOWN_PATHS]


def _list_tests(tests: Sequence[str]) -> str:
    groups = group_variants(tests)
    shown = [
        name + (f" (+{count_noun(len(variants), 'variant')})" if variants else "")
        for name, variants in list(groups.items())[:_MAX_TESTS]
    ]
    more = len(groups) - _MAX_TESTS
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def group_variants(tests: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return groups of tests that are variants of each other: a mapping from the first variant to the others.

    The variants of ``test_a`` are ``test_a`` with other parameters, and tests such as ``test_a_with_b``.
    """
    groups: dict[str, list[str]] = {}
    for test in sorted(tests, key=lambda name: (len(name.partition("[")[0]), name)):
        plain = test.partition("[")[0]
        base = next((name for name in groups if _is_variant(plain, name.partition("[")[0])), None)
        if base is None:
            groups[test] = []
        else:
            groups[base].append(test)
    return dict(sorted(groups.items()))


def _is_variant(name: str, base: str) -> bool:
    return name == base or name.startswith(f"{base}_with_")


# texts


def _cut(parts: Sequence[TextPart]) -> list[TextPart]:
    """Shorten long unchanged text around the changes in a string. An ellipsis replaces the omitted words."""
    cut: list[TextPart] = []
    size = 0
    for position, part in enumerate(parts):
        text = part.text
        if part.kind == "same" and len(text) > 2 * _CONTEXT:
            begin = text[:_CONTEXT] if position else ""
            end = text[-_CONTEXT:] if position < len(parts) - 1 else ""
            text = f"{begin}…{end}"
        elif len(text) > 4 * _CONTEXT:
            text = f"{text[: 2 * _CONTEXT]}…{text[-_CONTEXT:]}"
        cut.append(TextPart(part.kind, text))
        size += len(text)
        if size > _MAX_EXCERPT:
            cut.append(TextPart("same", "…"))
            break
    return cut


def mark_words(parts: Sequence[TextPart], removed: str, removed_end: str, added: str, added_end: str) -> str:
    """Return the text of ``parts`` with marks around the removed and the added words."""
    marks = {"same": ("", ""), "removed": (removed, removed_end), "added": (added, added_end)}
    return "".join(marks[part.kind][0] + mask_words(part.text) + marks[part.kind][1] for part in parts)


def shorten(text: str) -> str:
    """Return ``text``, truncated to the maximum length of a value in the report."""
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def make_cleaner(redact: Redact) -> Redact:
    """Return a function that redacts a string and escapes its control characters."""

    def clean(text: str) -> str:
        text = redact(text)
        return text if text.isprintable() else "".join(char if char in '"\\' else escape_char(char) for char in text)

    return clean
