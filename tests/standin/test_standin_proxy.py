"""The CONNECT proxy: the hosts it serves and rejects, TLS, gRPC, and a clean shutdown."""

import gc
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import httpx
import openai
import pytest

from multitrack.standin import STANDIN_HEADER, Rule, StandIn
from multitrack.standin.client_hello import offers_only_h2, parse_protocols

HOSTS = (
    "api.openai.com, *.openai.azure.com, *.googleapis.com, api.anthropic.com, *.services.ai.azure.com, "
    "aws-external-anthropic.*.api.aws, bedrock-runtime.*.amazonaws.com, ollama.com, api.x.ai, bedrock-mantle.*.api.aws"
)


@pytest.fixture
def standin(starts_server):
    with StandIn() as standin:
        yield standin


def exchange(standin, request):
    """Return the response to the bytes of ``request``, on a new connection that the stand-in closes."""
    with socket.create_connection(("127.0.0.1", standin.port), timeout=5) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def trust_context(standin, alpn=("http/1.1",)):
    context = ssl.create_default_context(cafile=str(standin.certificate_authority))
    context.set_alpn_protocols(list(alpn))
    return context


@pytest.mark.parametrize(
    "target", ["example.com:443", "api.openai.com:80", "127.0.0.1:443", "api.openai.com.example.com:443"]
)
def test_a_tunnel_to_any_other_host_is_rejected(standin, target):
    answer = exchange(standin, f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())

    head, _, line = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403 Forbidden\r\n")
    assert f"{STANDIN_HEADER}: none" in head
    assert line == f"the stand-in does not forward to {target}; it serves only these hosts, on port 443: {HOSTS}\n"


def test_plain_http_to_any_other_host_is_rejected(standin):
    answer = httpx.get("http://example.com/", proxy=standin.proxy_url)

    assert answer.status_code == 403
    assert answer.text == (
        f"the stand-in does not forward to example.com; it serves only these hosts, on port 443: {HOSTS}\n"
    )
    assert standin.requests == []


@pytest.mark.slow
def test_additional_hosts_can_be_served():
    with (
        StandIn([Rule(text="here")], hosts=["*.example.com"]) as standin,
        httpx.Client(proxy=standin.proxy_url, verify=trust_context(standin)) as client,
    ):
        answer = client.post("https://llm.example.com/v1/chat/completions", json={"messages": [{"role": "user"}]})

    assert answer.headers[STANDIN_HEADER] == "llm.example.com"
    assert answer.json()["choices"][0]["message"]["content"] == "here"


def test_a_client_that_does_not_trust_the_authority_cannot_connect(standin):
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.post("https://api.openai.com/v1/chat/completions", proxy=standin.proxy_url, json={})

    assert standin.requests == []


def test_each_start_has_its_own_certificate_authority(standin):
    with StandIn() as other, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get("https://api.openai.com/", proxy=standin.proxy_url, verify=trust_context(other))


def test_googles_authentication_requests_are_answered_and_logged_apart(standin):
    with httpx.Client(proxy=standin.proxy_url, verify=trust_context(standin)) as client:
        token = client.post("https://oauth2.googleapis.com/token", data={"grant_type": "any"}).json()
        account = standin.account.email
        url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}/allowedLocations"
        locations = client.get(url)

    assert re.fullmatch(r"ya29\.[\w-]{128}", token["access_token"])
    assert locations.json() == {"locations": [], "encodedLocations": "0x0"}
    assert locations.headers[STANDIN_HEADER] == "iamcredentials.googleapis.com"
    assert [request.host for request in standin.auth_requests] == [
        "oauth2.googleapis.com",
        "iamcredentials.googleapis.com",
    ]
    assert standin.requests == []


def test_the_service_account_can_sign(standin):
    from google.oauth2 import service_account

    credentials = service_account.Credentials.from_service_account_file(
        standin.environment["GOOGLE_APPLICATION_CREDENTIALS"]
    )

    assert credentials.project_id == standin.environment["GOOGLE_CLOUD_PROJECT"]
    assert len(credentials.sign_bytes(b"anything")) == 256


@pytest.mark.parametrize(
    ("alpn", "only_h2"), [(["h2"], True), (["h2", "http/1.1"], False), (["http/1.1"], False), ([], False)]
)
def test_the_client_hello_distinguishes_grpc_from_http(alpn, only_h2):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        context = ssl.create_default_context()
        if alpn:
            context.set_alpn_protocols(alpn)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing, server_hostname="api.openai.com").do_handshake()
        hello = outgoing.read()
        theirs.sendall(hello[:7])
        late = threading.Timer(0.05, theirs.sendall, [hello[7:]])
        late.start()

        assert offers_only_h2(ours) is only_h2
        assert ours.recv(len(hello)) == hello  # nothing was consumed
        assert parse_protocols(hello) == tuple(name.encode() for name in alpn)
        late.join()


@pytest.mark.parametrize(
    "content", [b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x05\x01\x00", b"\x16\x03\x01\x00\x02\x02\x00"]
)
def test_bytes_that_are_not_a_client_hello_offer_no_protocols(content):
    assert parse_protocols(content) == ()


def test_a_client_that_offers_http_2_and_http_1_1_gets_http_1_1(standin):
    with httpx.Client(proxy=standin.proxy_url, verify=trust_context(standin, ["h2", "http/1.1"])) as client:
        answer = client.post("https://api.openai.com/v1/chat/completions", json={})

    assert answer.http_version == "HTTP/1.1"
    assert answer.status_code == 400


@pytest.mark.slow
def test_stopping_closes_connections_threads_and_files():
    before = set(threading.enumerate())
    rule = Rule(text="Once upon a time", chunk_delay=60)
    with StandIn([rule]) as standin:
        folder = standin.certificate_authority.parent
        client = openai.OpenAI(base_url=standin.openai_base_url, api_key="any", max_retries=0)
        stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}], stream=True)
        next(iter(stream))
        idle = httpx.Client(proxy=standin.proxy_url, verify=trust_context(standin))
        idle.post("https://api.openai.com/v1/chat/completions", json={})
        assert standin.grpc_port
        started = time.monotonic()
    seconds = time.monotonic() - started
    for each in (stream.response, client, idle):
        each.close()
    gc.collect()

    assert seconds < 1
    assert {thread for thread in threading.enumerate() if "standin" in thread.name} <= before
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", standin.port))


def test_the_error_before_the_start_says_how_to_start():
    with pytest.raises(RuntimeError, match=re.escape("start it with `with StandIn(...) as standin:`")):
        _ = StandIn().openai_base_url


@pytest.mark.slow
def test_a_standin_for_openai_imports_nothing_for_google():
    program = (
        "import sys, time\n"
        "from multitrack.standin import StandIn\n"
        "with StandIn() as standin: standin.openai_base_url\n"
        "print([name for name in ('grpc', 'google.protobuf', 'google.cloud.aiplatform_v1', 'yaml', 'typer', "
        "'cryptography', 'trustme', 'openai') if name in sys.modules])"
    )

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert output == "[]\n"
