"""Redacted responses as each client reads them, and clients that outlive a tape."""

import asyncio
import json

import httpx
import httpx2
import openai
import pytest
import requests
from local_provider import ProviderAnswer, completion
from recorded_tape import request

from multitrack.tape.exchange import Response
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.use_cassette import use_cassette

SECRET = "sk-proj-" + "aB3dE5gH7jK9" * 4
COOKIE = "session=Zm9vYmFyYmF6cXV4"


@pytest.mark.parametrize("module", [httpx, httpx2, requests], ids=lambda module: module.__name__)
@pytest.mark.parametrize("name", ["Set-Cookie", "SET-COOKIE", "sEt-cOOkie"])
def test_the_content_length_fits_the_redacted_body_and_cookies_keep_their_names(provider, tmp_path, module, name):
    body = f'{{"key": "{SECRET}", "said": "x"}}'.encode()
    provider.reply = lambda _: ProviderAnswer(body, headers={"content-type": "application/json", name: COOKIE})

    def get():
        response = module.get(provider.url)
        return response.json()["key"], len(response.content), int(response.headers["content-length"])

    path = tmp_path / "tape.yaml"
    with use_cassette(path, mode="record", keep_headers=["content-length"]):
        assert get() == (SECRET, len(body), len(body))
    text = path.read_text()
    assert SECRET not in text
    assert COOKIE not in text
    assert "set-cookie: [session=__redacted__]" in text
    provider.stop()
    with use_cassette(path, keep_headers=["content-length"]):
        key, length, content_length = get()
    assert key != SECRET
    assert length == content_length


def test_an_asyncio_client_replays_in_several_event_loops(provider, tmp_path):
    provider.reply = lambda request: ProviderAnswer(completion(request.json["messages"][0]["content"]))
    # like a client at module level; it keeps no connections, because they could not be closed after their event loop
    client = openai.AsyncOpenAI(
        base_url=provider.url, api_key="test", max_retries=0, default_headers={"connection": "close"}
    )

    async def ask(prompt):
        answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
        return answer.choices[0].message.content

    async def record():
        return [await ask(prompt) for prompt in ("one", "two", "three")]

    with use_cassette(tmp_path / "tape.yaml", mode="record"):
        assert asyncio.run(record()) == ["one", "two", "three"]
    provider.stop()
    for _ in range(2):
        with use_cassette(tmp_path / "tape.yaml"):
            assert [asyncio.run(ask(prompt)) for prompt in ("three", "one", "two")] == ["three", "one", "two"]


def test_a_private_name_that_only_the_body_explains_is_removed_from_the_headers():
    redactor = Redactor({})
    body = b'{"name": "projects/acme-prod-7/locations/us-central1"}'
    sent = request(body, url="https://a.example/acme-prod-7", headers=(("content-type", "x; name=acme-prod-7"),))
    redacted = redactor.redact_request(sent)
    assert "acme-prod-7" not in f"{redacted.url} {redacted.headers}"
    answered = Response(200, "OK", (("content-type", "x; name=acme-prod-8"),), body.replace(b"prod-7", b"prod-8"))
    assert "acme-prod-8" not in str(redactor.redact_response(answered).headers)


def test_a_private_name_that_a_later_event_explains_is_removed_from_the_pieces_before():
    events = [{"text": "deploys acme-p"}, {"text": "rod-7 now"}, {"name": "projects/acme-prod-7/locations/us-central1"}]
    body = json.dumps(events).encode()
    redacted = json.loads(Redactor({}).redact_response(Response(200, "OK", (), body)).body)
    assert "acme-prod-7" not in redacted[0]["text"] + redacted[1]["text"]


def test_a_private_name_that_a_later_request_explains_is_removed_from_a_url_that_was_redacted_before():
    redactor = Redactor({})
    url = "https://a.example/acme-prod-7?key=q3Zx81LmT0vB"
    redactor.redact_request(request(b"{}", url=url))
    explained = request(b'{"name": "projects/acme-prod-7/locations/us-central1"}', url=url)
    assert "acme-prod-7" not in redactor.redact_request(explained).url
