"""Calls of the Converse API are recorded with credentials, and replay without credentials and in any region."""

import json
from collections.abc import Iterable

import pytest
from pydantic import BaseModel

import multitrack
from multitrack import decode
from multitrack.errors import CassetteMiss, StreamBroken
from multitrack.standin import Rule, ScriptedCall, ScriptedError, StandIn
from multitrack.tape import credentials

boto3 = pytest.importorskip("boto3")
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("bare_environment", "starts_server")]


class Weather(BaseModel):
    location: str


KEY = "sk-proj-" + "aB3_x9-Q" * 6
ACCOUNT = "arn:aws:bedrock:eu-west-1:418302673918:inference-profile/eu.amazon.nova-pro-v1:0"
ACCESS_KEY, SECRET_KEY = "AKIA" + "Q7RTXZ2MWBNC4VHD", "wJalrXUtnFEMI" + "/K7MDENG+bPxRfiCYzQ9Lm2TVk"
PLAN = [Weather(location="Toronto"), Weather(location="Köln")]
CALLS = [ScriptedCall("Weather", model.model_dump()) for model in PLAN]
RULES = [
    Rule(prompt="plan", text=f"The key is {KEY}, keep it.", calls=CALLS, delta_size=5),
    Rule(prompt="fail", calls=CALLS, error=ScriptedError(status=429), after_calls=1),
    Rule(prompt="refuse", error=ScriptedError(status=404)),
]


@pytest.fixture(autouse=True)
def without_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    monkeypatch.undo()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


def ask(client, prompt="plan", *, stream=False, model=ACCOUNT):
    extracting = multitrack.from_bedrock(client)
    messages = [{"role": "user", "content": [{"text": prompt}]}]
    return extracting.create(modelId=model, messages=messages, response_model=Iterable[Weather], stream=stream)


def live_client(standin, region="eu-west-1"):
    return boto3.client(
        "bedrock-runtime",
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token="session-token-0123456789",
        verify=str(standin.certificate_authority),
        config=Config(proxies={"https": standin.proxy_url}, retries={"total_max_attempts": 1}),
    )


def record(path, *requests):
    """Record requests, each with a prompt and whether it is streamed. Errors of the provider are recorded, too."""
    with StandIn(RULES) as standin, multitrack.use_cassette(path, mode="record"):
        client = live_client(standin)
        for prompt, stream in requests:
            try:
                list(ask(client, prompt, stream=stream))
            except (ClientError, StreamBroken):
                continue


def replay_client(**options):
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}), **options)


def test_replay_needs_no_credentials_and_no_region(path):
    record(path, ("plan", False), ("plan", True))
    with multitrack.use_cassette(path, mode="replay"):
        client = replay_client()
        assert ask(client) == PLAN
        assert list(ask(client, stream=True)) == PLAN


def test_replay_works_in_any_region_and_account(path):
    record(path, ("plan", False), ("plan", True))
    other = ACCOUNT.replace("eu-west-1", "ap-south-1").replace("418302673918", "273091846655")
    with multitrack.use_cassette(path, mode="replay"):
        client = replay_client(region_name="ap-south-1")
        assert ask(client, model=other) == PLAN
        assert list(ask(client, stream=True, model=other)) == PLAN


def test_a_cassette_has_no_credentials_accounts_and_regions(path):
    record(path, ("plan", False), ("plan", True))
    text = path.read_text("utf-8")
    for private in (KEY, KEY[:20], ACCESS_KEY, SECRET_KEY, "session-token", "AWS4-HMAC", "418302673918", "eu-west-1"):
        assert private not in text, private


def test_a_stream_is_stored_as_readable_lines(path):
    record(path, ("plan", True))
    text = path.read_text("utf-8")
    assert "encoding: aws-events" in text
    assert "!!binary" not in text
    lines = [json.loads(line) for line in text.splitlines() if line.strip().startswith('{"')]
    assert lines[0] == {"messageStart": {"role": "assistant"}}
    assert lines[-2] == {"messageStop": {"stopReason": "tool_use"}}


def test_the_heading_of_a_cassette_names_the_model_of_the_url(path):
    record(path, ("plan", False), ("plan", True))
    headings = [line for line in path.read_text("utf-8").splitlines() if line.startswith("# ") and "·" in line]
    assert headings == [
        "# 1 · bedrock eu.amazon.nova-pro-v1:0 · 2 calls",
        "# 2 · bedrock.stream eu.amazon.nova-pro-v1:0 · 2 calls",
    ]


def test_an_exception_in_a_stream_is_replayed(path):
    record(path, ("fail", True))
    with multitrack.use_cassette(path, mode="replay"):
        stream = ask(replay_client(), "fail", stream=True)
        with pytest.raises(StreamBroken, match="throttlingException") as broken:
            list(stream)
    assert list(broken.value.models) == PLAN[:1]


def test_the_name_of_an_error_is_replayed(path):
    record(path, ("refuse", False))
    with multitrack.use_cassette(path, mode="replay"), pytest.raises(ClientError, match="ResourceNotFoundException"):
        ask(replay_client(), "refuse")


def invoke(client):
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "plan"}],
        "tools": [{"name": "Weather", "input_schema": {"type": "object"}}],
    }
    arguments = {"modelId": "anthropic.claude-3-haiku-20240307-v1:0", "body": json.dumps(body)}
    whole = client.invoke_model(**arguments)["body"].read()
    stream = client.invoke_model_with_response_stream(**arguments)["body"]
    return decode(whole), decode([json.loads(event["chunk"]["bytes"]) for event in stream])


def test_invoke_model_of_anthropic_is_replayed_and_recognized(path):
    with StandIn(RULES) as standin, multitrack.use_cassette(path, mode="record"):
        recorded = invoke(live_client(standin))
    with multitrack.use_cassette(path, mode="replay"):
        assert invoke(replay_client()) == recorded
    assert [call.name for call in recorded[1]] == ["Weather", "Weather"]
    text = path.read_text("utf-8")
    assert "# 2 · anthropic.stream anthropic.claude-3-haiku-20240307-v1:0 · 2 calls" in text
    assert "encoding: aws-chunks" in text
    assert KEY not in text
    assert KEY[:20] not in text


def test_a_changed_prompt_is_a_miss(path):
    record(path, ("plan", False))
    with (
        multitrack.use_cassette(path, mode="replay") as tape,
        tape.expect_misses(),
        pytest.raises(CassetteMiss, match="plans"),
    ):
        ask(replay_client(), "plans")


def test_a_client_that_was_created_for_replay_is_not_sent(path):
    with credentials.stand_in():
        without_region = replay_client()
        without_credentials = replay_client(region_name="eu-west-1")
    with pytest.raises(NoRegionError) as region:
        ask(without_region)
    assert "multitrack: this client was created without credentials" in region.value.__notes__[0]
    with pytest.raises(NoCredentialsError):
        ask(without_credentials)


def test_outside_of_a_replay_boto3_raises_its_own_error():
    with pytest.raises(NoRegionError):
        boto3.client("bedrock-runtime")


def test_credentials_of_the_environment_are_used_for_live_requests(monkeypatch, path):
    with monkeypatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        with StandIn(RULES) as standin:
            with credentials.stand_in():
                client = boto3.client(
                    "bedrock-runtime", region_name="eu-west-1", endpoint_url=standin.anthropic_base_url
                )
            assert ask(client) == PLAN
            [received] = standin.requests
    assert any(ACCESS_KEY in value for name, value in received.headers if name.lower() == "authorization")
