"""Find the differences between two documents. List items are paired by their content, not by their position.

``matching.difference`` pairs list items by equality, which is enough to explain a single miss. However, if a message
was inserted next to a changed message, ``matching.difference`` would compare the changed message with its neighbour,
and report one change in many places.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from multitrack.audit.noise import mask_noise
from multitrack.tape import jsontext
from multitrack.tape.matching.difference import ABSENT, Path
from multitrack.tape.redaction.word_boundaries import REDACTED

# two strings or objects that are less alike than this are unrelated
_MIN_LIKENESS = 0.5
# comparing every pair of this many items takes a few tenths of a second
_MAX_ITEMS = 200
_MAX_BEGINNING = 30
_WORD = re.compile(r"\w+")
_LABEL_KEYS = ("role", "type", "name")


class _Order:
    def __repr__(self) -> str:
        return "(order)"


ORDER: Final = _Order()
"""Stands for the recorded value of a list whose items are the same in a different order."""


@dataclass(frozen=True, slots=True)
class AlignedDifference:
    """A difference between a recorded and a live document.

    Args:
        recorded_path: The path in the recorded document.
        sent_path: The path in the live document.
        labels: For each step of the path, the label of the list item, such as "system" or "get_weather". Empty for
            the keys of objects and for items without a label.
        recorded: The recorded value. ``ABSENT`` if there is none; ``ORDER`` if only the order of the items changed.
        sent: The live value. ``ABSENT`` if there is none. If only the order changed, a pair of lists: the labels of
            the items in the old order, and in the new order.
        inner: The path within a JSON document that is stored as a string, such as the arguments of a call. Empty if
            the difference is not in such a document.
    """

    recorded_path: Path
    sent_path: Path
    labels: tuple[str, ...]
    recorded: Any
    sent: Any
    inner: Path = ()

    @property
    def path(self) -> Path:
        """The path of the value in the live document. If the value was removed, its path in the recorded document."""
        return self.recorded_path if self.sent is ABSENT else self.sent_path


@dataclass(frozen=True, slots=True)
class _ComparedPath:
    recorded: Path = ()
    sent: Path = ()
    labels: tuple[str, ...] = ()
    inner: Path | None = None

    def at_key(self, key: str) -> _ComparedPath:
        if self.inner is not None:
            return _ComparedPath(self.recorded, self.sent, self.labels, (*self.inner, key))
        return _ComparedPath((*self.recorded, key), (*self.sent, key), (*self.labels, ""), None)

    def at_items(self, recorded: int, sent: int, label: str) -> _ComparedPath:
        if self.inner is not None:
            return _ComparedPath(self.recorded, self.sent, self.labels, (*self.inner, sent))
        return _ComparedPath((*self.recorded, recorded), (*self.sent, sent), (*self.labels, label), None)

    def differ(self, recorded: Any, sent: Any) -> AlignedDifference:
        return AlignedDifference(self.recorded, self.sent, self.labels, recorded, sent, self.inner or ())


def align(recorded: Any, sent: Any) -> Iterator[AlignedDifference]:
    """Yield the differences between two documents."""
    return _compare(recorded, sent, _ComparedPath())


def _compare(recorded: Any, sent: Any, place: _ComparedPath) -> Iterator[AlignedDifference]:
    if ABSENT in (recorded, sent):
        yield place.differ(recorded, sent)
    elif isinstance(recorded, dict) and isinstance(sent, dict):
        for key in [*recorded, *(key for key in sent if key not in recorded)]:
            yield from _compare(recorded.get(key, ABSENT), sent.get(key, ABSENT), place.at_key(key))
    elif isinstance(recorded, list) and isinstance(sent, list):
        yield from _compare_lists(recorded, sent, place)
    elif isinstance(recorded, str) and isinstance(sent, str):
        yield from _compare_texts(recorded, sent, place)
    elif not _are_equal_scalars(recorded, sent):
        yield place.differ(recorded, sent)


def _are_equal_scalars(recorded: Any, sent: Any) -> bool:
    # 1 equals 1.0, but True does not equal 1
    same_kind = type(recorded) is type(sent) or {type(recorded), type(sent)} == {int, float}
    return same_kind and bool(recorded == sent)


def _compare_texts(recorded: str, sent: str, place: _ComparedPath) -> Iterator[AlignedDifference]:
    if recorded == sent or (REDACTED in recorded and all(piece in sent for piece in recorded.split(REDACTED))):
        return
    if place.inner is None:
        before, after = _parse_json(recorded), _parse_json(sent)
        if before is not None and after is not None:
            found = list(_compare(before, after, _ComparedPath(place.recorded, place.sent, place.labels, ())))
            # JSON that differs only in its whitespace is reported as a changed string
            yield from found or [place.differ(recorded, sent)]
            return
    yield place.differ(recorded, sent)


def _parse_json(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return jsontext.parse(text)
    except ValueError:
        return None


def _compare_lists(recorded: list[Any], sent: list[Any], place: _ComparedPath) -> Iterator[AlignedDifference]:
    if recorded == sent and jsontext.canonical(recorded) == jsontext.canonical(sent):
        return
    if not any(isinstance(item, dict | list) for item in (*recorded, *sent)):
        yield from _compare_scalar_lists(recorded, sent, place)
        return
    pairs = _pair_items(recorded, sent)
    labels = [label_item(item) for item in recorded], [label_item(item) for item in sent]
    by_sent = {new: old for old, new in pairs}
    for new, item in enumerate(sent):
        if (old := by_sent.get(new)) is None:
            yield place.at_items(new, new, labels[1][new]).differ(ABSENT, item)
        else:
            # label a renamed item by its recorded name, because the recordings of other tests contain that name, too
            yield from _compare(recorded[old], item, place.at_items(old, new, labels[0][old]))
    matched = set(by_sent.values())
    for old, item in enumerate(recorded):
        if old not in matched:
            yield place.at_items(old, old, labels[0][old]).differ(item, ABSENT)
    order = [by_sent[new] for new in sorted(by_sent)]
    if order != sorted(order):
        names = [_describe_item(recorded[old], labels[0], old) for old in sorted(order)]
        by_position = dict(zip(sorted(order), names, strict=True))
        yield place.differ(ORDER, (names, [by_position[old] for old in order]))


def _describe_item(item: Any, labels: Sequence[str], position: int) -> str:
    """Return the label of an item, and the beginning of its text if other items have the same label."""
    if labels[position] and labels.count(labels[position]) == 1:
        return labels[position]
    text = (
        next((value for value in item.values() if isinstance(value, str) and " " in value), "")
        if isinstance(item, dict)
        else ""
    )
    beginning = text if len(text) <= _MAX_BEGINNING else f"{text[:_MAX_BEGINNING]}…"
    return (
        f"{labels[position] or position} {jsontext.canonical(beginning)}" if text else f"{labels[position]} {position}"
    )


def _compare_scalar_lists(recorded: list[Any], sent: list[Any], place: _ComparedPath) -> Iterator[AlignedDifference]:
    before, after = ([jsontext.canonical(item) for item in items] for items in (recorded, sent))
    if Counter(before) == Counter(after):
        yield place.differ(ORDER, (recorded, sent))
        return
    for tag, begin, end, new_begin, new_end in SequenceMatcher(None, before, after, False).get_opcodes():
        if tag == "equal":
            continue
        for offset in range(max(end - begin, new_end - new_begin)):
            old, new = begin + offset, new_begin + offset
            yield from _compare(
                recorded[old] if old < end else ABSENT,
                sent[new] if new < new_end else ABSENT,
                place.at_items(min(old, len(recorded)), min(new, len(sent)), ""),
            )


def label_item(item: Any) -> str:
    """Return the label of a list item: its name, otherwise its role and type, otherwise its only key, otherwise ""."""
    if not isinstance(item, Mapping):
        return ""
    name = find_name(item)
    if name:
        return name
    words = [str(item[key]) for key in _LABEL_KEYS if isinstance(item.get(key), str)]
    # Amazon Bedrock names the type of a block by its only key
    return " ".join(words) if words or len(item) != 1 else str(next(iter(item)))


def find_name(item: Mapping[str, Any]) -> str:
    """Return the name of a tool declaration or a call. Empty if ``item`` is neither."""
    for inner in (item, *(value for value in item.values() if isinstance(value, Mapping))):
        if isinstance(name := inner.get("name"), str):
            return name
    return ""


def _pair_items(recorded: Sequence[Any], sent: Sequence[Any]) -> list[tuple[int, int]]:
    """Return pairs of positions of matching items. Equal items are paired first, then similar items."""
    before, after = ([_mask(item) for item in items] for items in (recorded, sent))
    pairs = [
        (block.a + offset, block.b + offset)
        for block in SequenceMatcher(None, before, after, False).get_matching_blocks()
        for offset in range(block.size)
    ]
    old, new = _list_rest(len(recorded), pairs, 0), _list_rest(len(sent), pairs, 1)
    # equal items that changed their position
    for new_position in list(new):
        same = next((position for position in old if before[position] == after[new_position]), None)
        if same is not None:
            pairs.append((same, new_position))
            old.remove(same)
            new.remove(new_position)
    pairs += _pair_by_likeness(old, new, before, after, recorded, sent)
    return pairs


def _list_rest(length: int, pairs: Sequence[tuple[int, int]], side: int) -> list[int]:
    taken = {pair[side] for pair in pairs}
    return [position for position in range(length) if position not in taken]


def _pair_by_likeness(
    old: list[int],
    new: list[int],
    before: Sequence[str],
    after: Sequence[str],
    recorded: Sequence[Any],
    sent: Sequence[Any],
) -> list[tuple[int, int]]:
    if len(old) > _MAX_ITEMS or len(new) > _MAX_ITEMS:
        return list(zip(old, new, strict=False))
    words = {("old", one): _WORD.findall(before[one]) for one in old}
    words |= {("new", one): _WORD.findall(after[one]) for one in new}
    labels = {one: label_item(recorded[one]) for one in old}, {one: label_item(sent[one]) for one in new}
    counts = Counter(labels[0].values()), Counter(labels[1].values())
    candidates = []
    for one in old:
        for other in new:
            label, other_label = labels[0][one], labels[1][other]
            likeness = _measure_likeness(words["old", one], words["new", other])
            # if the number of items of this kind is the same as before, no item of this kind is new
            is_same_kind = label == other_label and (counts[0][label] == counts[1][label] or likeness >= _MIN_LIKENESS)
            is_renamed = _kind_of(recorded[one]) == _kind_of(sent[other]) and likeness >= _MIN_LIKENESS
            if is_same_kind or is_renamed:
                candidates.append((not is_same_kind, -likeness, abs(one - other), one, other))
    pairs: list[tuple[int, int]] = []
    for *_, one, other in sorted(candidates):
        if one in old and other in new:
            pairs.append((one, other))
            old.remove(one)
            new.remove(other)
    return pairs


def _kind_of(item: Any) -> Any:
    """Return the role and the type of an item, without its name."""
    if not isinstance(item, Mapping):
        return type(item)
    return [item.get(key) for key in ("role", "type")]


def _measure_likeness(one: Sequence[str], other: Sequence[str]) -> float:
    common = sum((Counter(one) & Counter(other)).values())
    total = len(one) + len(other)
    return 2 * common / total if total else 1.0


def _mask(item: Any) -> str:
    return mask_noise(jsontext.canonical(item))
