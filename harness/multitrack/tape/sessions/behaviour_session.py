"""The session for ``@pytest.mark.behaviour``: a recorded behaviour answers all requests in its wire format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn, Protocol

from multitrack.errors import CassetteMiss
from multitrack.model_context import current_models
from multitrack.tape.exchange import Replay, Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.sessions.session import Session
from multitrack.tape.violations import Violations


class UnanswerableRequestError(Exception):
    """A behaviour has no answer to a request. The message says why, and what to do."""


class AnswerSource(Protocol):
    """An object that selects an answer without comparing the request with recordings."""

    def answer(self, request: Request) -> Interaction:
        """Return the interaction with the answer to ``request``.

        Raises:
            UnanswerableRequestError: There is no answer.
        """


class BehaviourSession(Session):
    """A session that answers all requests from an ``AnswerSource``.

    The session sends no request to the network, whatever its mode is.
    """

    replays = True

    def __init__(
        self, source: AnswerSource, violations: Violations, redact: Callable[[Request], Request], *, pace: str
    ) -> None:
        """Create the session.

        Args:
            source: The source of the answers.
            violations: The tape's violations, to which requests without an answer are added.
            redact: Returns a request without secrets.
            pace: The speed of the responses, one of ``settings.PACES``.
        """
        self._source = source
        self._violations = violations
        self._redact = redact
        self._pace = pace
        self._played: list[Interaction] = []
        self._sent_exchanges: list[Interaction] = []

    @property
    def played(self) -> Sequence[Interaction]:
        """The interactions that answered the requests, in order.

        Each interaction contains the recorded request, not the request that was sent.
        """
        return self._played

    @property
    def sent_exchanges(self) -> Sequence[Interaction]:
        """The answers, in order, each with the request that the test sent."""
        return self._sent_exchanges

    def route(self, request: Request) -> Replay:
        """Answer ``request`` with the recorded behaviour. Raise ``CassetteMiss`` if the behaviour has no answer."""
        try:
            interaction = self._source.answer(request)
        except UnanswerableRequestError as error:
            self._raise_miss(request, str(error))
        self._played.append(played := replace(interaction, offered_models=current_models()))
        self._sent_exchanges.append(replace(played, request=self._redact(request)))
        return Replay.at_pace(interaction.response, self._pace, request.header("accept-encoding"))

    def route_stream(self, request: Request) -> NoReturn:
        """Refuse a gRPC method that streams its requests. No supported wire format has such a method."""
        self._raise_miss(
            request, "a behaviour cannot answer a call that streams its requests; record the call in a cassette"
        )

    def _raise_miss(self, request: Request, reason: str) -> NoReturn:
        miss = CassetteMiss(f"{request.method} {request.url} has no answer\n  {reason}")
        miss.body = request.body
        self._violations.add(miss)
        raise miss
