"""Extraction with Vertex AI's ``GenerativeModel``. Only this file uses private names of the vertexai package.

This module is imported when a model is passed to ``from_vertexai``. Other users therefore neither need the SDK nor
wait for its import.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf.json_format import MessageToDict
from vertexai import generative_models
from vertexai.generative_models import GenerationResponse, GenerativeModel

from multitrack.clients.gemini import GeminiClient, GeminiTools
from multitrack.clients.mode import Mode, resolve_mode
from multitrack.wires.gemini.gemini_messages import GeminiConversation


def _has_field(message: str, field: str) -> bool:
    """Return whether ``message`` has ``field`` in the installed SDK. The oldest supported SDK lacks some fields."""
    return field in getattr(types, message).meta.fields


class VertexClient(GeminiClient[GenerationResponse]):
    """A client that extracts Pydantic models through a ``GenerativeModel``, with messages in OpenAI's format.

    ``model`` is the ``GenerativeModel``; it is not changed.
    """

    has_call_ids = _has_field("FunctionCall", "id")
    has_signatures = _has_field("Part", "thought_signature")

    def __init__(self, model: GenerativeModel, mode: Mode | None = None) -> None:
        resolve_mode(mode, Mode.VERTEXAI_PARALLEL_TOOLS, function="from_vertexai")
        # the common base of the classes in vertexai.generative_models and vertexai.preview
        if not isinstance(model, generative_models._generative_models._GenerativeModel):
            raise TypeError(
                f"from_vertexai requires a vertexai.generative_models.GenerativeModel, not {type(model).__name__}"
            )
        self.model = model

    def _send(
        self, conversation: GeminiConversation, tools: GeminiTools | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        model, sdk_contents, arguments = self._build_request(conversation, tools, arguments, "_prediction_client")
        if stream and tools:
            return _stream_responses(model, model._prepare_request(sdk_contents, **arguments))
        generate: Any = model.generate_content
        return generate(sdk_contents, stream=stream, **arguments)

    async def _send_async(
        self, conversation: GeminiConversation, tools: GeminiTools | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        model, sdk_contents, arguments = self._build_request(conversation, tools, arguments, "_prediction_async_client")
        generate: Any = model.generate_content_async
        return await generate(sdk_contents, stream=stream, **arguments)

    def _build_request(
        self, conversation: GeminiConversation, tools: GeminiTools | None, arguments: dict[str, Any], connection: str
    ) -> tuple[GenerativeModel, list[generative_models.Content], dict[str, Any]]:
        """Return the model to call, the contents to send, and the other arguments.

        System messages are appended to the model's own system instruction. ``connection`` is the name of the model's
        property that connects to Vertex AI.
        """
        model = self.model
        if conversation.system:
            instruction: Any = model._system_instruction
            own = instruction if isinstance(instruction, list) else [instruction] if instruction else []
            # connect before the model is copied: the copies share the connection, and would otherwise each open one
            getattr(model, connection)
            model = copy.copy(model)
            model._system_instruction = [*own, *map(generative_models.Part.from_dict, conversation.system)]
        sdk_contents = self.build_contents(conversation.contents)
        return model, sdk_contents, {**arguments, **(self._build_tool_arguments(tools) if tools else {})}

    def _build_tool_arguments(self, tools: GeminiTools) -> dict[str, Any]:
        sdk_tools = self._build_tools(tools.tools)
        if tools.config is None:
            return {"tools": sdk_tools}
        choice = tools.config["functionCallingConfig"]
        calling = generative_models.ToolConfig.FunctionCallingConfig
        modes: Any = calling.Mode
        if choice["mode"] not in modes.__members__:
            raise ValueError(
                "tool_choice is allowed_tools with mode 'auto', which this SDK does not support; use mode 'required'"
            )
        config = calling(modes[choice["mode"]], choice.get("allowedFunctionNames"))
        return {"tools": sdk_tools, "tool_config": generative_models.ToolConfig(config)}

    def _caller_tools(self, arguments: Mapping[str, Any]) -> object:
        del arguments
        return self.model._tools

    @staticmethod
    def _build_tool(tool: Mapping[str, Any]) -> generative_models.Tool:
        return generative_models.Tool.from_dict(dict(tool))

    @staticmethod
    def build_contents(contents: Sequence[Mapping[str, Any]]) -> list[generative_models.Content]:
        return [generative_models.Content.from_dict(dict(content)) for content in contents]

    @staticmethod
    def dump_content(message: Any) -> Any:
        if not isinstance(message, generative_models.Content):
            return message
        # not to_dict(), which writes names in snake case
        content = message._raw_content
        return _sort_keys(MessageToDict(type(content).pb(content)))

    @staticmethod
    def dump_response(raw: GenerationResponse) -> Mapping[str, Any]:
        message = raw._raw_response
        document: Mapping[str, Any] = _sort_keys(MessageToDict(type(message).pb(message)))
        return document

    def get_usage(self, raw: GenerationResponse) -> Any:
        return raw.usage_metadata


def _stream_responses(model: GenerativeModel, request: Any) -> Iterator[GenerationResponse]:
    """Yield the responses of the model's own stream. Closing the iterator also closes the connection."""
    responses: Any = model._prediction_client.stream_generate_content(request=request)
    try:
        for response in responses:
            yield model._parse_response(response)
    finally:
        responses.cancel()


def _sort_keys(value: Any) -> Any:
    """Sort the keys of dictionaries in ``value``, because the order of a protobuf map differs between processes."""
    match value:
        case dict():
            return {key: _sort_keys(value[key]) for key in sorted(value)}
        case list():
            return [_sort_keys(item) for item in value]
        case _:
            return value
