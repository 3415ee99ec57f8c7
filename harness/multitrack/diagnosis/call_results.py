"""Validate recorded tool calls with the Pydantic models that this process has imported."""

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
from multitrack.tape.answer_wire import may_be_answer
from multitrack.tape.interaction import Interaction
from multitrack.tape.model_paths import ModelPaths, find_loaded
from multitrack.tool_call import ToolCall
from multitrack.wires import WireAnswer

UNKNOWN = "?"
"""The fingerprint of a result that is unknown, or that differs each time the call is validated."""

ImportPathLookup = Callable[[str], object]
"""Returns the object at an import path such as ``trip.models:Weather``, or None if there is none."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of validating a call.

    Args:
        call: The tool call.
        model: The Pydantic model of the called tool. None if the model is unknown.
        outcome: The instance of the model, or the error. None if the model is unknown. If the error is not a
            ``MultitrackError``, a validator raised it.
    """

    call: ToolCall
    model: type[BaseModel] | None
    outcome: BaseModel | Exception | None

    @property
    def fingerprint(self) -> str:
        """A short text that differs for different results. ``UNKNOWN`` if the result cannot be compared."""
        match self.outcome:
            case UnknownTool():
                return "unknown tool"
            case InvalidArguments():
                return f"invalid:{fingerprint(repr([(error['loc'], error['type']) for error in self.outcome.details]))}"
            case BaseModel():
                try:
                    return fingerprint(canonical_text(to_call(self.outcome)))
                except TypeError:  # it contains a value that cannot be written as text
                    return UNKNOWN
        return UNKNOWN


def fingerprint(text: str) -> str:
    """Return the first eight hex digits of the SHA-256 hash of ``text``."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def parse_answer(body: bytes) -> WireAnswer | None:
    """Read a model's answer from a response body. Return ``None`` if no wire format recognizes the body."""
    if not may_be_answer(body):
        return None
    document: Any = body
    # parse the body once, because both functions below need the parsed body
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
    wire = wires.recognize(document)
    return None if wire is None else wires.read_answer(document, wire)


def find_models(interaction: Interaction, paths: ModelPaths, find: ImportPathLookup = find_loaded) -> Models:
    """Return a dictionary from the name of each tool in a request to the tool's Pydantic model.

    If this process offered models with the request, these are returned. Otherwise, the models are found by their
    import paths. A path in the project's settings has priority over a path in the cassette.
    """
    if interaction.offered_models:
        return interaction.offered_models
    at: Mapping[str, str] = {**dict(interaction.models), **paths.tools}
    return {tool: model for tool, path in at.items() if is_model_class(model := find(path))}


def is_model_class(found: object) -> TypeGuard[type[BaseModel]]:
    """Return whether ``found`` is a subclass of ``BaseModel``."""
    return isinstance(found, type) and issubclass(found, BaseModel)


def validate_calls(answer: WireAnswer, models: Models, *, offered: bool) -> list[CallResult]:
    """Validate each call in ``answer``.

    Args:
        answer: The model's answer.
        models: The Pydantic model of each tool, keyed by the tool's name.
        offered: Whether ``models`` has a model for every offered tool. If true, a call to a tool without a model is
            an error. If false, the result of this call is unknown.
    """
    of = len(answer.calls)
    return [
        CallResult(call, models.get(call.name), _validate(call, of, models) if offered or call.name in models else None)
        for call in answer.calls
    ]


def _validate(call: ToolCall, of: int, models: Models) -> BaseModel | Exception:
    try:
        return validate_call(call, of, models, None)
    except Exception as error:  # raised by a validator, which may need the context that was passed to `create`
        return error


class ResponseValidator:
    """A validator that checks recorded responses with Pydantic models that are already imported.

    The validator itself imports nothing.

    Args:
        paths: The import paths of models that are used with clients other than Multitrack's.
    """

    def __init__(self, paths: ModelPaths = ModelPaths()) -> None:  # noqa: B008 - it is frozen
        self._paths = paths

    def validate(self, interaction: Interaction) -> list[CallResult] | None:
        """Validate each call in a response.

        Returns ``None`` if the response has no answer from a language model, or if the Pydantic model of every tool
        is unknown.
        """
        answer = parse_answer(interaction.response.body)
        if answer is None:
            return None
        models = find_models(interaction, self._paths)
        if answer.calls and not models:
            return None
        return validate_calls(answer, models, offered=bool(interaction.offered_models))

    def result_fingerprints(self, interaction: Interaction) -> tuple[str, ...] | None:
        """Validate each call in a response, and return the fingerprints of the results.

        Each call is validated twice. The fingerprint is ``UNKNOWN`` if the two results differ, for example because a
        default is the current time.
        """
        first = self.validate(interaction)
        if first is None:
            return None
        again = self.validate(interaction) or []
        pairs = zip(first, again, strict=True)
        return tuple(one.fingerprint if one.fingerprint == other.fingerprint else UNKNOWN for one, other in pairs)
