"""Extraction with ``boto3.client("bedrock-runtime")``, through the Converse API.

Imported when a client is passed to ``from_bedrock``, so that other users do not need the SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import botocore
from botocore.client import BaseClient

from multitrack.clients.create_request import CreateRequest
from multitrack.clients.instructor_names import look_up_attribute
from multitrack.clients.mode import Mode, resolve_mode
from multitrack.clients.sdk_conversion import add_follow_up
from multitrack.extraction import StreamSource
from multitrack.tool_call import ToolCall
from multitrack.wires import create_stream_decoder

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from multitrack.extraction import Extraction, ExtractionStream, OnError

T = TypeVar("T")

Response = dict[str, Any]
"""A boto3 response. If it is streamed, its ``stream`` is an iterator over the events."""

_SERVICE = "bedrock-runtime"


class BedrockClient:
    """A client that extracts Pydantic models from the responses to the boto3 client ``client``."""

    def __init__(self, client: Any, mode: Mode | None = None) -> None:
        resolve_mode(mode, Mode.BEDROCK_PARALLEL_TOOLS, function="from_bedrock")
        service = client.meta.service_model.service_name if isinstance(client, BaseClient) else None
        if service != _SERVICE:
            given = f'boto3.client("{service}")' if service else type(client).__name__
            raise TypeError(f'from_bedrock requires boto3.client("{_SERVICE}"), not {given}')
        self.client = client

    if not TYPE_CHECKING:
        # hidden from type checkers, which would otherwise accept every attribute
        def __getattr__(self, name: str) -> Any:
            return look_up_attribute(self, name)

    @overload
    def create(self, *, stream: Literal[False] = False, response_model: None = None, **arguments: Any) -> Response: ...
    @overload
    def create(self, *, stream: bool, response_model: None = None, **arguments: Any) -> Response: ...
    @overload
    def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[False] = False,
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
        """Call ``converse`` or ``converse_stream``; with ``response_model``, extract Pydantic models from the response.

        Args:
            response_model: ``Iterable[A | B]`` of Pydantic models, offered to the model as tools. None, the default,
                returns boto3's response.
            stream: Whether to call ``converse_stream`` and return an ``ExtractionStream``. Default False.
            on_error: ``"raise"``, the default, raises errors; ``"collect"`` stores them in the result's ``errors``.
            allow_empty: Whether to accept a response without tool calls. Default False.
            max_retries: How many times to ask the model again if calls are invalid. Default 0; not available with
                ``stream``.
            strict: Whether to use strict schemas, which Bedrock enforces on some language models. Default False.
            context: Passed to the validators of the Pydantic models as ``info.context``. ``validation_context`` is
                another name for this argument.
            **arguments: The arguments of ``converse``: ``modelId``, ``messages``, ``system``, ``inferenceConfig`` and
                others. ``toolConfig`` can have a ``toolChoice``. Without it, the model decides whether to call tools.

        Returns:
            An ``Extraction``, or an ``ExtractionStream`` if ``stream`` is true. Without ``response_model``, boto3's
            response.

        Raises:
            TypeError: If an argument above is invalid, if ``toolConfig`` has ``tools``, or if boto3 is too old for
                ``strict``. No request is sent.
            ExtractionError: If the response does not contain valid Pydantic models; the subclass says why. See
                ``multitrack.errors``.
            botocore.exceptions.ClientError: boto3's own errors are not changed.
        """
        if response_model is None:
            return self._select_method(is_stream=arguments.pop("stream", False))(**arguments)
        config: Mapping[str, Any] = arguments.get("toolConfig") or {}
        if tools := config.get("tools"):
            arguments.setdefault("tools", tools)
        if arguments.get("strict"):
            self._check_strict()
        request: CreateRequest[Any] = CreateRequest("bedrock", response_model, arguments)
        request.arguments["toolConfig"] = {**config, "tools": request.tools}
        send = self._select_method(is_stream=request.is_stream)
        if request.is_stream:
            with request.sending():
                response = send(**request.arguments)
            return request.read_stream(_BedrockStreamSource(response))
        while True:
            with request.sending():
                raw = send(**add_follow_up(request))
            extraction = request.handle_response(raw, raw=raw, usage=raw.get("usage"))
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
    ) -> tuple[Extraction[T], Response]:
        """Call ``create``, and return its result together with boto3's response."""
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

    def _check_strict(self) -> None:
        tool = self.client.meta.service_model.shape_for("ToolSpecification")
        if "strict" not in tool.members:
            raise TypeError(
                f"the installed botocore {botocore.__version__} cannot send strict=True; run pip install --upgrade "
                f"boto3 botocore, or remove strict=True"
            )

    def _select_method(self, *, is_stream: object) -> Any:
        return self.client.converse_stream if is_stream else self.client.converse


class _BedrockStreamSource(StreamSource):
    """A streamed boto3 response, whose chunks are events. An exception in the stream is raised as a botocore error."""

    def __init__(self, response: Response) -> None:
        super().__init__(create_stream_decoder("bedrock.stream"))
        self._response = response

    @property
    def raw(self) -> Response:
        return self._response

    @property
    def usage(self) -> Any:
        return self.decoder.answer.usage

    def chunks(self) -> Iterator[Any]:
        return iter(self._response["stream"])

    def feed(self, chunk: Any) -> list[ToolCall]:
        return self.decoder.feed_chunk(chunk)

    def close(self) -> None:
        self._response["stream"].close()
