"""Convert the arguments of an SDK's ``create()`` to a ``CreateRequest``, and the SDK's response to a decoder's input.

OpenAI's and Anthropic's SDKs come from the same code generator, so one module serves both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any

from multitrack.clients.create_request import CreateRequest
from multitrack.extraction import StreamSource
from multitrack.tool_call import ToolCall
from multitrack.wires import create_stream_decoder
from multitrack.wires.lenient_json import as_object


class SdkStreamSource(StreamSource):
    """A streamed response, from the SDK's ``Stream`` or ``AsyncStream``.

    This class reads the HTTP response itself, because the SDK's objects hide ``[DONE]``. A stream that was truncated
    before ``[DONE]`` would otherwise look complete.

    Args:
        stream: The SDK's stream.
        wire: The wire format, without ``.stream``.
        usage_type: The SDK's class of usage objects.
    """

    def __init__(self, stream: Any, wire: str, usage_type: Any) -> None:
        super().__init__(create_stream_decoder(f"{wire}.stream"))
        self._stream = stream
        self._usage_type = usage_type

    @property
    def raw(self) -> Any:
        return self._stream

    @property
    def usage(self) -> Any:
        usage = self.decoder.answer.usage
        return None if usage is None else self._usage_type.construct(**usage)

    def chunks(self) -> Iterator[bytes] | AsyncIterator[bytes]:
        response = self._stream.response
        chunks: Iterator[bytes] | AsyncIterator[bytes] = (
            response.aiter_bytes() if isinstance(self._stream, AsyncIterator) else response.iter_bytes()
        )
        return chunks

    def feed(self, chunk: bytes) -> list[ToolCall]:
        return self.decoder.feed(chunk)

    def close(self) -> Awaitable[None] | None:
        closing: Awaitable[None] | None = self._stream.close()
        return closing


def add_tools(request: CreateRequest[Any], tool_choice: Any, *, in_extra_body: bool) -> None:
    """Add the tools and the tool choice to the arguments of ``request``.

    Args:
        request: The request, with the arguments of the caller.
        tool_choice: The tool choice to send if the caller passed none.
        in_extra_body: Whether to add the tool choice to ``extra_body``. In OpenAI's SDK, ``extra_body`` saves 25
            microseconds, because the SDK checks an ordinary argument against each of its possible types. Other SDKs
            are slower with ``extra_body``.
    """
    arguments = request.arguments
    if "tool_choice" not in arguments:
        if in_extra_body:
            arguments["extra_body"] = {"tool_choice": tool_choice, **(arguments.get("extra_body") or {})}
        else:
            arguments["tool_choice"] = tool_choice
    arguments["tools"] = request.tools


def add_follow_up(request: CreateRequest[Any]) -> dict[str, Any]:
    """Return the arguments of ``request`` with the follow-up messages. The caller's conversation is not changed."""
    arguments = request.arguments
    key = request.wire_format.conversation_key
    messages: Any = arguments.get(key)
    # isinstance() would be slow, because Iterator is an abstract class
    if hasattr(messages, "__next__"):
        # otherwise the iterator would be exhausted when the model is asked again
        messages = arguments[key] = list(messages)
    if not request.follow_up_messages:
        return arguments
    conversation = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages or ()
    return {**arguments, key: [*conversation, *request.follow_up_messages]}


def view_response(raw: Any) -> Mapping[str, Any]:
    """Return a read-only view of ``raw`` that a decoder can read.

    The view reads the SDK's objects in place, because dumping them first would double the time of decoding.
    """
    return dump_response(raw) if isinstance(raw, str) else as_object(raw)


def dump_response(raw: Any) -> Mapping[str, Any]:
    """Return the JSON document that the SDK converted to ``raw``."""
    if isinstance(raw, str):
        # the SDK returns the body as text if its content type is not JSON
        return {"error": f"the response is not JSON: {raw[:200]!r}"}
    # leave out what the provider left out, and do not warn if it violated its own schema
    document: Mapping[str, Any] = raw.model_dump(exclude_unset=True, warnings=False)
    return document
