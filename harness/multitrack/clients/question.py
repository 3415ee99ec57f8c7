"""What one `create` asks for: the arguments that are ours, told from those that go to the provider."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from multitrack import offers
from multitrack.extraction import Extraction, OnError, Toolset
from multitrack.wires import Answer

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")


class Question(Generic[T]):
    """One question to a provider: the tools to send along, and how to read the answer.

    Raises TypeError for a ``response_model`` of another form, a model that the wire cannot express, an
    argument that is not supported, and for tools of the caller's own.
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
        for name, given in (("stream=True", stream), ("strict=True", strict), ("max_retries", max_retries)):
            if given:
                raise TypeError(f"{name} is not supported beside response_model= in this version")
        if on_error not in ("raise", "collect"):
            raise TypeError(f"on_error is {on_error!r}; it is 'raise' or 'collect'")
        self._toolset = Toolset(response_model)
        self._on_error: OnError = on_error
        self._allow_empty = allow_empty
        self._context = context
        self.tools = self._toolset.schemas(wire)

    def sending(self) -> AbstractContextManager[None]:
        """To be open around the SDK's call: whoever sees the request can tell which models it offers."""
        return offers.offering(self._toolset.models)

    def answered(self, answer: Answer, *, raw: Any, usage: Any) -> Extraction[T]:
        """The result. Raises what `Toolset.extract` raises."""
        return self._toolset.extract(
            answer,
            on_error=self._on_error,
            allow_empty=self._allow_empty,
            context=self._context,
            raw=raw,
            usage=usage,
        )
