"""Classify the differences in one request: what they mean, and which other requests have the same cause."""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from multitrack.audit.alignment import ORDER, AlignedDifference, align, find_name
from multitrack.audit.changed_texts import (
    CLIPPED,
    UNSTABLE,
    describe_text_form,
    find_common_noise,
    format_word_changes,
    is_only_noise,
    mask_unstable,
    read_text_block,
    split_tokens,
)
from multitrack.audit.classified_change import Change, ChangeContext, Kind, format_value
from multitrack.audit.default_values import is_default
from multitrack.audit.moves import Move, find_moves
from multitrack.audit.noise import NoisePart, find_noise, mask_noise, split_noise
from multitrack.audit.observed import DifferingRequest
from multitrack.audit.word_differences import find_word_changes
from multitrack.tape import jsontext
from multitrack.tape.exchange import Request
from multitrack.tape.matching.difference import ABSENT, Difference, Path
from multitrack.tape.miss.tool_changes import explain_schema_change
from multitrack.wires import registry
from multitrack.wires.wire_format import WireFormat
from multitrack.word_changes import TextPart, split_changes

SAMPLING_FIELDS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "topP",
        "topK",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "maxTokens",
        "seed",
        "stop",
        "stop_sequences",
        "presence_penalty",
        "frequency_penalty",
    }
)
"""Parameters that change the answer. If one is new, a client's upgrade is not reported as the reason."""

_MODEL_KEYS = frozenset({"model", "modelId", "model_id"})
_SCHEMA_KEYS = frozenset({"properties", "required", "enum", "$defs", "anyOf", "items"})
_SET_KEYS = frozenset({"required", "enum", "type"})
_CONSEQUENT_LABELS = ("assistant", "tool", "function", "model", "function_call", "function_call_output", "reasoning")
_MAX_WORD_CHANGES = 3
_TEXT_BLOCK = "a string instead of a list of text blocks, or vice versa"


def find_changes(request: DifferingRequest, context: ChangeContext) -> list[Change]:
    """Return the changes in a request."""
    return list(_ChangeFinder(request, context).find())


class _ChangeFinder:
    def __init__(self, request: DifferingRequest, context: ChangeContext) -> None:
        self._request = request
        self._context = context
        self._format = self._recognize()
        self._answer_ids = frozenset(request.answer_ids)
        self._differences = list(align(request.recorded, request.sent))
        self._unstable = self._find_unstable()
        self._ambiguous_ids = self._find_ambiguous_ids()

    def _recognize(self) -> WireFormat | None:
        for document, url in ((self._request.sent, self._request.url), (self._request.recorded, self._request.url)):
            if isinstance(document, Mapping) and (found := registry.recognize_request(document, url)) is not None:
                return found
        return None

    def find(self) -> Iterator[Change]:
        yield from self._find_header_changes()
        before, after = self._request.formats
        if before != after:
            reason = "the recorded body is not valid JSON" if (before, after) == ("text", "JSON") else ""
            title = reason or f"the body is now {after}, but was recorded as {before}"
            if before == "text" and not self._request.recorded:
                title = "the recording has no body"
            yield Change(Kind.BODY, (Kind.BODY, title), "the body", title, self._request.recorded, self._request.sent)
            return
        moves = find_moves(self._differences)
        moved = {id(one) for move in moves for one in (move.removed, move.added)}
        for move in moves:
            yield from self._describe_move(move)
        for difference in self._differences:
            if id(difference) not in moved:
                yield from self._classify(difference)

    def _find_header_changes(self) -> Iterator[Change]:
        for name, (before, after) in self._request.headers.items():
            # if no recording has the header, a filter removed it
            if before or name in self._context.header_names:
                recorded, sent = before or ABSENT, after or ABSENT
                title = _describe_presence(f"header {name}", recorded, sent)
                yield Change(Kind.HEADER, (Kind.HEADER, name, before, after), f"header {name}", title, recorded, sent)

    # values that differ between two runs

    def _find_unstable(self) -> Mapping[tuple[Path, Path], AlignedDifference]:
        test, number = self._request.test, self._request.number
        if number >= self._context.previous_counts.get(test, 0):
            return {}
        # only requests that differ are stored, so a missing one equalled its recording
        previous = self._context.previous.get((test, number), self._request.recorded)
        return {
            (one.sent_path, one.inner): one for one in align(previous, self._request.sent) if one.sent is not ABSENT
        }

    def _find_ambiguous_ids(self) -> Collection[str]:
        """Return each recorded id that was replaced by several different ids in the live request."""
        live: dict[str, set[str]] = {}
        for difference in self._differences:
            for before, after in find_noise(difference.recorded, difference.sent) or ():
                if before.kind in ("uuid", "random_id"):
                    live.setdefault(before.value, set()).add(after.value)
        return [recorded for recorded, ids in live.items() if len(ids) > 1]

    # classification

    def _classify(self, difference: AlignedDifference) -> Iterator[Change]:
        recorded, sent = difference.recorded, difference.sent
        if recorded is ORDER:
            yield self._describe_order(difference)
        elif recorded is ABSENT or sent is ABSENT:
            yield self._describe_presence(difference)
        elif isinstance(recorded, str) and isinstance(sent, str):
            yield from self._classify_texts(difference, recorded, sent)
        elif (texts := read_text_block(recorded, sent)) is not None:
            if texts[0] == texts[1]:
                yield self._make_formal(difference, _TEXT_BLOCK)
            else:
                yield from self._classify_texts(difference, *texts)
        elif (difference.sent_path, difference.inner) in self._unstable:
            yield self._make_noise(difference, ("proven",), is_whole=True)
        elif find_noise(recorded, sent):
            yield self._make_noise(difference, ("number",), is_whole=True)
        else:
            yield self._describe_value(difference)

    def _classify_texts(self, difference: AlignedDifference, recorded: str, sent: str) -> Iterator[Change]:
        if (form := describe_text_form(recorded, sent)) is not None:
            yield self._make_formal(difference, form)
            return
        noise = find_noise(recorded, sent)
        is_ambiguous = any(before.value in self._ambiguous_ids for before, _ in noise or ())
        if noise and not is_ambiguous:
            kinds = tuple(sorted({before.kind for before, _ in noise}))
            if all(after.value in self._answer_ids or sent in self._answer_ids for _, after in noise):
                kinds = ("answer",)
            yield self._make_noise(difference, kinds, is_whole=is_only_noise(sent))
            return
        if sent in self._answer_ids:
            yield self._make_noise(difference, ("answer",), is_whole=True)
            return
        if versions := self._find_versions(recorded, sent):
            change = self._make_noise(difference, ("version",), is_whole=" " not in sent.strip())
            yield replace(change, versions=versions)
            return
        unstable = self._unstable.get((difference.sent_path, difference.inner))
        if unstable is not None and isinstance(unstable.recorded, str):
            stable = mask_unstable(unstable.recorded, sent)
            changes = [one for one in find_word_changes(recorded, stable) if one.added != UNSTABLE]
            yield self._make_noise(difference, ("proven",), is_whole=stable.strip() == UNSTABLE)
            if not any(one.removed or one.added for one in changes):
                return
            sent = stable
        elif unstable is not None:
            yield self._make_noise(difference, ("proven",), is_whole=True)
            return
        yield self._describe_text(difference, recorded, sent)
        if unstable is None and not is_ambiguous and (kinds := find_common_noise(recorded, sent)):
            yield self._make_noise(difference, kinds, is_whole=False)

    def _find_versions(self, recorded: str, sent: str) -> tuple[str, ...]:
        """Return the versions that differ between two strings. Empty if anything else differs, too."""
        before, after = split_tokens(recorded), split_tokens(sent)
        if len(before) != len(after):
            return ()
        differing = [(one, other.rstrip(".")) for one, other in zip(before, after, strict=True) if one != other]
        text = jsontext.canonical(self._request.sent)
        if all(one[:1].isdigit() and self._context.find_version(other, text) for one, other in differing):
            return tuple(word for pair in differing for word in pair)
        return ()

    # descriptions

    def _describe_text(self, difference: AlignedDifference, recorded: str, sent: str) -> Change:
        if not any(char.isspace() for char in recorded.strip() + sent.strip()):
            # the values are names or other single words, and parts of a word mean nothing
            return self._describe_value(replace(difference, recorded=recorded, sent=sent))
        changes = [one for one in find_word_changes(recorded, sent) if one.added != UNSTABLE]
        subject = self._name_subject(difference)
        explanation = self._explain(difference)
        kind = self._choose_kind(difference, Kind.TEXT)
        title = explanation or f"{subject}: {format_word_changes(changes)}"
        words = tuple((one.removed[:CLIPPED], one.added[:CLIPPED]) for one in changes[:_MAX_WORD_CHANGES])
        return self._make(kind, difference, title, words, parts=tuple(split_changes(recorded, sent)))

    def _describe_value(self, difference: AlignedDifference) -> Change:
        recorded, sent = difference.recorded, difference.sent
        explanation = self._explain(difference)
        kind = self._choose_kind(difference, Kind.PARAMETER)
        subject = self._name_subject(difference)
        if _is_number(recorded) and _is_number(sent):
            # report no values: they differ from test to test, for example because a default depends on the model
            return self._make(kind, difference, explanation or f"{subject} changed", ())
        pair = _mask(recorded)[: 4 * CLIPPED], _mask(sent)[: 4 * CLIPPED]
        is_word = isinstance(recorded, str) and isinstance(sent, str)
        return self._make(kind, difference, explanation or f"{subject} changed", pair, is_word=is_word)

    def _describe_presence(self, difference: AlignedDifference) -> Change:
        recorded, sent = difference.recorded, difference.sent
        value = sent if recorded is ABSENT else recorded
        is_new = recorded is ABSENT
        subject = self._format_where(difference)
        path = difference.path
        if value is None or value in ({}, [], ""):
            word = "null" if value is None else jsontext.canonical(value)
            return self._make_formal(
                difference, f"{word} instead of no value" if is_new else f"no value instead of {word}"
            )
        if len(path) == 1 and not difference.inner and is_default(self._request.url, str(path[0]), value):
            return self._make_formal(difference, "default sent" if is_new else "default no longer sent", Kind.DEFAULT)
        explanation = self._explain(difference)
        is_item = isinstance((difference.inner or path or ("",))[-1], int)
        kind = self._choose_kind(difference, Kind.MESSAGE if is_item else Kind.PARAMETER)
        if is_item:
            name = find_name(value) if isinstance(value, Mapping) else ""
            identity: Hashable = name or _mask(value)[: 4 * CLIPPED]
            what = f"{self._name_item(difference)} {'is new' if is_new else 'is no longer sent'}"
        else:
            identity = () if _is_number(value) or isinstance(value, bool) else _mask(value)[: 4 * CLIPPED]
            what = f"{subject} {'is new' if is_new else 'is no longer sent'}"
        noise = self._find_noise_within(difference, value) if is_new else ()
        if noise:
            identity = noise
        return self._make(kind, difference, explanation or what, identity, noise=noise)

    def _find_noise_within(self, difference: AlignedDifference, value: Any) -> tuple[str, ...]:
        """Return the kinds of random values in ``value``, which has no recorded counterpart.

        Empty if ``value`` contains none.
        """
        size = len(difference.sent_path)
        if any(path[:size] == difference.sent_path and not inner for path, inner in self._unstable):
            return ("proven",)
        if not isinstance(value, str):
            return ()
        kinds = {part.kind for part in split_noise(value) if isinstance(part, NoisePart)}
        return tuple(sorted(kinds & {"uuid", "random_id"})) if is_only_noise(value) else ()

    def _describe_order(self, difference: AlignedDifference) -> Change:
        before, after = difference.sent
        name = next((step for step in reversed(difference.path) if isinstance(step, str)), "")
        if not any(isinstance(item, dict | list) for item in (*before, *after)) and name in _SET_KEYS:
            return self._make_formal(difference, f"the order of {self._format_where(difference)}")
        subject = self._format_where(difference)
        title = f"{subject}: order changed"
        if all(isinstance(item, str) for item in (*before, *after)):
            first = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), 0)
            shown = [", ".join(items[first : first + 3]) for items in (before, after)]
            title = f"{subject}: order changed from {shown[0]} to {shown[1]}" if shown[0] != shown[1] else title
        kind = self._choose_kind(difference, Kind.MESSAGE)
        return Change(
            kind,
            (kind, "order", subject),
            subject,
            title,
            path=difference.path,
        )

    def _describe_move(self, move: Move) -> Iterator[Change]:
        old, new = (self._format_path(path) for path in (move.removed.recorded_path, move.path))
        title = f"`{old}` is now `{new}`"
        yield Change(
            Kind.RENAMED,
            (Kind.RENAMED, old, new),
            old,
            title,
            move.removed.recorded,
            move.value,
            move.path,
            comes_with_client=True,
        )
        if not move.has_same_value:
            path = move.path
            labels = ("",) * len(path)
            yield from self._classify(AlignedDifference(path, path, labels, move.removed.recorded, move.value))

    def _explain(self, difference: AlignedDifference) -> str:
        if (
            difference.inner
            or self._format is None
            or not isinstance(difference.path[0] if difference.path else 0, str)
        ):
            return ""
        recorded, sent = (
            Request("POST", url, (("content-type", "application/json"),), json.dumps(document).encode())
            for url, document in (
                (self._request.url, self._request.recorded),
                (self._request.url, self._request.sent),
            )
        )
        found = Difference(difference.path, difference.recorded, difference.sent)
        if self._format.tools_key not in difference.path:
            return ""
        return explain_schema_change(found, sent, recorded, {}) or ""

    def _choose_kind(self, difference: AlignedDifference, otherwise: Kind) -> Kind:
        path = difference.path
        if self._format is not None and self._format.tools_key in path and self._format.conversation_key not in path:
            return Kind.TOOL
        if path and path[0] in ("functions", "tools"):
            return Kind.TOOL
        if len(path) == 1 and path[0] in _MODEL_KEYS:
            return Kind.MODEL
        if any(step in _SCHEMA_KEYS for step in path[1:]) and not self._is_in_conversation(path):
            return Kind.SCHEMA
        if otherwise is Kind.TEXT and not self._is_in_conversation(path) and not self._is_instruction(path):
            value = difference.recorded if isinstance(difference.recorded, str) else ""
            return Kind.TEXT if " " in value.strip() else Kind.PARAMETER
        if otherwise is Kind.PARAMETER and self._is_in_conversation(path):
            return Kind.MESSAGE
        return otherwise

    def _is_in_conversation(self, path: Path) -> bool:
        key = self._format.conversation_key if self._format is not None else "messages"
        return bool(path) and path[0] in (key, "messages", "contents", "input", "prompt")

    def _is_instruction(self, path: Path) -> bool:
        keys = self._format.instruction_keys if self._format is not None else ()
        return bool(path) and path[0] in keys

    def _is_consequence(self, difference: AlignedDifference) -> bool:
        if not self._is_in_conversation(difference.path):
            return False
        document = self._request.recorded if difference.sent is ABSENT else self._request.sent
        for step in difference.path[:2]:
            try:
                document = document[step]
            except (KeyError, IndexError, TypeError):
                return False
        kinds = [document.get(key) for key in ("role", "type")] if isinstance(document, Mapping) else []
        return any(kind in _CONSEQUENT_LABELS for kind in kinds)

    # names of places

    def _name_subject(self, difference: AlignedDifference) -> str:
        label = next((label for label in difference.labels if label), "")
        if self._is_in_conversation(difference.path) and label:
            name = difference.path[-1] if difference.path else ""
            text = f"{label.split(' ')[0]} message"
            return (
                text
                if name in ("content", "text") and not difference.inner
                else f"{text}, {self._format_where(difference)}"
            )
        if self._is_instruction(difference.path):
            return "system message"
        return self._format_where(difference)

    def _name_item(self, difference: AlignedDifference) -> str:
        label = difference.labels[-1] if difference.labels and not difference.inner else ""
        if self._is_in_conversation(difference.path) and len(difference.path) == 2 and label:
            role = label.split(" ")[0]
            return f"{'an' if role == 'assistant' else 'a'} {role} message"
        where = self._format_where(difference)
        value = _value_of(difference)
        return f"{label or ('an item' if isinstance(value, dict | list) else format_value(value))} in {where}"

    def _format_where(self, difference: AlignedDifference) -> str:
        where = self._format_path(difference.path)
        return where + (f", in its JSON: {self._format_inner(difference.inner)}" if difference.inner else "")

    def _format_path(self, path: Path) -> str:
        kind = self._request.formats[1]
        if kind in ("a form", "a multipart form") and path:
            rest = path[1:] if kind == "a form" else tuple(step for step in path[1:] if step != "content")
            name = "form field" if kind == "a form" else "part"
            return f"{name} {jsontext.canonical(path[0])}" + (f": {self._format_inner(rest)}" if rest else "")
        return self._format_inner(path)

    @staticmethod
    def _format_inner(path: Path) -> str:
        steps = (step if isinstance(step, str) else 0 for step in path)
        return str(Difference(tuple(steps), None, None)).replace("[0]", "[*]")

    def _make_key(self, difference: AlignedDifference) -> Hashable:
        steps = zip(difference.path, difference.labels, strict=False)
        return tuple(step if isinstance(step, str) else f"[{label}]" for step, label in steps), self._format_inner(
            difference.inner
        )

    def _make(
        self,
        kind: Kind,
        difference: AlignedDifference,
        title: str,
        identity: Hashable,
        *,
        parts: tuple[TextPart, ...] = (),
        noise: tuple[str, ...] = (),
        is_word: bool = False,
    ) -> Change:
        is_text = isinstance(difference.sent, str) and " " in difference.sent.strip()
        name = str(difference.path[-1]) if difference.path else ""
        presence = "new" if difference.recorded is ABSENT else "gone" if difference.sent is ABSENT else ""
        return Change(
            kind,
            (kind, self._make_key(difference), presence, identity),
            self._format_where(difference),
            title,
            difference.recorded,
            difference.sent,
            difference.path,
            parts,
            self._explain(difference),
            noise,
            is_word=is_word,
            is_consequence=self._is_consequence(difference),
            comes_with_client=difference.recorded is ABSENT
            and not is_text
            and kind is Kind.PARAMETER
            and name not in SAMPLING_FIELDS
            and not self._is_in_conversation(difference.path),
        )

    def _make_formal(self, difference: AlignedDifference, form: str, kind: Kind | None = None) -> Change:
        if kind is None:
            is_empty = ABSENT in (difference.recorded, difference.sent)
            kind = Kind.NULL if is_empty else Kind.FORM
        where = self._format_where(difference)
        return Change(
            kind,
            (kind, where, form),
            where,
            form,
            difference.recorded,
            difference.sent,
            difference.path,
            # the only change of form that a client library makes is from a string to a block
            comes_with_client=kind is not Kind.FORM or form == _TEXT_BLOCK,
            is_consequence=self._is_consequence(difference),
            is_message=self._is_in_conversation(difference.path),
        )

    def _make_noise(self, difference: AlignedDifference, kinds: tuple[str, ...], *, is_whole: bool) -> Change:
        where = self._format_where(difference)
        noise = find_noise(difference.recorded, difference.sent)
        before, after = noise[0] if noise else (None, None)
        return Change(
            Kind.NOISE,
            (Kind.NOISE, where, kinds),
            where,
            where,
            difference.recorded if is_whole or before is None else before.value,
            difference.sent if is_whole or after is None else after.value,
            difference.path,
            noise=kinds,
            is_whole=is_whole and not difference.inner,
            is_message=self._is_in_conversation(difference.path),
            is_consequence=self._is_consequence(difference),
        )


def _value_of(difference: AlignedDifference) -> Any:
    return difference.recorded if difference.sent is ABSENT else difference.sent


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mask(value: Any) -> str:
    return "" if value is ABSENT else mask_noise(jsontext.canonical(value))


def _describe_presence(subject: str, recorded: Any, sent: Any) -> str:
    if recorded is ABSENT:
        return f"{subject} is new"
    return f"{subject} is no longer sent" if sent is ABSENT else f"{subject} changed"
