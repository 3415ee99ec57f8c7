"""Record the behaviours from the stand-in provider, with the recorder of Multitrack."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
from scripts.behaviours.corpus_answers import CorpusAnswer, find_answer
from scripts.behaviours.recipes import WAIT, Recipe, find_recipe
from scripts.behaviours.wire_requests import FINAL_TEXT, RequestOptions, WireRequest, build_request

from multitrack import wires
from multitrack.library.catalogue import list_cells
from multitrack.library.requests import ends_with_results
from multitrack.standin import Rule, ScriptedAnswer, ScriptedError, StandIn
from multitrack.tape import active
from multitrack.tape.chunks import Chunks
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import encode_cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.tape import Tape

_SERVICE = "/google.cloud.aiplatform.v1beta1.PredictionService"
_GRPC_HOST = "us-central1-aiplatform.googleapis.com"
# a fixed time, so that the files do not change with each recording
_RECORDED_AT = datetime(2026, 11, 29, tzinfo=UTC)


def record_all() -> Iterator[tuple[str, bytes]]:
    """Yield the path of each cassette below cassettes/library, and its content."""
    for entry, cell in list_cells():
        if cell not in entry.absent:
            yield f"{cell}/{entry.name}.yaml", record_behaviour(cell, entry.name)


def record_behaviour(cell: str, name: str) -> bytes:
    """Return the cassette of the behaviour ``name`` in the wire format ``cell``."""
    answer = find_answer(cell, name)
    recipe = find_recipe(cell, name) if answer is None else _use_corpus(answer)
    final_answer = find_answer(cell, "text_only")
    final = ScriptedAnswer(text=FINAL_TEXT) if answer is None or final_answer is None else _script(final_answer)
    interactions = [_clean(one) for one in _record(cell, recipe, final)]
    if any(b"multitrack.standin" in one.response.body for one in interactions):
        raise ValueError(f"the stand-in provider cannot show {name} in the wire format {cell}")
    if answer is not None:
        interactions = [_name_source(one, answer, final_answer) for one in interactions]
    has_calls = any(map(_has_calls, interactions, [cell] * len(interactions)))
    kept = [one for one in interactions if has_calls or not ends_with_results(one.request)]
    metadata = {
        "format": 1,
        "recorder": "multitrack",
        "recorded_at": _RECORDED_AT.isoformat(timespec="seconds"),
        **_list_pseudonyms(kept),
    }
    return b"".join(encode_cassette(Cassette(tuple(kept), metadata)))


def _use_corpus(answer: CorpusAnswer) -> Recipe:
    return Recipe((_script(answer),), RequestOptions(tools=answer.tools))


def _script(answer: CorpusAnswer) -> ScriptedAnswer:
    if answer.status >= 400:
        return ScriptedAnswer(error=ScriptedError(status=answer.status, body=answer.body))
    return ScriptedAnswer(body=answer.body)


def _name_source(interaction: Interaction, answer: CorpusAnswer, final: CorpusAnswer | None) -> Interaction:
    source = final if ends_with_results(interaction.request) else answer
    return interaction if source is None else replace(interaction, provenance="corpus", source=source.id)


def _has_calls(interaction: Interaction, cell: str) -> bool:
    response = interaction.response
    if not response.body or response.status >= 400:
        return False
    return bool(wires.read_answer(response.body, cell.replace(".grpc", "")).calls)


def _clean(interaction: Interaction) -> Interaction:
    """Return ``interaction`` without what depends on the machine: the port of the server, and the chunks."""
    request, response = interaction.request, interaction.response
    if request.is_grpc:
        request = replace(request, url=f"grpc://{_GRPC_HOST}/{request.url.split('/', 3)[3]}")
    # a response that never arrived has no header that names the stand-in provider
    return replace(interaction, request=request, response=replace(response, chunks=Chunks()), provenance="standin")


def _list_pseudonyms(interactions: list[Interaction]) -> dict[str, list[str]]:
    texts = [one.request.url + one.request.body.decode() for one in interactions]
    words = [word for word in ("location-0", "project-0") if any(word in text for text in texts)]
    return {"placeholders": words} if words else {}


def _record(cell: str, recipe: Recipe, final: ScriptedAnswer) -> list[Interaction]:
    rules = [_build_rule(final, after_results=True)]
    rules += [_build_rule(answer, times=1) for answer in recipe.answers]
    requests = [build_request(cell, recipe.options) for _ in recipe.answers]
    requests.append(build_request(cell, RequestOptions(recipe.options.tools), has_results=True))
    tape = Tape(Path("library.yaml"), mode="record", clock=lambda: _RECORDED_AT)
    with StandIn(rules) as standin, active.activate(tape):
        for request in requests:
            _send(cell, standin, request, times_out=recipe.times_out)
    return list(tape.interactions)


def _build_rule(answer: ScriptedAnswer, **conditions: Any) -> Rule:
    return Rule(**{field.name: getattr(answer, field.name) for field in fields(answer)}, **conditions)


def _send(cell: str, standin: StandIn, request: WireRequest, *, times_out: bool) -> None:
    timeout = WAIT / 2 if times_out else 10
    if ".grpc" in cell:
        _send_grpc(cell, standin, request, timeout)
        return
    context = ssl.create_default_context(cafile=standin.certificate_authority)
    with (
        httpx.Client(proxy=standin.proxy_url, verify=context, trust_env=False, timeout=timeout) as client,
        suppress(httpx.HTTPError),
        client.stream("POST", request.url, json=request.document) as response,
    ):
        response.read()


def _send_grpc(cell: str, standin: StandIn, request: WireRequest, timeout: float) -> None:
    from google.cloud.aiplatform_v1beta1.types import prediction_service
    from google.protobuf.json_format import ParseDict

    message = prediction_service.GenerateContentRequest.pb()()
    ParseDict(request.document, message)
    credentials = grpc.ssl_channel_credentials(standin.certificate_authority.read_bytes())
    is_streamed = cell.endswith(".stream")
    with grpc.secure_channel(f"localhost:{standin.grpc_port}", credentials) as channel, suppress(grpc.RpcError):
        open_call = channel.unary_stream if is_streamed else channel.unary_unary
        call = open_call(
            f"{_SERVICE}/{'StreamGenerateContent' if is_streamed else 'GenerateContent'}",
            request_serializer=prediction_service.GenerateContentRequest.serialize,
            response_deserializer=prediction_service.GenerateContentResponse.deserialize,
        )
        answer = call(prediction_service.GenerateContentRequest.wrap(message), timeout=timeout)
        if is_streamed:
            list(answer)
