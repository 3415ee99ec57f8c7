"""The tools for a ``response_model``, and the extraction of models from their calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from multitrack.extraction.extraction import Extraction
from multitrack.extraction.response_model import is_model, list_members, parse_response_model
from multitrack.extraction.response_reader import OnError, ResponseReader
from multitrack.extraction.tool_schema import assign_tool_names, build_tool
from multitrack.tool_call import ToolCall
from multitrack.wires import ToolDefinition, WireAnswer, WireFormat, registry

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")


class Toolset(Generic[T]):
    """The tools for one ``response_model``. Use a toolset to extract models if you do not use Multitrack's clients.

    A tool's description is the docstring of its model. A ``description`` in the ``json_schema_extra`` of the model's
    ``model_config`` replaces the docstring.

    A tool's name is the name of its model. A ``title`` in the model's own ``model_config`` replaces this name if
    every provider accepts the title as a tool name: at most 64 letters, digits, underscores and dashes, with a letter
    or an underscore at the beginning. Models with the same name get numbered tools: ``Weather``, ``Weather_2``.

    The schemas are cached for each sequence of models.

    Args:
        response_model: ``Iterable``, ``Sequence``, ``list`` or ``tuple[..., ...]`` of a Pydantic model or of a union
            of models: ``Iterable[A | B]``. ``Annotated`` and type aliases are resolved.

    Raises:
        TypeError: If ``response_model`` has none of these forms.
    """

    __slots__ = ("_definitions",)

    def __init__(self, response_model: TypeForm[Iterable[T]]) -> None:
        self._definitions = define_tools(response_model)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools, in the order of the models."""
        return tuple(self._definitions.models)

    @property
    def models(self) -> Mapping[str, type[BaseModel]]:
        """A dictionary from the name of each tool to its model."""
        return self._definitions.models

    def schemas(self, wire: str, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return the tools in the form of a request's ``tools`` argument.

        Args:
            wire: One of ``multitrack.wires.WIRES``, such as ``"openai.chat"`` or ``"gemini"``.
            strict: Whether to use strict schemas, which the provider enforces on the language model. OpenAI's strict
                schemas make the language model send every field:
                https://platform.openai.com/docs/guides/structured-outputs/supported-schemas

        Returns:
            The tools. The list is shared between calls: copy it before you change it.

        Raises:
            TypeError: If the schema language of ``wire`` cannot express a Pydantic model, or does not support
                ``strict``.
            ValueError: If ``wire`` is unknown.
        """
        return self._definitions.offer(wire, strict).schemas

    def parse(
        self,
        calls: Iterable[ToolCall],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
    ) -> Extraction[T]:
        """Validate tool calls, such as the calls that ``decode`` returns.

        Args:
            calls: The tool calls in one response, in order.
            on_error: ``"raise"`` raises an error for invalid calls; ``"collect"`` stores the errors in the result's
                ``errors``.
            allow_empty: Whether to accept a response without tool calls.
            context: Passed to the validators of the Pydantic models as ``info.context``.

        Returns:
            The Pydantic models of the valid calls, in call order.

        Raises:
            UnknownTool: If a call is to a tool that is not in this toolset.
            InvalidArguments: If the arguments of a call do not match the tool's Pydantic model.
            ExtractionError: If some calls are to unknown tools, and others have invalid arguments.
            NoToolCalls: If there are no calls and ``allow_empty`` is False.
            TypeError: If ``on_error`` has any other value.
        """
        return self.extract(WireAnswer(calls=tuple(calls)), on_error=on_error, allow_empty=allow_empty, context=context)

    def extract(
        self,
        answer: WireAnswer,
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        raw: Any = None,
        usage: Any = None,
    ) -> Extraction[T]:
        """Validate the tool calls in a decoded response.

        Args:
            answer: The decoded response.
            on_error: As for ``parse``.
            allow_empty: As for ``parse``.
            context: As for ``parse``.
            raw: The SDK's response object, stored in ``raw`` of the result or of the error.
            usage: The SDK's usage object, stored in ``usage`` of the result.

        Raises:
            Refusal: If the model refused, or a filter blocked the response.
            TruncatedResponse: If a length limit truncated the response.
            ExtractionError: If the provider returned an error, or for one of the reasons listed for ``parse``.
        """
        reader: ResponseReader[T] = ResponseReader(
            self._definitions.models, on_error=on_error, allow_empty=allow_empty, context=context
        )
        return reader.read_result(answer, raw, usage)


class OfferedTools(NamedTuple):
    """The tools in a request, and a dictionary from tool name to Pydantic model."""

    wire_format: WireFormat
    schemas: list[dict[str, Any]]
    models: Mapping[str, type[BaseModel]]


class ToolDefinitions:
    """A dictionary from tool name to Pydantic model, and a cache of the tools for requests.

    The cache has an entry for each combination of wire format and strictness.
    """

    __slots__ = ("_offers", "_tools", "models")

    def __init__(self, models: tuple[type[BaseModel], ...]) -> None:
        self.models = MappingProxyType(assign_tool_names(models))
        self._tools: tuple[ToolDefinition, ...] | None = None
        self._offers: dict[tuple[str, bool], OfferedTools] = {}

    def offer(self, wire: str, strict: bool) -> OfferedTools:
        """Return the tools for a request in the wire format ``wire``. Raises the errors of ``Toolset.schemas``."""
        offer = self._offers.get((wire, strict))
        if offer is None:
            wire_format = registry.get_format(wire)
            if self._tools is None:
                self._tools = tuple(build_tool(name, model) for name, model in self.models.items())
            schemas = wire_format.write_tools(self._tools, strict=strict)
            offer = self._offers[wire, strict] = OfferedTools(wire_format, schemas, self.models)
        return offer


def define_tools(response_model: object) -> ToolDefinitions:
    """Return the tools for a ``response_model``.

    Raises:
        TypeError: If the form of ``response_model`` is not supported. ``Toolset`` lists the supported forms.
    """
    try:
        definitions = _define_usual_tools(list_members(response_model))
    except TypeError:
        # a member is not hashable, so it is not a class
        definitions = None
    return definitions or _define_tools(parse_response_model(response_model))


# one function with a cache for the usual form of a `response_model`, because every call to `create` needs the tools
@lru_cache(maxsize=512)
def _define_usual_tools(members: tuple[Any, ...]) -> ToolDefinitions | None:
    return _define_tools(members) if members and all(map(is_model, members)) else None


# cached by the models, not by the response_model: `Iterable[A | B]` equals `Iterable[B | A]`, but their order differs
_define_tools = lru_cache(maxsize=512)(ToolDefinitions)
