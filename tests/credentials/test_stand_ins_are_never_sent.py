"""A stand-in for a credential is never sent, even to hosts that need no cassette."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket

import pytest

from multitrack.errors import ForkedCall, LiveCall
from multitrack.tape import credentials
from multitrack.tape.active import activate
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

grpc = pytest.importorskip("grpc")
google_auth = pytest.importorskip("google.auth")
grpc_helpers = pytest.importorskip("google.api_core.grpc_helpers")
grpc_helpers_async = pytest.importorskip("google.api_core.grpc_helpers_async")
authorized_channels = pytest.importorskip("google.auth.transport.grpc")
authorized_sessions = pytest.importorskip("google.auth.transport.requests")
metadata_server = pytest.importorskip("google.auth.compute_engine._metadata")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("bare_environment", "no_credentials")]
REASON = "its client was created without a credential and has a stand-in key, which only works during replay"
KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    """Use a home folder without gcloud's file, on a machine that is not Google's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(metadata_server, "is_on_gce", lambda _: False)


@pytest.fixture
def address():
    """The address of a server that accepts no connection before the test ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.fixture
def tape(tmp_path):
    with activate(Tape(tmp_path / "tape.yaml", settings=Settings(ignore_hosts=("127.0.0.1",)))) as tape:
        yield tape


@pytest.fixture
def found():
    with credentials.stand_in():
        yield google_auth.default()[0]


def call(channel, kind):
    method = getattr(channel, kind)("/service/Method", lambda _: b"", lambda response: response)
    response = method(iter([b""]) if kind.startswith("stream") else b"", timeout=5)
    return next(response) if kind.endswith("stream") else response


def create_channel(address, found):
    return grpc_helpers.create_channel(address, credentials=found)


def create_authorized_channel(address, found):
    return authorized_channels.secure_authorized_channel(found, None, address)


def create_channel_below_another_interceptor(address, found):
    return grpc.intercept_channel(create_channel(address, found), AddsMetadata())


class AddsMetadata(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """An interceptor whose details lack the fields that grpc added later."""

    def intercept_unary_unary(self, continuation, details, request):
        changed = grpc.ClientCallDetails()
        changed.method, changed.timeout, changed.credentials = details.method, details.timeout, details.credentials
        changed.metadata = [("x", "1")]
        return continuation(changed, request)

    intercept_unary_stream = intercept_unary_unary


@pytest.mark.parametrize(
    "create", [create_channel, create_authorized_channel, create_channel_below_another_interceptor]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_grpc_call_to_an_ignored_host_is_refused(address, tape, found, kind, create):
    with create(address, found) as channel, pytest.raises(LiveCall) as refused:
        call(channel, kind)
    assert REASON in str(refused.value)
    assert tape.violations == [refused.value]


@pytest.mark.parametrize("kind", KINDS)
def test_an_asyncio_call_to_an_ignored_host_is_refused(address, tape, found, kind):
    async def main():
        async with grpc_helpers_async.create_channel(address, credentials=found) as channel:
            method = getattr(channel, kind)("/service/Method", lambda _: b"", lambda response: response)
            started = method(iter([b""]) if kind.startswith("stream") else b"", timeout=5)
            await (started.read() if kind.endswith("stream") else started)

    with pytest.raises(LiveCall) as refused:
        asyncio.run(main())
    assert REASON in str(refused.value)
    assert tape.violations == [refused.value]


def test_an_http_request_to_an_ignored_host_is_refused(address, tape, found):
    with authorized_sessions.AuthorizedSession(found) as session, pytest.raises(LiveCall) as refused:
        session.get(f"http://{address}/")
    assert REASON in str(refused.value)
    assert tape.violations == [refused.value]


def send(address, found):
    with authorized_sessions.AuthorizedSession(found) as session:
        session.get(f"http://{address}/")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_request_of_a_forked_process_to_an_ignored_host_is_refused(address, tape, found):
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(ForkedCall, match="was not sent, because"):
        pool.apply_async(send, (address, found)).get(timeout=20)
