"""``multitrack revalidate`` reads every wire format, in cassettes of Multitrack and of vcrpy."""

import gzip
import json

import pytest
import yaml
from pydantic import BaseModel

from multitrack.diagnosis.model_importer import ModelImporter
from multitrack.diagnosis.revalidation import revalidate
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.model_paths import ModelPaths

ARGUMENTS = {"location": "Rome", "units": "imperial"}
TEXT = json.dumps(ARGUMENTS)
FUNCTION = {"name": "Weather", "arguments": TEXT}
ITEM = {"type": "function_call", "id": "fc_1", "call_id": "call_1", **FUNCTION}
RESPONSE = {"object": "response", "status": "completed", "output": [ITEM]}
GEMINI = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "Weather", "args": ARGUMENTS}}]}}]}


class Weather(BaseModel):
    location: str
    units: bool


def chat(field, **choice):
    return {"object": f"chat.completion{'.chunk' if field == 'delta' else ''}", "choices": [{"index": 0, **choice}]}


def called(text, **more):
    function = {**FUNCTION, "arguments": text} if more else {"arguments": text}
    return {"tool_calls": [{"index": 0, "type": "function", "function": function, **more}]}


def events(*documents):
    return "".join(f"data: {json.dumps(document)}\n\n" for document in documents)


BODIES = {
    "chat": json.dumps(chat("message", message=called(TEXT, id="call_1"), finish_reason="tool_calls")),
    "chat stream": events(
        chat("delta", delta=called(TEXT[:9], id="call_1")),
        chat("delta", delta=called(TEXT[9:])),
        chat("delta", delta={}, finish_reason="tool_calls"),
    )
    + "data: [DONE]\n\n",
    "responses": json.dumps(RESPONSE),
    "responses stream": events(
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "arguments": ""}},
        {"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "fc_1", "arguments": TEXT},
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
        {"type": "response.completed", "response": RESPONSE},
    ),
    "Gemini": json.dumps(GEMINI),
    "Gemini stream": json.dumps([GEMINI]),
    "Gemini events": events(GEMINI),
}


def write_ours(path, url, kind, body):
    request, response = Request("POST", url, (), b"{}"), Response(200, "OK", (("content-type", kind),), body)
    storage.write(path, Cassette((Interaction(request, response),), {"format": 1}))


def write_vcrpy(path, url, kind, body):
    headers = {"Content-Type": [kind], "Content-Encoding": ["gzip"]}
    response = {"status": {"code": 200, "message": "OK"}, "headers": headers, "body": {"string": gzip.compress(body)}}
    request = {"method": "POST", "uri": url, "headers": {}, "body": "{}"}
    path.write_text(yaml.dump({"version": 1, "interactions": [{"request": request, "response": response}]}))


@pytest.mark.parametrize("write", [write_ours, write_vcrpy])
@pytest.mark.parametrize("wire", [*BODIES, "Gemini over gRPC"])
def test_every_wire_format_is_read(tmp_path, wire, write):
    body = BODIES["Gemini" if wire == "Gemini over gRPC" else wire]
    url = (
        "grpc://host/google.cloud.aiplatform.v1.PredictionService/GenerateContent"
        if "gRPC" in wire
        else "https://host/x"
    )
    kind = "text/event-stream" if body.startswith("data:") else "application/json"
    write(tmp_path / "a.yaml", url, kind, body.encode())
    importer = ModelImporter(ModelPaths(tools={"Weather": f"{__name__}:Weather"}))
    (found,) = revalidate([tmp_path], importer).breaks
    assert str(found).endswith(
        "a.yaml: interaction 1, call 1: Weather.units at $.units: "
        "Input should be a valid boolean, unable to interpret input, not 'imperial'"
    )
