"""Secrets and private names never reach a cassette, and the cassette replays without them."""

import base64
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from recorded_tape import JSON, URL, RecordedCassette, request

from multitrack import wires
from multitrack.errors import CassetteMiss, SecretInCassette
from multitrack.tape.exchange import Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.shapes import find_shapes
from multitrack.tape.redaction.word_boundaries import REDACTED
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

KEY = "sesame/open+0123=456"
SHAPES = {
    "openai": "sk-proj-" + "Ab1_" * 10,
    "anthropic": "sk-ant-api03-" + "Ab1-" * 10,
    "google": "AIza" + "Sy0-" * 9,
    "google token": "ya29." + "a0Af_" * 8,
    "google key": "AQ.Ab8RN6" + "Jx1_" * 10,
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "github": "ghp_" + "aB3d" * 9,
    "huggingface": "hf_" + "abCD" * 9,
    "groq": "gsk_" + "aB3d" * 13,
    "xai": "xai-" + "aB3d" * 20,
    "slack": "xoxb-12345-67890-abcdef",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "bearer": "Bearer abcdefghij0123456789",
    "private key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg+/x=\nkqhkiG9w0B\n-----END PRIVATE KEY-----",
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in os.environ:
        if name.startswith(("OPENAI_", "GOOGLE_")):
            monkeypatch.delenv(name)


def chat(text, **more):
    return json.dumps({"messages": [{"role": "user", "content": text}], **more})


SENT = {
    "authorization": {"headers": (*JSON, ("authorization", f"Bearer {KEY}"))},
    "bare authorization": {"headers": (*JSON, ("authorization", KEY))},
    "basic": {
        "headers": (*JSON, ("authorization", "Basic " + base64.b64encode(f"user:{KEY}".encode()).decode())),
    },
    "api-key": {"headers": (*JSON, ("api-key", KEY))},
    "x-api-key": {"headers": (*JSON, ("x-api-key", KEY))},
    "x-goog-api-key": {"headers": (*JSON, ("x-goog-api-key", KEY))},
    "cookie": {"headers": (*JSON, ("cookie", f"theme=dark; session={KEY}"))},
    "parameter": {"url": f"{URL}?key={quote(KEY, safe='')}&page=2"},
    "password": {"url": f"https://user:{quote(KEY, safe='')}@api.example.com/v1/chat"},
    "environment": {},
}
PROMPTS = {
    "prompt": lambda key: chat(f"the key is {key}, really"),
    "line start": lambda key: chat(f"the key:\n{key}\nreally"),
    "json in json": lambda key: chat(json.dumps({"key": key})),
    "json in json in json": lambda key: chat(json.dumps({"in": json.dumps({"key": key})})),
    "percent-encoded": lambda key: chat(f"https://x.example/?q={quote(key, safe='')}"),
    "plus-encoded": lambda key: chat(f"https://x.example/?q={quote_plus(key)}"),
    "object key": lambda key: json.dumps({key: 1}),
    "plain": lambda key: f"plain text {key}",
}


def spell(key):
    """Return every spelling of ``key`` that a file could have."""
    in_json = json.dumps(key)[1:-1]
    return {key, quote(key, safe=""), quote_plus(key), in_json, json.dumps(in_json)[1:-1]}


def assert_redacted(text, key):
    """Check that ``text`` contains a redaction, and no spelling of ``key``."""
    assert REDACTED in text
    assert not [spelling for spelling in spell(key) if spelling in text]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("sent", SENT)
def test_a_sent_credential_is_removed_everywhere(recorded, monkeypatch, sent, prompt):
    if sent == "environment":
        monkeypatch.setenv("THEIR_SECRET", KEY)
    body = PROMPTS[prompt](KEY)
    text = recorded.put((request(body, **SENT[sent]), body))
    assert_redacted(text, KEY)
    monkeypatch.delenv("THEIR_SECRET", raising=False)
    # another machine has a different key or none, and the same text around it
    live = {"url": f"{URL}?key=other-key-98765&page=2"} if sent == "parameter" else {}
    for other in "other-key-9876543210", "None", "":
        answers = recorded.play(request(PROMPTS[prompt](other), **live))
        assert REDACTED in answers[0]
    assert REDACTED in recorded.play(request(body, **SENT[sent]))[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_known_shape_is_removed_everywhere(recorded, shape, prompt):
    key = SHAPES[shape]
    body = PROMPTS[prompt](key)
    text = recorded.put((request(body), body))
    assert_redacted(text, key)
    assert REDACTED in recorded.play(request(body))[0]


def test_removing_a_private_key_keeps_the_json_around_it_valid(recorded):
    body = chat("what does -----BEGIN PRIVATE KEY----- mean? And this?")
    recorded.put((request(body), body))
    answer = json.loads(recorded.play(request(body))[0])
    assert answer["messages"][0]["content"].endswith("? And this?")


def test_secrets_in_responses_are_removed_everywhere(recorded):
    cookie, token = "abcdefgh-12345678", "opaque-token-0123456789"
    headers = (*JSON, ("set-cookie", f"session={cookie}; path=/"), ("x-request-id", "1"), ("location", f"/?t={cookie}"))
    answers = [
        (200, headers, json.dumps({"access_token": token})),
        (200, JSON, chat(f"{cookie} and {token}")),
    ]
    text = recorded.put((request("{}"), answers[0]), (request(chat(cookie)), answers[1]))
    assert cookie not in text
    assert token not in text
    assert f"session={REDACTED}; path=/" in text
    assert "x-request-id" not in text
    assert f"/?t={REDACTED}" in text
    # a request that repeats a secret from a response
    assert REDACTED in recorded.play(request("{}"), request(chat("another cookie")))[1]


def test_an_early_response_that_contains_a_later_secret_is_redacted(recorded):
    late = request("{}", headers=(*JSON, ("x-api-key", KEY)))
    text = recorded.put((request("[]"), chat(KEY)), (late, "fine"))
    assert_redacted(text, KEY)


def test_a_form_with_a_file_is_redacted(recorded):
    headers = (("content-type", "multipart/form-data; boundary=b"), ("x-api-key", KEY))
    body = b"--b\r\nContent-Disposition: form-data; name=key\r\n\r\n" + KEY.encode() + b"\r\n--b\r\n"
    body += b"Content-Disposition: form-data; name=file; filename=x\r\n\r\n\xff\x00\xfe\r\n--b--\r\n"
    recorded.put((request(body, headers=headers), "fine"))
    stored = storage.read(recorded.path).interactions[0].request.body
    assert KEY.encode() not in stored
    assert b"\xff\x00\xfe" in stored
    assert recorded.play(request(body, headers=headers)) == ["fine"]


def test_a_service_account_is_removed_everywhere(recorded, monkeypatch, tmp_path):
    account = {
        "type": "service_account",
        "project_id": "acme-prod-7",
        "private_key_id": "0123456789abcdef0123",
        "private_key": SHAPES["private key"] + "\n",
        "client_email": "robot@acme-prod-7.iam.gserviceaccount.com",
        "client_id": "123456789012345678901",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    body = chat("\n".join(account.values()))
    text = recorded.put((request(body), body))
    for name, value in account.items():
        if name != "type":
            assert value.strip() not in text, name
    content = json.loads(recorded.play(request(body))[0])["messages"][0]["content"]
    lines = ["service_account", "project-0", REDACTED, REDACTED, "account-0", REDACTED]
    assert [line for line in content.split("\n") if line] == lines


def stream(*deltas):
    chunks = [{"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": d}]} for d in deltas]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def call(index, arguments):
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def arguments(body):
    """Return the joined arguments of each call of a streamed response."""
    return [call.arguments for call in wires.decode(body)]


def test_a_secret_spread_over_the_deltas_of_a_stream_is_removed(recorded):
    key = SHAPES["openai"]
    one = json.dumps({"note": f"first {key} last", "n": 1})
    two = json.dumps({"key": key})
    deltas = [
        {"tool_calls": [{"index": i, "id": f"call_{i}", "function": {"name": "F", "arguments": ""}}]} for i in (0, 1)
    ]
    pieces = [[text[start : start + 5] for start in range(0, len(text), 5)] for text in (one, two)]
    for number in range(max(map(len, pieces))):
        deltas += [call(index, pieces[index][number]) for index in (0, 1) if number < len(pieces[index])]
    body = stream(*deltas)
    sse = (200, (("content-type", "text/event-stream"),), body)
    recorded.put((request("{}"), sse))
    answer = recorded.play(request("{}"))[0]
    assert arguments(answer) == [one.replace(key, REDACTED), two.replace(key, REDACTED)]
    assert answer.count("data: ") == body.count("data: ")
    text = recorded.text
    assert not [piece for piece in (key[8:13], key[10:15]) if piece in text]


def test_a_secret_in_the_text_of_a_responses_stream_is_removed(recorded):
    key = SHAPES["google"]
    events = []
    for piece, other in zip([key[:10], key[10:20], key[20:]], ["not ", "a ", "secret"], strict=True):
        events.append({"type": "response.output_text.delta", "item_id": "a", "output_index": 0, "delta": piece})
        events.append({"type": "response.output_text.delta", "item_id": "b", "output_index": 1, "delta": other})
    body = "".join(f"event: {e['type']}\r\ndata: {json.dumps(e)}\r\n\r\n" for e in events)
    recorded.put((request("{}"), (200, (("content-type", "text/event-stream"),), body)))
    answer = recorded.play(request("{}"))[0]
    assert answer.count("\r\n\r\n") == 6
    assert answer.count("\n") == answer.count("\r\n")
    deltas = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith("data: ")]
    assert "".join(event["delta"] for event in deltas if event["item_id"] == "a") == REDACTED
    assert [event["delta"] for event in deltas if event["item_id"] == "b"] == ["not ", "a ", "secret"]


@pytest.mark.parametrize("before", ["", "\n", "\ufeff"], ids=["nothing", "newline", "BOM"])
def test_a_secret_in_the_first_event_of_a_stream_is_removed(recorded, before):
    key = SHAPES["google"]
    body = before + "".join(f"data: {json.dumps({'text': text})}\n\n" for text in (key[:12], key[12:], " it is"))
    recorded.put((request("{}"), (200, (("content-type", "text/event-stream"),), body)))
    assert key[:12] not in recorded.text
    assert key[12:] not in recorded.text


@pytest.mark.parametrize("before", ["", "\n", " " * 70], ids=["nothing", "newline", "spaces"])
def test_a_secret_spread_over_a_gemini_array_is_removed(recorded, before):
    key = SHAPES["google"]
    chunks = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]}
        for text in ("it is ", key[:12], key[12:], " there")
    ]
    recorded.put((request("{}"), before + json.dumps(chunks)))
    answer = json.loads(recorded.play(request("{}"))[0])
    texts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in answer]
    assert "".join(texts) == f"it is {REDACTED} there"
    assert texts[0] == "it is "
    assert texts[3] == " there"


@pytest.mark.parametrize(
    "dummy",
    ["test", "sk-test", "test-key", "dummy", "your-api-key", "x" * 20, "not-needed", "EMPTY", "fake_key"],
)
def test_dummy_credentials_are_kept(recorded, monkeypatch, dummy):
    monkeypatch.setenv("OPENAI_API_KEY", dummy)
    body = chat(f"this is a {dummy}")
    sent = request(body, url=f"{URL}?key={dummy}", headers=(*JSON, ("authorization", f"Bearer {dummy}")))
    assert REDACTED not in recorded.put((sent, body))
    assert recorded.play(sent)[0] != ""
    with pytest.raises(CassetteMiss):
        recorded.play(request(chat("this is another"), url=f"{URL}?key={dummy}"))


def test_short_parameters_are_not_credentials(recorded):
    recorded.put((request(url=URL + "?key=red"), "r"), (request(url=URL + "?key=blue"), "b"))
    assert recorded.play(request(url=URL + "?key=blue"), request(url=URL + "?key=red")) == ["b", "r"]


VERTEX = (
    "https://us-central1-aiplatform.googleapis.com/v1/projects/{}/locations/us-central1/publishers/google/models/g:x"
)


def test_a_cassette_of_one_project_replays_in_another(recorded, monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme-prod-7")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-AbCdEfGhIjKlMnOpQr")
    headers = (*JSON, ("x-goog-user-project", "acme-billing-1"), ("openai-organization", "umbrella-corp-1"))
    body = chat("in acme-prod-7,\nacme-prod-7 of umbrella-corp-1 / acme-billing-1; in europe-west4")
    text = recorded.put((request(body, url=VERTEX.format("acme-prod-7"), headers=headers), body))
    for name in "acme", "umbrella", "us-central1", "org-Ab":
        assert name not in text, name
    assert "https://location-0-aiplatform.googleapis.com/v1/projects/project-0/locations/location-0/" in text
    assert "placeholders: [location-0, organization-0, project-0, project-1]" in text
    assert "europe-west4" in text

    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "zeta-test-9")
    other = body.replace("acme-prod-7", "zeta-test-9").replace("acme-billing-1", "zeta-billing-2")
    other = other.replace("umbrella-corp-1", "nice-people-2")
    headers = (*JSON, ("x-goog-user-project", "zeta-billing-2"), ("openai-organization", "nice-people-2"))
    url = VERTEX.format("zeta-test-9").replace("us-central1", "asia-east1")
    answer = json.loads(recorded.play(request(other, url=url, headers=headers))[0])["messages"][0]["content"]
    assert answer == "in project-0,\nproject-0 of organization-0 / project-1; in europe-west4"
    # a request with two names is different if the cassette has one name in both positions
    with pytest.raises(CassetteMiss):
        recorded.play(request(other.replace("in zeta-test-9", "in zeta-billing-2"), url=url, headers=headers))


def test_names_match_regardless_of_earlier_requests(recorded, monkeypatch):
    urls = [VERTEX.format(name) for name in ("acme-prod-1", "acme-prod-2")]
    recorded.put(*((request("{}", url=url), f"answer {position}") for position, url in enumerate(urls)))
    assert recorded.play(request("{}", url=urls[1])) == ["answer 0"]  # the same request, apart from a private name
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "zeta-test-9")
    exchanges = [(request(chat(f"{n} in zeta-test-9"), url=url), f"answer {n}") for n, url in enumerate(urls)]
    recorded.path.unlink()
    recorded.put(*exchanges)
    assert recorded.play(exchanges[1][0], exchanges[0][0]) == ["answer 1", "answer 0"]


def test_replacing_an_account_after_an_escape_keeps_the_json_valid(recorded):
    body = chat("robots:\nnora@acme.iam.gserviceaccount.com\tother-1@acme.iam.gserviceaccount.com")
    recorded.put((request(body), body))
    content = json.loads(recorded.play(request(body))[0])["messages"][0]["content"]
    assert content == "robots:\naccount-0\taccount-1"


def test_allowed_secrets_are_kept(recorded):
    key = SHAPES["openai"]
    settings = Settings(allow_secrets=(key,))
    assert key in recorded.put((request(chat(key)), chat(key)), settings=settings)


def test_text_that_looks_like_a_credential_is_never_written(tmp_path):
    leaky = Interaction(request(SHAPES["aws"]), Response(200, "OK", (), b""))
    path = tmp_path / "tape.yaml"
    with pytest.raises(
        SecretInCassette, match="not written, because it would contain a value that looks like a credential"
    ):
        storage.write(path, Cassette((leaky,)))
    assert not path.exists()


@pytest.mark.parametrize("name", ["authorization", "Cookie", "SET-COOKIE"])
def test_credential_headers_cannot_be_kept(name):
    with pytest.raises(ValueError, match=f"keep_headers refuses '{name}': credentials are never stored in a cassette"):
        Settings(keep_headers=(name,))


def test_rate_limit_headers_of_a_429_and_kept_headers_are_recorded(recorded):
    headers = (*JSON, ("x-ratelimit-limit", "3"), ("x-mine", "kept"), ("date", "today"), ("retry-after-ms", "1"))
    settings = Settings(keep_headers=("X-Mine",), keep_errors=True)
    recorded.put((request("1"), (429, headers, "")), (request("2"), (200, headers, "")), settings=settings)
    first, second = storage.read(recorded.path).interactions
    assert [name for name, _ in first.response.headers] == [
        "content-type",
        "x-ratelimit-limit",
        "x-mine",
        "retry-after-ms",
    ]
    assert [name for name, _ in second.response.headers] == ["content-type", "x-mine", "retry-after-ms"]


NAMES = ["acme-prod-7", "org-AbCdEfGhIjKlMnOpQr"]
SECRETS = [KEY, "hush-hush-0123456789", *SHAPES.values()]
pieces = st.one_of(
    st.sampled_from(
        [*SECRETS, *NAMES, REDACTED, "projects/acme/locations/x-1", "\n", '"', "\\", "Bearer ", "sk-", "%20", "a"]
    ),
    st.sampled_from(SECRETS).flatmap(lambda key: st.integers(1, len(key)).map(lambda cut: key[:cut])),
    st.text(max_size=8),
)
texts = st.lists(pieces, max_size=8).map("".join)


def redactor():
    redactor = Redactor({"THEIR_SECRET": "hush-hush-0123456789", "GOOGLE_CLOUD_PROJECT": "acme-prod-7"})
    redactor.learn_request(request("{}", headers=(("authorization", f"Bearer {KEY}"),)))
    return redactor


@pytest.mark.slow
@given(texts)
def test_redaction_is_idempotent(text):
    first = redactor()
    once = first.redact_text(text)
    assert first.redact_text(once) == once
    assert redactor().redact_text(once) == once
    assert KEY not in once
    assert "hush-hush-0123456789" not in once
    body = first.redact_body(json.dumps({"x": text}).encode())
    assert first.redact_body(body) == body


@pytest.mark.slow
@given(st.recursive(texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)))
def test_redacted_json_is_json_of_the_same_shape(document):
    clean = json.loads(redactor().redact_body(json.dumps(document).encode()))

    def shape(value):
        if isinstance(value, list):
            return [shape(item) for item in value]
        return "text" if isinstance(value, str) else "object"

    assert shape(clean) == shape(document)
    ascii_free = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert shape(json.loads(redactor().redact_body(ascii_free).decode("utf-8", "surrogatepass"))) == shape(document)


def depends_on_the_key(prompt):
    """Return whether the text around ``KEY`` is redacted differently if the key is unknown.

    This is the case if another secret seems to contain a part of the key, or if another secret or a private name
    directly follows the key. A request without the key in a header is then a miss: see docs/security.md.
    """
    keys = [match.span() for match in re.finditer(re.escape(KEY), prompt)]
    for _, end in keys:
        following = prompt[end:]
        if following.startswith(("org-", "projects/")) or any(found.start == 0 for found in find_shapes(following)):
            return True
    return any(found.start < end and start < found.end for found in find_shapes(prompt) for start, end in keys)


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts, min_size=1, max_size=3))
def test_redacted_requests_replay_with_the_same_key_and_without_one(tmp_path_factory, prompts):
    assume(not any(map(depends_on_the_key, prompts)))
    recorded = RecordedCassette(tmp_path_factory.mktemp("tapes") / "tape.yaml")
    headers = (*JSON, ("authorization", f"Bearer {KEY}"))
    exchanges = [(request(chat(prompt), headers=headers), "answer") for prompt in prompts]
    text = recorded.put(*exchanges)
    assert KEY not in text
    assert recorded.play(*(sent for sent, _ in exchanges)) == ["answer"] * len(prompts)
    # without the key in a header
    assert recorded.play(*(request(chat(prompt)) for prompt in prompts)) == ["answer"] * len(prompts)


@pytest.mark.parametrize("prompt", ["My Key: a secret.", "Key: a secret. Thanks", ". Key: ", "Key: a secret"])
def test_a_miss_shows_that_the_text_around_a_removed_secret_differs(recorded, prompt):
    recorded.put((request(chat(f"Key: {KEY}."), headers=(*JSON, ("authorization", f"Bearer {KEY}"))), "answer"))
    with pytest.raises(CassetteMiss, match="differs in 1 place") as raised:
        recorded.play(request(chat(prompt)))
    assert f'recorded: "Key: {REDACTED}."' in str(raised.value)


@pytest.mark.slow
@given(st.data())
def test_a_secret_cut_anywhere_in_a_stream_is_removed(data):
    key = data.draw(st.sampled_from([SHAPES["openai"], SHAPES["aws"], "hush-hush-0123456789"]))
    whole = data.draw(st.text("ab ", max_size=5)) + " " + key + " " + data.draw(st.text("ab ", max_size=5))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    body = stream(*({"content": piece} for piece in pieces))
    clean = redactor().redact_body(body.encode()).decode()
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in clean.splitlines() if line.startswith("data: {")]
    assert len(deltas) == len(pieces)
    assert "".join(delta["content"] for delta in deltas) == whole.replace(key, REDACTED)


@pytest.mark.slow
def test_the_recorder_loses_nothing_with_threads(recorded):
    tape = Tape(recorded.path, mode="record")

    def send(number):
        key = f"secret-of-{number:04}-abcdefgh"
        recording = tape.route(request(chat(f"my key {key}"), headers=(*JSON, ("x-api-key", key))))
        recording.record_head(200, "OK", JSON)
        recording.record_chunk(chat(f"your key {key}").encode())
        recording.record_end()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(200)))
    tape.save()
    assert "secret-of" not in recorded.text
    assert recorded.text.count(REDACTED) == 400


def test_a_name_that_replay_does_not_know_matches(recorded):
    # the name of the organization is in response headers that are not recorded
    sent = request(chat("the weather-app of weather-app"))
    recorded.put((sent, (200, (*JSON, ("openai-organization", "weather-app")), chat("of weather-app"))))
    assert "organization-0 of organization-0" in recorded.text
    assert recorded.play(sent) == recorded.play(request(chat("the None of None")))
    for other in "the weather-app of another", "the weather-app and weather-app":
        with pytest.raises(CassetteMiss):
            recorded.play(request(chat(other)))


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("org-AbCdEfGhIjKlMnOpQr/open+0123=456789", f"organization-0{REDACTED}"),
        ("/open+0123=456789org-AbCdEfGhIjKlMnOpQr", f"{REDACTED}organization-0"),
        ("acme-prod-7/open+0123=456789acme-prod-7", f"project-0{REDACTED}project-0"),
    ],
)
def test_a_name_next_to_a_secret_is_replaced(text, redacted):
    redactor = Redactor({"SERVICE_TOKEN": "/open+0123=456789", "GOOGLE_CLOUD_PROJECT": "acme-prod-7"})
    assert redactor.redact_text(text) == redacted
    assert redactor.redact_text(redacted) == redacted


def test_secrets_in_wire_bytes_are_masked_and_the_message_stays_valid():
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.wrappers_pb2 import StringValue

    from multitrack.tape.google import protobuf

    key = "k-0123456789abcdef"
    redactor = Redactor({"OPENAI_API_KEY": key})
    held = StringValue(value=f"the key is {key}, keep it").SerializeToString()
    document = protobuf.wire_to_json(held, Empty)
    assert "@wire" in document
    redacted = redactor.redact_body(document.encode())
    assert redactor.redact_body(redacted) == redacted
    wire = protobuf.json_to_wire(redacted, Empty)
    assert StringValue.FromString(wire).value == f"the key is {'*' * len(key)}, keep it"
    other = protobuf.wire_to_json(StringValue(value="nothing").SerializeToString(), Empty).encode()
    assert redactor.redact_body(other) == other
