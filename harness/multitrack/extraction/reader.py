"""From the calls of an answer to models, by the options of one `create`."""

from __future__ import annotations

from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast

from pydantic import BaseModel

from multitrack.errors import ExtractionError, StreamBroken
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.judgement import BadCall, Models, broken_off, flaw_of, joined, judged, left_incomplete
from multitrack.toolcall import ToolCall
from multitrack.wires import WireAnswer

T = TypeVar("T")

OnError = Literal["raise", "collect"]


class Verdict(NamedTuple):
    """What an answer came to: the result if nothing is raised, an error for each bad call, what is wrong with the
    answer itself, and all of it as one error."""

    extraction: Extraction[Any]
    bad: list[BadCall]
    flaw: ExtractionError | None
    problem: ExtractionError | None


class Reader(Generic[T]):
    """Reads the answer to one question, in however many pieces or attempts it comes.

    ``offered`` are the models by tool name; the options are those of `Toolset.parse`. A call that was read
    before, earlier in the stream or in an earlier attempt, keeps the model that it was given then.
    """

    __slots__ = ("_allow_empty", "_context", "_known", "_on_error", "offered")

    def __init__(
        self, offered: Models, *, on_error: OnError = "raise", allow_empty: bool = False, context: Any = None
    ) -> None:
        if on_error not in ("raise", "collect"):
            raise TypeError(f"on_error is {on_error!r}; it is 'raise' or 'collect'")
        self.offered = offered
        self._on_error = on_error
        self._allow_empty = allow_empty
        self._context = context
        self._known: list[tuple[ToolCall, BaseModel]] = []

    def arrived(self, call: ToolCall) -> T | None:
        """The model of a call that is complete before its answer is; None if it is bad, which the end tells."""
        model = judged(call, 1, self.offered, self._context)
        if isinstance(model, ExtractionError):
            return None
        self._known.append((call, model))
        return cast("T", model)

    def read(self, answer: WireAnswer, *, raw: Any = None, usage: Any = None) -> Verdict:
        """What ``answer`` comes to."""
        models, bad = self._judge(answer, complete=True)
        flaw = flaw_of(answer, bad, self.offered, allow_empty=self._allow_empty)
        return _verdict(answer, models, bad, flaw, raw, usage)

    def read_broken(self, answer: WireAnswer, reason: str, *, raw: Any = None, usage: Any = None) -> Verdict:
        """What ``answer`` comes to whose stream broke off: the calls that had `arrived` are good."""
        models, bad = self._judge(answer, complete=False)
        return _verdict(answer, models, bad, broken_off(answer, bad, reason), raw, usage)

    def settled(self, verdict: Verdict) -> Extraction[T]:
        """The result. Raises the problem, unless errors are collected; half a stream is no result even then."""
        if verdict.problem is None or (self._on_error == "collect" and not isinstance(verdict.problem, StreamBroken)):
            return verdict.extraction
        raise verdict.problem

    def keep(self, verdict: Verdict) -> None:
        """Know the good calls of ``verdict`` in the next attempt."""
        bad = {id(error.call) for error in verdict.bad}
        good = [call for call in verdict.extraction.calls if id(call) not in bad]
        self._known = list(zip(good, verdict.extraction, strict=True))

    def _judge(self, answer: WireAnswer, *, complete: bool) -> tuple[list[BaseModel], list[BadCall]]:
        of = len(answer.calls)
        known = _by_parts(self._known) if self._known else {}
        models: list[BaseModel] = []
        bad: list[BadCall] = []
        for call in answer.calls:
            if known and (same := known.get(_parts(call))):
                models.append(same.pop())
                continue
            model = judged(call, of, self.offered, self._context) if complete else left_incomplete(call, of)
            # not by BaseModel, an abstract class, of which Python code has to find out
            if isinstance(model, ExtractionError):
                bad.append(model)
            else:
                models.append(model)
        return models, bad


_Parts = tuple[str | None, str, str | None]


def _parts(call: ToolCall) -> _Parts:
    # not by its index: that of a call given early is the order of its arrival
    return call.id, call.name, call.arguments


def _by_parts(known: list[tuple[ToolCall, BaseModel]]) -> dict[_Parts, list[BaseModel]]:
    """The models of equal calls, the first one last."""
    models: dict[_Parts, list[BaseModel]] = {}
    for call, model in reversed(known):
        models.setdefault(_parts(call), []).append(model)
    return models


def _verdict(
    answer: WireAnswer, models: list[BaseModel], bad: list[BadCall], flaw: ExtractionError | None, raw: Any, usage: Any
) -> Verdict:
    problem = flaw or joined(answer, bad)
    errors: list[ExtractionError] = [*bad, *([flaw] if flaw else [])]
    if problem is not None:
        for error in {*bad, problem}:
            error.calls, error.models, error.errors = answer.calls, tuple(models), tuple(bad)
            error.text, error.raw = error.text or answer.text, raw
    extraction = Extraction(models, calls=answer.calls, errors=errors, raw=raw, usage=usage, text=answer.text)
    return Verdict(extraction, bad, flaw, problem)
