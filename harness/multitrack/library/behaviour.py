"""A recorded behaviour of a provider, and the list of all behaviours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from multitrack.library import cassette_files
from multitrack.library.catalogue import BY_NAME, CELLS, list_cells
from multitrack.library.requests import ends_with_results

if TYPE_CHECKING:
    from multitrack.tape.interaction import Interaction
    from multitrack.tool_call import ToolCall


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A behaviour in one wire format.

    Attributes:
        wire: The wire format, such as ``anthropic`` or ``anthropic.stream``. ``gemini.grpc`` is Vertex AI over gRPC.
        name: The name of the behaviour, such as ``one_call``. It is the same for all wire formats.
    """

    wire: str
    name: str

    @property
    def __name__(self) -> str:
        # pytest uses it as the id of a parameter
        return f"{self.wire}-{self.name}"

    def __str__(self) -> str:
        return self.__name__

    @property
    def description(self) -> str:
        """What the provider does, in one sentence."""
        return BY_NAME[self.name].description

    @property
    def seen(self) -> tuple[str, ...]:
        """Where the behaviour is described or was seen: provider pages, issues, or recorded answers."""
        return BY_NAME[self.name].seen

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """The recorded requests and responses, without the final text that follows tool results."""
        return tuple(one for one in self._recorded if not ends_with_results(one.request))

    @property
    def final(self) -> Interaction | None:
        """The interaction in which the model receives the results of its calls. None if the behaviour has no calls."""
        return next((one for one in self._recorded if ends_with_results(one.request)), None)

    @property
    def _recorded(self) -> tuple[Interaction, ...]:
        return cassette_files.read_cassette(self.wire, self.name).interactions

    @property
    def provenance(self) -> str:
        """``corpus`` if a provider's answer was recorded; ``standin`` if the stand-in provider wrote the answer."""
        return self.interactions[-1].provenance

    @property
    def source(self) -> str:
        """The id of the provider's answer that was recorded. Empty if the stand-in provider wrote the answer."""
        return self.interactions[-1].source

    @property
    def status(self) -> int:
        """The HTTP status of the last response; 599 if there was none."""
        return self.interactions[-1].response.status

    @property
    def body(self) -> bytes:
        """The body of the last response. Empty if there was no response."""
        return self.interactions[-1].response.body

    @property
    def wire_format(self) -> str:
        """The name of ``body``'s format, for ``multitrack.decode``. The name is the same for REST and for gRPC."""
        return self.wire.replace(".grpc", "")

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The recorded tool calls in order, with the same content as the calls from ``multitrack.decode``."""
        from multitrack import wires

        return wires.read_answer(self.body, self.wire_format).calls if self.body and self.status < 400 else ()


def behaviours(wire: str | None = None, name: str | None = None) -> list[Behaviour]:
    """Return the library's behaviours, for example to parametrize a test.

    Args:
        wire: Only behaviours of this wire format. With ``.stream``, only streamed answers; otherwise streamed and
            unstreamed answers. Default: all wire formats.
        name: Only the behaviour with this name. Default: all behaviours.

    Raises:
        ValueError: There is no such wire format or behaviour.
    """
    if wire is not None and wire not in CELLS:
        raise ValueError(f"unknown wire format {wire!r}; use one of: {', '.join(CELLS)}")
    if name is not None and name not in BY_NAME:
        raise ValueError(f"unknown behaviour {name!r}; use one of: {', '.join(BY_NAME)}")
    recorded = cassette_files.list_cassettes()
    return [
        Behaviour(cell, entry.name)
        for entry, cell in list_cells()
        if (cell, entry.name) in recorded
        and (wire is None or cell in (wire, f"{wire}.stream"))
        and name in (None, entry.name)
    ]
