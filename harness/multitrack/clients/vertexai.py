"""Vertex AI's ``GenerativeModel``. The one file that touches private names of the vertexai package.

Imported when a model is given to `from_vertexai`, so that nobody else needs the SDK, or waits for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from google.protobuf.json_format import MessageToDict
from vertexai import generative_models

from multitrack.clients.mode import Mode, chosen
from multitrack.clients.question import Question
from multitrack.extraction import Extraction, OnError
from multitrack.wires import Answer, read_answer
from multitrack.wires.gemini_messages import conversation

if TYPE_CHECKING:
    from typing_extensions import TypeForm
    from vertexai.generative_models import GenerationResponse, GenerativeModel

T = TypeVar("T")

Messages = Sequence[Mapping[str, Any]]

_WIRE = "gemini"


class VertexClient:
    """Asks a ``GenerativeModel``, by messages in OpenAI's form, for models of a ``response_model``.

    ``model`` is the model that it was made with, and stays as it is.
    """

    def __init__(self, model: GenerativeModel, mode: Mode | None = None) -> None:
        chosen(mode, Mode.VERTEXAI_PARALLEL_TOOLS, by="from_vertexai")
        # the classes of vertexai.generative_models and of vertexai.preview have this one in common
        if not isinstance(model, generative_models._generative_models._GenerativeModel):
            raise TypeError(
                f"from_vertexai takes a vertexai.generative_models.GenerativeModel, not {type(model).__name__}"
            )
        self.model = model

    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    def create(self, messages: Messages, response_model: None = None, **arguments: Any) -> GenerationResponse: ...
    def create(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """The `Extraction` of the model's answer to ``messages``; without ``response_model`` the answer itself.

        Other arguments go to ``generate_content``. Raises TypeError for a ``response_model`` or an argument
        that cannot be and ValueError for a message that Gemini cannot be told, before any request, and the
        family of `ExtractionError` for an answer that gives no valid models.
        """
        model, contents = self._told(messages)
        if response_model is None:
            return model.generate_content(contents, **arguments)
        question, arguments = self._asked(response_model, arguments)
        with question.sending():
            raw = model.generate_content(contents, **arguments)
        return question.answered(_answer(raw), raw=raw, usage=raw.usage_metadata)

    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    async def create_async(
        self, messages: Messages, response_model: None = None, **arguments: Any
    ) -> GenerationResponse: ...
    async def create_async(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """As `create`, by ``generate_content_async``."""
        model, contents = self._told(messages)
        if response_model is None:
            return await model.generate_content_async(contents, **arguments)
        question, arguments = self._asked(response_model, arguments)
        with question.sending():
            raw = await model.generate_content_async(contents, **arguments)
        return question.answered(_answer(raw), raw=raw, usage=raw.usage_metadata)

    def _told(self, messages: Messages) -> tuple[GenerativeModel, list[generative_models.Content]]:
        """The model to ask, with the system's messages behind its own instruction, and the other messages."""
        system, contents = conversation(messages)
        model = self.model
        if system:
            instruction: Any = model._system_instruction
            own = instruction if isinstance(instruction, list) else [instruction] if instruction else []
            model = copy.copy(model)
            model._system_instruction = [*own, *map(generative_models.Part.from_dict, system)]
        return model, [generative_models.Content.from_dict(content) for content in contents]

    def _asked(self, response_model: Any, arguments: dict[str, Any]) -> tuple[Question[Any], dict[str, Any]]:
        """The question, and what goes to ``generate_content``."""
        options = {name: arguments.pop(name) for name in Question.OPTIONS if name in arguments}
        own_tools = options.pop("tools", None) or self.model._tools
        question: Question[Any] = Question(_WIRE, response_model, tools=own_tools, **options)
        tools = [generative_models.Tool.from_dict(tool) for tool in question.tools]
        return question, {**arguments, "tools": tools}


def _answer(raw: GenerationResponse) -> Answer:
    message = raw._raw_response
    return read_answer(_in_order(MessageToDict(type(message).pb(message))), _WIRE)


def _in_order(value: Any) -> Any:
    """``value`` with its keys sorted: a protobuf map has no order, and gives another one in each process."""
    match value:
        case dict():
            return {key: _in_order(value[key]) for key in sorted(value)}
        case list():
            return [_in_order(item) for item in value]
        case _:
            return value
