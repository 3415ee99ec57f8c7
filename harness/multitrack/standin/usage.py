"""Estimate the token counts that the stand-in reports from the length of the text, without a tokenizer."""

from __future__ import annotations

from multitrack.standin.model_request import ModelRequest
from multitrack.standin.script import ScriptedAnswer

_CHARACTERS_PER_TOKEN = 4


def count_prompt_tokens(request: ModelRequest) -> int:
    """Return the estimated token count of a request."""
    return _count_tokens(*request.texts, *(tool.name for tool in request.tools))


def count_answer_tokens(answer: ScriptedAnswer) -> int:
    """Return the estimated token count of an answer."""
    calls = (text for call in answer.calls for text in (call.name, call.text or ""))
    return _count_tokens(answer.text or "", answer.refusal or "", *calls)


def _count_tokens(*texts: str) -> int:
    return max(1, sum(map(len, texts)) // _CHARACTERS_PER_TOKEN)
