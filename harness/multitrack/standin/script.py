"""The script: rules that say which request gets which answer, given in Python or in a YAML file.

A file holds one key, ``rules``, with a list; the keys of a rule are the fields of `Rule`::

    rules:
    - prompt: What is the weather in toronto?
      tools: [Weather]
      calls:
      - {name: Weather, arguments: {location: Toronto, units: metric}}
    - prompt_regex: (?i)rate limit
      times: 1
      error: {status: 429}
      headers: {retry-after: "0"}

The first rule that applies and has uses left answers. The same rules answer on every wire; ``turn`` lets a
conversation go on otherwise than it began.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from multitrack.standin.question import Question

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
    """A script, or an answers file, cannot be used as it is; the message names the place and the reason."""


@dataclass(frozen=True, config=_NO_OTHER_KEYS)
class Call:
    """A tool call to answer with.

    ``arguments`` is an object; or a text, sent as it is where the wire has texts (so that it may be no
    JSON); or None: the answer then has no arguments. ``id`` is derived from the request where not given
    (on Gemini, the call then has none). A call with a ``gate`` is held back, and all that follows it, until
    `StandIn.open` is told that name.
    """

    name: str
    arguments: dict[str, Any] | str | None = field(default_factory=dict)
    id: str | None = None
    gate: str | None = None

    @property
    def text(self) -> str | None:
        """The arguments as text."""
        if isinstance(self.arguments, dict):
            return json.dumps(self.arguments, ensure_ascii=False, separators=(",", ":"))
        return self.arguments

    @property
    def object(self) -> dict[str, Any] | None:
        """The arguments as an object. Raises `ScriptError` where their text is no JSON object."""
        if not isinstance(self.arguments, str):
            return self.arguments
        try:
            parsed = json.loads(self.arguments)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise ScriptError(f"the arguments of {self.name} are no JSON object: {self.arguments!r}")
        return parsed


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class Error:
    """An error to answer with, on any wire.

    ``status`` is the HTTP status; over gRPC it becomes the code that
    https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto pairs with it, unless
    ``grpc_status`` names another (``UNAVAILABLE``). ``message``, ``type``, ``code`` and ``param`` fill the
    provider's error object and have its usual values where not given. ``details`` are Google's error details, each
    with an ``@type``; over gRPC they come in ``grpc-status-details-bin``. ``body`` (JSON, or text sent as it
    is) takes the place of the whole error object over HTTP.
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
class Answer:
    """What is answered, and how it travels.

    ``text`` and ``calls`` are the answer, one or both; ``refusal`` is the model's refusal (on Gemini, a
    candidate withheld with ``SAFETY``). ``truncated`` says that the limit on tokens cut the answer off, and
    its last call, if any. ``finish_reason`` takes the place of the usual one, in the wire's own spelling (in
    the Responses API, the reason why the response is incomplete, or its status). ``body`` takes the place of
    the whole body: JSON, or text sent as it is.

    A stream carries text and arguments in deltas of ``delta_size`` characters; ``interleave`` sends those of
    several calls in turn instead of call by call. One event is one chunk of the connection unless
    ``chunk_size``, in bytes, cuts elsewhere. ``delay`` and ``chunk_delay`` are the seconds before the answer
    and between its chunks. ``gate`` holds back the end of a stream, behind all calls, as that of a `Call` does
    the call; an answer that is not streamed waits for all of its gates at its beginning.

    ``error`` answers with an error, ``close`` closes the connection: at once, or in the middle of a stream,
    when so many of its chunks are sent as ``after`` says, or so many calls as ``after_calls`` does. (Over gRPC
    a closed connection is the status that a client makes of one, ``UNAVAILABLE``.) ``headers`` are sent
    beside, or instead of, the usual.
    """

    text: str | None = None
    calls: Sequence[Call] = ()
    refusal: str | None = None
    truncated: bool = False
    finish_reason: str | None = None
    body: Any = None
    delta_size: _Size = 12
    interleave: bool = False
    chunk_size: _Size | None = None
    delay: NonNegativeFloat = 0
    chunk_delay: NonNegativeFloat = 0
    error: Error | None = None
    close: bool = False
    after: _Count | None = None
    after_calls: _Count | None = None
    gate: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Answer:
        if self.error and self.close:
            raise ValueError("an answer ends with an error or with a closed connection, not with both")
        if self.after is not None and self.after_calls is not None:
            raise ValueError("after and after_calls both say when the answer breaks off; one of them is enough")
        if self.breaks_off and not (self.error or self.close):
            name = "after" if self.after is not None else "after_calls"
            raise ValueError(f"{name} says when error or close happens, and neither is there")
        if self.after_calls is not None and self.after_calls > len(self.calls):
            raise ValueError(f"after_calls is {self.after_calls}, and the answer has {len(self.calls)} calls")
        return self

    @property
    def breaks_off(self) -> bool:
        """Whether its error or its end comes in its middle."""
        return self.after is not None or self.after_calls is not None


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class Rule(Answer):
    """An answer, and when it is given: when all of the conditions that are there hold.

    ``prompt`` is the exact text of the last user message, ``prompt_regex`` is searched in it, ``contains`` is
    a text anywhere in the messages. ``tools`` are names that must be among the tools offered, ``model`` the
    model's name. ``after_results`` says whether the conversation ends with results of tools, ``turn`` how
    often the model has spoken in it already: 0 is the first answer, 1 the one after the first results. A rule
    answers ``times`` times, without it always.
    """

    prompt: str | None = None
    prompt_regex: re.Pattern[str] | None = None
    contains: str | None = None
    tools: Sequence[str] = ()
    model: str | None = None
    after_results: bool | None = None
    turn: _Count | None = None
    times: _Size | None = None

    def applies(self, question: Question) -> bool:
        """Whether the conditions hold for ``question``; ``times`` is the script's to count."""
        return (
            self.prompt in (None, question.prompt)
            and (self.prompt_regex is None or self.prompt_regex.search(question.prompt) is not None)
            and (self.contains is None or any(self.contains in text for text in question.texts))
            and {tool.name for tool in question.tools}.issuperset(self.tools)
            and self.model in (None, question.model)
            and self.after_results in (None, question.after_results)
            and self.turn in (None, question.turn)
        )


class Script:
    """Rules in order, with what is left of each. Safe to ask from many threads."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._uses = [0] * len(self._rules)
        self._lock = Lock()

    def answer(self, question: Question) -> Answer | None:
        """The answer of the first rule that applies and has uses left, or None; one use is then spent."""
        with self._lock:
            for number, rule in enumerate(self._rules):
                if (rule.times is None or self._uses[number] < rule.times) and rule.applies(question):
                    self._uses[number] += 1
                    return rule
        return None


def read_rules(path: Path) -> list[Rule]:
    """The rules of a YAML file. Raises `ScriptError`, naming the file, the rule and the key."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScriptError(f"{path}: the script cannot be read: {error}") from error
    if not isinstance(document, dict) or list(document) != ["rules"] or not isinstance(document["rules"], list):
        raise ScriptError(f"{path}: a script is a mapping with one key, rules, that holds a list")
    try:
        return TypeAdapter(list[Rule]).validate_python(document["rules"])
    except ValidationError as error:
        problems = (
            f"  rule {int(problem['loc'][0]) + 1}, {_place(problem['loc'][1:])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ScriptError("\n".join([f"{path}: the script has mistakes:", *problems])) from error


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "the rule"
