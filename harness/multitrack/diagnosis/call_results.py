"""What comes of the calls of a recorded answer with the models of this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeGuard

from pydantic import BaseModel

from multitrack import wires
from multitrack.errors import InvalidArguments, UnknownTool
from multitrack.extraction.validation import Models, validate_call
from multitrack.snapshots.conversion import to_call
from multitrack.snapshots.expressions import canonical_text
from multitrack.tape.interaction import Interaction
from multitrack.tape.model_paths import ModelPaths, find_loaded
from multitrack.tool_call import ToolCall
from multitrack.wires import WireAnswer

UNKNOWN = "?"
"""What came of a call where nobody can tell, or where it differs from one time to the next."""

Find = Callable[[str], object]
"""Gives what stands at an import path, None if nothing does."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """A ``call`` and what comes of it by its ``model``: an instance, or the error. None where no model is known; an
    error that is none of ours is a validator's own."""

    call: ToolCall
    model: type[BaseModel] | None
    outcome: BaseModel | Exception | None

    @property
    def fingerprint(self) -> str:
        """A short text that is another one for another result."""
        match self.outcome:
            case UnknownTool():
                return "unknown tool"
            case InvalidArguments():
                return f"invalid:{fingerprint(repr([(error['loc'], error['type']) for error in self.outcome.details]))}"
            case BaseModel():
                try:
                    return fingerprint(canonical_text(to_call(self.outcome)))
                except TypeError:  # it holds what no text can express
                    return UNKNOWN
        return UNKNOWN


def fingerprint(text: str) -> str:
    """Eight hex digits that tell ``text`` from others."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def parse_answer(body: bytes) -> WireAnswer | None:
    """What a model answered; None where ``body`` is of another kind."""
    document: Any = body
    # read once, and not by each of the two
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
    wire = wires.recognize(document)
    return None if wire is None else wires.read_answer(document, wire)


def find_models(interaction: Interaction, paths: ModelPaths, find: Find = find_loaded) -> Models:
    """The models behind the tools of a request: those that it offers in this process, else those that stand at the
    import paths that the tape or the project tells."""
    if interaction.offered_models:
        return interaction.offered_models
    at: Mapping[str, str] = {**dict(interaction.models), **paths.tools}
    return {tool: model for tool, path in at.items() if is_model_class(model := find(path))}


def is_model_class(found: object) -> TypeGuard[type[BaseModel]]:
    """Whether that is a class of models."""
    return isinstance(found, type) and issubclass(found, BaseModel)


def validate_calls(answer: WireAnswer, models: Models, *, offered: bool) -> list[CallResult]:
    """What comes of each call of ``answer``. ``offered``: whether ``models`` are all that were offered, so that a call
    of another tool is bad; else, nobody can tell what becomes of that."""
    of = len(answer.calls)
    return [
        CallResult(call, models.get(call.name), _judged(call, of, models) if offered or call.name in models else None)
        for call in answer.calls
    ]


def _judged(call: ToolCall, of: int, models: Models) -> BaseModel | Exception:
    try:
        return validate_call(call, of, models, None)
    except Exception as error:  # a validator's own: it may need the context that `create` was given
        return error


class ResponseValidator:
    """Tells what comes of recorded answers with the models that are imported already; imports none.

    ``paths`` say where the models are of code that uses other clients than ours.
    """

    def __init__(self, paths: ModelPaths = ModelPaths()) -> None:  # noqa: B008 - it is frozen
        self._paths = paths

    def validate(self, interaction: Interaction) -> list[CallResult] | None:
        """What comes of each call of an answer; None where no model of it is known."""
        answer = parse_answer(interaction.response.body)
        if answer is None:
            return None
        models = find_models(interaction, self._paths)
        if answer.calls and not models:
            return None
        return validate_calls(answer, models, offered=bool(interaction.offered_models))

    def result_fingerprints(self, interaction: Interaction) -> tuple[str, ...] | None:
        """The same, each by its fingerprint. What differs at once from one time to the next, such as a default that
        is made of the time, tells nothing."""
        first = self.validate(interaction)
        if first is None:
            return None
        again = self.validate(interaction) or []
        pairs = zip(first, again, strict=True)
        return tuple(one.fingerprint if one.fingerprint == other.fingerprint else UNKNOWN for one, other in pairs)
