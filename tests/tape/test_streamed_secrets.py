"""Secrets that a stream delivers in pieces: only the pieces of the secrets change."""

from __future__ import annotations

import base64
import json

import pytest

from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.word_boundaries import REDACTED

KEY = "hush-hush-0123456789"
OTHER = "open-sesame-9876543210"


@pytest.fixture
def redactor():
    return Redactor({"THEIR_TOKEN": KEY, "OTHER_TOKEN": OTHER})


def stream(pieces):
    documents = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return "".join(f"data: {json.dumps(document)}\n\n" for document in documents).encode()


def contents(body):
    lines = [line for line in body.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines]


def test_the_events_between_two_secrets_stay_as_they_are(redactor):
    words = [f" word{number}" for number in range(2000)]
    body = stream([KEY[:7], KEY[7:], *words, "so ", OTHER[:3], OTHER[3:9], OTHER[9:] + "!"])
    assert contents(redactor.redact_body(body)) == [REDACTED, "", *words, "so ", REDACTED, "", "!"]


def test_events_without_a_secret_keep_their_bytes(redactor):
    body = stream(["a", KEY[:7], KEY[7:], "b"])
    before, after = body.split(b"\n\n"), redactor.redact_body(body).split(b"\n\n")
    assert before[0] == after[0]
    assert before[3:] == after[3:]


def test_many_secrets_in_one_stream_are_each_removed(redactor):
    pieces = [piece for number in range(50) for piece in (f"{number} ", KEY[:4], KEY[4:])]
    expected = [piece for number in range(50) for piece in (f"{number} ", REDACTED, "")]
    assert contents(redactor.redact_body(stream(pieces))) == expected


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_a_secret_in_events_of_text_is_removed(redactor, end):
    body = "".join(f"data: {piece}{end}" for piece in ["It is ", KEY[:6], KEY[6:12], KEY[12:], " indeed", "[DONE]"])
    lines = redactor.redact_body(body.encode()).decode().split(end)
    assert lines == ["data: It is ", f"data: {REDACTED}", "data: ", "data: ", "data:  indeed", "data: [DONE]", ""]


def test_a_secret_in_events_of_json_texts_is_removed(redactor):
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in [KEY[:6], KEY[6:], ' "quoted"'])
    events = redactor.redact_body(body.encode()).decode().split("\n\n")
    assert events == [f'data: "{REDACTED}"', 'data: ""', 'data: " \\"quoted\\""', ""]


def test_a_secret_in_lines_of_ollama_is_removed(redactor):
    lines = [json.dumps({"message": {"role": "assistant", "content": piece}}) for piece in ["so ", KEY[:9], KEY[9:]]]
    redacted = redactor.redact_body("\n".join(lines).encode()).decode()
    assert [json.loads(line)["message"]["content"] for line in redacted.splitlines()] == ["so ", REDACTED, ""]


def test_names_of_many_projects_in_one_text_are_all_replaced(redactor):
    names = [f"projects/acme-{number}-x/locations/europe-west{number}" for number in range(300)]
    text = redactor.redact_text(" ".join(names) + " acme-299-x, acme-0-x")
    assert text.startswith("projects/project-0/locations/location-0 projects/project-1/locations/location-1 ")
    assert text.endswith("projects/project-299/locations/location-299 project-299, project-0")


# --- tokens with log probabilities ------------------------------------------------------------------------------------

TOKENS = ["The", " key", " is ", "hush", "-hush-", "01234", "56789", ", ok"]


def write_token(token, *, alternatives="top_logprobs", to_bytes=list):
    """Return an entry of OpenAI's ``logprobs``."""
    fields = {"token": token, "logprob": -0.1, "bytes": to_bytes(token.encode())}
    return {**fields, alternatives: [{"token": "no", "logprob": -3, "bytes": to_bytes(b"no")}, fields]}


def to_base64(content):
    return base64.b64encode(content).decode()


def write_gemini(tokens):
    chosen = [{"token": token, "tokenId": 5, "logProbability": -0.1} for token in tokens]
    top = [{"candidates": [{"token": "no", "logProbability": -3}, one]} for one in chosen]
    return {"candidates": [{"index": 0, "logprobsResult": {"chosenCandidates": chosen, "topCandidates": top}}]}


def write_completion(tokens):
    top = [{token: -0.1, "no": -3} for token in tokens]
    return {"choices": [{"logprobs": {"tokens": tokens, "token_logprobs": [-0.1] * len(tokens), "top_logprobs": top}}]}


LOGPROBS = {
    "chat": lambda tokens: {"choices": [{"index": 0, "logprobs": {"content": list(map(write_token, tokens))}}]},
    "refusal": lambda tokens: {"choices": [{"index": 0, "logprobs": {"refusal": list(map(write_token, tokens))}}]},
    "responses": lambda tokens: {"type": "x", "output_index": 0, "logprobs": list(map(write_token, tokens))},
    "xai": lambda tokens: {
        "outputs": [
            {
                "logprobs": {
                    "content": [write_token(token, alternatives="topLogprobs", to_bytes=to_base64) for token in tokens]
                }
            }
        ]
    },
    "gemini": write_gemini,
    "completion": write_completion,
}


def read_strings(value):
    """Yield each string in ``value``, also as the value of ``bytes``, and the keys of objects."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "bytes":
                yield bytes(item).decode() if isinstance(item, list) else base64.b64decode(item).decode()
            else:
                yield key
                yield from read_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from read_strings(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("api", LOGPROBS)
@pytest.mark.parametrize("size", [1, 3, len(TOKENS)], ids=["one token per event", "several tokens", "not streamed"])
def test_a_secret_in_tokens_with_log_probabilities_is_removed(redactor, api, size):
    documents = [LOGPROBS[api](TOKENS[start : start + size]) for start in range(0, len(TOKENS), size)]
    if size == len(TOKENS):
        body = json.dumps(documents[0], indent=2)
    else:
        body = "".join(f"data: {json.dumps(document)}\n\n" for document in documents)
    redacted = redactor.redact_body(body.encode()).decode()
    if size == len(TOKENS):
        found = [json.loads(redacted)]
        assert redacted.startswith(body[:20])
    else:
        found = [json.loads(line[6:]) for line in redacted.splitlines() if line]
    strings = list(read_strings(found))
    assert not {"hush", "-hush-", "01234", "56789"}.intersection(strings)
    assert {"The", " key", " is ", REDACTED, ", ok", "no"} <= set(strings)
    assert redactor.redact_body(redacted.encode()).decode() == redacted


ARRAYS = {
    "token": lambda text: json.dumps({"logprobs": {"content": [write_token(text)]}}),
    "alternative": lambda text: json.dumps({"top_logprobs": [{"token": "no"}, write_token(text)]}, indent=2),
    "one event": lambda text: f"data: {json.dumps(write_token(text))}\n\n",
    "bytes in a text": lambda text: json.dumps({"token": "", "bytes": list(f"It is {text}.".encode())}),
    "buffer in a tool result": lambda text: json.dumps(
        {"content": json.dumps({"type": "Buffer", "data": list(text.encode())}, indent=2)}
    ),
    "Python": lambda text: f"assert {list(text.encode())} == []",
    "compact": lambda text: json.dumps([list(text.encode())], separators=(",", ":")),
}


@pytest.mark.parametrize("secret", [KEY, "sk-" + "aB3dE5gH7jK9mN1pQ3sT5vW7"], ids=["known", "shape"])
@pytest.mark.parametrize("write", ARRAYS.values(), ids=ARRAYS)
def test_the_bytes_of_a_secret_in_an_array_are_removed(redactor, write, secret):
    body = write(secret)
    redacted = redactor.redact_body(body.encode()).decode()
    assert redacted == write(REDACTED)
    assert redactor.redact_text(body) == redacted


@pytest.mark.parametrize("numbers", [list(b"no secret here"), [115, 107, 1000] * 5, [0.5] * 20, list(range(256))])
def test_other_arrays_keep_their_bytes(redactor, numbers):
    body = json.dumps({"bytes": numbers}, indent=1).encode()
    assert redactor.redact_body(body) == body


def test_tokens_without_a_secret_keep_their_bytes(redactor):
    body = json.dumps(LOGPROBS["chat"](TOKENS[:5]), separators=(", ", " : ")).encode()
    assert redactor.redact_body(body) == body
