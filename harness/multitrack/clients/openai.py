"""OpenAI's clients, sync and async, with ``response_model`` on their `create`.

Imported when a client is given to `from_openai` or `patch`, so that nobody else needs the SDK. The openai
package's own resource classes are extended, and put on a client in the place of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import openai
from openai.resources import chat

from multitrack.clients.mode import Mode, chosen
from multitrack.clients.question import Question
from multitrack.extraction import Extraction
from multitrack.wires import Answer, read_answer

if TYPE_CHECKING:
    from openai import AsyncStream, Omit, Stream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from typing_extensions import TypeForm

    from multitrack.clients.openai_responses import AsyncResponses, Responses
    from multitrack.extraction import OnError

T = TypeVar("T")
C = TypeVar("C", openai.OpenAI, openai.AsyncOpenAI)

_CHAT = "openai.chat"


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
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    def create(self, *, response_model: Any = None, **arguments: Any) -> Any:
        """As the SDK's own; with ``response_model``, an `Extraction`.

        Then raises TypeError for a ``response_model`` or an argument that cannot be, before any request, and
        the family of `ExtractionError` for an answer that gives no valid models.
        """
        if response_model is None:
            return super().create(**arguments)
        question, arguments = asked(_CHAT, response_model, arguments)
        with question.sending():
            raw = super().create(**arguments)
        return question.answered(answer_of(raw, _CHAT), raw=raw, usage=usage_of(raw))

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
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    async def create(self, *, response_model: Any = None, **arguments: Any) -> Any:
        """As `Completions.create`."""
        if response_model is None:
            return await super().create(**arguments)
        question, arguments = asked(_CHAT, response_model, arguments)
        with question.sending():
            raw = await super().create(**arguments)
        return question.answered(answer_of(raw, _CHAT), raw=raw, usage=usage_of(raw))

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


def asked(wire: str, response_model: Any, arguments: dict[str, Any]) -> tuple[Question[Any], dict[str, Any]]:
    """The question, and what goes to the provider."""
    options = {name: arguments.pop(name) for name in Question.OPTIONS if name in arguments}
    question: Question[Any] = Question(wire, response_model, **options)
    return question, {"tool_choice": "auto", **arguments, "tools": question.tools}


def answer_of(raw: Any, wire: str) -> Answer:
    if isinstance(raw, str):
        # the SDK hands a body over as text when its content type is not JSON
        return Answer(error=f"no JSON: {raw[:200]!r}")
    # what the provider left out stays out; what it sent against its own schema is no reason for a warning
    return read_answer(raw.model_dump(exclude_unset=True, warnings=False), wire)


def usage_of(raw: Any) -> Any:
    return getattr(raw, "usage", None)
