"""Remember the text of each interaction in a cassette to which this process writes recordings.

If many tests record into one cassette, the file is read and written for each test. Without this module, all
interactions in the file would be parsed and formatted again for each test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from multitrack.tape.file.recordings import Recording
from multitrack.tape.interaction import Interaction


@dataclass(frozen=True, slots=True)
class InteractionText:
    """The YAML text of an interaction in the cassette."""

    position: int
    """The interaction's position, which the comments mention."""
    comments: bytes
    summary: tuple[str, ...]
    """The lines of the comments. The first one lacks the position."""
    content: tuple[bytes | bytearray, ...]
    """The text, in parts if it is large."""
    pieces: dict[str, str]
    """The large pieces of base64 that are stored at the end of the file."""


@dataclass(slots=True)
class KnownTexts:
    """The interactions of one cassette and their texts, as of the last time that the cassette was read or written."""

    _interactions: dict[bytes, Interaction] = field(default_factory=dict)
    _pieces: Mapping[str, str] = field(default_factory=dict)
    _texts: dict[int, tuple[Interaction, InteractionText]] = field(default_factory=dict)
    _written: dict[bytes, InteractionText] = field(default_factory=dict)
    _recordings: dict[bytes, Sequence[Recording]] = field(default_factory=dict)

    def read_all(
        self, texts: list[bytes], pieces: Mapping[str, str], read: Callable[[bytes], Interaction]
    ) -> list[Interaction]:
        """Return one interaction for each of the ``texts`` in a file. Call ``read`` only for unknown texts.

        Args:
            texts: The YAML texts of the interactions.
            pieces: The large base64 values that are stored at the end of the file: a dictionary from name to value.
                The texts contain the names instead of the values.
            read: Parses a text.
        """
        are_kept = all(pieces.get(name) == piece for name, piece in self._pieces.items())
        known = self._interactions if are_kept else {}
        self._pieces = pieces
        self._interactions = {text: known[text] if text in known else read(text) for text in texts}
        for text, interaction in self._interactions.items():
            if text not in known and text in self._written:
                # this process wrote the text, so it would format the interaction in the same way again
                self._texts[id(interaction)] = interaction, self._written[text]
        return [self._interactions[text] for text in texts]

    def find_text(self, interaction: Interaction) -> InteractionText | None:
        """Return the text that is remembered for ``interaction``, or ``None`` if there is none."""
        # by identity: comparing two interactions would compare their bodies
        _, text = self._texts.get(id(interaction), (None, None))
        return text

    def add_text(self, interaction: Interaction, text: InteractionText) -> None:
        """Remember the ``text`` of ``interaction``."""
        self._texts[id(interaction)] = interaction, text
        if len(text.content) == 1:
            self._written[bytes(text.content[0])] = text

    def forget_others(self, interactions: Iterable[Interaction]) -> None:
        """Keep only the texts of ``interactions``, which are the cassette's current interactions."""
        texts, self._texts, self._written, self._recordings = self._texts, {}, {}, {}
        for interaction in interactions:
            self.add_text(*texts[id(interaction)])

    def add_recordings(self, entry: bytes, recordings: Sequence[Recording]) -> None:
        """Remember the ``recordings`` that the journal's ``entry`` contains."""
        self._recordings[entry] = recordings

    def find_recordings(self, entry: bytes) -> Sequence[Recording] | None:
        """Return the recordings that are remembered for the journal's ``entry``, or ``None`` if there are none."""
        return self._recordings.get(entry)
