"""Give advice if code that moves from instructor to Multitrack still uses a name from instructor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_CREATE_CLIENT = "create the client of the provider's own SDK and pass it to {functions}"
_OPENAI_COMPATIBLE = "call from_openai(openai.OpenAI(base_url=...)) with the URL of the provider"
_OWN_SDK = "use instructor or {provider}'s own SDK; the pytest plugin records and replays the requests of both"
_HOOKS = (
    "read .raw, .usage, .attempts and .errors from the result, or create the SDK's client with an http_client that has "
    "event hooks"
)
_CLIENT_CLASS = "annotate with the type that {functions} returns, such as openai.OpenAI"
_SCHEMA = "Toolset(Iterable[A | B]).schemas(wire) returns the tools for plain Pydantic models"
_PLAIN_MODELS = "pass plain Pydantic models as response_model=Iterable[A | B]"
_CONTENT = "pass the image, audio or file as a content part in OpenAI's format"
_BATCH = "send the batch with the provider's SDK and read each response with decode() and Toolset(...).parse()"
_VALIDATOR = "write a Pydantic validator that calls the language model; pass data to it with context="
_CREATE = "call create() on the client that {functions} returns"

MODULE_NAMES = {
    "AsyncInstructor": _CLIENT_CLASS,
    "Audio": _CONTENT,
    "BatchJob": _BATCH,
    "BatchProcessor": _BATCH,
    "BatchRequest": _BATCH,
    "CitationMixin": "write a Pydantic validator that compares the quotes with the text in info.context",
    "FinetuneFormat": "use instructor to write files for fine-tuning",
    "Image": _CONTENT,
    "Instructions": "use instructor to write files for fine-tuning",
    "Instructor": _CLIENT_CLASS,
    "IterableModel": _PLAIN_MODELS,
    "Maybe": "call create(allow_empty=True): if the model calls no tool, the result is empty",
    "OpenAISchema": _PLAIN_MODELS,
    "PDF": _CONTENT,
    "Partial": "call create(stream=True): it yields each model when its call is complete",
    "Provider": _CREATE_CLIENT,
    "ResponseSchema": _PLAIN_MODELS,
    "apatch": "call patch(), which accepts synchronous and asynchronous clients",
    "batch": _BATCH,
    "client": _CREATE,
    "distil": "use instructor to write files for fine-tuning",
    "dsl": _PLAIN_MODELS,
    "exceptions": "import the errors from multitrack.errors",
    "from_anyscale": _OPENAI_COMPATIBLE,
    "from_cerebras": _OPENAI_COMPATIBLE,
    "from_cohere": _OWN_SDK.format(provider="Cohere"),
    "from_databricks": _OPENAI_COMPATIBLE,
    "from_deepseek": _OPENAI_COMPATIBLE,
    "from_fireworks": _OPENAI_COMPATIBLE,
    "from_gemini": "pass a google.genai.Client to from_genai",
    "from_groq": _OPENAI_COMPATIBLE,
    "from_litellm": "call from_openai(openai.OpenAI(base_url=...)) with the URL of a LiteLLM proxy",
    "from_mistral": _OWN_SDK.format(provider="Mistral"),
    "from_openrouter": _OPENAI_COMPATIBLE,
    "from_perplexity": _OPENAI_COMPATIBLE,
    "from_provider": _CREATE_CLIENT,
    "from_together": _OPENAI_COMPATIBLE,
    "from_writer": _OWN_SDK.format(provider="Writer"),
    "from_xai": _OPENAI_COMPATIBLE,
    "generate_anthropic_schema": _SCHEMA,
    "generate_gemini_schema": _SCHEMA,
    "generate_openai_schema": _SCHEMA,
    "handle_response_model": _SCHEMA,
    "hooks": _HOOKS,
    "llm_validator": _VALIDATOR,
    "multimodal": _CONTENT,
    "openai_moderation": _VALIDATOR,
    "openai_schema": _PLAIN_MODELS,
    "response_schema": _PLAIN_MODELS,
    "v2": _CREATE_CLIENT,
}
"""The advice for each name in instructor's module. Names that Multitrack has are never looked up here."""

CLIENT_NAMES = {
    "chat": "call the client's own create()",
    "clear": _HOOKS,
    "completions": "call the client's own create()",
    "create_fn": "call create()",
    "create_iterable": "call create() to get all models together, or create(stream=True) to get them one by one",
    "create_partial": "call create(stream=True): it yields each model when its call is complete",
    "default_model": "pass model= to create()",
    "handle_kwargs": "pass the arguments to each call of create()",
    "hooks": _HOOKS,
    "kwargs": "pass the arguments to each call of create()",
    "messages": "call the client's own create()",
    "mode": "pass mode= when you create the client",
    "off": _HOOKS,
    "on": _HOOKS,
    "provider": "use the SDK's client, which Multitrack returns unchanged",
}
"""The advice for each attribute of instructor's clients."""


def explain_module_name(name: str, public_names: Iterable[str]) -> str | None:
    """Return one sentence of advice about ``name``, a name from instructor. None if instructor has no such name."""
    if name not in MODULE_NAMES:
        return None
    *others, last = (public for public in public_names if public.startswith("from_"))
    functions = f"{', '.join(others)} or {last}"
    return f"Multitrack does not offer {name}: {MODULE_NAMES[name].format(functions=functions)}"


def look_up_attribute(instance: object, name: str) -> Any:
    """Raise an ``AttributeError`` that helps users of instructor. Used in ``__getattr__`` methods.

    If instructor's clients have a ``name`` attribute, the error says what to use instead. Otherwise, the attribute is
    looked up again: if it is a property that raised an error, that error appears.
    """
    if name in CLIENT_NAMES:
        message = f"Multitrack does not offer {name}: {CLIENT_NAMES[name]}"
        raise AttributeError(message, name=name, obj=instance)
    return object.__getattribute__(instance, name)
