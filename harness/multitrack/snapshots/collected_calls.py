"""Turn the parallel tool calls in any iterable into call expressions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from pydantic import BaseModel

from multitrack.errors import InvalidArguments, UnknownTool
from multitrack.extraction import Extraction
from multitrack.snapshots.comparison_options import ComparisonOptions, MatchError
from multitrack.snapshots.conversion import UnwritableValue, reject_unknown, to_call, unchanged_text
from multitrack.snapshots.expression_paths import UNREPLACED, Unreplaced
from multitrack.snapshots.expressions import Expression, RedactText, SnapshotCall
from multitrack.snapshots.matchers import Matcher, is_matcher
from multitrack.tool_call import ToolCall
from multitrack.wires import registry

_ACCEPTED = (
    "a call is a Pydantic model, a dataclass, a ToolCall, a tool call of an SDK, or a dict with 'name' and 'arguments'"
)
_DEFAULT_OPTIONS = ComparisonOptions()
_ARGUMENTS = ("arguments", "args", "input")  # the keys for the arguments in a dict, in order of preference


@dataclass(frozen=True)
class CollectedCalls:
    """The calls that were found in an iterable.

    Attributes:
        calls: The calls as expressions.
        rejected: The values that do not fit the ``match`` option; the calls contain them unchanged.
        values: For each call, a dictionary from paths to Python values.
        has_matchers: Whether the calls contain matchers.
    """

    calls: tuple[SnapshotCall, ...]
    rejected: tuple[MatchError, ...]
    values: tuple[Mapping[str, object], ...]
    has_matchers: bool


def collect_calls(
    value: object,
    options: ComparisonOptions = _DEFAULT_OPTIONS,
    *,
    redact_text: RedactText = unchanged_text,
    is_expected: bool = False,
) -> CollectedCalls:
    """Collect the calls in an iterable.

    Args:
        value: An ``Extraction``, or an iterable. The items can be models, dicts, ``ToolCall`` objects, or an SDK's
            tool calls.
        options: The options of the comparison.
        redact_text: Applied to every string in the arguments.
        is_expected: Whether these are the expected calls. Only expected calls can contain matchers.

    Raises:
        UnwritableValue: ``value`` is not an iterable of calls, or contains a value that cannot be written. The
            message contains its path: ``[1].payload``.
    """
    if isinstance(value, (BaseModel, Mapping, ToolCall)) or (is_dataclass(value) and not isinstance(value, type)):
        raise UnwritableValue(
            "", f"expected an iterable of calls, got one {type(value).__name__}; put it in a list: [call]"
        )
    if value is None:  # OpenAI's SDK returns this if a message has no calls
        raise UnwritableValue(
            "", "expected an iterable of calls, got None; pass [] if there are no calls: message.tool_calls or []"
        )
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise UnwritableValue("", f"expected an iterable of calls, got {type(value).__name__}; {_ACCEPTED}")
    items = list(value)
    collectors = [_CallCollector(options, redact_text, is_expected, f"[{index}]") for index in range(len(items))]
    calls = [collector.collect(item) for collector, item in zip(collectors, items, strict=True)]
    if options.ids:
        calls = [replace(call, id=redact_text(id_)) for call, id_ in zip(calls, _find_ids(value, items), strict=True)]
    return CollectedCalls(
        calls=tuple(calls),
        rejected=tuple(error for collector in collectors for error in collector.rejected),
        values=tuple(collector.values for collector in collectors),
        has_matchers=any(collector.has_matchers for collector in collectors),
    )


def to_snapshot_calls(value: object, *, redact_text: RedactText = unchanged_text) -> tuple[SnapshotCall, ...]:
    """Return the calls in ``value``, an iterable of any type that ``collect_calls`` accepts.

    Raises:
        UnwritableValue: As for ``collect_calls``.
    """
    return collect_calls(value, redact_text=redact_text).calls


class _CallCollector:
    """A converter for one call. ``root`` is the path of the call in the iterable, such as ``[1]``."""

    def __init__(self, options: ComparisonOptions, redact_text: RedactText, is_expected: bool, root: str) -> None:
        self.options, self.redact_text, self.is_expected, self.root = options, redact_text, is_expected, root
        self.tool = ""
        self.rejected: list[MatchError] = []
        self.values: dict[str, object] = {}
        self.has_matchers = False

    def collect(self, value: object) -> SnapshotCall:
        if (found := _find_name_and_arguments(value)) is not None:
            return self._convert_arguments(*found)
        # the text or reasoning of an SDK's response is also a Pydantic model, but its class name is not the name of a
        # tool
        is_of_sdk = type(value).__module__.partition(".")[0] in registry.sdk_packages()
        if (isinstance(value, BaseModel) and not is_of_sdk) or (is_dataclass(value) and not isinstance(value, type)):
            self.tool = type(value).__name__
            return self._convert(value)
        raise UnwritableValue(self.root, f"{type(value).__name__} is not a tool call; {_ACCEPTED}")

    def _convert_arguments(self, name: str, arguments: object) -> SnapshotCall:
        name = self.redact_text(name)  # a model may call a tool that does not exist
        if arguments is None:
            return SnapshotCall(name)
        if isinstance(arguments, str):
            try:
                decoded = json.loads(arguments)
            except (ValueError, RecursionError):
                decoded = None
            if not isinstance(decoded, dict):
                return SnapshotCall(name, (self.redact_text(arguments),))
            arguments = decoded
        assert isinstance(arguments, Mapping)
        self.tool = name
        return self._convert(dict(arguments), name)

    def _convert(self, value: object, name: str | None = None) -> SnapshotCall:
        convert_unknown = self._convert_matcher if self.is_expected else reject_unknown
        return to_call(
            value,
            name,
            path=self.root,
            redact_text=self.redact_text,
            replace=self._replace,
            convert_unknown=convert_unknown,
        )

    def _replace(self, value: object, path: str) -> Expression | Unreplaced:
        path = path[len(self.root) :].removeprefix(".")
        self.values[path] = value
        try:
            return self.options.replacement_for(self.tool, path, value, self.redact_text)
        except MatchError as error:
            if not self.is_expected:
                self.rejected.append(MatchError(f"{self.root} {self.tool}.{path}", error.reason))
            return UNREPLACED

    def _convert_matcher(self, value: object) -> Expression | Unreplaced:
        if not is_matcher(value):
            return UNREPLACED
        self.has_matchers = True
        return Matcher(value).node


def _find_name_and_arguments(value: Any) -> tuple[str, object] | None:
    if isinstance(value, ToolCall):
        return value.name, value.arguments
    found = next((call for known in registry.all_formats() if (call := known.find_call(value)) is not None), None)
    if found is None and isinstance(value, Mapping):
        found = value.get("name"), next((value[key] for key in _ARGUMENTS if key in value), None)
    if found is None:
        return None
    name, arguments = found
    if isinstance(name, str) and (arguments is None or isinstance(arguments, (str, Mapping))):
        return name, arguments
    return None


def _find_ids(value: object, items: list[object]) -> list[str]:
    if isinstance(value, Extraction):
        invalid = {error.call for error in value.errors if isinstance(error, (InvalidArguments, UnknownTool))}
        valid = [call for call in value.calls if call not in invalid]
        if len(valid) == len(items):
            items = [*valid]
    ids = [_find_id(item) for item in items]
    for index, found in enumerate(ids):
        if found is None:
            raise UnwritableValue(
                f"[{index}]",
                f"ids=True requires an id, but this {type(items[index]).__name__} has none; compare extraction.calls",
            )
    return [found for found in ids if found is not None]


def _find_id(item: Any) -> str | None:
    if not isinstance(item, ToolCall) and _find_name_and_arguments(item) is None:
        return None  # a field of a model, such as ``id``, is not the id of a call
    keys = registry.call_id_keys()
    fields = item if isinstance(item, Mapping) else {name: getattr(item, name, None) for name in keys}
    return next((fields[name] for name in keys if isinstance(fields.get(name), str) and fields[name]), None)
