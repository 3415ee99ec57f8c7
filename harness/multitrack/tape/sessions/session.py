"""The base class of the sessions, which decide how to proceed with a tape's requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from multitrack.tape.answered_request import AnsweredRequest
from multitrack.tape.exchange import Request, Route, StreamRoute
from multitrack.tape.interaction import Interaction
from multitrack.tape.replay_lookup import ReplayLookup


class Session(ABC):
    """The base class of the sessions. A session decides how to proceed with one tape's requests.

    A session receives one request at a time. The tape has already decoded the request and learned its secrets.
    """

    replays = False
    """True if recordings answer requests."""
    writes = False
    """True if live responses are written to the cassette."""
    is_compared = False
    """True if live responses are compared with the recordings when the tape is closed."""

    @property
    def is_offline(self) -> bool:
        """True if no request is sent to the network."""
        return self.replays and not self.writes

    @property
    def uses_cassette(self) -> bool:
        """True if the session reads the cassette."""
        return self.replays or self.writes or self.is_compared

    @property
    def lookup(self) -> ReplayLookup | None:
        """The recordings that requests are matched with. ``None`` if there are none."""
        return None

    @property
    def played(self) -> Sequence[Interaction]:
        """The interactions that were replayed, in order."""
        return []

    @property
    def sent_exchanges(self) -> Sequence[Interaction]:
        """The interactions in ``played``, with the requests that the test sent."""
        return self.played

    @property
    def answered_requests(self) -> Sequence[AnsweredRequest]:
        """The requests that were answered from recordings, in order. Streaming requests are not included."""
        return []

    @abstractmethod
    def route(self, request: Request) -> Route:
        """Decide how to proceed with ``request``.

        Raises:
            CassetteMiss: There is no matching recording.
            LiveCall: The request would be sent to the provider with a stand-in instead of a credential.
        """

    @abstractmethod
    def route_stream(self, request: Request) -> StreamRoute:
        """Decide how to proceed with a streaming ``request`` before its first message.

        Raises the same errors as ``route``.
        """

    def list_interactions(
        self, previous: Sequence[Interaction], recorded: Sequence[Interaction]
    ) -> Sequence[Interaction]:
        """Return the interactions to store in the cassette: first ``previous``, and then ``recorded``."""
        return (*previous, *recorded)
