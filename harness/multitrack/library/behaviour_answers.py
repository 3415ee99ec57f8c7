"""Create the answers to a test's requests from a recorded provider behaviour."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from multitrack import wires
from multitrack.errors import BadOption
from multitrack.library.answer_rewriting import rewrite_calls
from multitrack.library.behaviour import Behaviour, behaviours
from multitrack.library.catalogue import BY_NAME, CELLS
from multitrack.library.requests import ends_with_results, find_wire, read_tools
from multitrack.library.tool_mapping import map_calls
from multitrack.tape.exchange import Request, Response
from multitrack.tape.google import transcoding
from multitrack.tape.interaction import Interaction
from multitrack.tape.sessions.behaviour_session import UnanswerableRequestError

_FIRST_ERROR = 400
_AWS_STREAM = re.compile(r"/invoke-with-response-stream$")


class BehaviourAnswers:
    """An ``AnswerSource`` that answers a tape's requests with one behaviour.

    The protocol is defined in ``multitrack.tape.sessions.behaviour_session``.
    """

    def __init__(self, wire: str, name: str) -> None:
        """Read the behaviour.

        Args:
            wire: The name of the wire format. If it ends in ``.stream``, only streaming requests are answered.
            name: The name of the behaviour.

        Raises:
            BadOption: The wire format or the behaviour is unknown, or the behaviour does not occur in the wire
                format.
        """
        try:
            found = behaviours(wire, name)
        except ValueError as error:
            raise BadOption(str(error)) from None
        if not found:
            raise BadOption(
                f"the behaviour {name} has no answer in the wire format {wire}, because {_explain_absence(wire, name)}"
            )
        self._wire = wire
        self._name = name
        self._by_wire = {behaviour.wire: behaviour for behaviour in found}
        self._counts: Counter[str] = Counter()

    @property
    def path(self) -> Path:
        """The path that identifies the behaviour in reports. The file does not have to exist."""
        return Path("multitrack.library", self._wire, f"{self._name}.yaml")

    def answer(self, request: Request) -> Interaction:
        """Return the recorded interaction that answers ``request``.

        The calls in the response are adapted to the tools that ``request`` offers.
        """
        wire = find_wire(request)
        behaviour = self._by_wire.get(wire or "")
        if behaviour is None:
            raise UnanswerableRequestError(self._explain_mismatch(wire))
        if _AWS_STREAM.search(request.url):
            raise UnanswerableRequestError(
                "behaviours cannot answer Anthropic's streams on Amazon Bedrock; use the Converse API, or record a "
                "cassette"
            )
        recorded = self._select(behaviour, request)
        response = _adapt_response(recorded, behaviour, request)
        return replace(recorded, response=_adapt_framing(response, request))

    def _select(self, behaviour: Behaviour, request: Request) -> Interaction:
        if ends_with_results(request) and (final := behaviour.final) is not None:
            return final
        steps = behaviour.interactions
        position = self._counts[behaviour.wire]
        self._counts[behaviour.wire] += 1
        return steps[min(position, len(steps) - 1)]

    def _explain_mismatch(self, wire: str | None) -> str:
        mark = f'@pytest.mark.behaviour("{self._wire}", "{self._name}")'
        if wire not in CELLS:
            format_name = "" if wire is None else f" {wire}"
            return (
                f"{mark} cannot answer the request: the library has no behaviours in the request's wire format"
                f"{format_name}; use @pytest.mark.cassette for this test"
            )
        if wire.removesuffix(".stream") == self._wire.removesuffix(".stream"):
            reason = _explain_absence(wire, self._name)
            kind = "a streamed answer" if wire.endswith(".stream") else "a complete answer"
            if self._wire.endswith(".stream"):
                reason = (
                    "the marker is limited to streamed answers; to answer all requests, write "
                    f'"{self._wire.removesuffix(".stream")}"'
                )
            return f"{mark} cannot answer a request for {kind}: {reason}"
        requested_wire = wire.removesuffix(".stream")
        return (
            f"{mark} answers only requests in the wire format {self._wire}, but the request has the wire format "
            f'{requested_wire}; write @pytest.mark.behaviour("{requested_wire}", "{self._name}"), or send the request '
            f"in the wire format {self._wire}"
        )


def _explain_absence(wire: str, name: str) -> str:
    return BY_NAME[name].absent.get(wire, "it is not yet recorded")


def _adapt_response(recorded: Interaction, behaviour: Behaviour, request: Request) -> Response:
    """Return the recorded response with its calls adapted to the tools that ``request`` offers."""
    response = recorded.response
    if response.status >= _FIRST_ERROR or not response.body:
        return response
    calls = wires.read_answer(response.body, behaviour.wire_format).calls
    if not calls:
        return response
    offered, known = read_tools(request), read_tools(recorded.request)
    if not offered and any(call.name in {tool.name for tool in known} for call in calls):
        raise UnanswerableRequestError(
            f"the behaviour {behaviour.name} calls a tool, but the request offers none; offer a tool in the request"
        )
    try:
        mapped = map_calls(calls, known, offered, BY_NAME[behaviour.name].arguments)
        body = rewrite_calls(response.body, behaviour.wire_format, mapped)
    except ValueError as error:
        raise UnanswerableRequestError(f"no call to the offered tools can be generated: {error}") from error
    return response.with_body(body)


def _adapt_framing(response: Response, request: Request) -> Response:
    """Return ``response`` in the encoding that the URL of ``request`` asks for.

    A Gemini stream over REST is recorded as server-sent events. Vertex AI sends a JSON array by default.
    """
    sent = transcoding.VertexUrl.parse(request.url)
    if request.is_grpc or sent is None or not sent.is_streaming or sent.encoding.uses_events:
        return response
    separator = "&" if "?" in request.url else "?"
    return transcoding.transcode_response(response, f"{request.url}{separator}alt=sse", request.url)
