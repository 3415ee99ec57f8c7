"""Find the requests and the tool calls that differ between two versions of a cassette."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice

from multitrack.drift.response_drift import SAME, compare_responses
from multitrack.reporting.diff_formats import InteractionDiff
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.summary import summarize
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.difference import find_differences
from multitrack.tape.matching.matching_key import keys_of_recordings
from multitrack.tape.miss.bodies import locate_difference, parse_body
from multitrack.tape.miss.values import RECORDED, SENT, format_difference

_MAX_REQUEST_DIFFERENCES = 5
_LABEL = re.compile(rf"^({RECORDED}|{SENT}) +")
REMOVED, ADDED, REQUEST_CHANGED = "removed", "added", "request changed"


def compare_cassettes(before: Cassette, after: Cassette) -> tuple[InteractionDiff, ...]:
    """Return the interactions that differ, in the order of ``after``, followed by the removed interactions.

    Interactions with equal requests are paired in order. The remaining interactions are paired if their URLs are
    equal, because their requests have probably changed. Ids, times, and the text next to tool calls are ignored.
    """
    olds, news = before.interactions, after.interactions
    pairs = dict(_pair(_make_keys(before), _make_keys(after), range(len(olds)), range(len(news))))
    equal = set(pairs)
    rest_old = [new for new in range(len(olds)) if new not in set(pairs.values())]
    rest_new = [new for new in range(len(news)) if new not in pairs]
    pairs.update(_pair(list(map(_target, olds)), list(map(_target, news)), rest_old, rest_new))
    found = []
    for new, interaction in enumerate(news):
        if new not in pairs:
            found.append(_make_one_sided(ADDED, interaction, None, new + 1))
        elif (diff := _compare(olds[pairs[new]], pairs[new], interaction, new, is_equal=new in equal)) is not None:
            found.append(diff)
    kept = set(pairs.values())
    removed = (
        _make_one_sided(REMOVED, interaction, old + 1, None) for old, interaction in enumerate(olds) if old not in kept
    )
    return (*found, *removed)


def _make_keys(cassette: Cassette) -> Sequence[Hashable]:
    return keys_of_recordings(cassette.interactions, cassette.placeholders)


def _target(interaction: Interaction) -> Hashable:
    return interaction.request.method.upper(), interaction.request.url.partition("?")[0]


def _pair(
    olds: Sequence[Hashable], news: Sequence[Hashable], free_olds: Sequence[int], free_news: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Pair interactions that have equal keys, in order. Yield the new and the old position of each pair.

    Only the interactions at ``free_olds`` and ``free_news`` are paired.
    """
    waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
    for old in reversed(free_olds):
        waiting[olds[old]].append(old)
    for new in free_news:
        if waiting[news[new]]:
            yield new, waiting[news[new]].pop()


def _make_one_sided(kind: str, interaction: Interaction, before: int | None, after: int | None) -> InteractionDiff:
    heading, *calls = summarize(after or before or 0, interaction)
    lines = tuple(call.strip() for call in calls)
    return InteractionDiff(kind, interaction.tests, before, after, _without_position(heading), lines)


def _compare(
    old: Interaction, old_position: int, new: Interaction, new_position: int, *, is_equal: bool
) -> InteractionDiff | None:
    drift = compare_responses(old.response, new.response)
    answer = () if drift.verdict == SAME or not drift.differs else drift.lines or (drift.verdict,)
    if is_equal and not answer:
        return None
    kind = drift.verdict if is_equal else REQUEST_CHANGED
    lines = answer if is_equal else (*_compare_requests(old, new), *answer)
    heading = _without_position(next(iter(summarize(new_position + 1, new))))
    return InteractionDiff(kind, new.tests, old_position + 1, new_position + 1, heading, lines)


def _compare_requests(old: Interaction, new: Interaction) -> Iterator[str]:
    recorded, sent = parse_body(old.request), parse_body(new.request)
    differences = list(islice(find_differences(recorded, sent), _MAX_REQUEST_DIFFERENCES + 1))
    for difference in differences[:_MAX_REQUEST_DIFFERENCES]:
        yield f"request: {locate_difference(difference, recorded, sent)}"
        for line in format_difference(difference, 4):
            yield f"    {_LABEL.sub(_rename_label, line)}"
    if len(differences) > _MAX_REQUEST_DIFFERENCES:
        yield "request: there are more differences"
    if not differences:
        yield f"request: {old.request.url} became {new.request.url}"


def _rename_label(found: re.Match[str]) -> str:
    """Return "before:" or "after:", padded to the length of the old label to keep carets in later lines aligned."""
    return f"{'before:' if found[1] == RECORDED else 'after:':{len(RECORDED)}} "


def _without_position(heading: str) -> str:
    return heading.partition(" · ")[2]
