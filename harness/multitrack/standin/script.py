"""The script: rules that select the answer to each request, written in Python or in a YAML file.

The file has one key, ``rules``, with a list. The keys of a rule are the fields of ``Rule``::

    rules:
    - prompt: What is the weather in toronto?
      tools: [Weather]
      calls:
      - {name: Weather, arguments: {location: Toronto, units: metric}}
    - prompt_regex: (?i)rate limit
      times: 1
      error: {status: 429}
      headers: {retry-after: "0"}

The first rule that applies and has uses left provides the answer. Rules work with every wire format. ``turn`` selects
a different answer for each request in a conversation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from multitrack.standin.model_request import ModelRequest
from multitrack.tool_call import ToolCall
from multitrack.wires import WireAnswer

_NO_OTHER_KEYS = ConfigDict(extra="forbid")
_Size = Annotated[int, Field(gt=0)]
_Count = Annotated[int, Field(ge=0)]


GrpcStatus = Literal[
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]


class ScriptError(ValueError):
    """A script or a file of recorded responses has a mistake. The message says where and why."""


@dataclass(frozen=True, config=_NO_OTHER_KEYS)
class ScriptedCall:
    """A tool call in an answer.

    Attributes:
        name: The name of the function.
        arguments: An object, a string, or None for a call without arguments. A string need not be JSON: wire formats
            that send arguments as text send it unchanged.
        id: The id of the call. By default, it is derived from the request. Calls in Gemini's format have no id by
            default.
        gate: The name of a gate. The call, and everything after it, is held back until ``StandIn.open`` opens the gate.
    """

    name: str
    arguments: dict[str, Any] | str | None = field(default_factory=dict)
    id: str | None = None
    gate: str | None = None

    @property
    def text(self) -> str | None:
        """The arguments as text. None if the call has no arguments."""
        if isinstance(self.arguments, dict):
            return json.dumps(self.arguments, ensure_ascii=False, separators=(",", ":"))
        return self.arguments

    @property
    def object(self) -> dict[str, Any] | None:
        """The arguments as an object. None if the call has no arguments.

        Raises ``ScriptError`` if they are a string that is not a JSON object.
        """
        if not isinstance(self.arguments, str):
            return self.arguments
        try:
            parsed = json.loads(self.arguments)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise ScriptError(
                f"the arguments of {self.name} are not a JSON object, "
                f"which this wire format requires: {self.arguments!r}"
            )
        return parsed


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class ScriptedError:
    """An error that is sent as the answer, in any wire format.

    Attributes:
        status: The HTTP status. Over gRPC, the corresponding gRPC code is sent, see
            https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto.
        message: The message. Default: the provider's usual message for ``status``.
        type: The ``type`` in OpenAI's or Anthropic's error object. Default: the usual type.
        code: The ``code`` of OpenAI's error object. Default: the usual code.
        param: The ``param`` of OpenAI's error object.
        grpc_status: The name of a different gRPC code, such as ``UNAVAILABLE``.
        details: Google's error details, each with an ``@type``. Over gRPC they are sent in
            ``grpc-status-details-bin``.
        body: JSON, or a string that is sent unchanged. Over HTTP it replaces the whole error object.
    """

    status: Annotated[int, Field(ge=400, le=599)] = 500
    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    grpc_status: GrpcStatus | None = None
    details: Sequence[Mapping[str, Any]] = ()
    body: Any = None


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class ScriptedAnswer:
    """An answer and how it is sent.

    Attributes:
        text: The text of the answer. An answer can have both text and calls.
        calls: The tool calls in the answer.
        refusal: The model's refusal; for Anthropic, its explanation. On Gemini, the candidate is withheld with the
            finish reason ``SAFETY``.
        truncated: Whether the token limit cut off the answer, including its last call if it has calls.
        finish_reason: Replaces the usual finish reason, in the spelling of the wire format. In the Responses API it
            is the reason why the response is incomplete, or its status.
        body: JSON, or a string that is sent unchanged. Replaces the whole body. For a Bedrock stream, it can be bytes,
            because these streams are binary.
        delta_size: The number of characters of text or arguments in one delta of a stream.
        interleave: Whether the deltas of several calls are interleaved, instead of sent one call after another.
        chunk_size: The number of bytes in one chunk of the connection. By default each event is one chunk.
        delay: Seconds before the answer.
        chunk_delay: Seconds between two chunks.
        error: The error that is sent instead of the answer, or that ends it early.
        close: Whether the connection is closed before the answer, or in the middle of it. Over gRPC, the call ends with
            ``UNAVAILABLE``, the status that clients report for a closed connection.
        after: The number of chunks that are sent before ``error`` or ``close``.
        after_calls: The number of calls that are sent before ``error`` or ``close``.
        gate: The name of a gate. The end of a stream, after all calls, is held back until ``StandIn.open`` opens the
            gate. An answer that is not streamed waits at all of its gates before it starts.
        headers: Additional headers. If a usual header has the same name, the additional one is sent instead.
    """

    text: str | None = None
    calls: Sequence[ScriptedCall] = ()
    refusal: str | None = None
    truncated: bool = False
    finish_reason: str | None = None
    body: Any = None
    delta_size: _Size = 12
    interleave: bool = False
    chunk_size: _Size | None = None
    delay: NonNegativeFloat = 0
    chunk_delay: NonNegativeFloat = 0
    error: ScriptedError | None = None
    close: bool = False
    after: _Count | None = None
    after_calls: _Count | None = None
    gate: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @model_validator(mode="after")
    def _check_consistency(self) -> ScriptedAnswer:
        if self.error and self.close:
            raise ValueError("pass either error or close, not both")
        if self.after is not None and self.after_calls is not None:
            raise ValueError("pass either after or after_calls, not both")
        if self.breaks_off and not (self.error or self.close):
            name = "after" if self.after is not None else "after_calls"
            raise ValueError(f"{name} requires error or close")
        if self.after_calls is not None and self.after_calls > len(self.calls):
            raise ValueError(f"after_calls is {self.after_calls}, but the answer has fewer calls ({len(self.calls)})")
        return self

    @property
    def breaks_off(self) -> bool:
        """True if the answer ends in the middle of a stream."""
        return self.after is not None or self.after_calls is not None

    def to_wire_answer(self, create_id: Callable[[int], str | None]) -> WireAnswer:
        """Return the calls, the text and the refusal in the form that the wire formats encode.

        Args:
            create_id: Returns an id for the call at a position, if the script gives the call no id.
        """
        calls = (
            ToolCall(create_id(position) if call.id is None else call.id, call.name, call.text, position)
            for position, call in enumerate(self.calls)
        )
        return WireAnswer(tuple(calls), text=self.text, refusal=self.refusal)


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class Rule(ScriptedAnswer):
    """An answer and the conditions under which it is sent. All conditions that are set must hold.

    Attributes:
        prompt: The exact text of the last user message.
        prompt_regex: A regular expression that is searched for in the last user message.
        contains: Text that appears in one of the messages.
        tools: Names that must be among the offered tools.
        model: The name of the model.
        after_results: Whether the conversation ends with tool results.
        turn: How many answers the model has already given in the conversation: 0 for the first answer, 1 for the
            answer to the first tool results.
        times: How often the rule can be used. There is no limit by default.
    """

    prompt: str | None = None
    prompt_regex: re.Pattern[str] | None = None
    contains: str | None = None
    tools: Sequence[str] = ()
    model: str | None = None
    after_results: bool | None = None
    turn: _Count | None = None
    times: _Size | None = None

    def applies(self, request: ModelRequest) -> bool:
        """Return whether ``request`` meets all conditions except ``times``, which ``Script`` checks."""
        return (
            self.prompt in (None, request.prompt)
            and (self.prompt_regex is None or self.prompt_regex.search(request.prompt) is not None)
            and (self.contains is None or any(self.contains in text for text in request.texts))
            and {tool.name for tool in request.tools}.issuperset(self.tools)
            and self.model in (None, request.model)
            and self.after_results in (None, request.after_results)
            and self.turn in (None, request.turn)
        )


class Script:
    """A list of rules, which counts how often each rule was used. Thread-safe."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._uses = [0] * len(self._rules)
        self._lock = Lock()

    def find_answer(self, request: ModelRequest) -> ScriptedAnswer | None:
        """Return the answer of the first rule that applies and has uses left, and count this use.

        Returns None if there is no such rule.
        """
        with self._lock:
            for number, rule in enumerate(self._rules):
                if (rule.times is None or self._uses[number] < rule.times) and rule.applies(request):
                    self._uses[number] += 1
                    return rule
        return None


def read_rules(path: Path) -> list[Rule]:
    """Return the rules in a YAML file.

    Raises:
        ScriptError: The file cannot be read or has a mistake. The message shows the file, the rule and the key.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScriptError(f"{path}: cannot read the script: {error}") from error
    if not isinstance(document, dict) or list(document) != ["rules"] or not isinstance(document["rules"], list):
        raise ScriptError(f"{path}: a script must be a mapping with one key, rules, whose value is a list")
    try:
        return TypeAdapter(list[Rule]).validate_python(document["rules"])
    except ValidationError as error:
        problems = (
            f"  rule {int(problem['loc'][0]) + 1}, {_format_location(problem['loc'][1:])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ScriptError("\n".join([f"{path}: the script is not valid:", *problems])) from error


def _format_location(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "the rule"
