"""The Responses API of OpenAI's clients, with ``response_model`` on its `create`."""

from __future__ import annotations

import openai
from openai import AsyncStream, Stream
from openai.resources import responses
from openai.types.responses import Response, ResponseStreamEvent

from multitrack.clients.openai_create import AsyncCreate, Create


class Responses(Create[Response, Stream[ResponseStreamEvent]], responses.Responses):
    """``client.responses``, whose `create` takes ``response_model``."""

    _wire = "openai.responses"
    _sdk = responses.Responses


class AsyncResponses(AsyncCreate[Response, AsyncStream[ResponseStreamEvent]], responses.AsyncResponses):
    """``client.responses`` of an async client, whose `create` takes ``response_model``."""

    _wire = "openai.responses"
    _sdk = responses.AsyncResponses


def responses_of(client: openai.OpenAI | openai.AsyncOpenAI) -> Responses | AsyncResponses:
    """``client.responses`` for ``client``, of its kind."""
    return AsyncResponses(client) if isinstance(client, openai.AsyncOpenAI) else Responses(client)
