"""Replay a Vertex AI call over a different transport than the recorded one."""

import base64
import json
import re
import subprocess
import sys
from importlib import import_module

import pytest
from recorded_tape import JSON

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Request
from multitrack.tape.google.transcoding import METHODS, VertexUrl
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

aiplatform_v1 = pytest.importorskip("google.cloud.aiplatform_v1")
aiplatform_v1beta1 = pytest.importorskip("google.cloud.aiplatform_v1beta1")

HOST = "us-central1-aiplatform.googleapis.com"
MODEL = "projects/acme-prod-7/locations/us-central1/publishers/google/models/gemini"
REDACTED_MODEL = "projects/project-0/locations/location-0/publishers/google/models/gemini"
AS_NUMBERS = "?%24alt=json%3Benum-encoding%3Dint"
GRPC = ("content-type", "application/grpc")
CONTENTS = [{"role": "user", "parts": [{"text": "Where?"}]}]
SCHEMA = {"type": "ARRAY", "minItems": "2", "items": {"type": "STRING"}}
BODY = {"contents": CONTENTS, "generationConfig": {"temperature": 0.5, "responseSchema": SCHEMA}}
LOWER_CASE_SCHEMA = {"type": "array", "minItems": 2, "items": {"type": "string"}}
LOWER_CASE_BODY = {**BODY, "generationConfig": {"temperature": 0.5, "responseSchema": LOWER_CASE_SCHEMA}}
NUMBERS_BODY = {
    "contents": CONTENTS,
    "generation_config": {"temperature": 0.5, "responseSchema": {"type": 5, "minItems": 2, "items": {"type": 1}}},
}
FAILURE = {
    "code": 429,
    "message": "Quota exceeded.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA"}],
}


def rest(body=None, *, version="v1", query="", model=MODEL, operation="generateContent"):
    url = f"https://{HOST}/{version}/{model}:{operation}{query}"
    return Request("POST", url, JSON, json.dumps(body or BODY).encode())


def rpc(body=None, *, version="v1", model=MODEL, method="GenerateContent"):
    url = f"grpc://{HOST}/google.cloud.aiplatform.{version}.PredictionService/{method}"
    return Request("POST", url, (), json.dumps({**(body or BODY), "model": model}).encode())


def candidate(text, finish="STOP"):
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}]}


def by_rest(*messages):
    return json.dumps(messages[0] if len(messages) == 1 else messages)


def by_rpc(*messages, status=(("grpc-status", "0"),)):
    return 200, (GRPC, *status), by_rest(*messages) if messages else ""


def replies(recorded, *sent, **options):
    tape = Tape(recorded.path, **options)
    return [tape.route(each).response for each in sent]


@pytest.mark.parametrize(
    "sent",
    [
        rest(),
        rest(LOWER_CASE_BODY),
        rest(query=AS_NUMBERS),
        rest(NUMBERS_BODY, query=AS_NUMBERS),
        rest(version="v1beta1"),
        rest(model=MODEL.replace("acme-prod-7", "other-prod-8")),
    ],
    ids=["names", "lower-case names", "names, then numbers", "numbers", "version", "project"],
)
def test_a_grpc_recording_answers_a_rest_request(recorded, sent):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    [response] = replies(recorded, sent)
    assert response.status == 200
    assert response.reason == "OK"
    assert response.headers == (("content-type", "application/json; charset=UTF-8"),)
    assert json.loads(response.body) == candidate("There.", 1 if "alt" in sent.url else "STOP")


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        (rest(), candidate("There.")),
        (rest(NUMBERS_BODY, query=AS_NUMBERS, version="v1beta1"), candidate("There.", 1)),
    ],
    ids=["names", "numbers"],
)
def test_a_rest_recording_answers_a_grpc_request(recorded, before, answer):
    recorded.put((before, by_rest(answer)))
    [response] = replies(recorded, rpc())
    assert response.status == 200
    assert response.headers == (GRPC, ("grpc-status", "0"))
    assert json.loads(response.body) == answer


def test_enums_are_names_if_the_request_asks_for_names(recorded):
    recorded.put((rest(NUMBERS_BODY, query=AS_NUMBERS), by_rest(candidate("There.", 1))))
    [response] = replies(recorded, rest(version="v1beta1"))
    assert json.loads(response.body) == candidate("There.")


def test_the_http_rules_are_those_of_googles_client():
    found = {}
    for version in (aiplatform_v1, aiplatform_v1beta1):
        for service in ("prediction_service", "llm_utility_service"):
            name = f"{version.__name__}.services.{service}.transports.rest_base"
            [transport] = [value for key, value in vars(import_module(name)).items() if key.endswith("RestTransport")]
            for method in METHODS:
                rules = getattr(transport, f"_Base{method[0].upper()}{method[1:]}", None)
                found |= {rule["uri"]: (method, rule) for rule in (rules._get_http_options() if rules else ())}
    # the oldest supported client does not have the newest method
    assert METHODS.keys() - {method for method, _ in found.values()} <= {"embedContent"}
    for uri, (method, rule) in found.items():
        resource = re.search(r"{(\w+)=(.*)}", uri)
        address = VertexUrl.parse(f"https://{HOST}{uri.replace(resource[0], resource[2])}")
        assert address.method == method
        assert address.resource == resource[2]
        assert rule["method"] == "post"
        assert rule["body"] == "*"
        assert resource[1] == METHODS[method]


CALLS = {
    "CountTokens": ({"contents": CONTENTS}, {"totalTokens": 7}),
    "ComputeTokens": ({"contents": CONTENTS}, {"tokensInfo": [{"tokenIds": ["1"], "tokens": ["V2hlcmU="]}]}),
    "Predict": ({"instances": [{"content": "Where?"}]}, {"predictions": [{"embeddings": {"values": [0.5]}}]}),
    "EmbedContent": ({"content": CONTENTS[0]}, {"embedding": {"values": [0.5]}}),
}


@pytest.mark.parametrize("name", CALLS)
def test_other_methods_cross_transports_too(name, recorded):
    if not hasattr(aiplatform_v1, f"{name}Request"):
        pytest.skip(f"the installed google-cloud-aiplatform has no {name}")
    sent, answer = CALLS[name]
    field = METHODS[name[0].lower() + name[1:]]
    service = "LlmUtilityService" if name.endswith("Tokens") else "PredictionService"
    repeated = {"model": MODEL} if name == "CountTokens" else {}
    url = f"grpc://{HOST}/google.cloud.aiplatform.v1.{service}/{name}"
    over_grpc = Request("POST", url, (), json.dumps({**sent, **repeated, field: MODEL}).encode())
    over_rest = rest(sent, operation=name[0].lower() + name[1:])
    recorded.put((over_grpc, by_rpc(answer)))
    assert json.loads(replies(recorded, over_rest)[0].body) == answer
    recorded.path.unlink()
    recorded.put((over_rest, by_rest(answer)))
    [response] = replies(recorded, over_grpc)
    assert json.loads(response.body) == answer
    assert response.header("grpc-status") == "0"


@pytest.mark.parametrize(
    "sent",
    [
        rest(model=MODEL + "-pro"),
        rest({**BODY, "contents": []}),
        rest({**BODY, "unheardOf": 1}),
        rest(query="?fields=candidates"),
        rest(operation="streamGenerateContent"),
        rest(operation="countTokens"),
        rest(version="v2"),
    ],
    ids=["model", "body", "unknown field", "query", "stream", "method", "version"],
)
def test_a_different_call_is_a_miss(recorded, sent):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    with pytest.raises(CassetteMiss):
        replies(recorded, sent)


def test_the_same_transport_comes_first_and_each_recording_replays_once(recorded):
    recorded.put(
        (rpc(), by_rpc(candidate("first by gRPC"))),
        (rest(), by_rest(candidate("by REST"))),
        (rpc(), by_rpc(candidate("second by gRPC"))),
    )
    tape = Tape(recorded.path)
    found = [json.loads(tape.route(rest()).response.body) for _ in range(3)]
    assert found == [candidate("by REST"), candidate("first by gRPC"), candidate("second by gRPC")]
    assert tape.played_positions == [1, 2, 3]
    with pytest.raises(CassetteMiss):
        tape.route(rest())


def test_a_call_may_be_repeated_over_another_transport(recorded):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    bodies = [json.loads(each.body) for each in replies(recorded, *[rest()] * 3, settings=Settings(allow_repeats=True))]
    assert bodies == [candidate("There.")] * 3


def test_ignored_values_are_ignored_across_transports(recorded):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    ignoring = Settings(ignore=("$.generationConfig.temperature",))
    other = {**BODY, "generationConfig": {"temperature": 1, "responseSchema": SCHEMA}}
    assert replies(recorded, rest(other), settings=ignoring)
    with pytest.raises(CassetteMiss):
        replies(recorded, rest(other))


def why_missed(recorded, *sent, **options):
    tape = Tape(recorded.path, **options)
    *earlier, last = sent
    for each in earlier:
        tape.route(each)
    with pytest.raises(CassetteMiss) as caught:
        tape.route(last)
    _, _, call_site, *reason, _ = str(caught.value).splitlines()
    assert call_site.startswith("  sent from: ")
    return "\n".join(line.removeprefix("  ") for line in reason)


def test_a_miss_compares_calls_over_different_transports_in_one_form(recorded):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    schema = {"type": 5, "minItems": 3, "items": {"type": 1}}
    sent = {"contents": CONTENTS, "generation_config": {"temperature": 0.5, "responseSchema": schema}}
    assert why_missed(recorded, rest(sent, query=AS_NUMBERS, model=MODEL + "-pro")) == (
        "reason: changed: the nearest recording, interaction 1 of 1 (over gRPC), differs in 2 places\n"
        "  url\n"
        f"    recorded: https://location-0-aiplatform.googleapis.com/{REDACTED_MODEL}:generateContent\n"
        f"    sent: https://location-0-aiplatform.googleapis.com/{REDACTED_MODEL}-pro:generateContent\n"
        "  $.generationConfig.responseSchema.minItems\n"
        '    recorded: "2"\n'
        '    sent: "3"'
    )


def test_a_grpc_miss_names_the_rest_recording_and_leaves_out_ignored_values(recorded):
    recorded.put((rest(NUMBERS_BODY, query=AS_NUMBERS), by_rest(candidate("There.", 1))))
    body = {"contents": [{"role": "user", "parts": [{"text": "When?"}]}], "generationConfig": {"temperature": 1}}
    ignoring = Settings(ignore=("$.generationConfig",))
    assert why_missed(recorded, rpc(body), settings=ignoring) == (
        "reason: changed: the nearest recording, interaction 1 of 1 (over REST), differs in 1 place\n"
        "  $.contents[0].parts[0].text\n"
        '    recorded: "Where?"\n'
        '    sent: "When?"'
    )


def test_a_miss_reports_that_the_call_was_replayed_over_another_transport(recorded):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    assert why_missed(recorded, rest(), rest()) == (
        "reason: already replayed: the cassette has this request once (interaction 1)"
    )


@pytest.fixture(params=["google.cloud.aiplatform_v1.types", "multitrack.tape.google.vertex_messages"])
def without_classes(request, monkeypatch):
    """Simulate an environment without google-cloud-aiplatform, and one that has no protobuf either."""
    from multitrack.tape import google
    from multitrack.tape.google import status_details, vertex_messages

    vertex_messages.find_message_class.cache_clear()
    monkeypatch.setitem(sys.modules, request.param, None)
    if request.param == "multitrack.tape.google.vertex_messages":
        for module in (vertex_messages, status_details):
            monkeypatch.setitem(sys.modules, module.__name__, None)
            monkeypatch.delattr(google, module.__name__.rpartition(".")[2])
        return []
    return FAILURE["details"]


PICTURE = {"inlineData": {"mimeType": "image/png", "data": "-_-_"}}
BY_GENAI = {
    "contents": [{"role": "user", "parts": [{"text": "Where?"}, PICTURE]}],
    "generationConfig": {"temperature": 0.5, "responseSchema": {**SCHEMA, "minItems": 2}},
    "toolConfig": {},
}
IN_PROTOBUF = json.loads(json.dumps({**BY_GENAI, "toolConfig": {}}).replace("-_-_", "+/+/").replace(": 2", ': "2"'))


def test_google_genai_replays_grpc_recordings_without_message_classes(recorded, without_classes):
    details = ("grpc-status-details-bin", status_details("known"))
    status = (("grpc-status", "8"), ("grpc-message", "Quota exceeded."), details)
    before = {name: value for name, value in IN_PROTOBUF.items() if value}
    recorded.put(
        (rpc(before), by_rpc({**candidate("There."), "@wire": "AAAA"})),
        (rpc(before), (200, (GRPC, *status), "")),
        (rpc(before, method="StreamGenerateContent"), by_rpc(candidate("a"), candidate("b"))),
        settings=Settings(keep_errors=True),
    )
    sent = rest(BY_GENAI)
    streamed = rest(BY_GENAI, operation="streamGenerateContent", query="?alt=sse")
    succeeded, failed, stream = replies(recorded, sent, sent, streamed)
    assert json.loads(succeeded.body) == candidate("There.")
    error = {name: value for name, value in FAILURE.items() if name != "details"}
    expected = error | ({"details": without_classes} if without_classes else {})
    assert failed.status == 429
    assert json.loads(failed.body) == {"error": expected}
    assert stream.body.decode() == STREAMS["events"][1][2]


@pytest.mark.usefixtures("without_classes")
def test_a_miss_is_as_exact_without_message_classes(recorded):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    other = {**BODY, "contents": [{"role": "user", "parts": [{"text": "When?"}]}]}
    assert why_missed(recorded, rest(other)) == (
        "reason: changed: the nearest recording, interaction 1 of 1 (over gRPC), differs in 1 place\n"
        "  $.contents[0].parts[0].text\n"
        '    recorded: "Where?"\n'
        '    sent: "When?"'
    )


@pytest.mark.usefixtures("without_classes")
@pytest.mark.parametrize(
    ("before", "sent"),
    [(rpc(), rest(NUMBERS_BODY, query=AS_NUMBERS)), (rest(NUMBERS_BODY, query=AS_NUMBERS), rest())],
)
def test_a_miss_names_the_package_to_install(recorded, before, sent):
    recorded.put(
        (before, by_rpc(candidate("There.")) if before.url.startswith("grpc") else by_rest(candidate("There.", 1)))
    )
    assert why_missed(recorded, sent).splitlines()[-1] == (
        "  a recording made over another transport cannot be compared: "
        "google-cloud-aiplatform is not installed (pip install google-cloud-aiplatform)"
    )


def test_a_miss_names_a_field_that_the_installed_classes_do_not_have(recorded):
    recorded.put((rpc(), by_rpc(candidate("There."))))
    assert 'no field named "unheardOf"' in why_missed(recorded, rest({**BODY, "unheardOf": 1}))


def status_details(name):
    from google.protobuf.any_pb2 import Any
    from google.rpc import error_details_pb2, status_pb2

    status = status_pb2.Status(code=8, message="Quota exceeded.")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="QUOTA"))
    if name == "unknown":
        status.details.append(Any(type_url="type.googleapis.com/nobody.Knows", value=b"\x08\x01"))
    return base64.b64encode(status.SerializeToString()).decode()


@pytest.mark.parametrize("detail", ["known", "unknown"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_grpc_error_becomes_a_rest_error(recorded, streamed, detail):
    status = (
        ("grpc-status", "8"),
        ("grpc-message", "Quota exceeded."),
        ("grpc-status-details-bin", status_details(detail)),
    )
    before = rpc(method="StreamGenerateContent") if streamed else rpc()
    answer = (200, (GRPC, *status), "[]" if streamed else "")
    recorded.put((before, answer), settings=Settings(keep_errors=True))
    [response] = replies(recorded, rest(operation="streamGenerateContent" if streamed else "generateContent"))
    assert response.status == 429
    assert response.reason == "Too Many Requests"
    assert json.loads(response.body) == {"error": FAILURE}
    # clients retry without waiting
    assert response.header("retry-after-ms") == "1"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_rest_error_becomes_a_grpc_error(recorded, wrapped):
    error = {"error": FAILURE}
    answer = (429, JSON, json.dumps([error] if wrapped else error))
    recorded.put((rest(), answer), settings=Settings(keep_errors=True))
    [response] = replies(recorded, rpc())
    status = (
        ("grpc-status", "8"),
        ("grpc-message", "Quota exceeded."),
        ("grpc-status-details-bin", status_details("known")),
    )
    assert response.status == 200
    assert response.headers == (GRPC, *status)
    assert response.body == b""


def test_an_error_not_in_googles_format_keeps_its_text(recorded):
    answer = (503, (("content-type", "text/html"),), "<p>down")
    recorded.put((rest(), answer), settings=Settings(keep_errors=True))
    [response] = replies(recorded, rpc())
    assert response.headers == (GRPC, ("grpc-status", "14"), ("grpc-message", "<p>down"))


STREAMS = {
    "grpc": (rpc(method="StreamGenerateContent"), by_rpc(candidate("a"), candidate("b"))),
    "array": (rest(operation="streamGenerateContent"), by_rest(candidate("a"), candidate("b"))),
    "events": (
        rest(operation="streamGenerateContent", query="?alt=sse"),
        (
            200,
            (("content-type", "text/event-stream"),),
            "".join(f"data: {json.dumps(candidate(text))}\r\n\r\n" for text in "ab"),
        ),
    ),
}


@pytest.mark.parametrize("over", STREAMS)
@pytest.mark.parametrize("before", STREAMS)
def test_a_stream_has_the_encoding_that_the_request_asks_for(recorded, before, over):
    recorded.put(STREAMS[before])
    [response] = replies(recorded, STREAMS[over][0])
    expected = STREAMS[over][1]
    if over == "events":
        assert response.header("content-type") == "text/event-stream"
        assert response.body.decode() == expected[2]
    else:
        assert json.loads(response.body) == [candidate("a"), candidate("b")]
    assert response.header("grpc-status") == ("0" if over == "grpc" else None)


def test_an_error_in_a_stream_follows_its_messages(recorded):
    failure = json.dumps([candidate("a"), candidate("b"), {"error": FAILURE}])
    recorded.put((rest(operation="streamGenerateContent"), failure))
    [over_grpc, events] = (replies(recorded, STREAMS[over][0])[0] for over in ("grpc", "events"))
    assert json.loads(over_grpc.body) == [candidate("a"), candidate("b")]
    assert over_grpc.header("grpc-status") == "8"
    assert [json.loads(event[6:]) for event in events.body.decode().split("\r\n\r\n")[:-1]][2] == {"error": FAILURE}


def test_an_incomplete_stream_only_replays_over_its_own_transport(recorded):
    tape = Tape(recorded.path, mode="record")
    sent, (status, headers, body) = STREAMS["grpc"]
    recording = tape.route(sent)
    recording.record_head(status, "OK", headers)
    recording.record_chunk(body.encode())
    recording.record_end("left")
    assert tape.save().state == "written"
    assert why_missed(recorded, STREAMS["events"][0]) == (
        "reason: interaction 1 of 1 is the same call over gRPC, but it is only replayed over gRPC, "
        "because its response was cut off"
    )
    assert json.loads(replies(recorded, sent)[0].body) == [candidate("a"), candidate("b")]


PROGRAM = """
import sys
from pathlib import Path
from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Request
from multitrack.tape.tape import Tape

tape, sent = Tape(Path(sys.argv[1])), Request("POST", sys.argv[2], (), sys.argv[3].encode())
tape.route(sent)
try:
    tape.route(sent)
except CassetteMiss:
    print(sorted({"grpc", "google.protobuf", "google.cloud.aiplatform_v1"} & sys.modules.keys()))
"""


@pytest.mark.slow
def test_no_google_package_is_imported_for_a_cassette_with_one_transport(recorded):
    recorded.put((rest(), by_rest(candidate("There."))))
    program = [sys.executable, "-c", PROGRAM, recorded.path, rest().url, rest().body]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "[]\n"
