"""The elements of the HTML report that describe one test. Every string goes through ``escape``."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias
from urllib.parse import quote

from pydantic import JsonValue

from multitrack.reporting import call_text
from multitrack.reporting.run_report import (
    ReportedCall,
    ReportedCassette,
    ReportedComparison,
    ReportedDrift,
    ReportedExchange,
    ReportedMiss,
    ReportedPair,
    ReportedRequest,
    ReportedTest,
)
from multitrack.text_difference import count_hidden_ends
from multitrack.word_changes import split_changes
from multitrack.wording import count_noun

_QUOTED = re.compile("`([^`]+)`")
_PREVIEW = 160
_SHORT = 60
_Sides: TypeAlias = tuple[str, str]
_ACTIONS = {
    "record": "Record the test again",
    "accept": "Accept the new recording",
    "update-snapshot": "Accept the calls if they are right",
    "use-other-file": "Use the other recording",
}
_SIDES: dict[str, _Sides] = {
    "snapshot": ("Snapshot", "Received"),
    "test": ("Expected", "Received"),
    "cassette": ("Recorded", "Live"),
}
_MISS_SIDES = "Recorded", "Sent"
_ORIGINS = {
    "live": "from the provider",
    "local": "from a local server",
    "standin": "from the stand-in provider",
    "corpus": "a recorded behaviour",
}


def escape(text: str) -> str:
    """Return ``text`` with HTML's special characters escaped."""
    return html.escape(text, quote=True)


def format_test(test: ReportedTest, anchor: str, *, is_open: bool) -> str:
    """Return the HTML element for ``test``.

    Args:
        test: The test.
        anchor: The id of the element.
        is_open: Whether the element is unfolded.
    """
    outcome = test.outcome or "fixture"
    badge = "drifted" if test.severity == "drifted" else outcome
    head, separator, name = test.test.rpartition("::")
    # the path is less important than the name
    shown = f'<span class="path">{escape(head + separator)}</span><wbr>{escape(name)}'
    return (
        f'<article id="{escape(anchor)}" class="{test.severity}" data-outcome="{outcome}" '
        f'data-group="{escape(test.group)}" data-tools="{_join_names(test.tools)}" '
        f'data-models="{_join_names(test.models)}"><details{" open" if is_open else ""}><summary>'
        f'<span class="badge {badge}">{badge}</span><span class="name">{shown}</span>'
        f'<span class="headline">{_format_headline(test)}</span>'
        f'<a class="anchor" href="#{quote(anchor)}" title="Link to this test" aria-label="Link to this test">#</a>'
        f'</summary><div class="body">{"".join(_format_body(test))}</div></details></article>'
    )


def _join_names(names: Sequence[str]) -> str:
    # a line break cannot be part of a name in a list of options
    return escape("\n".join(names))


def _format_headline(test: ReportedTest) -> str:
    """Return, in a few words, the difference that matters most."""
    for pair in (pair for comparison in _list_comparisons(test) for pair in comparison.differing):
        if pair.changes:
            change = pair.changes[0]
            old, new = _shorten(change.old), _shorten(change.new)
            values = {"added": f"added: {new}", "removed": f"removed: {old}"}.get(change.change, f"{old} → {new}")
            return f"<code>{escape(call_text.name_field(change))}</code> {escape(values)}"
        call = pair.received or pair.expected
        return f"{escape(pair.status)} <code>{escape(call.tool if call is not None else '')}</code>"
    for miss in test.misses:
        for difference in miss.differences:
            return f"<code>{escape(difference.path)}</code> {escape(difference.change)}"
    if test.severity == "passed":
        return escape(count_noun(test.calls, "call"))
    return ""


def format_overview_row(test: ReportedTest, anchor: str, others: int) -> str:
    """Return the overview's row for ``test``: what differs, the prompt, the cassette's age, and the next step.

    Args:
        test: The test.
        anchor: The id of the HTML element for ``test``.
        others: The number of other tests with the same cause.
    """
    badge = "drifted" if test.severity == "drifted" else test.outcome or "fixture"
    path, _, name = test.test.rpartition("::")
    place = f"<small>{escape(path)}</small>" if path else ""
    more = f"<small>and {count_noun(others, 'test')} with the same cause</small>" if others else ""
    ages = [_format_days(cassette) for cassette in test.cassettes if cassette.recorded_at is not None]
    steps = [
        f'<span class="action">{_ACTIONS[step.action]}</span><code>{escape(step.command)}</code>'
        for step in test.next_steps[:1]
    ]
    requests = [*(miss.request for miss in test.misses), *test.requests]
    prompt = _shorten_prompt(requests[0]) if requests else ""
    model = f"<small>{escape(requests[0].model)}</small>" if requests and requests[0].model else ""
    line = escape(_cut(test.error.line)) if test.error is not None else ""
    cells = {
        "What differs": "".join(_format_difference(test)) or line,
        "Prompt": (f'<span class="quoted">{escape(prompt)}</span>' if prompt else "") + model,
        "Cassette": f"recorded {ages[0]}" if ages else "",
        "Next step": "".join(steps),
    }
    columns = "".join(f'<td data-side="{title}">{cell or "—"}</td>' for title, cell in cells.items())
    return (
        f'<tr class="{test.severity}"><th scope="row"><span class="badge {badge}">{badge}</span> '
        f'<a href="#{quote(anchor)}" title="{escape(test.test)}">{escape(name)}</a>{place}{more}</th>{columns}</tr>'
    )


def _list_comparisons(test: ReportedTest) -> list[ReportedComparison]:
    comparisons = [test.comparison] if test.comparison is not None else []
    return comparisons + [one.comparison for row in test.drift for one in row.requests if one.comparison is not None]


def _format_difference(test: ReportedTest) -> Iterator[str]:
    """Yield HTML for the location and the two values of the first difference, if there is one."""
    for comparison, pair in ((one, pair) for one in _list_comparisons(test) for pair in one.differing):
        call = pair.expected or pair.received
        tool = call.tool if call is not None else ""
        if pair.changes:
            change = pair.changes[0]
            field = call_text.name_field(change)
            place = f"{tool}.{field}" if change.part == "argument" else f"{tool}: {field}"
            yield _format_place(place, _SIDES[comparison.expected_in])
            yield _format_sides(change.change, change.old, change.new)
        else:
            yield f'<span class="status {pair.status}">{pair.status}</span> <code>{escape(tool)}</code>'
        return
    for miss in test.misses:
        for difference in miss.differences[:1]:
            yield _format_place(difference.path, _MISS_SIDES)
            yield _format_sides(difference.change, difference.recorded, difference.sent)
            if (count := len(miss.differences) - 1) > 0:
                yield f"<small>and {count_noun(count, 'other difference')}</small>"
            return


def _format_place(place: str, sides: _Sides) -> str:
    return f"<code>{escape(place)}</code> <small>{sides[0].lower()} → {sides[1].lower()}</small>"


def _format_sides(change: str, old: JsonValue, new: JsonValue) -> str:
    """Return one line for each of the two values, with marks around the words that differ."""
    if change == "added":
        return f'<span class="side new"><mark>{escape(_shorten(new))}</mark></span>'
    if change == "removed":
        return f'<span class="side old"><mark>{escape(_shorten(old))}</mark></span>'
    if isinstance(old, str) and isinstance(new, str):
        start, end = count_hidden_ends(old, new)
        if start:  # at the beginning of a word
            start = old.rfind(" ", 0, start) + 1
        texts = [_cut(("…" if start else "") + text[start : len(text) - end]) + "…" * bool(end) for text in (old, new)]
    else:
        texts = [_shorten(old), _shorten(new)]
    before, after = _mark_texts(*texts)
    return f'<span class="side old">{before}</span><span class="side new">{after}</span>'


def _cut(text: str) -> str:
    return text if len(text) <= _PREVIEW else f"{text[:_PREVIEW]}…"


def _shorten(value: JsonValue) -> str:
    text = call_text.format_value(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _format_body(test: ReportedTest) -> Iterator[str]:
    if test.error is not None:
        text = test.diagnosis.text if test.diagnosis is not None else test.error.line
        yield f'<p class="diagnosis">{escape(text)}</p>'
    if test.next_steps:
        yield '<ul class="next">'
        for step in test.next_steps:
            yield (
                f"<li><span>{_ACTIONS[step.action]}</span><code>{escape(step.command)}</code>"
                f'<button type="button" class="copy">Copy</button></li>'
            )
        yield "</ul>"
    if test.comparison is not None:
        yield _format_comparison(test.comparison)
    for miss in test.misses:
        yield _format_miss(miss)
    for row in test.drift:
        yield from _format_drift(row)
    for cassette in test.cassettes:
        yield from _format_cassette(cassette)
    if test.error is not None:
        yield f"<details><summary>Failure as pytest prints it</summary><pre>{escape(test.error.text)}</pre></details>"


# compared calls


def _format_comparison(comparison: ReportedComparison) -> str:
    sides = _SIDES[comparison.expected_in]
    differing = comparison.differing
    others = [pair for pair in comparison.calls if pair.status in ("unchanged", "accepted")]
    table = _format_table(sides, (row for pair in differing for row in _format_pair(pair, sides))) if differing else ""
    if not others:
        return table
    rest = _format_table(sides, (row for pair in others for row in _format_pair(pair, sides)))
    return f"{table}<details><summary>{count_noun(len(others), 'call')} as expected</summary>{rest}</details>"


def _format_table(sides: _Sides, rows: Iterable[str]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("", *sides))
    return f'<table class="compare"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _format_pair(pair: ReportedPair, sides: _Sides) -> Iterator[str]:
    call = pair.expected or pair.received
    remark = f" <small>{escape(pair.restriction)}</small>" if pair.restriction else ""
    yield _format_heading(pair.status, pair.status, f"{escape(call.tool if call is not None else '')}{remark}")
    changed = {change.path: change for change in pair.changes if change.part == "argument"}
    for change in pair.changes:
        if change.part != "argument":
            yield _format_change(call_text.name_field(change), change.change, change.old, change.new, sides)
    for name, old, new in _list_arguments(pair):
        below = [path for path in changed if path == name or path.startswith((f"{name}.", f"{name}["))]
        for path in below:
            one = changed.pop(path)
            yield _format_change(path, one.change, one.old, one.new, sides)
        if not below:
            yield _format_row(escape(name), old, new, sides, is_changed=False)
    for path, one in changed.items():
        yield _format_change(path, one.change, one.old, one.new, sides)


def _format_change(
    name: str, change: str, before: JsonValue, after: JsonValue, sides: _Sides, note: str | None = None
) -> str:
    """Return the table row for a field that differs, with marks around the words that differ.

    Args:
        name: The field.
        change: "changed", "added" or "removed".
        before: The value on the first side.
        after: The value on the second side.
        sides: The names of the two sides.
        note: An explanation of the change.
    """
    if change == "changed":
        old, new = _mark(before, after)
    else:
        old = "" if change == "added" else f"<mark>{_format_value(before)}</mark>"
        new = "" if change == "removed" else f"<mark>{_format_value(after)}</mark>"
    # the names in a note are between backticks
    marked = _QUOTED.sub(r"<code>\1</code>", escape(note or ""))
    meaning = f"<small>{marked}</small>" if note else ""
    return _format_row(f"{escape(name)}{meaning}", old, new, sides, is_changed=True)


def _list_arguments(pair: ReportedPair) -> Iterator[tuple[str, str, str]]:
    """Yield the name and the two values of each argument. A value is empty if its call does not have the argument."""
    sides = [_read_arguments(call) for call in (pair.expected, pair.received)]
    for name in dict.fromkeys(name for side in sides for name in side):
        old, new = (side.get(name, "") for side in sides)
        yield name, old, new


def _read_arguments(call: ReportedCall | None) -> dict[str, str]:
    if call is None:
        return {}
    if call.arguments is None:
        return {"arguments": escape(call.text or "")}
    return {name: _format_value(value) for name, value in call.arguments.items()}


def _format_heading(kind: str, word: str, rest: str) -> str:
    return f'<tr class="tool"><th colspan="3"><span class="status {kind}">{word}</span> {rest}</th></tr>'


def _format_row(heading: str, old: str, new: str, sides: _Sides, *, is_changed: bool) -> str:
    cells = "".join(
        f'<td class="{kind}{"" if value else " absent"}" data-side="{side}">{value or "—"}</td>'
        for kind, side, value in zip(("old", "new"), sides, (old, new), strict=True)
    )
    return f'<tr{" class=changed" if is_changed else ""}><th scope="row">{heading}</th>{cells}</tr>'


def _format_value(value: JsonValue) -> str:
    return escape(_to_text(value, is_plain=_is_long(value)))


def _is_long(value: JsonValue) -> bool:
    return isinstance(value, str) and (len(value) > _SHORT or "\n" in value)


def _to_text(value: JsonValue, *, is_plain: bool) -> str:
    """Return the Python literal for a value. If ``is_plain``, a string has no quotes or escapes."""
    return value if is_plain and isinstance(value, str) else call_text.format_value(value)


def _mark(old: JsonValue, new: JsonValue) -> tuple[str, str]:
    """Return two values with marks around the words in which they differ."""
    is_plain = _is_long(old) or _is_long(new)
    before, after = (_to_text(value, is_plain=is_plain) for value in (old, new))
    return _mark_texts(before, after)


def _mark_texts(old: str, new: str) -> tuple[str, str]:
    parts = split_changes(old, new)
    before, after = (
        "".join(
            escape(part.text) if part.kind == "same" else f"<mark>{escape(part.text)}</mark>"
            for part in parts
            if part.kind != other
        )
        for other in ("added", "removed")
    )
    return before, after


# misses and drift


def _format_miss(miss: ReportedMiss) -> str:
    place = miss.cassette if miss.nearest is None else f"compared with interaction {miss.nearest} of {miss.cassette}"
    sent_from = f" <small>sent from {escape(miss.sent_from)}</small>" if miss.sent_from else ""
    rows = [_format_heading("missed", "no recording", f"<small>{escape(place)}</small>{sent_from}")]
    rows += (
        _format_change(one.path, one.change, one.recorded, one.sent, _MISS_SIDES, one.meaning)
        for one in miss.differences
    )
    return f"{_format_table(_MISS_SIDES, rows)}{_format_request(miss.request)}"


def _format_drift(row: ReportedDrift) -> Iterator[str]:
    remarks = f" <small>{escape(', '.join(row.remarks))}</small>" if row.remarks else ""
    kind = "unchanged" if row.holds else "changed"
    yield f'<p class="drift"><span class="status {kind}">drift</span> {escape(row.verdict)}{remarks}</p>'
    for request in row.requests:
        if request.comparison is not None and request.comparison.differing:
            yield _format_comparison(request.comparison)
        elif request.lines:
            yield f"<pre>{escape(chr(10).join(request.lines))}</pre>"


# requests and answers


def _format_cassette(cassette: ReportedCassette) -> Iterator[str]:
    counts = {origin: cassette.count(origin) for origin in ("replayed", "recorded", "live")}
    requests = ", ".join(f"{count} {origin}" for origin, count in counts.items() if count)
    facts = [f"<code>{escape(cassette.pending or cassette.path)}</code>"]
    facts += ["pending"] if cassette.pending else []
    facts += [_format_age(cassette)] if cassette.recorded_at is not None else []
    facts += [_ORIGINS[cassette.provenance]] if cassette.provenance else []
    facts += [requests] if requests else []
    yield f'<p class="cassette"><span class="label">Cassette</span> {" · ".join(facts)}</p>'
    for exchange in cassette.exchanges:
        yield _format_exchange(exchange)


def _format_days(cassette: ReportedCassette) -> str:
    days = cassette.age_days or 0
    return "less than a day ago" if days == 0 else "1 day ago" if days == 1 else f"{days} days ago"


def _format_age(cassette: ReportedCassette) -> str:
    date = f"{cassette.recorded_at:%Y-%m-%d}"
    return f'recorded {_format_days(cassette)} <time datetime="{date}">({date})</time>'


def _shorten_prompt(request: ReportedRequest) -> str:
    """Return the beginning of the last user message in ``request``, on one line."""
    prompts = [message.text for message in request.messages if message.role == "user"]
    prompt = prompts[-1] if prompts else request.messages[-1].text if request.messages else request.body or ""
    return " ".join(prompt[: 2 * _PREVIEW].split())[:_PREVIEW]


def _format_request(request: ReportedRequest) -> str:
    facts = [f"<b>{escape(request.model)}</b>"] if request.model else [escape(f"{request.method} {request.url}")]
    facts += [f"tools {escape(', '.join(request.tools))}"] if request.tools else []
    preview = _shorten_prompt(request)
    parts = [f'<details class="request"><summary><span class="label">Request</span> {" · ".join(facts)}']
    parts.append(f'<span class="prompt">{escape(preview)}</span></summary><dl>' if preview else "</summary><dl>")
    parts.append(f"<dt>address</dt><dd>{escape(f'{request.method} {request.url}')}</dd>")
    parts += (f"<dt>{escape(one.role)}</dt><dd>{escape(one.text)}</dd>" for one in request.messages)
    parts.append(f"<dt>body</dt><dd>{escape(request.body)}</dd>" if request.body else "")
    return "".join([*parts, "</dl></details>"])


def _format_exchange(exchange: ReportedExchange) -> str:
    answer = exchange.answer
    facts = [f"{answer.tokens:,} tokens"] if answer.tokens else []
    facts += [f"{answer.seconds:.2f} s"] if answer.seconds else []
    facts += [escape(answer.finish_reason)] if answer.finish_reason else []
    facts += [f"status {answer.status}"] if answer.status != 200 or answer.wire is None else []
    facts += [escape(answer.ending)] if answer.ending != "complete" else []
    facts += ["rebound"] if exchange.rebound else []
    lines = [call_text.format_call(call) for call in answer.calls]
    lines += [f"{name}: {text}" for name in ("text", "refusal", "error") if (text := getattr(answer, name))]
    calls = f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""
    return (
        f'{_format_request(exchange.request)}<div class="answer"><span class="label">Answer</span> '
        f"{' · '.join(facts)}{calls}</div>"
    )
