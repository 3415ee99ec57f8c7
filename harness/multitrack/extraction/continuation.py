"""Continue a conversation after its tool calls: convert the results of the caller's functions to messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import PydanticSerializationError, to_json

from multitrack.errors import ExtractionError
from multitrack.tool_call import ToolCall
from multitrack.wires import ToolResult, WireFormat

Document = Mapping[str, Any]
"""The parsed body of a response."""


class FollowUp(NamedTuple):
    """The tool results and the remark that are sent to the model with the next attempt.

    ``results`` has a result for each call in the last response, in order. ``remark`` lists the earlier invalid calls
    that the last response did not correct. ``remark`` is ``None`` if all were corrected.
    """

    results: Sequence[ToolResult]
    remark: str | None


class Continuation(NamedTuple):
    """The responses of one extraction, and the functions that write the messages to continue the conversation.

    Attributes:
        wire_format: The format of the responses.
        earlier: Each response before the last one, with the follow-up that was sent after it.
        response: The last response: its document, or an object that ``dump`` converts to a document.
        calls: The calls in the last response, in order. Calls that were accepted in earlier responses are not
            included.
        dump: Returns the document of ``response``. None if ``response`` is already a document.
        convert: Converts the messages to the SDK's objects. None if the SDK accepts them unchanged.
    """

    wire_format: WireFormat
    earlier: tuple[tuple[Document, FollowUp], ...]
    response: Any
    calls: Sequence[ToolCall]
    dump: Callable[[Any], Document] | None = None
    convert: Callable[[list[dict[str, Any]]], list[Any]] | None = None

    def write_messages(self, results: Iterable[ToolResult]) -> list[Any]:
        """Return the messages that continue the conversation, starting with the first response.

        Args:
            results: The results of the extraction's calls. These results replace those that were sent during the
                extraction.
        """
        # an accepted call is the same object in the response, in the results that were sent back, and in the extraction
        results_by_call = {id(result.call): result for result in results}
        messages: list[dict[str, Any]] = []
        for document, follow_up in self.earlier:
            sent = [results_by_call.get(id(result.call), result) for result in follow_up.results]
            messages += self.wire_format.continue_conversation(document, sent, follow_up.remark)
        last = [results_by_call.get(id(call)) or accept_call(call) for call in self.calls]
        document = self.dump(self.response) if self.dump else self.response
        messages += self.wire_format.continue_conversation(document, last, None)
        return self.convert(messages) if self.convert else messages


def accept_call(call: ToolCall) -> ToolResult:
    """Return the result to send for a valid call that has not been executed yet."""
    return ToolResult(call, True, "accepted; do not make this call again")


def reject_call(call: ToolCall, error: ExtractionError) -> ToolResult:
    """Return the result to send for an invalid call."""
    return ToolResult(call, False, f"rejected: {error}\nCorrect this call and make it again.")


def assign_results(
    calls: Sequence[ToolCall], errors: Iterable[ExtractionError], results: Mapping[Any, object] | Iterable[object]
) -> Iterator[ToolResult]:
    """Yield the result of each of ``calls``, as ``Extraction.tool_results`` describes.

    Args:
        calls: The calls of the extraction.
        errors: The errors of the extraction. The ``call`` attribute of an error is the invalid call.
        results: The results of the caller's functions.

    Raises:
        TypeError: If ``results`` has the wrong type, or a result cannot be written as JSON.
        ValueError: If a call has no result, or if a result is for an unknown call.
    """
    rejected = {id(call): reject_call(call, error) for error in errors if (call := getattr(error, "call", None))}
    valid = [call for call in calls if id(call) not in rejected]
    if isinstance(results, str | bytes):
        raise TypeError(f"tool_results requires a dictionary or a list of results, not {type(results).__name__}")
    if isinstance(results, Mapping):
        values = {id(_find_call(calls, key)): value for key, value in results.items()}
    else:
        listed = list(results)
        if len(listed) != len(valid):
            raise ValueError(
                f"the number of results ({len(listed)}) differs from the number of valid calls ({len(valid)}); "
                "pass one result for each valid call, in order"
            )
        values = {id(call): value for call, value in zip(valid, listed, strict=True)}
    missing = [call for call in valid if id(call) not in values]
    if missing:
        raise ValueError(
            f"there is no result for {_list_calls(missing)}; pass a result for each valid call, "
            "or an exception if its function failed"
        )
    for call in calls:
        yield _write_result(call, values[id(call)]) if id(call) in values else rejected[id(call)]


def _find_call(calls: Sequence[ToolCall], key: object) -> ToolCall:
    if isinstance(key, ToolCall):
        found = [call for call in calls if call == key]
    elif isinstance(key, str):
        found = [call for call in calls if call.id == key]
    else:
        raise TypeError(f"a key of the results must be a ToolCall or the id of a call, not {key!r}")
    if not found:
        raise ValueError(f"the response has no call {key!r}; its calls are: {_list_calls(calls) or 'none'}")
    if len(found) > 1:
        raise ValueError(f"{len(found)} calls have the id {key!r}; use the items of .calls as keys, or pass a list")
    return found[0]


def _list_calls(calls: Iterable[ToolCall]) -> str:
    return ", ".join(
        f"{call.id!r} ({call.name})" if call.id else f"call {call.index + 1} ({call.name})" for call in calls
    )


def _write_result(call: ToolCall, value: object) -> ToolResult:
    if isinstance(value, BaseException):
        return ToolResult(call, False, f"{type(value).__name__}: {value}")
    if isinstance(value, str):
        return ToolResult(call, True, value)
    try:
        return ToolResult(call, True, to_json(value).decode())
    except PydanticSerializationError as error:
        raise TypeError(
            f"the result of {_list_calls([call])} cannot be written as JSON: {error}; pass a string"
        ) from error
