"""Replace the requests of recorded interactions with the requests that tests now send, and keep the responses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction


@dataclass(frozen=True, slots=True)
class Rebinding:
    """A recorded interaction whose request gets a new body.

    Args:
        recorded: The interaction as it was read from the cassette.
        body: The new body of the request, redacted.
        test: The test that sends the new body. ``None`` outside of any test.
        pseudonyms: The pseudonyms that the new body can contain.
    """

    recorded: Interaction
    body: bytes
    test: str | None
    pseudonyms: frozenset[str] = frozenset()

    @property
    def result(self) -> Interaction:
        """The interaction with the new request body."""
        request = replace(self.recorded.request, body=self.body)
        return replace(self.recorded, request=request, rebound=True)


def apply_rebindings(cassette: Cassette, rebindings: Iterable[Rebinding]) -> tuple[Cassette, Sequence[Rebinding]]:
    """Return ``cassette`` with the ``rebindings`` applied, and the rebindings whose interaction is not in the cassette.

    If an interaction also belongs to other tests, it stays unchanged for them, and a copy of it gets the new request.
    """
    interactions, lost = list(cassette.interactions), []
    words = set(cassette.placeholders)
    for one in rebindings:
        if not _apply(interactions, one):
            lost.append(one)
        words |= {word for word in one.pseudonyms if word.encode() in one.body}
    metadata = cassette.metadata
    if words != cassette.placeholders:
        metadata = {**metadata, "placeholders": sorted(words)}
    return Cassette(tuple(interactions), metadata), lost


def _apply(interactions: list[Interaction], rebinding: Rebinding) -> bool:
    result, test = rebinding.result, rebinding.test
    original = _find(interactions, rebinding.recorded, test)
    # another test, or another block in the same test, may have rebound it before
    done = _find(interactions, result, test)
    if done is not None and interactions[done].rebound and (original is None or test not in interactions[done].tests):
        interactions[done] = _add_test(interactions[done], test)
        if original is not None:
            _remove_test(interactions, original, test)
        return True
    if original is None:
        return False
    found = interactions[original]
    others = tuple(other for other in found.tests if other != test)
    if not others:
        interactions[original] = replace(result, tests=found.tests)
    else:
        tests = () if test is None else (test,)
        interactions[original : original + 1] = [replace(found, tests=others), replace(result, tests=tests)]
    return True


def _find(interactions: Sequence[Interaction], wanted: Interaction, test: str | None) -> int | None:
    """Return the position of an interaction with the request and the response of ``wanted``. None if there is none.

    If there are several, return the first that ``test`` has recorded, or else the first of all.
    """
    same = [
        position
        for position, one in enumerate(interactions)
        if one.request == wanted.request and one.response == wanted.response
    ]
    return min(same, key=lambda position: not interactions[position].belongs_to(test), default=None)


def _add_test(interaction: Interaction, test: str | None) -> Interaction:
    if test is None or test in interaction.tests:
        return interaction
    return replace(interaction, tests=(*interaction.tests, test))


def _remove_test(interactions: list[Interaction], position: int, test: str | None) -> None:
    found = interactions[position]
    if test is None or test not in found.tests:
        return
    if others := tuple(other for other in found.tests if other != test):
        interactions[position] = replace(found, tests=others)
    else:
        del interactions[position]
