"""Whatever holds parallel tool calls, as call expressions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any
from warnings import catch_warnings, simplefilter

from pydantic import BaseModel

from multitrack.errors import InvalidArguments, UnknownTool
from multitrack.extraction import Extraction
from multitrack.snapshots.literals import (
    KEPT,
    Call,
    Kept,
    Plain,
    Scrub,
    UnwritableValue,
    model_call,
    refused,
    unchanged_text,
)
from multitrack.snapshots.matchers import Matcher, is_matcher
from multitrack.snapshots.terms import Refused, Terms
from multitrack.tool_call import ToolCall

_ACCEPTED = (
    "a call is a Pydantic model, a dataclass, a ToolCall, a tool call of an SDK, or a dict with 'name' and 'arguments'"
)
_PLAIN = Terms()
_LEGACY = "openai.types.chat.chat_completion_message"  # its `FunctionCall` says of no type that it is one
_SDKS = ("openai.", "google.", "vertexai.")
_RESPONSES = ("function_call", "custom_tool_call")
_IDS = ("call_id", "id")  # that of an item of OpenAI's responses is not that of its call


@dataclass(frozen=True)
class Gathered:
    """The calls of something that holds some.

    ``refused``: values that do not fit what was said to match them; they stand in the calls as they are.
    ``values``: for each call, what was found at each path. ``matchers``: whether the calls hold matchers.
    """

    calls: tuple[Call, ...]
    refused: tuple[Refused, ...]
    values: tuple[Mapping[str, object], ...]
    matchers: bool


def gather(value: object, terms: Terms = _PLAIN, *, scrub: Scrub = unchanged_text, expected: bool = False) -> Gathered:
    """The calls of an iterable: an ``Extraction``, a list of models, raw dicts, ``ToolCall`` or an SDK's calls.

    Every text in the arguments passes through ``scrub``. With ``expected``, what can only be meant as a matcher is
    one. Raises `UnwritableValue`, a `TypeError`, for a value that is no iterable of calls, or that holds something
    which cannot be written; it names the path: ``[1].payload``.
    """
    if isinstance(value, (BaseModel, Mapping, ToolCall)) or (is_dataclass(value) and not isinstance(value, type)):
        raise UnwritableValue(
            "", f"expected an iterable of calls, got one {type(value).__name__}; put it in a list: [call]"
        )
    if value is None:  # what OpenAI's SDK gives for the calls of an answer that has none
        raise UnwritableValue("", "expected an iterable of calls, got None; no calls are []: message.tool_calls or []")
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise UnwritableValue("", f"expected an iterable of calls, got {type(value).__name__}; {_ACCEPTED}")
    items = list(value)
    gathering = [_Gathering(terms, scrub, expected, f"[{index}]") for index in range(len(items))]
    calls = [each.call(item) for each, item in zip(gathering, items, strict=True)]
    if terms.ids:
        calls = [replace(call, id=scrub(id_)) for call, id_ in zip(calls, _ids(value, items), strict=True)]
    return Gathered(
        calls=tuple(calls),
        refused=tuple(error for each in gathering for error in each.refused),
        values=tuple(each.values for each in gathering),
        matchers=any(each.matchers for each in gathering),
    )


def calls_of(value: object, *, scrub: Scrub = unchanged_text) -> tuple[Call, ...]:
    """The calls of what `gather` takes, as they are. Raises `UnwritableValue`."""
    return gather(value, scrub=scrub).calls


class _Gathering:
    """One call on its way to an expression; ``root`` is its place, ``[1]``."""

    def __init__(self, terms: Terms, scrub: Scrub, expected: bool, root: str) -> None:
        self.terms, self.scrub, self.expected, self.root = terms, scrub, expected, root
        self.tool = ""
        self.refused: list[Refused] = []
        self.values: dict[str, object] = {}
        self.matchers = False

    def call(self, value: object) -> Call:
        named = _name_and_arguments(value)
        if named is not None:
            return self._named_call(*named)
        # an answer's text or reasoning would be taken for a call of a tool with that name
        of_sdk = type(value).__module__.startswith(_SDKS)
        if (isinstance(value, BaseModel) and not of_sdk) or (is_dataclass(value) and not isinstance(value, type)):
            self.tool = type(value).__name__
            return self._call(value)
        raise UnwritableValue(self.root, f"{type(value).__name__} is no tool call; {_ACCEPTED}")

    def _named_call(self, name: str, arguments: object) -> Call:
        if arguments is None:
            return Call(name)
        if isinstance(arguments, str):
            try:
                decoded = json.loads(arguments)
            except (ValueError, RecursionError):
                decoded = None
            if not isinstance(decoded, dict):
                return Call(name, (self.scrub(arguments),))
            arguments = decoded
        assert isinstance(arguments, Mapping)
        self.tool = name
        return self._call(dict(arguments), name)

    def _call(self, value: object, name: str | None = None) -> Call:
        otherwise = self._matcher if self.expected else refused
        return model_call(value, name, path=self.root, scrub=self.scrub, stand=self._stand, otherwise=otherwise)

    def _stand(self, value: object, path: str) -> Plain | Kept:
        path = path[len(self.root) :].removeprefix(".")
        self.values[path] = value
        try:
            return self.terms.stand(self.tool, path, value, self.scrub)
        except Refused as error:
            if not self.expected:
                self.refused.append(Refused(f"{self.root} {self.tool}.{path}", error.reason))
            return KEPT

    def _matcher(self, value: object) -> Plain | Kept:
        if not is_matcher(value):
            return KEPT
        self.matchers = True
        return Matcher(value).expected


def _name_and_arguments(value: Any) -> tuple[str, object] | None:
    if isinstance(value, ToolCall):
        return value.name, value.arguments
    if type(value).__name__ == "Part" and _is_googles(value):
        # vertexai's raises for a part of another kind, protobuf's is an empty one
        value = getattr(value, "function_call", None)
        if not getattr(value, "name", None):
            return None
    if isinstance(value, Mapping):
        # OpenAI's chat completions nest the two below "function" or "custom", Gemini, which says "args", its parts
        nested = next(
            (value[key] for key in ("function", "custom", "functionCall", "function_call") if key in value), None
        )
        fields = nested if isinstance(nested, Mapping) else value
        name = fields.get("name")
        arguments = next((fields[key] for key in ("arguments", "args", "input") if key in fields), None)
    elif type(value).__name__ == "FunctionCall" and _is_googles(value):
        name, arguments = value.name, _gemini_arguments(value)
    elif hasattr(value, "function") or hasattr(value, "custom"):
        nested = getattr(value, "function", None) or getattr(value, "custom", None)
        name = getattr(nested, "name", None)
        arguments = getattr(nested, "arguments", getattr(nested, "input", None))
        if not isinstance(arguments, str):
            return None
    elif type(value).__module__ == _LEGACY or getattr(value, "type", None) in _RESPONSES:
        name = getattr(value, "name", None)
        arguments = getattr(value, "arguments", getattr(value, "input", None))
    else:
        return None
    if isinstance(name, str) and (arguments is None or isinstance(arguments, (str, Mapping))):
        return name, arguments
    return None


def _is_googles(value: Any) -> bool:
    """Whether a value is of google-genai, of vertexai, of proto-plus or of protobuf."""
    kind = type(value)
    return hasattr(kind, "DESCRIPTOR") or str(kind.__module__).startswith(("google.", "vertexai."))


def _gemini_arguments(value: Any) -> str | None:
    from multitrack.wires import gemini

    if isinstance(value, BaseModel):
        return gemini.read_arguments({"args": getattr(value, "args", None)})
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # vertexai's own way to its arguments warns of itself
        args = value.args
    if not isinstance(args, dict):
        from google.protobuf.json_format import MessageToDict

        args = MessageToDict(type(value).pb(value) if hasattr(type(value), "pb") else value).get("args")
    text = gemini.read_arguments({"args": args})
    # a protobuf map has no order, and gives another one each time
    return text and json.dumps(json.loads(text), sort_keys=True)


def _ids(value: object, items: list[object]) -> list[str]:
    if isinstance(value, Extraction):
        bad = {error.call for error in value.errors if isinstance(error, (InvalidArguments, UnknownTool))}
        good = [call for call in value.calls if call not in bad]
        if len(good) == len(items):
            items = [*good]
    ids = [_id(item) for item in items]
    for index, found in enumerate(ids):
        if found is None:
            raise UnwritableValue(
                f"[{index}]", f"ids=True, and this {type(items[index]).__name__} has no id; compare extraction.calls"
            )
    return [found for found in ids if found is not None]


def _id(item: Any) -> str | None:
    fields = item if isinstance(item, Mapping) else {name: getattr(item, name, None) for name in _IDS}
    if not isinstance(item, ToolCall) and _name_and_arguments(item) is None:
        return None  # a model's own field of that name
    return next((fields[name] for name in _IDS if isinstance(fields.get(name), str) and fields[name]), None)
