"""Vertex AI's ``GenerativeModel``. The one file that touches private names of the vertexai package.

Imported when a model is given to `from_vertexai`, so that nobody else needs the SDK, or waits for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf.json_format import MessageToDict
from vertexai import generative_models
from vertexai.generative_models import GenerationResponse, GenerativeModel

from multitrack.clients.gemini import GeminiClient, Offered
from multitrack.clients.mode import Mode, chosen
from multitrack.wires.gemini_messages import GeminiConversation


def _has_field(message: str, field: str) -> bool:
    """Whether the installed SDK knows ``field``; it came later than the oldest one that works."""
    return field in getattr(types, message).meta.fields


class VertexClient(GeminiClient[GenerationResponse]):
    """Asks a ``GenerativeModel``, by messages in OpenAI's form, for models of a ``response_model``.

    ``model`` is the model that it was made with, and stays as it is.
    """

    ids = _has_field("FunctionCall", "id")
    signatures = _has_field("Part", "thought_signature")

    def __init__(self, model: GenerativeModel, mode: Mode | None = None) -> None:
        chosen(mode, Mode.VERTEXAI_PARALLEL_TOOLS, by="from_vertexai")
        # the classes of vertexai.generative_models and of vertexai.preview have this one in common
        if not isinstance(model, generative_models._generative_models._GenerativeModel):
            raise TypeError(
                f"from_vertexai takes a vertexai.generative_models.GenerativeModel, not {type(model).__name__}"
            )
        self.model = model

    def _send(
        self, told: GeminiConversation, offered: Offered | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        model, contents, arguments = self._request(told, offered, arguments, "_prediction_client")
        if stream and offered:
            return _streamed(model, model._prepare_request(contents, **arguments))
        generate: Any = model.generate_content
        return generate(contents, stream=stream, **arguments)

    async def _send_async(
        self, told: GeminiConversation, offered: Offered | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        model, contents, arguments = self._request(told, offered, arguments, "_prediction_async_client")
        generate: Any = model.generate_content_async
        return await generate(contents, stream=stream, **arguments)

    def _request(
        self, told: GeminiConversation, offered: Offered | None, arguments: dict[str, Any], connected: str
    ) -> tuple[GenerativeModel, list[generative_models.Content], dict[str, Any]]:
        """The model to ask, with the system's messages behind its own instruction, and what to ask it."""
        model = self.model
        if told.system:
            instruction: Any = model._system_instruction
            own = instruction if isinstance(instruction, list) else [instruction] if instruction else []
            # made on first use and shared from then on: a copy without it would connect anew for each request
            getattr(model, connected)
            model = copy.copy(model)
            model._system_instruction = [*own, *map(generative_models.Part.from_dict, told.system)]
        contents = [generative_models.Content.from_dict(content) for content in told.contents]
        return model, contents, {**arguments, **(_written(offered) if offered else {})}

    def _own_tools(self, arguments: Mapping[str, Any]) -> object:
        del arguments
        return self.model._tools

    def document(self, raw: GenerationResponse) -> Mapping[str, Any]:
        message = raw._raw_response
        document: Mapping[str, Any] = _in_order(MessageToDict(type(message).pb(message)))
        return document

    def usage(self, raw: GenerationResponse) -> Any:
        return raw.usage_metadata


def _streamed(model: GenerativeModel, request: Any) -> Iterator[GenerationResponse]:
    """What the model's own stream gives; closed, it lets go of the connection, too."""
    answers: Any = model._prediction_client.stream_generate_content(request=request)
    try:
        for answer in answers:
            yield model._parse_response(answer)
    finally:
        answers.cancel()


def _written(offered: Offered) -> dict[str, Any]:
    """``offered`` as the SDK's objects."""
    tools = [generative_models.Tool.from_dict(dict(tool)) for tool in offered.tools]
    if offered.config is None:
        return {"tools": tools}
    choice = offered.config["functionCallingConfig"]
    calling = generative_models.ToolConfig.FunctionCallingConfig
    modes: Any = calling.Mode
    if choice["mode"] not in modes.__members__:
        raise ValueError("tool_choice allows some of the tools with the mode 'auto', which this SDK cannot ask for")
    config = calling(modes[choice["mode"]], choice.get("allowedFunctionNames"))
    return {"tools": tools, "tool_config": generative_models.ToolConfig(config)}


def _in_order(value: Any) -> Any:
    """``value`` with its keys sorted: a protobuf map has no order, and gives another one in each process."""
    match value:
        case dict():
            return {key: _in_order(value[key]) for key in sorted(value)}
        case list():
            return [_in_order(item) for item in value]
        case _:
            return value
