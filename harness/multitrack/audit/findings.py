"""Group the changes of all requests by their cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from multitrack.audit.changes import find_changes
from multitrack.audit.classified_change import Change, ChangeContext, Kind
from multitrack.audit.noise import PATTERNS, format_ignore, format_placeholder
from multitrack.audit.observed import DifferingRequest
from multitrack.tape.matching.difference import Path
from multitrack.tape.matching.jsonpath import format_json_path

_TEXT_KEYS = frozenset({"content", "text", "arguments", "prompt", "input"})

RequestId = tuple[str, int]
"""The test that sent a request, and the position of the request in this test."""


@dataclass(slots=True)
class Place:
    """A change, and all requests that contain it.

    Args:
        change: The change in one of these requests, as an example.
        requests: The requests, without those that differ only because an earlier request differs.
        values: The number of requests for each pair of a recorded and a live value.
        paths: The paths of the value in the bodies.
        formats: The formats of the live bodies, such as JSON.
    """

    change: Change
    requests: set[RequestId] = field(default_factory=set)
    values: Counter[tuple[str, str]] = field(default_factory=Counter)
    paths: set[Path] = field(default_factory=set)
    formats: set[str] = field(default_factory=set)

    @property
    def ignore_path(self) -> str | None:
        """The JSON path to add to the ``ignore`` setting. None if no single path covers all requests with this
        difference.
        """
        if self.formats != {"JSON"}:
            return None
        return _generalize(self.paths)


@dataclass(slots=True)
class Finding:
    """One cause, and the changes that it explains.

    Args:
        places: What changed, the most important change first.
        requests: The requests that changed.
        following: The number of later requests, in the same conversations, that only repeat the change.
        clients: For each client library whose upgrade can be the cause, the recorded and the live version.
    """

    places: list[Place]
    requests: set[RequestId]
    following: int = 0
    clients: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """The kind of the finding's most important change."""
        return self.places[0].change.kind

    @property
    def tests(self) -> list[str]:
        """The tests whose requests changed."""
        return sorted({test for test, _ in self.requests})

    @property
    def ignore(self) -> str | None:
        """The line for ``[tool.multitrack]`` that makes Multitrack ignore the changed values.

        None if no path leads to these values, or if ignoring them would also hide other changes.
        """
        paths = [path for place in self.places if _may_be_ignored(place) and (path := place.ignore_path) is not None]
        return format_ignore(paths) if paths else None

    @property
    def ignores_messages(self) -> bool:
        """True if a suggested path in ``ignore`` matches the text of all messages, even without random values."""
        changes = (place.change for place in self.places)
        return any(change.kind is Kind.NOISE and change.is_message and _holds_text(change) for change in changes)

    @property
    def placeholders(self) -> str | None:
        """The line for ``[tool.multitrack]`` that replaces random values in longer strings. None if there are none."""
        in_texts = [one for one in self.places if one.change.kind is Kind.NOISE and _holds_text(one.change)]
        kinds = {kind for place in in_texts for kind in place.change.noise if kind in PATTERNS}
        pairs = [format_placeholder(kind, PATTERNS[kind]) for kind in sorted(kinds)]
        versions = {word for place in in_texts for word in place.change.versions}
        if versions:
            # longest first, because a version may begin with another version
            words = "|".join(map(re.escape, sorted(versions, key=lambda word: (-len(word), word))))
            pattern = rf"(?<![\w.])(?:{words})(?!\w)"
            pairs.append(format_placeholder("version", pattern))
        return f"placeholders = {{ {', '.join(pairs)} }}" if pairs else None


def _may_be_ignored(place: Place) -> bool:
    """Return whether the value at ``place`` can be ignored without hiding other changes."""
    change = place.change
    if change.kind in (Kind.DEFAULT, Kind.NULL):
        # in another conversation, the same position may contain the text of a prompt
        return not change.is_message
    return change.kind is Kind.NOISE or bool(change.noise)


def _holds_text(change: Change) -> bool:
    return not change.is_whole or (bool(change.path) and change.path[-1] in _TEXT_KEYS)


def find_findings(requests: Iterable[DifferingRequest], context: ChangeContext) -> tuple[list[Finding], int]:
    """Return the findings in the order of the report, and the number of requests without any relevant change."""
    places: dict[Hashable, Place] = {}
    following: Counter[Hashable] = Counter()
    clients: dict[RequestId, Mapping[str, tuple[str, str]]] = {}
    unchanged = 0
    ordered = sorted(requests, key=lambda one: (one.test, one.number))
    for _, conversation in groupby(ordered, key=lambda one: one.test):
        seen: set[Hashable] = set()
        for request in conversation:
            identity = request.test, request.number
            clients[identity] = request.clients
            changes = find_changes(request, context)
            unchanged += not changes
            repeated = {change.key for change in changes if _only_follows(change, request, seen)}
            following.update(repeated & seen)
            if repeated - seen and not repeated & seen:
                following.update(seen)
            for change in changes:
                if change.key in repeated:
                    continue
                place = places.setdefault(change.key, Place(change))
                place.requests.add(identity)
                place.values[change.values] += 1
                place.paths.add(change.path)
                place.formats.add(request.formats[1])
            seen |= {change.key for change in changes if change.key not in repeated}
    findings = list(_merge(_join_words(places), following))
    for finding in findings:
        finding.clients = _find_common_upgrade(finding, clients)
    return sorted(findings, key=_sort_key), unchanged


def _join_words(places: Mapping[Hashable, Place]) -> Mapping[Hashable, Place]:
    """Merge changes that are alike except for their values, such as an id that is different in each request.

    A change is merged only if it changes a single word, such as a name or an id, and occurs in only one request.
    """
    joined: dict[Hashable, Place] = {}
    for key, place in places.items():
        if place.change.is_word and len(place.requests) == 1 and isinstance(key, tuple):
            # without the values
            first = joined.setdefault(key[:-1], place)
            if first is not place:
                first.requests |= place.requests
                first.values += place.values
                first.paths |= place.paths
                first.formats |= place.formats
        else:
            joined[key] = place
    return joined


def _only_follows(change: Change, request: DifferingRequest, seen: set[Hashable]) -> bool:
    """Return whether a change only results from an earlier changed request in the same conversation."""
    if request.history is None or not seen:
        return False
    return change.key in seen or change.is_consequence


def _merge(places: Mapping[Hashable, Place], following: Mapping[Hashable, int]) -> Iterator[Finding]:
    """Merge ``places`` into findings, and yield them.

    Changes in exactly the same requests become one finding. All changes of the same kind that do not alter the meaning
    of a request also become one finding. Each value that changes from run to run becomes a finding of its own.
    """
    merged: dict[Hashable, list[tuple[Hashable, Place]]] = {}
    for key, place in places.items():
        kind = place.change.kind
        if kind.is_formal:
            group: Hashable = kind
        elif kind is Kind.NOISE or place.change.noise:
            group = key
        else:
            group = frozenset(place.requests)
        merged.setdefault(group, []).append((key, place))
    for group_places in merged.values():
        found = sorted((place for _, place in group_places), key=_rank)
        requests = {one for place in found for one in place.requests}
        yield Finding(found, requests, max(following.get(key, 0) for key, _ in group_places))


def _rank(place: Place) -> tuple[int, int, str]:
    return place.change.kind, -len(place.requests), place.change.title


def _sort_key(finding: Finding) -> tuple[int, int, int, str]:
    section = 2 if finding.kind is Kind.NOISE else 1 if finding.clients or finding.kind.is_formal else 0
    return section, finding.kind, -len(finding.requests), finding.places[0].change.title


def _find_common_upgrade(
    finding: Finding, clients: Mapping[RequestId, Mapping[str, tuple[str, str]]]
) -> Mapping[str, tuple[str, str]]:
    """Return the recorded and the live version of each client library that was upgraded in all requests of ``finding``.

    The mapping is empty if an upgrade cannot be the cause.
    """
    if not all(place.change.comes_with_client for place in finding.places):
        return {}
    found = [clients[request] for request in finding.requests]
    names = set(found[0]).intersection(*found)
    return {name: join_versions([versions[name] for versions in found]) for name in sorted(names)}


def join_versions(pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the range of the recorded versions and the range of the live versions, such as ``1.12.0 - 1.78.1``."""
    before, after = (
        sorted({version for pair in pairs for version in pair[side].split(" - ")}, key=_version_key) for side in (0, 1)
    )
    return _format_range(before), _format_range(after)


def _format_range(versions: Sequence[str]) -> str:
    return versions[0] if len(versions) == 1 else f"{versions[0]} - {versions[-1]}"


def _version_key(version: str) -> list[int]:
    return [int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")]


def _generalize(paths: Iterable[Path]) -> str | None:
    """Return one JSON path that covers all ``paths``, with ``[*]`` where positions differ. None if no path covers them
    all.
    """
    found = list(paths)
    if not found or not found[0] or len({len(path) for path in found}) != 1:
        return None
    text = "$"
    for steps in zip(*found, strict=True):
        if len(set(steps)) == 1:
            step = format_json_path(steps[:1])
            if step is None:
                return None
            text += step[1:]
        elif all(isinstance(step, int) for step in steps):
            text += "[*]"
        else:
            return None
    return text
