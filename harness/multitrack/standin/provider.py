"""The provider behind the sockets: notes each request, and finds who replies.

A recorded answer comes first, then the wire that the path names; the wires ask the script. The host plays no
part, so that every base URL works.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast
from urllib.parse import unquote

from multitrack.standin import google_auth
from multitrack.standin.answers import RecordedAnswer, RecordedAnswers
from multitrack.standin.gates import Gates
from multitrack.standin.identity import OPENAI_HOST, Headers, google_headers, openai_headers
from multitrack.standin.openai import chat, responses
from multitrack.standin.received import Log, Received, is_loopback
from multitrack.standin.reply import Chunk, GrpcReply, HttpReply, events
from multitrack.standin.script import Script
from multitrack.standin.source import Source

_CHAT = re.compile(r".*/chat/completions")
_RESPONSES = re.compile(r".*/responses")
_GENERATE = re.compile(r"/(v1|v1beta1|v1beta)/(.+):(generateContent|streamGenerateContent)")
_SPOKEN = "POST .../chat/completions, .../responses, .../MODEL:generateContent and .../MODEL:streamGenerateContent"


class Provider:
    """Answers requests, those of mistaken clients and scripts too. Safe to use from many threads.

    ``log`` holds what was received; ``auth_log`` what Google's authentication libraries sent on their own, and
    ``abandoned`` those of the received whose answer the client did not wait for. ``gates`` are those in answers.
    """

    def __init__(self, script: Script, answers: RecordedAnswers) -> None:
        self.log = Log()
        self.auth_log = Log()
        self.abandoned = Log()
        self.gates = Gates()
        self._conversations = responses.Conversations()
        self._source = Source(script)
        self._answers = answers

    def http(self, request: Received) -> HttpReply:
        """The reply to an HTTP request."""
        document = google_auth.answer(request.method, request.path)
        if document is not None:
            self.auth_log.add(request)
            return _json(200, google_headers(request.host), document)
        self.log.add(request)
        recorded = self._answers.play(request.method, request.path, request.body)
        if recorded is not None:
            return self._played(recorded)
        if request.method == "POST" and _CHAT.fullmatch(request.path):
            return chat.respond(request, self._source)
        if request.method == "POST" and _RESPONSES.fullmatch(request.path):
            return responses.respond(request, self._source, self._conversations)
        generate = _GENERATE.fullmatch(unquote(request.path))
        if request.method == "POST" and generate is not None:
            from multitrack.standin.vertex import rest

            version, model, method = generate.groups()
            streamed = method == "streamGenerateContent"
            # the Gemini API knows the messages of Vertex AI's v1beta1, in its own v1, too
            known = cast(Any, version if model.startswith(("projects/", "publishers/")) else "v1beta1")
            return rest.respond(request, self._source, version=known, model=model, streamed=streamed)
        return self._unknown(request)

    def grpc(self, call: Received) -> GrpcReply:
        """The reply to a gRPC call."""
        from multitrack.standin.vertex import grpc

        self.log.add(call)
        recorded = self._answers.play("POST", call.path, call.body)
        return grpc.respond(call, self._source, recorded)

    def _played(self, recorded: RecordedAnswer) -> HttpReply:
        own = {name.lower(): value for name, value in recorded.headers.items()}
        usual = self._headers(recorded.host, recorded.uri, recorded.request_body)
        headers = (*own.items(), *((name, value) for name, value in usual if name not in own))
        if own.get("content-type", "").startswith("text/event-stream"):
            chunks = tuple(map(Chunk, events(recorded.body)))
            return HttpReply(recorded.status, headers, chunks, streamed=True)
        return HttpReply(recorded.status, headers, (Chunk(recorded.body.encode()),))

    def _unknown(self, request: Received) -> HttpReply:
        message = f"the stand-in does not speak {request.method} {request.path}; it speaks {_SPOKEN}"
        host = OPENAI_HOST if is_loopback(request.host) else request.host
        document = {"error": {"message": message, "type": "standin", "param": None, "code": None}}
        return _json(404, self._headers(host, request.path, request.body), document)

    def _headers(self, host: str, name: str, body: Any) -> Headers:
        if host.endswith(".googleapis.com"):
            return google_headers(host)
        return openai_headers(host, f"req_{self._source.ids(name, body).hexadecimal('request', 32)}")


def _json(status: int, headers: Headers, document: Any) -> HttpReply:
    content = json.dumps(document).encode()
    return HttpReply(status, (("content-type", "application/json"), *headers), (Chunk(content),))
