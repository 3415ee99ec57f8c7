"""Mixins that add ``response_model`` to the ``create`` of OpenAI's and Anthropic's resources, sync and async.

In the bases of a resource, each mixin is listed before the SDK's own class, whose ``create`` it calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, overload

from multitrack.clients.create_request import CreateRequest
from multitrack.clients.instructor_names import look_up_attribute
from multitrack.clients.sdk_conversion import (
    SdkStreamSource,
    add_follow_up,
    add_tools,
    dump_response,
    view_response,
)

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from multitrack.extraction import Extraction, ExtractionStream, OnError

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")


class Omit(Protocol):
    """The class of an SDK's marker, such as ``openai.omit``, for an argument that is left out."""

    def __bool__(self) -> Literal[False]: ...


class _SdkResource:
    """The base of client resources that accept ``response_model``. Subclasses also inherit from the SDK's class."""

    _wire: ClassVar[str]
    _sdk: ClassVar[Any]
    """The SDK's own class for the resource."""
    _usage_type: ClassVar[Any]
    """The SDK's class of usage objects."""
    _tool_choice: ClassVar[Any] = "auto"
    """The value of ``tool_choice`` that lets the model decide."""
    _checks_tool_choice: ClassVar[bool] = True
    """Whether the SDK checks ``tool_choice`` before it sends it."""

    if not TYPE_CHECKING:
        # hidden from type checkers, which would otherwise accept every attribute
        def __getattr__(self, name: str) -> Any:
            return look_up_attribute(self, name)

    @property
    def with_raw_response(self) -> Any:
        """The SDK's own attribute, without ``response_model``."""
        return self._create_sdk_resource().with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own attribute, without ``response_model``."""
        return self._create_sdk_resource().with_streaming_response

    def _create_sdk_resource(self) -> Any:
        resource: Any = self
        return self._sdk(resource._client)


class CreateMixin(_SdkResource, Generic[R, S]):
    """A mixin that adds ``response_model`` to ``create``.

    Without ``response_model``, ``create`` returns the SDK's response ``R`` or stream ``S``.
    """

    @overload
    def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> R: ...
    @overload
    def create(self, *, stream: Literal[True], response_model: None = None, **arguments: Any) -> S: ...
    @overload
    def create(self, *, stream: bool, response_model: None = None, **arguments: Any) -> R | S: ...
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
        """Call the SDK's own ``create``; with ``response_model``, extract models from the response.

        Args:
            response_model: ``Iterable[A | B]`` of Pydantic models, offered to the language model as tools. None, the
                default, calls the SDK's own method unchanged.
            stream: Whether to return an ``ExtractionStream``. Default False.
            on_error: ``"raise"``, the default, raises errors; ``"collect"`` stores them in the result's ``errors``.
            allow_empty: Whether to accept a response without tool calls. Default False.
            max_retries: How many times to ask again if calls are invalid. Default 0; not available with ``stream``.
            strict: Whether to use strict schemas, which the provider makes the language model follow. Default False.
            context: Passed to the Pydantic validators as ``info.context``. ``validation_context`` is the same.
            **arguments: Passed to the SDK's own method. By default, ``tool_choice`` lets the language model decide.

        Returns:
            An ``Extraction``, or an ``ExtractionStream`` if ``stream`` is true. Without ``response_model``, the SDK's
            own result.

        Raises:
            TypeError: If an argument above is invalid, or if ``tools`` is passed. Raised before any request.
            ExtractionError: If the response, or a call in it, is invalid; see ``multitrack.errors``.
            openai.OpenAIError, anthropic.AnthropicError: The SDK's own errors are not changed.
        """
        sdk: Any = super()
        if response_model is None:
            return sdk.create(**arguments)
        request: CreateRequest[Any] = CreateRequest(self._wire, response_model, arguments)
        add_tools(request, self._tool_choice, in_extra_body=self._checks_tool_choice)
        if request.is_stream:
            with request.sending():
                stream = sdk.create(stream=True, **request.arguments)
            return request.read_stream(SdkStreamSource(stream, self._wire, self._usage_type))
        while True:
            with request.sending():
                raw = sdk.create(**add_follow_up(request))
            usage = getattr(raw, "usage", None)
            extraction = request.handle_response(view_response(raw), raw=raw, usage=usage, dump=dump_response)
            if extraction is not None:
                return extraction

    def create_with_completion(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> tuple[Extraction[T], R]:
        """Return the result of ``create``, and the SDK's response that it was extracted from.

        Takes the same arguments and raises the same errors as ``create`` with ``response_model`` and without
        ``stream``. The response is also the result's ``raw``. If the language model was asked again, the last response
        is returned.
        """
        CreateRequest.check_with_completion(response_model, arguments)
        extraction: Extraction[T] = self.create(
            response_model=response_model,
            on_error=on_error,
            allow_empty=allow_empty,
            max_retries=max_retries,
            strict=strict,
            context=context,
            **arguments,
        )
        return extraction, extraction.raw


class AsyncCreateMixin(_SdkResource, Generic[R, S]):
    """``CreateMixin`` for an asynchronous client."""

    @overload
    async def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> R: ...
    @overload
    async def create(self, *, stream: Literal[True], response_model: None = None, **arguments: Any) -> S: ...
    @overload
    async def create(self, *, stream: bool, response_model: None = None, **arguments: Any) -> R | S: ...
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
        """Call ``create`` asynchronously. Arguments, result and errors are the same as for ``CreateMixin.create``."""
        sdk: Any = super()
        if response_model is None:
            return await sdk.create(**arguments)
        request: CreateRequest[Any] = CreateRequest(self._wire, response_model, arguments)
        add_tools(request, self._tool_choice, in_extra_body=self._checks_tool_choice)
        if request.is_stream:
            with request.sending():
                stream = await sdk.create(stream=True, **request.arguments)
            return request.read_stream(SdkStreamSource(stream, self._wire, self._usage_type))
        while True:
            with request.sending():
                raw = await sdk.create(**add_follow_up(request))
            usage = getattr(raw, "usage", None)
            extraction = request.handle_response(view_response(raw), raw=raw, usage=usage, dump=dump_response)
            if extraction is not None:
                return extraction

    async def create_with_completion(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> tuple[Extraction[T], R]:
        """Call ``create_with_completion`` asynchronously. Arguments, result and errors are the same."""
        CreateRequest.check_with_completion(response_model, arguments)
        extraction: Extraction[T] = await self.create(
            response_model=response_model,
            on_error=on_error,
            allow_empty=allow_empty,
            max_retries=max_retries,
            strict=strict,
            context=context,
            **arguments,
        )
        return extraction, extraction.raw
