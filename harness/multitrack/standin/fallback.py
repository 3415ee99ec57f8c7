"""The answer where no rule applies: valid, and with no understanding of the prompt."""

from __future__ import annotations

from multitrack.standin.question import Question
from multitrack.standin.schema import UnsatisfiableError, example
from multitrack.standin.script import Answer, Call, ScriptError

FALLBACK_TEXT = (
    "This is Multitrack's stand-in, not a model. No rule of its script applies to this request, "
    "and it does not understand prompts."
)


def fallback(question: Question) -> Answer:
    """One schema-valid call per tool that may be called; a plain text where there is none, and after results.

    Raises `ScriptError` where no valid arguments can be made for a tool.
    """
    if question.after_results or not question.callable_tools:
        return Answer(text=FALLBACK_TEXT)
    calls = []
    for tool in question.callable_tools:
        try:
            calls.append(Call(tool.name, example(tool.schema)))
        except UnsatisfiableError as error:
            raise ScriptError(
                f"no valid arguments could be made for the tool {tool.name} ({error}); add a rule for it"
            ) from error
    return Answer(calls=calls)
