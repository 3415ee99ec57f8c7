"""Extraction with ``google.genai.Client``, for the Gemini API and for Vertex AI.

Imported when a client is passed to ``from_genai``, so that other users neither need the SDK nor wait for its import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google import genai
from google.genai import types
from google.genai.types import GenerateContentResponse
from pydantic_core import to_json

from multitrack.clients.gemini import GeminiClient, GeminiTools
from multitrack.clients.mode import Mode, resolve_mode
from multitrack.wires.gemini.gemini_messages import GeminiConversation

# the fields of a response that come from the provider; the SDK adds more, such as values parsed into the caller's types
_MODEL_FIELDS = {"candidates", "prompt_feedback", "model_version", "usage_metadata"}
_EMPTY_CONFIG = types.GenerateContentConfig()


class GenaiClient(GeminiClient[GenerateContentResponse]):
    """A client that extracts models through a ``google.genai.Client``, with messages in OpenAI's format.

    ``model`` is the name of the model that ``create`` uses by default. ``create`` also accepts the SDK's ``config``;
    system messages are appended to its system instruction.
    """

    has_call_ids = True
    has_signatures = True

    def __init__(self, client: genai.Client, mode: Mode | None = None, model: str | None = None) -> None:
        resolve_mode(mode, Mode.GENAI_PARALLEL_TOOLS, function="from_genai")
        if not isinstance(client, genai.Client):
            raise TypeError(f"from_genai requires a google.genai.Client, not {type(client).__name__}")
        self.client = client
        self.model = model

    def _send(
        self, conversation: GeminiConversation, tools: GeminiTools | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        models = self.client.models
        generate: Any = models.generate_content_stream if stream else models.generate_content
        return generate(
            contents=self.build_contents(conversation.contents), **self._build_arguments(conversation, tools, arguments)
        )

    async def _send_async(
        self, conversation: GeminiConversation, tools: GeminiTools | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        models = self.client.aio.models
        generate: Any = models.generate_content_stream if stream else models.generate_content
        return await generate(
            contents=self.build_contents(conversation.contents), **self._build_arguments(conversation, tools, arguments)
        )

    def _build_arguments(
        self, conversation: GeminiConversation, tools: GeminiTools | None, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        model = arguments.get("model") or self.model
        if model is None:
            raise TypeError("create requires a model: pass model= to create or to from_genai")
        changes: dict[str, Any] = {}
        config = _to_config(arguments.get("config"))
        if conversation.system:
            system = [types.Part.model_validate(part) for part in conversation.system]
            changes["system_instruction"] = [*_instruction_parts(config.system_instruction), *system]
        if tools:
            changes["tools"] = self._build_tools(tools.tools)
            if tools.config:
                changes["tool_config"] = types.ToolConfig.model_validate(tools.config)
        return {**arguments, "model": model, **({"config": config.model_copy(update=changes)} if changes else {})}

    def _caller_tools(self, arguments: Mapping[str, Any]) -> object:
        config = arguments.get("config")
        return None if config is None else _to_config(config).tools

    @staticmethod
    def _build_tool(tool: Mapping[str, Any]) -> types.Tool:
        return types.Tool.model_validate(tool)

    @staticmethod
    def build_contents(contents: Sequence[Mapping[str, Any]]) -> list[types.ContentUnion]:
        # through JSON, because the SDK's types only decode base64 when they read JSON
        return [types.Content.model_validate_json(to_json(content)) for content in contents]

    @staticmethod
    def dump_content(message: Any) -> Any:
        if not isinstance(message, types.Content):
            return message
        return message.model_dump(mode="json", by_alias=True, exclude_none=True)

    @staticmethod
    def dump_response(raw: GenerateContentResponse) -> Mapping[str, Any]:
        # Most fields of the SDK's objects are None, and writing them would take three times as long. The arguments of
        # calls keep their nulls, because they are a plain dictionary.
        return raw.model_dump(mode="json", by_alias=True, exclude_none=True, include=_MODEL_FIELDS)

    def view_response(self, raw: GenerateContentResponse) -> Mapping[str, Any]:
        # dumping all fields would take three times as long
        document: dict[str, Any] = {"candidates": [_view_candidate(candidate) for candidate in raw.candidates or ()]}
        if raw.prompt_feedback:
            document["promptFeedback"] = raw.prompt_feedback.model_dump(mode="json", by_alias=True)
        return document

    def get_usage(self, raw: GenerateContentResponse) -> Any:
        return raw.usage_metadata


def _view_candidate(candidate: types.Candidate) -> dict[str, Any]:
    reason = candidate.finish_reason
    parts = (candidate.content and candidate.content.parts) or ()
    return {
        "content": {"parts": [_view_part(part) for part in parts]},
        "finishReason": reason and reason.value,
        "finishMessage": candidate.finish_message,
    }


def _view_part(part: types.Part) -> dict[str, Any]:
    # the fields of a call, `text` and `thought` have the same names in the SDK and in JSON
    call = part.function_call
    return vars(part) if call is None else {**vars(part), "functionCall": vars(call)}


def _to_config(given: Any) -> types.GenerateContentConfig:
    """Convert the caller's config to the SDK's object. A dictionary can have camel case or snake case keys."""
    return _EMPTY_CONFIG if given is None else types.GenerateContentConfig.model_validate(given)


def _instruction_parts(instruction: Any) -> list[Any]:
    match instruction:
        case None:
            return []
        case types.Content():
            return instruction.parts or []
        case list():
            return instruction
        case _:
            return [instruction]
