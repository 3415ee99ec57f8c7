"""What one `create` asks for: the arguments that are ours, told from those that go to the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from multitrack import offers
from multitrack.extraction import Correction, Extraction, ExtractionStream, OnError, Reader, StreamSource, Toolset
from multitrack.wires import continue_conversation, read_answer

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")


class Question(Generic[T]):
    """One question to a provider: the tools to send along, and how to read the answer.

    Raises TypeError for a ``response_model`` of another form, a model that the wire cannot express, options
    that cannot be, and for tools of the caller's own.
    """

    OPTIONS: ClassVar = ("on_error", "allow_empty", "context", "max_retries", "strict", "stream", "tools")
    """The arguments of `create` that are read here; all others are the provider's."""

    def __init__(
        self,
        wire: str,
        response_model: TypeForm[Iterable[T]],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        max_retries: int = 0,
        strict: bool = False,
        stream: object = False,
        tools: object = None,
    ) -> None:
        if tools:
            raise TypeError("tools= cannot stand beside response_model=, which makes the tools: pass one of them")
        if not isinstance(max_retries, int) or max_retries < 0:
            raise TypeError(f"max_retries is {max_retries!r}; it is a whole number, from 0")
        if stream and max_retries:
            raise TypeError("max_retries cannot stand beside stream=True: what was yielded cannot be taken back")
        self._toolset = Toolset(response_model)
        self._reader: Reader[T] = Reader(
            self._toolset.models, on_error=on_error, allow_empty=allow_empty, context=context
        )
        self._correction = Correction(self._reader, max_retries)
        self._wire = wire
        self.tools = self._toolset.schemas(wire, strict=strict)
        self.streams = bool(stream)
        self.added: list[dict[str, Any]] = []
        """What stands behind the caller's conversation when the model is asked again."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools."""
        return self._toolset.names

    def sending(self) -> AbstractContextManager[None]:
        """To be open around the SDK's call: whoever sees the request can tell which models it offers."""
        return offers.offering(self._toolset.models)

    def answered(
        self,
        document: Mapping[str, Any],
        *,
        raw: Any,
        usage: Any,
        written: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> Extraction[T] | None:
        """The result, None if the model is to be asked again. Raises what `Toolset.extract` raises.

        ``written`` gives ``raw`` as it is on the wire, where ``document`` is not that already.
        """
        taken = self._correction.take(read_answer(document, self._wire), raw=raw, usage=usage)
        if isinstance(taken, Extraction):
            return taken
        document = written(raw) if written else document
        self.added += continue_conversation(document, taken.results, self._wire, remark=taken.remark)
        return None

    def streaming(self, source: StreamSource) -> ExtractionStream[T]:
        """The result while its answer is arriving."""
        return ExtractionStream(self._reader, source)
