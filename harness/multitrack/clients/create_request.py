"""Separate Multitrack's own arguments in a call to ``create`` from the arguments for the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from multitrack.extraction import (
    Continuation,
    Extraction,
    ExtractionStream,
    FollowUp,
    OnError,
    ResponseReader,
    Retries,
    StreamSource,
    define_tools,
)
from multitrack.model_context import OfferedModels
from multitrack.tool_call import ToolCall

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Options:
    """Multitrack's own arguments in a call of ``create()``, except ``response_model``."""

    on_error: OnError = "raise"
    allow_empty: bool = False
    context: Any = None
    max_retries: int = 0
    strict: bool = False
    stream: object = False


_OPTIONS = frozenset({*_Options.__slots__, "validation_context", "tools"})
_DEFAULT_OPTIONS = _Options()


class CreateRequest(Generic[T]):
    """One call of ``create()``: the tools and arguments to send, and the methods that read the response.

    Args:
        wire: The wire format.
        response_model: The ``response_model`` argument of ``create()``.
        arguments: All other arguments of ``create()``. Multitrack's own arguments are removed from this dictionary.

    Attributes:
        arguments: The arguments for the provider, without Multitrack's own.
        tools: The tools, in the form of a request's ``tools`` argument.
        wire_format: The wire format.
        convert_messages: Converts the messages of ``Extraction.tool_results`` to the SDK's objects. None, the
            default, if the SDK accepts the messages unchanged.
        follow_up_messages: The messages that are appended to the caller's conversation when the model is asked again.

    Raises:
        TypeError: If ``response_model`` has an unsupported form, if the wire format cannot express one of its models,
            if an option is invalid, or if the caller passed ``tools``.
    """

    # every call to `create` has such an object, and slots make it smaller and faster
    __slots__ = (
        "_earlier",
        "_models",
        "_reader",
        "_retries",
        "arguments",
        "convert_messages",
        "follow_up_messages",
        "is_stream",
        "tools",
        "wire_format",
    )

    def __init__(self, wire: str, response_model: TypeForm[Iterable[T]], arguments: dict[str, Any]) -> None:
        # most calls have no options, and looking for each of them in `arguments` would take several times as long
        options = _DEFAULT_OPTIONS if _OPTIONS.isdisjoint(arguments) else _pop_options(arguments)
        offer = define_tools(response_model).offer(wire, options.strict)
        self.arguments = arguments
        self.wire_format = offer.wire_format
        self.tools = offer.schemas
        self._models = offer.models
        self._reader: ResponseReader[T] = ResponseReader(
            offer.models, options.on_error, options.allow_empty, options.context
        )
        self._retries = Retries(self._reader, options.max_retries) if options.max_retries else None
        self.is_stream = bool(options.stream)
        self._earlier: tuple[tuple[Mapping[str, Any], FollowUp], ...] = ()
        self.convert_messages: Callable[[list[dict[str, Any]]], list[Any]] | None = None
        self.follow_up_messages: list[dict[str, Any]] = []

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of the tools."""
        return tuple(self._models)

    @staticmethod
    def check_with_completion(response_model: object, arguments: Mapping[str, Any]) -> None:
        """Raise TypeError if ``create_with_completion`` is called without ``response_model`` or with ``stream``."""
        if response_model is None:
            raise TypeError("create_with_completion requires response_model=; without it, call create")
        if arguments.get("stream"):
            raise TypeError("create_with_completion does not stream; call create with stream=True and read .raw")

    def sending(self) -> OfferedModels:
        """Return a context manager for the call to the SDK. Inside it, the tape can look up the offered models."""
        return OfferedModels(self._models)

    def handle_response(
        self,
        document: Mapping[str, Any],
        *,
        raw: Any,
        usage: Any,
        dump: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> Extraction[T] | None:
        """Return the extracted models. None if the model must be asked again, with ``follow_up_messages``.

        Args:
            document: The response, which the decoder reads.
            raw: The SDK's response object.
            usage: The SDK's usage object.
            dump: A function that converts ``raw`` to the JSON that was received. None if ``document`` is this JSON.

        Raises:
            ExtractionError: If the extraction fails: see ``Toolset.extract``.
        """
        answer = self.wire_format.read_answer(document)
        calls: Sequence[ToolCall] = answer.calls
        result: Extraction[T] | FollowUp
        if self._retries is None:
            result = self._reader.read_result(answer, raw, usage)
        else:
            result = self._retries.handle_response(answer, raw=raw, usage=usage)
            calls = self._retries.latest_calls
        if isinstance(result, Extraction):
            result.continuation = Continuation(
                self.wire_format, self._earlier, raw if dump else document, calls, dump, self.convert_messages
            )
            return result
        document = dump(raw) if dump else document
        self._earlier += ((document, result),)
        self.follow_up_messages += self.wire_format.continue_conversation(document, result.results, result.remark)
        return None

    def read_stream(self, source: StreamSource) -> ExtractionStream[T]:
        """Return the result of a streamed response."""
        return ExtractionStream(self._reader, source, self._continue_stream)

    def _continue_stream(self, document: Mapping[str, Any], calls: Sequence[ToolCall]) -> Continuation:
        return Continuation(self.wire_format, (), document, calls, None, self.convert_messages)


def _pop_options(arguments: dict[str, Any]) -> _Options:
    """Remove Multitrack's own arguments from ``arguments``, and return them."""
    return _check_options(**{name: arguments.pop(name) for name in _OPTIONS & arguments.keys()})


def _check_options(
    *,
    context: Any = None,
    validation_context: Any = None,
    max_retries: int = 0,
    stream: object = False,
    tools: object = None,
    **options: Any,
) -> _Options:
    if tools:
        raise TypeError("pass either tools= or response_model=, not both: response_model= creates the tools")
    if not isinstance(max_retries, int) or max_retries < 0:
        raise TypeError(f"max_retries must be an integer of at least 0, not {max_retries!r}")
    if stream and max_retries:
        raise TypeError(
            "pass either max_retries= or stream=True, not both: "
            "models that a stream has already yielded cannot be corrected"
        )
    if context is None:
        context = validation_context
    elif validation_context is not None and context is not validation_context and context != validation_context:
        raise TypeError(
            "pass either context= or validation_context=, not both: they are two names for the same argument"
        )
    return _Options(context=context, max_retries=max_retries, stream=stream, **options)
