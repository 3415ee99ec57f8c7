"""Add ``response_model`` to the clients of the providers' SDKs. Each SDK has its own file.

An SDK is not imported until a function for its clients, such as ``from_openai``, is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from multitrack.clients.mode import Mode

if TYPE_CHECKING:
    import anthropic
    import openai
    from anthropic.lib.bedrock import AnthropicBedrock, AsyncAnthropicBedrock
    from anthropic.lib.vertex import AnthropicVertex, AsyncAnthropicVertex
    from google import genai
    from vertexai.generative_models import GenerativeModel

    from multitrack.clients.anthropic import (
        AsyncParallelAnthropic,
        AsyncParallelAnthropicBedrock,
        AsyncParallelAnthropicVertex,
        ParallelAnthropic,
        ParallelAnthropicBedrock,
        ParallelAnthropicVertex,
    )
    from multitrack.clients.bedrock import BedrockClient
    from multitrack.clients.genai import GenaiClient
    from multitrack.clients.openai import AsyncParallelOpenAI, ParallelOpenAI
    from multitrack.clients.vertexai import VertexClient

__all__ = ["Mode", "from_anthropic", "from_bedrock", "from_genai", "from_openai", "from_vertexai", "patch"]


@overload
def from_openai(client: openai.OpenAI, mode: Mode | None = None) -> ParallelOpenAI: ...
@overload
def from_openai(client: openai.AsyncOpenAI, mode: Mode | None = None) -> AsyncParallelOpenAI: ...
def from_openai(client: Any, mode: Mode | None = None) -> Any:
    """Return a copy of ``client`` whose ``create`` accepts ``response_model``.

    Args:
        client: An ``OpenAI`` or ``AsyncOpenAI``, or one of their subclasses such as ``AzureOpenAI``, with any
            ``base_url``. The client is not changed.
        mode: ``Mode.PARALLEL_TOOLS``, the default, adds ``response_model`` to ``chat.completions.create``;
            ``Mode.RESPONSES_PARALLEL_TOOLS`` adds it to ``responses.create``.

    Returns:
        A client of the same class that uses the same connections.

    Raises:
        TypeError: If ``client`` is not one of OpenAI's clients.
        ValueError: If ``mode`` is the mode of a different client.
        ImportError: If the openai package is not installed.
    """
    return _import_openai("from_openai").copy_with_extraction(client, mode, function="from_openai")


@overload
def patch(client: openai.OpenAI, mode: Mode | None = None) -> ParallelOpenAI: ...
@overload
def patch(client: openai.AsyncOpenAI, mode: Mode | None = None) -> AsyncParallelOpenAI: ...
def patch(client: Any, mode: Mode | None = None) -> Any:
    """Add ``response_model`` to the ``create`` method of ``client`` in place, and return ``client``.

    The arguments and errors are the same as those of ``from_openai``.
    """
    return _import_openai("patch").add_extraction(client, mode, function="patch")


def from_vertexai(client: GenerativeModel, mode: Mode | None = None) -> VertexClient:
    """Return an object whose ``create`` and ``create_async`` extract models through a ``GenerativeModel``.

    Args:
        client: A ``GenerativeModel`` of the vertexai package. The client is not changed.
        mode: ``Mode.VERTEXAI_PARALLEL_TOOLS``, which is the default.

    Raises:
        TypeError: If ``client`` is not a ``GenerativeModel``.
        ValueError: If ``mode`` is the mode of a different client.
        ImportError: If the vertexai package is not installed.
    """
    try:
        from multitrack.clients.vertexai import VertexClient
    except ImportError as error:
        raise _missing_sdk_error("from_vertexai", "vertexai", error) from error
    return VertexClient(client, mode)


def from_genai(client: genai.Client, mode: Mode | None = None, model: str | None = None) -> GenaiClient:
    """Return an object whose ``create`` and ``create_async`` extract models through a ``google.genai.Client``.

    Args:
        client: A client for the Gemini API or for Vertex AI. The client is not changed.
        mode: ``Mode.GENAI_PARALLEL_TOOLS``, which is the default.
        model: The name of the model to ask if ``create`` is called without one. Default None.

    Raises:
        TypeError: If ``client`` is not a ``google.genai.Client``.
        ValueError: If ``mode`` is the mode of a different client.
        ImportError: If the google-genai package is not installed.
    """
    try:
        from multitrack.clients.genai import GenaiClient
    except ImportError as error:
        raise _missing_sdk_error("from_genai", "genai", error) from error
    return GenaiClient(client, mode, model)


@overload
def from_anthropic(client: anthropic.Anthropic, mode: Mode | None = None) -> ParallelAnthropic: ...
@overload
def from_anthropic(client: anthropic.AsyncAnthropic, mode: Mode | None = None) -> AsyncParallelAnthropic: ...
@overload
def from_anthropic(client: AnthropicBedrock, mode: Mode | None = None) -> ParallelAnthropicBedrock: ...
@overload
def from_anthropic(client: AsyncAnthropicBedrock, mode: Mode | None = None) -> AsyncParallelAnthropicBedrock: ...
@overload
def from_anthropic(client: AnthropicVertex, mode: Mode | None = None) -> ParallelAnthropicVertex: ...
@overload
def from_anthropic(client: AsyncAnthropicVertex, mode: Mode | None = None) -> AsyncParallelAnthropicVertex: ...
def from_anthropic(client: Any, mode: Mode | None = None) -> Any:
    """Return a copy of ``client`` whose ``messages.create`` accepts ``response_model``.

    Args:
        client: An ``Anthropic`` or ``AsyncAnthropic``, or one of the SDK's clients for other platforms, such as
            ``AnthropicBedrock`` and ``AnthropicVertex``. The client is not changed.
        mode: ``Mode.ANTHROPIC_PARALLEL_TOOLS``, which is the default.

    Returns:
        A client of the same class that uses the same connections.

    Raises:
        TypeError: If ``client`` is not one of Anthropic's clients.
        ValueError: If ``mode`` is the mode of a different client.
        ImportError: If the anthropic package is not installed.
    """
    try:
        from multitrack.clients.anthropic import copy_with_extraction
    except ImportError as error:
        raise _missing_sdk_error("from_anthropic", "anthropic", error) from error
    return copy_with_extraction(client, mode)


def from_bedrock(client: Any, mode: Mode | None = None) -> BedrockClient:
    """Return an object whose ``create`` extracts models through the Converse API of Amazon Bedrock.

    Args:
        client: ``boto3.client("bedrock-runtime")``. The client is not changed.
        mode: ``Mode.BEDROCK_PARALLEL_TOOLS``, which is the default.

    Raises:
        TypeError: If ``client`` is not a boto3 client for ``bedrock-runtime``.
        ValueError: If ``mode`` is the mode of a different client.
        ImportError: If the boto3 package is not installed.
    """
    try:
        from multitrack.clients.bedrock import BedrockClient
    except ImportError as error:
        raise _missing_sdk_error("from_bedrock", "bedrock", error) from error
    return BedrockClient(client, mode)


def _import_openai(function: str) -> Any:
    try:
        from multitrack.clients import openai
    except ImportError as error:
        raise _missing_sdk_error(function, "openai", error) from error
    return openai


def _missing_sdk_error(function: str, extra: str, error: ImportError) -> ImportError:
    from multitrack.installation import find_install_command

    return ImportError(f"{function} requires the {extra} SDK ({error}): {find_install_command(extra)}")
