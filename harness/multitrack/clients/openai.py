"""OpenAI's clients, sync and async, with ``response_model`` on their `create`.

Imported when a client is given to `from_openai` or `patch`, so that nobody else needs the SDK. The openai
package's own resource classes are extended, and put on a client in the place of its own.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import openai
from openai.resources import chat

from multitrack.clients.mode import Mode, chosen
from multitrack.clients.question import Question
from multitrack.extraction import StreamSource
from multitrack.toolcall import ToolCall
from multitrack.wires import stream_decoder
from multitrack.wires.untrusted import mapping

if TYPE_CHECKING:
    from openai import AsyncStream, Omit, Stream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from typing_extensions import TypeForm

    from multitrack.clients.openai_responses import AsyncResponses, Responses
    from multitrack.extraction import Extraction, ExtractionStream, OnError

T = TypeVar("T")
C = TypeVar("C", openai.OpenAI, openai.AsyncOpenAI)

_CHAT = "openai.chat"

# the argument that holds it, by the wire
_CONVERSATION = {"openai.chat": "messages", "openai.responses": "input"}


class Completions(chat.Completions):
    """``client.chat.completions``, whose `create` takes ``response_model``."""

    @overload
    def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> ChatCompletion: ...
    @overload
    def create(
        self, *, stream: Literal[True], response_model: None = None, **arguments: Any
    ) -> Stream[ChatCompletionChunk]: ...
    @overload
    def create(
        self, *, stream: bool, response_model: None = None, **arguments: Any
    ) -> ChatCompletion | Stream[ChatCompletionChunk]: ...
    @overload
    def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[False] | Omit | None = ...,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    def create(self, *, response_model: Any = None, **arguments: Any) -> Any:
        """As the SDK's own; with ``response_model``, an `Extraction`, or an `ExtractionStream` if streamed.

        ``max_retries`` asks again for bad calls; `Toolset.parse` says what ``on_error``, ``allow_empty`` and
        ``context`` do, and `Toolset.schemas` what ``strict`` does.

        Then raises TypeError for a ``response_model`` or an argument that cannot be, before any request, and
        the family of `ExtractionError` for an answer that gives no valid models. Errors of the SDK's own pass
        through.
        """
        if response_model is None:
            return super().create(**arguments)
        question, arguments = asked(_CHAT, response_model, arguments)
        if question.streams:
            with question.sending():
                stream = super().create(stream=True, **arguments)
            return question.streaming(AnswerStream(stream, _CHAT))
        while True:
            with question.sending():
                raw = super().create(**going_on(_CHAT, arguments, question))
            extraction = question.answered(read_of(raw), raw=raw, usage=usage_of(raw), written=document_of)
            if extraction is not None:
                return extraction

    @property
    def with_raw_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.Completions(self._client).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.Completions(self._client).with_streaming_response


class AsyncCompletions(chat.AsyncCompletions):
    """``client.chat.completions`` of an async client, whose `create` takes ``response_model``."""

    @overload
    async def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> ChatCompletion: ...
    @overload
    async def create(
        self, *, stream: Literal[True], response_model: None = None, **arguments: Any
    ) -> AsyncStream[ChatCompletionChunk]: ...
    @overload
    async def create(
        self, *, stream: bool, response_model: None = None, **arguments: Any
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...
    @overload
    async def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[False] | Omit | None = ...,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    async def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    async def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    async def create(self, *, response_model: Any = None, **arguments: Any) -> Any:
        """As `Completions.create`."""
        if response_model is None:
            return await super().create(**arguments)
        question, arguments = asked(_CHAT, response_model, arguments)
        if question.streams:
            with question.sending():
                stream = await super().create(stream=True, **arguments)
            return question.streaming(AnswerStream(stream, _CHAT))
        while True:
            with question.sending():
                raw = await super().create(**going_on(_CHAT, arguments, question))
            extraction = question.answered(read_of(raw), raw=raw, usage=usage_of(raw), written=document_of)
            if extraction is not None:
                return extraction

    @property
    def with_raw_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.AsyncCompletions(self._client).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.AsyncCompletions(self._client).with_streaming_response


class Chat(chat.Chat):
    """``client.chat``, with our `Completions`."""

    @cached_property
    def completions(self) -> Completions:
        """``client.chat.completions``."""
        return Completions(self._client)


class AsyncChat(chat.AsyncChat):
    """``client.chat`` of an async client, with our `AsyncCompletions`."""

    @cached_property
    def completions(self) -> AsyncCompletions:
        """``client.chat.completions``."""
        return AsyncCompletions(self._client)


if TYPE_CHECKING:

    class ParallelOpenAI(openai.OpenAI):
        """An ``OpenAI`` client as `from_openai` gives it."""

        create: Any

        @cached_property
        def chat(self) -> Chat: ...
        @cached_property
        def responses(self) -> Responses: ...

    class AsyncParallelOpenAI(openai.AsyncOpenAI):
        """An ``AsyncOpenAI`` client as `from_openai` gives it."""

        create: Any

        @cached_property
        def chat(self) -> AsyncChat: ...
        @cached_property
        def responses(self) -> AsyncResponses: ...


def extracting(client: C, mode: Mode | None, *, by: str) -> C:
    """A copy of ``client`` that extracts, on the same connections; ``client`` itself stays as it is."""
    return extract_with(copy.copy(_checked(client, by)), mode, by=by)


def extract_with(client: C, mode: Mode | None, *, by: str) -> C:
    """``client`` itself, made to extract."""
    mode = chosen(mode, Mode.PARALLEL_TOOLS, Mode.RESPONSES_PARALLEL_TOOLS, by=by)
    own = vars(_checked(client, by))
    if mode is Mode.PARALLEL_TOOLS:
        own["chat"] = AsyncChat(client) if isinstance(client, openai.AsyncOpenAI) else Chat(client)
        own["create"] = own["chat"].completions.create
    else:
        try:
            from multitrack.clients.openai_responses import responses_of
        except ImportError as error:
            found = openai.__version__
            raise ImportError(f"{by} needs openai 1.66 or newer for Mode.{mode.name}, not {found}") from error
        own["responses"] = responses_of(client)
        own["create"] = own["responses"].create
    # `with_options` makes a new client, which would be the SDK's plain one
    for name in ("copy", "with_options"):
        own[name] = _extracting_too(getattr(type(client), name).__get__(client), mode, by)
    return client


def _extracting_too(copying: Callable[..., C], mode: Mode, by: str) -> Callable[..., C]:
    def copied(*arguments: Any, **options: Any) -> C:
        return extract_with(copying(*arguments, **options), mode, by=by)

    return copied


def _checked(client: C, by: str) -> C:
    if isinstance(client, (openai.OpenAI, openai.AsyncOpenAI)):
        return client
    raise TypeError(f"{by} takes an openai.OpenAI or openai.AsyncOpenAI, not {type(client).__name__}")


class AnswerStream(StreamSource):
    """A streamed answer as the SDK's ``Stream`` or ``AsyncStream`` holds it.

    It is read from the response below the SDK's objects, since these hide ``[DONE]``, without which a stream
    that was cut off looks like one that ended.
    """

    def __init__(self, stream: Any, wire: str) -> None:
        super().__init__(stream_decoder(f"{wire}.stream"))
        self._stream = stream
        self._wire = wire

    @property
    def raw(self) -> Any:
        return self._stream

    @property
    def usage(self) -> Any:
        usage = self.decoder.answer.usage
        return None if usage is None else _usage_type(self._wire).construct(**usage)

    def pieces(self) -> Iterator[bytes] | AsyncIterator[bytes]:
        response = self._stream.response
        pieces: Iterator[bytes] | AsyncIterator[bytes] = (
            response.aiter_bytes() if isinstance(self._stream, openai.AsyncStream) else response.iter_bytes()
        )
        return pieces

    def feed(self, piece: bytes) -> list[ToolCall]:
        return self.decoder.feed(piece)

    def close(self) -> Awaitable[None] | None:
        closing: Awaitable[None] | None = self._stream.close()
        return closing


def _usage_type(wire: str) -> Any:
    if wire == _CHAT:
        return openai.types.CompletionUsage
    from openai.types.responses import ResponseUsage

    return ResponseUsage


def asked(wire: str, response_model: Any, arguments: dict[str, Any]) -> tuple[Question[Any], dict[str, Any]]:
    """The question, and what goes to the provider."""
    options = {name: arguments.pop(name) for name in Question.OPTIONS if name in arguments}
    question: Question[Any] = Question(wire, response_model, **options)
    if "tool_choice" not in arguments:
        # as an argument it is held against every type that it may have, which takes the SDK 25 microseconds
        arguments["extra_body"] = {"tool_choice": "auto", **(arguments.get("extra_body") or {})}
    return question, {**arguments, "tools": question.tools}


def going_on(wire: str, arguments: dict[str, Any], question: Question[Any]) -> dict[str, Any]:
    """``arguments`` with what was said since the caller asked; the caller's own conversation stays as it is."""
    key = _CONVERSATION[wire]
    said = arguments.get(key)
    if isinstance(said, Iterator):
        # read once, it would be empty when the model is asked again
        said = arguments[key] = list(said)
    if not question.added:
        return arguments
    told = [{"role": "user", "content": said}] if isinstance(said, str) else said or ()
    return {**arguments, key: [*told, *question.added]}


def read_of(raw: Any) -> Mapping[str, Any]:
    """``raw`` to be read only: its objects stand for themselves, since to dump them takes as long as to read them."""
    return document_of(raw) if isinstance(raw, str) else mapping(raw)


def document_of(raw: Any) -> Mapping[str, Any]:
    """``raw`` as it is on the wire."""
    if isinstance(raw, str):
        # the SDK hands a body over as text when its content type is not JSON
        return {"error": f"no JSON: {raw[:200]!r}"}
    # what the provider left out stays out; what it sent against its own schema is no reason for a warning
    document: Mapping[str, Any] = raw.model_dump(exclude_unset=True, warnings=False)
    return document


def usage_of(raw: Any) -> Any:
    return getattr(raw, "usage", None)
