"""The models that a model may answer with, as tools; and its calls of them, as models again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from multitrack import wires
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.reader import OnError, Reader
from multitrack.extraction.response_model import models_of
from multitrack.extraction.schema import tool_names, tool_of
from multitrack.toolcall import ToolCall
from multitrack.wires import ToolDefinition, WireAnswer

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")


class Toolset(Generic[T]):
    """The tools for one ``response_model``: `Iterable[A | B]`.

    Raises TypeError if it has another form; see `models_of` for those that are read. Schemas are made once
    for the same models in the same order.

    A tool is described by its model's docstring, or by a ``description`` in the ``json_schema_extra`` of its
    ``model_config``. It is named like the model's class, or by a ``title`` in the model's own ``model_config``,
    if all providers take that as a name: letters, digits, underscores and dashes, no digit or dash first, at
    most 64. Models of one name get distinct tools, numbered in their order.
    """

    __slots__ = ("_offer",)

    def __init__(self, response_model: TypeForm[Iterable[T]]) -> None:
        self._offer = _offer(models_of(response_model))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools, in the order of the models."""
        return tuple(self._offer.models)

    @property
    def models(self) -> Mapping[str, type[BaseModel]]:
        """The model behind each tool, by the tool's name."""
        return self._offer.models

    def schemas(self, wire: str, *, strict: bool = False) -> list[dict[str, Any]]:
        """The ``tools`` of a request over ``wire``, one of `multitrack.wires.WIRES`; with ``strict`` by schemas
        that OpenAI holds a model to, where it sends every field.

        Raises TypeError where the wire's schema language cannot express a model, and for ``strict`` where the
        wire has no such thing. The list is shared: copy it before you change it.
        """
        return self._offer.schemas(wire, strict)

    def parse(
        self,
        calls: Iterable[ToolCall],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
    ) -> Extraction[T]:
        """The models that ``calls`` stand for, in order.

        Raises `UnknownTool` or `InvalidArguments` for bad calls, `ExtractionError` for bad calls of both
        kinds, `NoToolCalls` for none at all. With ``on_error="collect"`` errors stand in ``errors`` of the
        result, ``allow_empty`` lets there be no calls. ``context`` reaches the models' validators.
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
        """As `parse`, for a whole answer: also raises `Refusal`, and `TruncatedResponse` for one that a limit
        cut off. ``raw`` and ``usage`` are handed through to the result, ``raw`` to errors, too."""
        reader: Reader[T] = Reader(self._offer.models, on_error=on_error, allow_empty=allow_empty, context=context)
        return reader.settled(reader.read(answer, raw=raw, usage=usage))


class _Offer:
    """Models by tool name, with their tools written once for each wire, strict or not."""

    def __init__(self, models: tuple[type[BaseModel], ...]) -> None:
        self.models = MappingProxyType(tool_names(models))
        self._tools: tuple[ToolDefinition, ...] | None = None
        self._schemas: dict[tuple[str, bool], list[dict[str, Any]]] = {}

    def schemas(self, wire: str, strict: bool) -> list[dict[str, Any]]:
        if (wire, strict) not in self._schemas:
            if self._tools is None:
                self._tools = tuple(tool_of(name, model) for name, model in self.models.items())
            self._schemas[wire, strict] = wires.write_tools(self._tools, wire, strict=strict)
        return self._schemas[wire, strict]


# By the models and not by the form: `Iterable[A | B]` equals `Iterable[B | A]`, but offers another order.
@lru_cache(maxsize=512)
def _offer(models: tuple[type[BaseModel], ...]) -> _Offer:
    return _Offer(models)
