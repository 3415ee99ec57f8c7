"""The common base of the clients for Google's two SDKs: ``create()`` with messages in OpenAI's format.

A subclass for each SDK sends the request and converts its responses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, overload

from pydantic import BaseModel

from multitrack.clients.create_request import CreateRequest
from multitrack.clients.gemini_stream_source import GeminiStreamSource
from multitrack.clients.instructor_names import look_up_attribute
from multitrack.extraction import Extraction, ExtractionStream, OnError
from multitrack.wires.gemini.gemini_messages import GeminiConversation, convert_messages
from multitrack.wires.gemini.gemini_tool_choice import check_parallel_tool_calls, convert_tool_choice

if TYPE_CHECKING:
    from typing_extensions import TypeForm

R = TypeVar("R")
T = TypeVar("T")

Messages = Sequence[Mapping[str, Any] | BaseModel]

_WIRE = "gemini"


class GeminiTools(NamedTuple):
    """A request's tools as JSON. ``config`` is the ``toolConfig``; None if there is no ``tool_choice``."""

    tools: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any] | None


class GeminiClient(ABC, Generic[R]):
    """A client for Gemini through an SDK. ``R`` is the type of the SDK's responses.

    ``has_call_ids`` says whether the SDK's requests have a field for the id of a call. ``has_signatures`` says whether
    they have a field for the signature of a thought.
    """

    has_call_ids: bool
    has_signatures: bool
    _latest_tools: tuple[object, Sequence[Any]] = (None, ())

    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[False] = False,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    @overload
    def create(
        self, messages: Messages, response_model: None = None, *, stream: Literal[False] = False, **arguments: Any
    ) -> R: ...
    @overload
    def create(
        self, messages: Messages, response_model: None = None, *, stream: Literal[True], **arguments: Any
    ) -> Iterable[R]: ...
    @overload
    def create(
        self, messages: Messages, response_model: None = None, *, stream: bool, **arguments: Any
    ) -> R | Iterable[R]: ...
    def create(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """Ask the model, and extract Pydantic models from the response.

        Args:
            messages: The conversation in OpenAI's format, as dictionaries or as the SDK's objects:
                https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages. The conversation may
                contain content objects of Google's SDK, such as those that ``Extraction.tool_results`` returns.
            response_model: ``Iterable[A | B]`` of Pydantic models, offered to the model as tools. None, the default,
                returns the SDK's response.
            stream: Whether to return an ``ExtractionStream``. Default False.
            on_error: ``"raise"``, the default, raises errors; ``"collect"`` stores them in the result's ``errors``.
            allow_empty: Whether to accept a response without tool calls. Default False.
            max_retries: How many times to ask the model again if calls are invalid. Default 0; not available with
                ``stream``.
            context: Passed to the validators of the Pydantic models as ``info.context``. ``validation_context`` is
                another name for this argument.
            **arguments: ``tool_choice``, in OpenAI's format. All other arguments are passed to the SDK's
                ``generate_content``.

        Returns:
            An ``Extraction``, or an ``ExtractionStream`` if ``stream`` is true. Without ``response_model``, the SDK's
            own result.

        Raises:
            TypeError: If an argument above is invalid, or if the arguments for the SDK contain tools. Raised before
                any request.
            ValueError: If Gemini cannot represent a message or ``tool_choice``. Raised before any request.
            ExtractionError: If the response does not contain valid Pydantic models; the subclass says why. See
                ``multitrack.errors``. The SDK's own errors are not changed.
        """
        conversation = convert_messages(
            map(self.dump_content, messages), ids=self.has_call_ids, signatures=self.has_signatures
        )
        if response_model is None:
            return self._send(conversation, None, **arguments)
        request, tools, arguments = self._split_arguments(response_model, arguments)
        if request.is_stream:
            with request.sending():
                source = GeminiStreamSource.begin(self, self._send(conversation, tools, stream=True, **arguments))
            return request.read_stream(source)
        while True:
            with request.sending():
                raw = self._send(_add_follow_up(conversation, request), tools, **arguments)
            extraction = request.handle_response(
                self.view_response(raw), raw=raw, usage=self.get_usage(raw), dump=self.dump_response
            )
            if extraction is not None:
                return extraction

    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[False] = False,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    @overload
    async def create_async(
        self, messages: Messages, response_model: None = None, *, stream: Literal[False] = False, **arguments: Any
    ) -> R: ...
    @overload
    async def create_async(
        self, messages: Messages, response_model: None = None, *, stream: Literal[True], **arguments: Any
    ) -> AsyncIterable[R]: ...
    @overload
    async def create_async(
        self, messages: Messages, response_model: None = None, *, stream: bool, **arguments: Any
    ) -> R | AsyncIterable[R]: ...
    async def create_async(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """The async variant of ``create``, with the same arguments, result and errors."""
        conversation = convert_messages(
            map(self.dump_content, messages), ids=self.has_call_ids, signatures=self.has_signatures
        )
        if response_model is None:
            return await self._send_async(conversation, None, **arguments)
        request, tools, arguments = self._split_arguments(response_model, arguments)
        if request.is_stream:
            with request.sending():
                chunks = await self._send_async(conversation, tools, stream=True, **arguments)
                source = await GeminiStreamSource.begin_async(self, chunks)
            return request.read_stream(source)
        while True:
            with request.sending():
                raw = await self._send_async(_add_follow_up(conversation, request), tools, **arguments)
            extraction = request.handle_response(
                self.view_response(raw), raw=raw, usage=self.get_usage(raw), dump=self.dump_response
            )
            if extraction is not None:
                return extraction

    def create_with_completion(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> tuple[Extraction[T], R]:
        """Return the result of ``create``, and the SDK's response from which the result was extracted.

        Takes the same arguments and raises the same errors as ``create`` with ``response_model`` and without
        ``stream``. The response is also the ``raw`` attribute of the result. If the model was asked again, this is
        the response to the last request.
        """
        CreateRequest.check_with_completion(response_model, arguments)
        extraction: Extraction[T] = self.create(
            messages,
            response_model,
            on_error=on_error,
            allow_empty=allow_empty,
            max_retries=max_retries,
            context=context,
            **arguments,
        )
        return extraction, extraction.raw

    async def create_with_completion_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> tuple[Extraction[T], R]:
        """The async variant of ``create_with_completion``, with the same arguments, result and errors."""
        CreateRequest.check_with_completion(response_model, arguments)
        extraction: Extraction[T] = await self.create_async(
            messages,
            response_model,
            on_error=on_error,
            allow_empty=allow_empty,
            max_retries=max_retries,
            context=context,
            **arguments,
        )
        return extraction, extraction.raw

    if not TYPE_CHECKING:
        # hidden from type checkers, which would otherwise accept every attribute
        def __getattr__(self, name: str) -> Any:
            return look_up_attribute(self, name)

    def _split_arguments(
        self, response_model: Any, arguments: dict[str, Any]
    ) -> tuple[CreateRequest[Any], GeminiTools, dict[str, Any]]:
        """Return the request, its tools, and the arguments for the SDK."""
        if caller_tools := arguments.get("tools") or self._caller_tools(arguments):
            arguments["tools"] = caller_tools
        request: CreateRequest[Any] = CreateRequest(_WIRE, response_model, arguments)
        request.convert_messages = self.build_contents
        check_parallel_tool_calls(arguments.pop("parallel_tool_calls", None))
        choice = convert_tool_choice(arguments.pop("tool_choice", None), request.tool_names)
        return request, GeminiTools(request.tools, choice), arguments

    @abstractmethod
    def _send(
        self, conversation: GeminiConversation, tools: GeminiTools | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        """Send the request. Return the SDK's response, or for a stream, its generator of responses.

        ``tools`` is None if no ``response_model`` was given.
        """

    @abstractmethod
    async def _send_async(
        self, conversation: GeminiConversation, tools: GeminiTools | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        """Send the request asynchronously, like ``_send``."""

    @abstractmethod
    def _caller_tools(self, arguments: Mapping[str, Any]) -> object:
        """Return the tools that the caller passed to the SDK.

        The caller's tools cannot be combined with the tools that Multitrack creates from a ``response_model``.
        """

    def _build_tools(self, tools: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Convert ``tools`` to objects of the client's SDK. The objects are built only once for a response_model."""
        # The SDKs do not change the objects, and the tools for one response_model are always the same list. Building
        # the objects takes 50 to 100 microseconds.
        known, built = self._latest_tools
        if known is not tools:
            built = [self._build_tool(tool) for tool in tools]
            self._latest_tools = (tools, built)
        return list(built)

    @staticmethod
    @abstractmethod
    def _build_tool(tool: Mapping[str, Any]) -> Any:
        """Convert ``tool`` to an object of the client's SDK."""

    @staticmethod
    @abstractmethod
    def build_contents(contents: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Convert ``contents`` to objects of the client's SDK."""

    @staticmethod
    @abstractmethod
    def dump_content(message: Any) -> Any:
        """Return ``message`` as JSON if it is one of the SDK's content objects, otherwise unchanged."""

    # static, because an extraction keeps this function, and can be pickled only without the client
    @staticmethod
    @abstractmethod
    def dump_response(raw: Any) -> Mapping[str, Any]:
        """Return ``raw`` as JSON, in the wire format."""

    def view_response(self, raw: R) -> Mapping[str, Any]:
        """Return the fields of ``raw`` that extraction reads, in the wire format. Default: ``dump_response``."""
        return self.dump_response(raw)

    @abstractmethod
    def get_usage(self, raw: R) -> Any:
        """Return the SDK's usage object in ``raw``."""


def _add_follow_up(conversation: GeminiConversation, request: CreateRequest[Any]) -> GeminiConversation:
    if not request.follow_up_messages:
        return conversation
    return conversation._replace(contents=[*conversation.contents, *request.follow_up_messages])
