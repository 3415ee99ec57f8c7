"""How many tokens a stand-in says it used: a number that follows from the texts, not a tokenizer's."""

from __future__ import annotations

from multitrack.standin.question import Question
from multitrack.standin.script import Answer

_CHARACTERS_PER_TOKEN = 4


def prompt_tokens(question: Question) -> int:
    """The tokens of a request."""
    return _tokens(*question.texts, *(tool.name for tool in question.tools))


def answer_tokens(answer: Answer) -> int:
    """The tokens of an answer."""
    calls = (part for call in answer.calls for part in (call.name, call.text or ""))
    return _tokens(answer.text or "", answer.refusal or "", *calls)


def _tokens(*texts: str) -> int:
    return max(1, sum(map(len, texts)) // _CHARACTERS_PER_TOKEN)
