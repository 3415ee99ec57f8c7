"""The method calls on a tape, by which a request finds what was recorded over another transport."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from multitrack.tape import transcoding
from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching import Entry, Index, Key, KeyOf, key_of
from multitrack.tape.transcoding import Address


class MethodCalls:
    """Those among the interactions of ``index`` that are calls of a method with more than one transport.

    ``key`` makes the key of a call, ``left`` leaves of a request what takes part in matching. Nothing of Google's is
    imported before a request meets a recording that may be the same call.
    """

    def __init__(self, index: Index, key: KeyOf, left: Callable[[Request], Request]) -> None:
        self._index = index
        self._key = key
        self._left = left
        self._keys: dict[tuple[int, str], Key | None] = {}

    def take(self, sent: Request, placeholders: Collection[str], key: Key) -> Interaction | None:
        """The first interaction not yet played that made the same call as ``sent`` over another transport, which
        counts as played from now on. ``sent`` is scrubbed and has ``key``; ``placeholders`` stand in it for names."""
        address = Address.of(sent.url)
        if address is None or not (entries := list(self._over_others(address))):
            return None
        call = transcoding.method_call(sent, address.version)
        if call is None:
            return None
        wanted = self._key(call, placeholders)
        calls = [(entry, recorded) for entry in entries if (recorded := self._key_of(entry, address.version))]
        # what is equal comes before what takes any text in the place of a hole
        for entry, recorded in sorted(calls, key=lambda pair: pair[1].body != wanted.body):
            if replace(entry, key=recorded).takes(wanted):
                return self._index.play(entry, key)
        return None

    def _over_others(self, address: Address) -> Iterator[Entry]:
        for entry in self._index.entries:
            recorded = Address.of(entry.interaction.request.url)
            if recorded is None or entry.played or recorded.streams != address.streams:
                continue
            # an answer that was cut off, was so by its transport
            if recorded.encoding != address.encoding and entry.interaction.response.ending == "complete":
                yield entry

    def _key_of(self, entry: Entry, version: str) -> Key | None:
        place = (entry.position, version)
        if place not in self._keys:
            call = transcoding.method_call(self._left(entry.interaction.request), version)
            provenance = entry.interaction.provenance
            self._keys[place] = key_of(call, provenance, self._index.placeholders, self._key) if call else None
        return self._keys[place]
