"""The stand-in's logic, without sockets: log each request, and find the reply to it.

A recorded response has priority. If there is none, the path of the request selects the wire format, and the script
supplies the answer. The host is ignored, so that every base URL works.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast
from urllib.parse import unquote

from multitrack.hosts import is_loopback
from multitrack.standin import google_auth
from multitrack.standin.answer_selection import AnswerSelector
from multitrack.standin.anthropic import messages
from multitrack.standin.bedrock import converse
from multitrack.standin.identity import OPENAI_HOST, Headers, anthropic_headers, google_headers, openai_headers
from multitrack.standin.ollama import chat as ollama_chat
from multitrack.standin.openai import chat, responses
from multitrack.standin.recorded_responses import RecordedResponse, RecordedResponses
from multitrack.standin.reply import Chunk, GrpcReply, HttpReply, split_events
from multitrack.standin.request_log import ReceivedRequest, RequestLog
from multitrack.standin.script import Script
from multitrack.standin.stream_gates import StreamGates

_CHAT = re.compile(r".*/chat/completions")
_RESPONSES = re.compile(r".*/responses")
_GENERATE = re.compile(r"/(v1|v1beta1|v1beta)/(.+):(generateContent|streamGenerateContent)")
_XAI_SERVICE = "/xai_api.Chat/"
_SUPPORTED = (
    "POST .../chat/completions, .../responses, .../v1/messages, .../MODEL:generateContent, "
    ".../MODEL:streamGenerateContent, .../publishers/anthropic/models/MODEL:rawPredict, "
    ".../MODEL:streamRawPredict, /model/MODEL/invoke, /model/MODEL/converse, /model/MODEL/converse-stream "
    "and .../api/chat"
)


class Provider:
    """A stand-in provider that replies to requests. Thread-safe.

    A mistake in a request or in the script becomes an error reply.

    Attributes:
        log: The requests received, except those in ``auth_log``.
        auth_log: The requests that Google's authentication libraries made on their own.
        abandoned: The requests whose client did not wait for the end of the reply.
        gates: The gates in the script's answers.
    """

    def __init__(self, script: Script, recorded: RecordedResponses) -> None:
        self.log = RequestLog()
        self.auth_log = RequestLog()
        self.abandoned = RequestLog()
        self.gates = StreamGates()
        self._responses = responses.ResponseStore()
        self._selector = AnswerSelector(script)
        self._recorded = recorded

    def reply_http(self, request: ReceivedRequest) -> HttpReply:
        """Return the reply to an HTTP request."""
        auth_response = google_auth.find_auth_response(request.method, request.path)
        if auth_response is not None:
            self.auth_log.add(request)
            return _build_json_reply(200, google_headers(request.host), auth_response)
        self.log.add(request)
        recorded = self._recorded.pop(request.method, request.path, request.body)
        if recorded is not None:
            return self._replay(recorded)
        if request.method == "POST" and _CHAT.fullmatch(request.path):
            return chat.respond(request, self._selector)
        if request.method == "POST" and _RESPONSES.fullmatch(request.path):
            return responses.respond(request, self._selector, self._responses)
        anthropic = messages.find_route(request.path)
        if request.method == "POST" and anthropic is not None:
            return messages.respond(request, self._selector, anthropic)
        if request.method == "POST" and (route := converse.find_route(request.path)) is not None:
            return converse.respond(request, self._selector, route)
        if request.method == "POST" and ollama_chat.is_chat(request.path):
            return ollama_chat.respond(request, self._selector)
        generate = _GENERATE.fullmatch(unquote(request.path))
        if request.method == "POST" and generate is not None:
            from multitrack.standin.vertex import rest

            version, model, method = generate.groups()
            streamed = method == "streamGenerateContent"
            # The Gemini API accepts the messages of Vertex AI's v1beta1 under its own v1, too.
            is_vertex = model.startswith(("projects/", "publishers/"))
            message_version = cast(Any, version if is_vertex else "v1beta1")
            return rest.respond(request, self._selector, version=message_version, model=model, streamed=streamed)
        return self._reply_unsupported(request)

    @staticmethod
    def parse_grpc(method: str, content: bytes, metadata: Headers, host: str | None) -> ReceivedRequest:
        """Convert a gRPC call to a request.

        Args:
            method: The full name of the method.
            content: The serialized message.
            metadata: The metadata of the call.
            host: The host that the client addressed. None to use the provider's usual host.
        """
        if method.startswith(_XAI_SERVICE):
            from multitrack.standin.xai import chat as xai

            return xai.parse_call(method, content, metadata, host)
        from multitrack.standin.vertex import grpc

        return grpc.parse_call(method, content, metadata, host)

    def reply_grpc(self, call: ReceivedRequest) -> GrpcReply:
        """Return the reply to a gRPC call."""
        self.log.add(call)
        if call.path.startswith(_XAI_SERVICE):
            from multitrack.standin.xai import chat as xai

            return xai.respond(call, self._selector)
        from multitrack.standin.vertex import grpc

        recorded = self._recorded.pop("POST", call.path, call.body)
        return grpc.respond(call, self._selector, recorded)

    def _replay(self, recorded: RecordedResponse) -> HttpReply:
        own = {name.lower(): value for name, value in recorded.headers.items()}
        defaults = self._build_headers(recorded.host, recorded.uri, recorded.request_body)
        headers = (*own.items(), *((name, value) for name, value in defaults if name not in own))
        if own.get("content-type", "").startswith("text/event-stream"):
            chunks = tuple(map(Chunk, split_events(recorded.body)))
            return HttpReply(recorded.status, headers, chunks, streamed=True)
        return HttpReply(recorded.status, headers, (Chunk(recorded.body.encode()),))

    def _reply_unsupported(self, request: ReceivedRequest) -> HttpReply:
        message = f"the stand-in does not support {request.method} {request.path}; it supports {_SUPPORTED}"
        host = OPENAI_HOST if is_loopback(request.host) else request.host
        document = {"error": {"message": message, "type": "standin", "param": None, "code": None}}
        return _build_json_reply(404, self._build_headers(host, request.path, request.body), document)

    def _build_headers(self, host: str, name: str, body: Any) -> Headers:
        if host.endswith(".googleapis.com"):
            return google_headers(host)
        ids = self._selector.next_ids(name, body)
        if host.endswith(".anthropic.com"):
            return anthropic_headers(host, f"req_{ids.alphanumeric('request', 24)}")
        return openai_headers(host, f"req_{ids.hexadecimal('request', 32)}")


def _build_json_reply(status: int, headers: Headers, document: Any) -> HttpReply:
    content = json.dumps(document).encode()
    return HttpReply(status, (("content-type", "application/json"), *headers), (Chunk(content),))
