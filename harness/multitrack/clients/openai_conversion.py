"""Convert the arguments of OpenAI's `create` to a `CreateRequest`, and the SDK's response to a decoder's input.

The same code serves chat completions and the Responses API, which differ in their wire format.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any

import openai
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from multitrack.clients.create_request import CreateRequest
from multitrack.extraction import StreamSource
from multitrack.tool_call import ToolCall
from multitrack.wires import create_stream_decoder
from multitrack.wires.lenient_json import as_object

# the class of the usage object, by wire format
_USAGE_TYPES: dict[str, Any] = {"openai.chat": CompletionUsage, "openai.responses": ResponseUsage}


class OpenAIStreamSource(StreamSource):
    """A streamed response, from the SDK's ``Stream`` or ``AsyncStream``.

    It reads the HTTP response below the SDK's objects, because these hide ``[DONE]``. Without ``[DONE]``, a stream
    that was cut off looks like one that is complete.
    """

    def __init__(self, stream: Any, wire: str) -> None:
        super().__init__(create_stream_decoder(f"{wire}.stream"))
        self._stream = stream
        self._wire = wire

    @property
    def raw(self) -> Any:
        return self._stream

    @property
    def usage(self) -> Any:
        usage = self.decoder.answer.usage
        return None if usage is None else _USAGE_TYPES[self._wire].construct(**usage)

    def chunks(self) -> Iterator[bytes] | AsyncIterator[bytes]:
        response = self._stream.response
        chunks: Iterator[bytes] | AsyncIterator[bytes] = (
            response.aiter_bytes() if isinstance(self._stream, openai.AsyncStream) else response.iter_bytes()
        )
        return chunks

    def feed(self, chunk: bytes) -> list[ToolCall]:
        return self.decoder.feed(chunk)

    def close(self) -> Awaitable[None] | None:
        closing: Awaitable[None] | None = self._stream.close()
        return closing


def split_arguments(
    wire: str, response_model: Any, arguments: dict[str, Any]
) -> tuple[CreateRequest[Any], dict[str, Any]]:
    """Return the `CreateRequest`, and the arguments for the provider."""
    options = {name: arguments.pop(name) for name in CreateRequest.OPTIONS if name in arguments}
    request: CreateRequest[Any] = CreateRequest(wire, response_model, **options)
    if "tool_choice" not in arguments:
        # in extra_body, because the SDK checks an argument against each type that it can have (25 microseconds)
        arguments["extra_body"] = {"tool_choice": "auto", **(arguments.get("extra_body") or {})}
    return request, {**arguments, "tools": request.tools}


def add_follow_up(arguments: dict[str, Any], request: CreateRequest[Any]) -> dict[str, Any]:
    """Return ``arguments`` with the follow-up messages. The caller's own conversation is not changed."""
    key = request.wire_format.conversation_key
    messages = arguments.get(key)
    if isinstance(messages, Iterator):
        # otherwise the iterator would be exhausted when the model is asked again
        messages = arguments[key] = list(messages)
    if not request.follow_up_messages:
        return arguments
    conversation = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages or ()
    return {**arguments, key: [*conversation, *request.follow_up_messages]}


def view_response(raw: Any) -> Mapping[str, Any]:
    """Return a read-only view of ``raw``, which a decoder can read.

    The SDK's objects are read in place, because dumping them takes as long as reading them.
    """
    return dump_response(raw) if isinstance(raw, str) else as_object(raw)


def dump_response(raw: Any) -> Mapping[str, Any]:
    """Return ``raw`` as JSON, as it was received."""
    if isinstance(raw, str):
        # the SDK returns the body as text if its content type is not JSON
        return {"error": f"the response is not JSON: {raw[:200]!r}"}
    # leave out what the provider left out, and do not warn if it violated its own schema
    document: Mapping[str, Any] = raw.model_dump(exclude_unset=True, warnings=False)
    return document


def get_usage(raw: Any) -> Any:
    """Return the SDK's usage object, or None if ``raw`` has none."""
    return getattr(raw, "usage", None)
