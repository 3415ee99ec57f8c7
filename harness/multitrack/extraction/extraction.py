"""The result of an extraction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from multitrack.errors import ExtractionError
from multitrack.extraction.continuation import Continuation, assign_results
from multitrack.tool_call import ToolCall

T_co = TypeVar("T_co", covariant=True)


class Extraction(Sequence[T_co]):
    """The validated models of one response, in call order.

    An immutable sequence that can be read any number of times. An extraction is equal to a list, a tuple or another
    extraction with equal models.

    Attributes:
        calls: All tool calls in the response, valid and invalid, in order.
        errors: One error for each invalid call, followed by the error of the whole response if there is one. Empty
            without ``on_error="collect"``.
        raw: The SDK's response object; None if the calls were passed to ``Toolset.parse``.
        usage: The SDK's usage object; None if the provider sent none.
        text: The text that the response has besides the calls; None if there was none.
        attempts: The errors of earlier responses, oldest first, if the model was asked again (``max_retries``).
    """

    __slots__ = ("_models", "attempts", "calls", "continuation", "errors", "raw", "text", "usage")

    calls: tuple[ToolCall, ...]
    errors: tuple[ExtractionError, ...]
    raw: Any
    usage: Any
    text: str | None
    attempts: tuple[ExtractionError, ...]
    continuation: Continuation | None
    """For ``tool_results``; set by the client."""

    def __init__(
        self,
        models: Iterable[T_co],
        *,
        calls: Iterable[ToolCall] = (),
        errors: Iterable[ExtractionError] = (),
        raw: Any = None,
        usage: Any = None,
        text: str | None = None,
        attempts: Iterable[ExtractionError] = (),
    ) -> None:
        self._models = tuple(models)
        self.calls = tuple(calls)
        self.errors = tuple(errors)
        self.raw = raw
        self.usage = usage
        self.text = text
        self.attempts = tuple(attempts)
        self.continuation = None

    def tool_results(
        self, results: Mapping[str, object] | Mapping[ToolCall, object] | Iterable[object] = ()
    ) -> list[Any]:
        """Return the messages that continue the conversation: the response and the results of its calls.

        Append the returned messages to the messages of the request, and send the request again. The messages have the
        format of the SDK that returned the response, and contain the call ids and the thought signatures.

        Args:
            results: The results of your functions: a list with one result for each valid call, in order, or a
                dictionary. The keys of the dictionary are the ids of the valid calls, or the ``ToolCall`` objects if
                the provider sends no ids. A string is sent unchanged. An exception is sent as a failure. Any other
                result is sent as JSON. If the dictionary has no result for an invalid call, the call's error is sent.

        Returns:
            Messages for ``messages`` (chat completions and Anthropic), items for ``input`` (Responses API), or
            contents for ``contents`` (Google's SDKs). If the model was asked again, the messages include the model's
            earlier responses. You can pass the messages to the SDK or to ``create()`` of Multitrack's clients.

        Raises:
            ValueError: If a valid call has no result, if a result is for an unknown call, or if the extraction is not
                from a client.
            TypeError: If a result cannot be written as JSON.
        """
        if self.continuation is None:
            raise ValueError(
                "this extraction was made from calls instead of a response, so the provider's message format is "
                "unknown; use one of Multitrack's clients to extract the calls, or write the messages yourself"
            )
        return self.continuation.write_messages(assign_results(self.calls, self.errors, results))

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T_co, ...]: ...
    def __getitem__(self, index: int | slice) -> T_co | tuple[T_co, ...]:
        return self._models[index]

    def __len__(self) -> int:
        return len(self._models)

    def __iter__(self) -> Iterator[T_co]:
        return iter(self._models)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple, Extraction)):
            return self._models == tuple(other)
        return NotImplemented

    # unhashable like a list, because it equals a list
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        errors = f", errors={list(self.errors)!r}" if self.errors else ""
        return f"Extraction({list(self._models)!r}{errors})"
