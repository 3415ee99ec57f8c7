"""Where answers come from: the script, or else the fallback; with the ids that go with them."""

from __future__ import annotations

from typing import Any

from multitrack.standin.fallback import fallback
from multitrack.standin.ids import Ids, Occurrences
from multitrack.standin.question import Question
from multitrack.standin.script import Answer, Error, Script, ScriptError


class Source:
    """Answers questions. Safe to use from many threads."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._occurrences = Occurrences()

    def ids(self, wire: str, body: Any) -> Ids:
        """The ids for the next answer to ``body``, parsed JSON, on ``wire``."""
        return self._occurrences.ids(wire, body)

    def answer(self, question: Question) -> Answer:
        """What is answered to ``question``. A question without a possible answer is answered as `mistake`."""
        try:
            return self._script.answer(question) or fallback(question)
        except ScriptError as error:
            return mistake(error)


def mistake(error: Exception) -> Answer:
    """The answer that tells the client, and so its developer, of a mistake in the script."""
    return Answer(error=Error(status=500, message=f"multitrack.standin: {error}"))


def refusal(error: Exception) -> Answer:
    """The answer to a request that the provider would refuse."""
    return Answer(error=Error(status=400, message=str(error)))
