"""Clients for Amazon Bedrock and Vertex AI: recorded from the stand-in provider, replayed with nothing configured."""

import os
from collections.abc import Iterable
from importlib import import_module

import pytest
from pydantic import BaseModel

import multitrack
from multitrack.standin import GOOGLE_PROJECT, Rule, ScriptedCall, StandIn

anthropic = pytest.importorskip("anthropic")
httpx = import_module(anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
pytestmark = pytest.mark.slow


class Weather(BaseModel):
    location: str


ACCOUNT = "123456789012"
PROFILE = f"arn:aws:bedrock:eu-west-1:{ACCOUNT}:application-inference-profile/abc123"
ARGUMENTS = {
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "plan"}],
    "response_model": Iterable[Weather],
}
PLAN = [Weather(location="Toronto"), Weather(location="Köln")]
AWS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPL2",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYAA",
    "AWS_REGION": "eu-west-1",
}


def make_client(platform, **options):
    # pass an HTTP client, because the HTTP client of an old release of the SDK does not read HTTPS_PROXY
    client_class = getattr(anthropic, platform)
    return multitrack.from_anthropic(client_class(max_retries=0, http_client=httpx.Client(), **options))


def ask(client, model):
    assert client.messages.create(model=model, **ARGUMENTS) == PLAN
    assert list(client.messages.create(model=model, stream=True, **ARGUMENTS)) == PLAN


@pytest.fixture
def environment(monkeypatch):
    """An environment without any credential. The test may add variables."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "ANTHROPIC_", "CLOUD_ML_", "HTTPS_", "SSL_", "REQUESTS_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def standin(starts_server, environment):
    calls = [ScriptedCall("Weather", model.model_dump()) for model in PLAN]
    with StandIn([Rule(prompt="plan", calls=calls)]) as standin:
        yield standin


@pytest.fixture
def record(standin, environment, tmp_path):
    """A function that records the requests of a client, and returns the text of the cassette."""

    def record_client(platform, model, variables=(), **options):
        with environment.context() as live:
            for name, value in {**standin.environment, **dict(variables)}.items():
                live.setenv(name, value)
            with multitrack.use_cassette(tmp_path / "plan.yaml", mode="record"):
                ask(make_client(platform, **options), model)
        return (tmp_path / "plan.yaml").read_text("utf-8")

    return record_client


def test_bedrock_replays_without_credentials_and_region(record, tmp_path):
    pytest.importorskip("boto3")
    cassette = record("AnthropicBedrock", PROFILE, AWS)
    for private in (*AWS.values(), ACCOUNT):
        assert private not in cassette
    assert "ending:" not in cassette
    assert "https://bedrock-runtime.location-0.amazonaws.com/model/arn" in cassette
    with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
        elsewhere = PROFILE.replace(ACCOUNT, "210987654321").replace("eu-west-1", "us-east-1")
        ask(make_client("AnthropicBedrock"), elsewhere)


def test_bedrock_replays_in_another_region(record, tmp_path):
    pytest.importorskip("boto3")
    record("AnthropicBedrock", "claude-sonnet-5", AWS)
    with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
        ask(make_client("AnthropicBedrock", aws_region="ap-northeast-1"), "claude-sonnet-5")


@pytest.mark.parametrize("region", ["us-east5", "global", "eu"])
def test_vertex_replays_without_credentials_region_and_project(record, tmp_path, region):
    cassette = record("AnthropicVertex", "claude-sonnet-5", region=region, project_id=GOOGLE_PROJECT)
    assert GOOGLE_PROJECT not in cassette
    assert "us-east5" not in cassette
    with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
        ask(make_client("AnthropicVertex"), "claude-sonnet-5")


def test_vertex_with_another_region_than_the_recorded_one_replays(record, tmp_path):
    record("AnthropicVertex", "claude-sonnet-5", region="us-east5", project_id=GOOGLE_PROJECT)
    with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
        ask(make_client("AnthropicVertex", region="europe-west1"), "claude-sonnet-5")


OTHER_PLATFORMS = {
    "AnthropicFoundry": {
        "ANTHROPIC_FOUNDRY_API_KEY": "foundry-key-4f9a1c7e2b8d",
        "ANTHROPIC_FOUNDRY_RESOURCE": "weather-desk-7",
    },
    "AnthropicAWS": {**AWS, "ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_01JwQBfRk2XmWq5Vb8Tz"},
    "AnthropicBedrockMantle": AWS,
}


def skip_if_missing(platform):
    if not hasattr(anthropic, platform):
        pytest.skip(f"this version of the SDK has no {platform}")
    if platform != "AnthropicFoundry":
        pytest.importorskip("boto3")


@pytest.mark.parametrize("platform", OTHER_PLATFORMS)
def test_another_platform_replays_without_configuration(record, tmp_path, platform):
    skip_if_missing(platform)
    variables = OTHER_PLATFORMS[platform]
    cassette = record(platform, "claude-sonnet-5", variables)
    for name, value in variables.items():
        if name.endswith(("KEY", "KEY_ID")):
            assert value not in cassette
    with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
        ask(make_client(platform), "claude-sonnet-5")


@pytest.mark.parametrize("platform", OTHER_PLATFORMS)
def test_a_client_for_another_platform_sends_nothing_after_the_replay(environment, tmp_path, platform):
    skip_if_missing(platform)
    (tmp_path / "plan.yaml").write_text("version: 1\ninteractions: []\n", "utf-8")
    with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
        client = make_client(platform)
    with pytest.raises(Exception, match=r"Missing credentials|No AWS region"):
        client.messages.create(model="claude-sonnet-5", **ARGUMENTS)


@pytest.mark.parametrize("platform", OTHER_PLATFORMS)
def test_a_client_for_another_platform_requires_its_configuration_without_a_cassette(environment, platform):
    skip_if_missing(platform)
    with pytest.raises(Exception, match=r"Missing credentials|No AWS region"):
        make_client(platform)


GOOGLE_CLOUD = {
    "ANTHROPIC_GOOGLE_CLOUD_PROJECT": GOOGLE_PROJECT,
    "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID": "wrkspc_01JwQBfRk2XmWq5Vb8Tz",
}


@pytest.fixture
def has_google_cloud():
    if not hasattr(anthropic, "AnthropicGoogleCloud"):
        pytest.skip("this version of the SDK has no AnthropicGoogleCloud")
    pytest.importorskip("google.auth")


@pytest.mark.parametrize(
    "location",
    [pytest.param({}, id="global"), pytest.param({"ANTHROPIC_GOOGLE_CLOUD_LOCATION": "us-east5"}, id="region")],
)
def test_google_cloud_replays_without_configuration(has_google_cloud, record, tmp_path, location):
    cassette = record("AnthropicGoogleCloud", "claude-sonnet-5", {**GOOGLE_CLOUD, **location})
    for private in (*GOOGLE_CLOUD.values(), *location.values()):
        assert private not in cassette
    assert "/workspaces/project-1/invoke/v1/messages" in cassette
    with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
        client = make_client("AnthropicGoogleCloud", project="acme-prod-7")
        ask(client, "claude-sonnet-5")
    with pytest.raises((anthropic.AnthropicError, ValueError), match="No workspace ID found"):
        client.messages.create(model="claude-sonnet-5", **ARGUMENTS)
    for options in ({}, {"workspace_id": "wrkspc_2"}, {"skip_auth": True}):
        with multitrack.use_cassette(tmp_path / "plan.yaml", mode="replay"):
            ask(make_client("AnthropicGoogleCloud", **options).with_options(timeout=3), "claude-sonnet-5")
