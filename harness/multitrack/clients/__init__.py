"""The clients: an SDK's own, with ``response_model`` on what creates an answer. One file for each SDK.

An SDK is imported when a client of it is given, never before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from multitrack.clients.mode import Mode

if TYPE_CHECKING:
    import openai
    from google import genai
    from vertexai.generative_models import GenerativeModel

    from multitrack.clients.genai import GenaiClient
    from multitrack.clients.openai import AsyncParallelOpenAI, ParallelOpenAI
    from multitrack.clients.vertexai import VertexClient

__all__ = ["Mode", "from_genai", "from_openai", "from_vertexai", "patch"]


@overload
def from_openai(client: openai.OpenAI, mode: Mode | None = None) -> ParallelOpenAI: ...
@overload
def from_openai(client: openai.AsyncOpenAI, mode: Mode | None = None) -> AsyncParallelOpenAI: ...
def from_openai(client: Any, mode: Mode | None = None) -> Any:
    """``client`` with ``response_model`` on ``chat.completions.create``, or on ``responses.create`` with
    ``mode=Mode.RESPONSES_PARALLEL_TOOLS``.

    Takes an ``OpenAI`` or ``AsyncOpenAI``, ``AzureOpenAI`` and any ``base_url`` among them, and gives one of
    the same class on the same connections; the client given stays as it is. Raises TypeError for anything
    else, ValueError for a mode of another client.
    """
    return _openai("from_openai").extracting(client, mode, by="from_openai")


@overload
def patch(client: openai.OpenAI, mode: Mode | None = None) -> ParallelOpenAI: ...
@overload
def patch(client: openai.AsyncOpenAI, mode: Mode | None = None) -> AsyncParallelOpenAI: ...
def patch(client: Any, mode: Mode | None = None) -> Any:
    """As `from_openai`, but changes the client that it is given, and gives it back."""
    return _openai("patch").extract_with(client, mode, by="patch")


def from_vertexai(client: GenerativeModel, mode: Mode | None = None) -> VertexClient:
    """An object whose ``create`` and ``create_async`` ask ``client``, a Vertex AI ``GenerativeModel``.

    Raises TypeError for anything else, ValueError for a mode of another client.
    """
    try:
        from multitrack.clients.vertexai import VertexClient
    except ImportError as error:
        raise _missing("from_vertexai", "vertexai", error) from error
    return VertexClient(client, mode)


def from_genai(client: genai.Client, mode: Mode | None = None, model: str | None = None) -> GenaiClient:
    """An object whose ``create`` and ``create_async`` ask by ``client``, of the Gemini API or of Vertex AI.

    ``model`` is the name of the model to ask, unless ``create`` is given another. Raises TypeError for
    anything but a ``google.genai.Client``, ValueError for a mode of another client.
    """
    try:
        from multitrack.clients.genai import GenaiClient
    except ImportError as error:
        raise _missing("from_genai", "genai", error) from error
    return GenaiClient(client, mode, model)


def _openai(by: str) -> Any:
    try:
        from multitrack.clients import openai
    except ImportError as error:
        raise _missing(by, "openai", error) from error
    return openai


def _missing(by: str, extra: str, error: ImportError) -> ImportError:
    return ImportError(f"{by} needs the {extra} SDK ({error}): pip install 'multitrack[{extra}]'")
