"""Select the answer to a request (from the script, or a default answer), and generate the ids in the answer."""

from __future__ import annotations

from typing import Any

from multitrack.schema_values import UnsatisfiableError, generate_value
from multitrack.standin.model_request import ModelRequest
from multitrack.standin.response_ids import IdGenerator, ResponseIds
from multitrack.standin.script import Script, ScriptedAnswer, ScriptedCall, ScriptedError, ScriptError

DEFAULT_TEXT = (
    "This is Multitrack's stand-in, not a model. No rule of its script applies to this request, "
    "and it does not understand prompts."
)


class AnswerSelector:
    """A selector of answers from a script. Thread-safe."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._ids = IdGenerator()

    def next_ids(self, wire: str, body: Any) -> ResponseIds:
        """Return the ids for the next response to ``body`` (parsed JSON). ``wire`` is the wire format."""
        return self._ids.next_ids(wire, body)

    def select(self, request: ModelRequest) -> ScriptedAnswer:
        """Return the answer to ``request``. If no answer is possible, return an error with status 500."""
        try:
            return self._script.find_answer(request) or _default_answer(request)
        except ScriptError as error:
            return internal_error_answer(error)


def _default_answer(request: ModelRequest) -> ScriptedAnswer:
    """Return the answer to a request that no rule applies to.

    The answer calls each callable tool once with valid arguments. If there is no such tool, the answer is plain text.
    After tool results, it is plain text, too, because another call would keep an agent running forever.

    Raises ``ScriptError`` if no valid arguments can be generated for a tool.
    """
    if request.after_results or not request.callable_tools:
        return ScriptedAnswer(text=DEFAULT_TEXT)
    calls = []
    for tool in request.callable_tools:
        try:
            calls.append(ScriptedCall(tool.name, generate_value(tool.schema)))
        except UnsatisfiableError as error:
            raise ScriptError(
                f"no valid arguments can be generated for the tool {tool.name} ({error}); add a rule for this tool"
            ) from error
    return ScriptedAnswer(calls=calls)


def internal_error_answer(error: Exception) -> ScriptedAnswer:
    """Return an error answer with the text of ``error``, which describes a mistake in the script."""
    return ScriptedAnswer(error=ScriptedError(status=500, message=f"multitrack.standin: {error}"))


def bad_request_answer(error: Exception) -> ScriptedAnswer:
    """Return the answer to a request that the provider would reject."""
    return ScriptedAnswer(error=ScriptedError(status=400, message=str(error)))
