"""``google.genai.Client``, of the Gemini API and of Vertex AI.

Imported when a client is given to `from_genai`, so that nobody else needs the SDK, or waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google import genai
from google.genai import types
from google.genai.types import GenerateContentResponse

from multitrack.clients.gemini import GeminiClient, Offered
from multitrack.clients.mode import Mode, chosen
from multitrack.wires.gemini_messages import GeminiConversation

# of a response, what the model answered: the SDK keeps more in it, such as values parsed to classes of the caller's
_ANSWERED = {"candidates", "prompt_feedback", "model_version", "usage_metadata"}


class GenaiClient(GeminiClient[GenerateContentResponse]):
    """Asks by a ``google.genai.Client``, by messages in OpenAI's form, for models of a ``response_model``.

    ``model`` is the name of the model to ask where `create` is given none. ``config``, as the SDK knows it, is
    an argument of `create`; messages of the system stand behind its own instruction.
    """

    ids = True
    signatures = True

    def __init__(self, client: genai.Client, mode: Mode | None = None, model: str | None = None) -> None:
        chosen(mode, Mode.GENAI_PARALLEL_TOOLS, by="from_genai")
        if not isinstance(client, genai.Client):
            raise TypeError(f"from_genai takes a google.genai.Client, not {type(client).__name__}")
        self.client = client
        self.model = model

    def _send(
        self, told: GeminiConversation, offered: Offered | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        models = self.client.models
        generate: Any = models.generate_content_stream if stream else models.generate_content
        return generate(contents=_contents(told), **self._request(told, offered, arguments))

    async def _send_async(
        self, told: GeminiConversation, offered: Offered | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        models = self.client.aio.models
        generate: Any = models.generate_content_stream if stream else models.generate_content
        return await generate(contents=_contents(told), **self._request(told, offered, arguments))

    def _request(self, told: GeminiConversation, offered: Offered | None, arguments: dict[str, Any]) -> dict[str, Any]:
        model = arguments.get("model") or self.model
        if model is None:
            raise TypeError("create needs a model: pass model= to it, or to from_genai")
        changes: dict[str, Any] = {}
        config = _config(arguments.get("config"))
        if told.system:
            system = [types.Part.model_validate(part) for part in told.system]
            changes["system_instruction"] = [*_instructed(config.system_instruction), *system]
        if offered:
            changes["tools"] = [types.Tool.model_validate(tool) for tool in offered.tools]
            if offered.config:
                changes["tool_config"] = types.ToolConfig.model_validate(offered.config)
        return {**arguments, "model": model, **({"config": config.model_copy(update=changes)} if changes else {})}

    def _own_tools(self, arguments: Mapping[str, Any]) -> object:
        return _config(arguments.get("config")).tools

    def document(self, raw: GenerateContentResponse) -> Mapping[str, Any]:
        return raw.model_dump(mode="json", by_alias=True, include=_ANSWERED)

    def usage(self, raw: GenerateContentResponse) -> Any:
        return raw.usage_metadata


def _contents(told: GeminiConversation) -> list[types.ContentUnion]:
    # by way of JSON, since it is there only that the SDK's types read base64
    return [types.Content.model_validate_json(json.dumps(content)) for content in told.contents]


def _config(given: Any) -> types.GenerateContentConfig:
    """The caller's config as the SDK's object; a dictionary may have the names of either spelling."""
    return types.GenerateContentConfig() if given is None else types.GenerateContentConfig.model_validate(given)


def _instructed(own: Any) -> list[Any]:
    match own:
        case None:
            return []
        case types.Content():
            return own.parts or []
        case list():
            return own
        case _:
            return [own]
