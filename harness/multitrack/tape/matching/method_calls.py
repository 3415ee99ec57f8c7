"""The method calls on a tape, by which a request finds what was recorded over another transport."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from multitrack.tape.exchange import Request
from multitrack.tape.google import transcoding
from multitrack.tape.google.transcoding import Address
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import Entry, Index, Key, KeyOf, key_of


@dataclass(frozen=True, slots=True)
class OverOthers:
    """A request beside what was recorded of its method over other transports.

    ``request`` and each of ``recorded`` are spelled as method calls, and ``key`` and the keys of the entries are those
    of the calls. ``problem`` says why one of them could not be spelled so; a ``request`` that could not is as it was
    sent, and nothing is in ``recorded``.
    """

    request: Request
    key: Key
    recorded: Sequence[tuple[Entry, Request]] = ()
    problem: str | None = None

    @property
    def answered(self) -> Sequence[Entry]:
        """The recordings, all played by now, that answer the request."""
        return [entry for entry, _ in self.recorded if entry.played and entry.takes(self.key)]


class MethodCalls:
    """Those among the interactions of ``index`` that are calls of a method with more than one transport.

    ``key`` makes the key of a call, ``left`` leaves of a request what takes part in matching. Nothing of Google's is
    imported before a request meets a recording that may be the same call.
    """

    def __init__(self, index: Index, key: KeyOf, left: Callable[[Request], Request]) -> None:
        self._index = index
        self._key = key
        self._left = left
        self._calls: dict[tuple[int, str], tuple[Request, Key] | str] = {}

    def take(self, sent: Request, placeholders: Collection[str], key: Key) -> Interaction | None:
        """The first interaction not yet played that made the same call as ``sent`` over another transport, which
        counts as played from now on. ``sent`` is scrubbed and has ``key``; ``placeholders`` stand in it for names."""
        others = self.near(sent, placeholders)
        if others is None:
            return None
        # what is equal comes before what takes any text in the place of a hole
        for entry, _ in sorted(others.recorded, key=lambda pair: pair[0].key.body != others.key.body):
            # an answer that was cut off, was so by its transport
            if not entry.played and entry.interaction.response.ending == "complete" and entry.takes(others.key):
                return self._index.play(self._index.entries[entry.position - 1], key)
        return None

    def near(self, sent: Request, placeholders: Collection[str]) -> OverOthers | None:
        """``sent`` beside all calls of its method over other transports; None where there are none."""
        address = Address.of(sent.url)
        if address is None or not (entries := list(self._over_others(address))):
            return None
        try:
            call = transcoding.method_call(sent, address.version)
        except ValueError as error:
            return OverOthers(sent, self._key(sent, placeholders), problem=str(error))
        recorded: list[tuple[Entry, Request]] = []
        problem = None
        for entry in entries:
            found = self._call(entry, address.version)
            if isinstance(found, str):
                problem = problem or found
            else:
                recorded.append((replace(entry, key=found[1]), found[0]))
        return OverOthers(call, self._key(call, placeholders), recorded, problem)

    def _over_others(self, address: Address) -> Iterator[Entry]:
        for entry in self._index.entries:
            recorded = Address.of(entry.interaction.request.url)
            if recorded is not None and recorded.method == address.method and recorded.encoding != address.encoding:
                yield entry

    def _call(self, entry: Entry, version: str) -> tuple[Request, Key] | str:
        """The recorded call, and its key; why it cannot be spelled so, where it cannot."""
        place = (entry.position, version)
        if place not in self._calls:
            self._calls[place] = self._spelled(entry.interaction, version)
        return self._calls[place]

    def _spelled(self, interaction: Interaction, version: str) -> tuple[Request, Key] | str:
        try:
            call = transcoding.method_call(self._left(interaction.request), version)
        except ValueError as error:
            return str(error)
        return call, key_of(call, interaction.provenance, self._index.placeholders, self._key)
