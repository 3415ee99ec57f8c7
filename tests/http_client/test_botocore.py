"""Amazon Bedrock through botocore, which has connection classes and retries of its own."""

import random
import struct
import zlib

import pytest
from local_provider import ProviderAnswer

from multitrack.errors import CassetteMiss
from multitrack.tape.use_cassette import use_cassette

session = pytest.importorskip("botocore.session")
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
JSON = {"content-type": "application/json"}
RESPONSE = b'{"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn"}'


@pytest.fixture
def client(provider, monkeypatch):
    # botocore multiplies the wait between two attempts by this number
    monkeypatch.setattr(random, "random", lambda: 0.0)
    return session.get_session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=provider.url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


def create_request(model):
    return {"modelId": model, "messages": [{"role": "user", "content": [{"text": "hello"}]}]}


def encode_event(kind, payload):
    """Encode one event: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html"""
    pairs = {":event-type": kind, ":message-type": "event", ":content-type": "application/json"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in pairs.items()
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack("!I", zlib.crc32(prelude))
    return prelude + headers + payload + struct.pack("!I", zlib.crc32(prelude + headers + payload))


def test_retries_and_event_streams_of_botocore_are_replayed(provider, client, tmp_path):
    throttled = ProviderAnswer(b'{"message": "slow down"}', 429, {**JSON, "x-amzn-errortype": "ThrottlingException"})
    pieces = [
        encode_event("contentBlockDelta", b'{"delta": {"text": "%d"}, "contentBlockIndex": 0}' % n) for n in range(3)
    ]

    def reply(request):
        if request.path.endswith("converse-stream"):
            return ProviderAnswer(iter(pieces), headers={"content-type": "application/vnd.amazon.eventstream"})
        return throttled if len(provider.requests) == 1 else ProviderAnswer(RESPONSE, headers=JSON)

    def send_both():
        text = client.converse(**create_request("model"))["output"]["message"]["content"][0]["text"]
        stream = client.converse_stream(**create_request("model"))["stream"]
        return text, [event["contentBlockDelta"]["delta"]["text"] for event in stream]

    path = tmp_path / "tape.yaml"
    provider.reply = reply
    with use_cassette(path, mode="record") as tape:
        live = send_both()
    assert live == ("hi", ["0", "1", "2"])
    assert [interaction.response.status for interaction in tape.interactions] == [429, 200, 200]
    written = path.read_text()
    assert not any(secret in written for secret in (KEY, SECRET, "Signature"))
    provider.stop()
    with use_cassette(path) as tape:
        assert send_both() == live
        assert len(tape.played) == 3
        with tape.expect_misses() as misses:
            client.converse(**create_request("other"))
    assert [type(miss) for miss in misses] == [CassetteMiss]
    assert len(provider.requests) == 3
