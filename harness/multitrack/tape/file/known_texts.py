"""The interactions of a cassette that this process records to, with their texts in the file.

If many tests record into one cassette, it is read and written for each of them. Without this, all its interactions
would be parsed and formatted each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from multitrack.tape.interaction import Interaction

_PIECE = b"multitrack:sha256:"


@dataclass(frozen=True, slots=True)
class InteractionText:
    """An interaction as it is written."""

    position: int
    """The position that the comments name."""
    comments: bytes
    content: bytes
    pieces: dict[str, str]
    """The large pieces of base64 that are stored at the end of the file."""


@dataclass(slots=True)
class KnownTexts:
    """The interactions of one cassette, as they were last read and written."""

    _interactions: dict[bytes, Interaction] = field(default_factory=dict)
    _texts: dict[int, tuple[Interaction, InteractionText]] = field(default_factory=dict)

    def read_all(self, texts: list[bytes], read: Callable[[bytes], Interaction]) -> list[Interaction]:
        """Return the interactions for the ``texts`` of a file. Only those that are new are ``read``."""
        known = self._interactions
        # the pieces of base64 that a text names are stored elsewhere in the file
        found = {text: known[text] if text in known and _PIECE not in text else read(text) for text in texts}
        self._interactions = found
        return [found[text] for text in texts]

    def find_text(self, interaction: Interaction) -> InteractionText | None:
        """Return the text of ``interaction``. `None` if it is not known."""
        # by identity: comparing two interactions would compare their bodies
        _, text = self._texts.get(id(interaction), (None, None))
        return text

    def replace_texts(self, texts: list[tuple[Interaction, InteractionText]]) -> None:
        """Remember ``texts``, and nothing else."""
        self._texts = {id(interaction): (interaction, text) for interaction, text in texts}
