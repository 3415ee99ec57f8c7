"""Redaction of what Anthropic, Amazon Bedrock and their clients send: keys, signatures, organizations, accounts."""

import json

import pytest

from multitrack.tape.exchange import Request, Response
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.word_boundaries import REDACTED

KEY = "sk-ant-api03-" + "aB3_x9-Q" * 11 + "AA"
ORGANIZATION = "5d1c8a3e-94b7-4f60-8c2d-7be913f0a642"
JSON = ("content-type", "application/json")
EVENTS = ("content-type", "text/event-stream; charset=utf-8")
ARN = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc123"


def make_request(url="https://api.anthropic.com/v1/messages", headers=(), body=b"{}"):
    return Request("POST", url, (JSON, *headers), body)


def redact(body, headers=(JSON,), request=None, status=200):
    """Return a redacted response, after the redactor has learned its request."""
    redactor = Redactor({})
    if request is not None:
        redactor.learn_request(request)
    redactor.learn_response(headers, body)
    return redactor.redact_response(Response(status, "OK", headers, body))


def write_stream(pieces, kind="input_json_delta", key="partial_json"):
    events = [{"type": "content_block_delta", "index": 1, "delta": {"type": kind, key: piece}} for piece in pieces]
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_the_key_of_a_request_is_not_recorded(header):
    value = KEY if header == "x-api-key" else f"Bearer {KEY}"
    redactor = Redactor({})
    request = make_request(headers=((header, value),), body=json.dumps({"system": f"key: {KEY}"}).encode())
    redactor.learn_request(request)
    recorded = redactor.redact_request(request)
    assert header not in dict(recorded.headers)
    assert json.loads(recorded.body) == {"system": f"key: {REDACTED}"}


def test_a_key_is_known_by_its_shape():
    assert KEY.encode() not in redact(json.dumps({"text": f"use {KEY}!"}).encode()).body


@pytest.mark.parametrize(
    ("kind", "key"),
    [("input_json_delta", "partial_json"), ("text_delta", "text"), ("thinking_delta", "thinking")],
)
def test_a_key_that_is_spread_over_deltas_is_redacted(kind, key):
    pieces = ["The key is ", KEY[:5], KEY[5:30], KEY[30:], " and that is all"]
    recorded = redact(write_stream(pieces, kind, key), (EVENTS,)).body
    documents = [json.loads(line[6:]) for line in recorded.decode().splitlines() if line.startswith("data: ")]
    assert "".join(document["delta"][key] for document in documents) == f"The key is {REDACTED} and that is all"
    assert len(documents) == len(pieces)


def test_the_deltas_of_two_blocks_are_not_joined():
    halves = [KEY[:40], KEY[40:]]
    streams = [
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": half}}
        for index, half in enumerate(halves)
    ]
    body = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in streams)
    assert KEY[40:].encode() in redact(body, (EVENTS,)).body


def test_the_organization_is_a_pseudonym():
    body = json.dumps({"error": {"message": f"rate limit of your organization (org: {ORGANIZATION})"}}).encode()
    recorded = redact(body, (JSON, ("anthropic-organization-id", ORGANIZATION)))
    assert b"(org: organization-0)" in recorded.body
    assert "anthropic-organization-id" not in dict(recorded.headers)


def test_the_rate_limits_of_a_429_are_recorded():
    headers = (JSON, ("retry-after", "3"), ("anthropic-ratelimit-requests-remaining", "0"), ("request-id", "req_1"))
    recorded = redact(b"{}", headers, status=429)
    assert dict(recorded.headers) == dict(headers[:3])
    assert "anthropic-ratelimit-requests-remaining" not in dict(redact(b"{}", headers).headers)


SIGNED = (
    "AWS4-HMAC-SHA256 Credential=TESTKEYID0123456789/20261128/eu-west-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=b7e99507416001720eb38215c2684ad05bccb638f48e28b664d0498fd8e9fb99"
)


def test_the_signature_of_a_request_to_bedrock_is_a_secret():
    headers = (("authorization", SIGNED), ("x-amz-security-token", "IQoJb3JpZ2luX2VjEXAMPLE"), ("x-amz-date", "x"))
    request = make_request("https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/invoke", headers)
    echo = json.dumps({"message": f"invalid: {SIGNED} IQoJb3JpZ2luX2VjEXAMPLE"}).encode()
    redactor = Redactor({})
    redactor.learn_request(request)
    recorded = redactor.redact_request(request)
    assert dict(recorded.headers) == dict([JSON])
    body = redactor.redact_response(Response(403, "Forbidden", (JSON,), echo)).body
    for secret in (b"TESTKEYID0123456789", b"b7e99507416001720eb3", b"IQoJb3JpZ2luX2VjEXAMPLE"):
        assert secret not in body


def test_the_region_of_a_request_to_bedrock_is_a_pseudonym():
    redactor = Redactor({})
    urls = [f"https://bedrock-runtime.{region}.amazonaws.com/model/m/invoke" for region in ("eu-west-1", "us-east-2")]
    assert [redactor.redact_url(url) for url in [*urls, urls[0]]] == [
        f"https://bedrock-runtime.location-{number}.amazonaws.com/model/m/invoke" for number in (0, 1, 0)
    ]


@pytest.mark.parametrize("separator", [":", "%3A"])
def test_the_account_in_the_name_of_a_resource_is_a_pseudonym(separator):
    arn = ARN.replace(":", separator)
    expected = "arn:aws:bedrock:location-0:account-0:application-inference-profile/abc123".replace(":", separator)
    redactor = Redactor({})
    assert redactor.redact_text(f"model {arn}") == f"model {expected}"
    assert redactor.redact_text(redactor.redact_text(arn)) == expected


def test_a_region_in_a_prompt_is_not_a_pseudonym():
    assert Redactor({"AWS_REGION": "eu-west-1"}).redact_text("Deploy to eu-west-1") == "Deploy to eu-west-1"
