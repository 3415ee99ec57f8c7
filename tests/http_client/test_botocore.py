"""Amazon Bedrock by botocore, which brings a connection and retries of its own."""

import random
import struct
import zlib

import pytest
from local_provider import Answer

from multitrack.errors import CassetteMiss
from multitrack.tape.use_cassette import use_cassette

session = pytest.importorskip("botocore.session")
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
JSON = {"content-type": "application/json"}
SAID = b'{"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn"}'


@pytest.fixture
def client(provider, monkeypatch):
    # by it, the waits between two attempts are told
    monkeypatch.setattr(random, "random", lambda: 0.0)
    return session.get_session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=provider.url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


def question(model):
    return {"modelId": model, "messages": [{"role": "user", "content": [{"text": "hello"}]}]}


def frame(kind, payload):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html"""
    pairs = {":event-type": kind, ":message-type": "event", ":content-type": "application/json"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in pairs.items()
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack("!I", zlib.crc32(prelude))
    return prelude + headers + payload + struct.pack("!I", zlib.crc32(prelude + headers + payload))


def test_its_retries_and_its_streams_are_its_own(provider, client, tmp_path):
    throttled = Answer(b'{"message": "slow down"}', 429, {**JSON, "x-amzn-errortype": "ThrottlingException"})
    pieces = [frame("contentBlockDelta", b'{"delta": {"text": "%d"}, "contentBlockIndex": 0}' % n) for n in range(3)]

    def reply(request):
        if request.path.endswith("route_stream-stream"):
            return Answer(iter(pieces), headers={"content-type": "application/vnd.amazon.eventstream"})
        return throttled if len(provider.requests) == 1 else Answer(SAID, headers=JSON)

    def use():
        said = client.route_stream(**question("model"))["output"]["message"]["content"][0]["text"]
        stream = client.converse_stream(**question("model"))["stream"]
        return said, [event["contentBlockDelta"]["delta"]["text"] for event in stream]

    path = tmp_path / "tape.yaml"
    provider.reply = reply
    with use_cassette(path, mode="record") as tape:
        live = use()
    assert live == ("hi", ["0", "1", "2"])
    assert [one.response.status for one in tape.interactions] == [429, 200, 200]
    text = path.read_text()
    assert not any(private in text for private in (KEY, SECRET, "Signature"))
    provider.stop()
    with use_cassette(path) as tape:
        assert use() == live
        assert len(tape.played) == 3
        with tape.expect_misses() as misses:
            client.route_stream(**question("other"))
    assert [type(miss) for miss in misses] == [CassetteMiss]
    assert len(provider.requests) == 3
