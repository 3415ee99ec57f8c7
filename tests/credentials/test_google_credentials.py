from __future__ import annotations

import asyncio
import gc
import json
import pickle
import socket
import threading
import time

import pytest
from memory_tape import MemoryTape

from multitrack.tape import active, credentials, interceptors

pytest.importorskip("google.auth")
import google.auth
from google.auth import _default
from google.auth.compute_engine import _metadata
from google.auth.exceptions import DefaultCredentialsError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

MISSING = (
    "Your default credentials were not found. To set up Application Default Credentials, see "
    "https://cloud.google.com/docs/authentication/external/set-up-adc for more information."
)
NOTE = (
    "multitrack: this client was created without credentials and has stand-in credentials, which only work during "
    "replay. "
    "Replay a cassette (@pytest.mark.cassette), or set the credential."
)
USER = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}


pytestmark = pytest.mark.usefixtures("bare_environment", "no_home", "metadata_server")


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Use a home folder without gcloud's file, and intercept no requests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(interceptors, "INTERCEPTORS", ())


@pytest.fixture
def metadata_server(monkeypatch):
    """Pretend that there is no metadata server. Return the list of attempts to find one."""
    requests = []
    monkeypatch.setattr(_metadata, "is_on_gce", lambda request: requests.append(request) or False)
    return requests


@pytest.fixture
def on_gce(monkeypatch):
    """Pretend that this is a Google Cloud machine."""
    found = Credentials(token="from-the-metadata-server")
    found.refresh = lambda request: None  # noqa: ARG005
    monkeypatch.setattr(_default, "_get_gce_credentials", lambda *_, **__: (found, "gce-project"))
    return found


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "user.json"
    path.write_text(json.dumps(USER))
    return path


def headers_of(found) -> dict[str, str]:
    headers: dict[str, str] = {}
    found.before_request(None, "GET", "https://storage.googleapis.com/", headers)
    return headers


def test_default_returns_a_stand_in_and_a_project_without_the_metadata_server(metadata_server):
    with credentials.stand_in():
        found, project = google.auth.default()
    assert type(found).__name__ == "StandInCredentials"
    assert project == "project-0"
    assert metadata_server == []


def test_a_default_imported_by_name_returns_a_stand_in():
    from google.auth import default

    with credentials.stand_in():
        _, project = default(scopes=["https://www.googleapis.com/auth/cloud-platform"], quota_project_id="billed")
    assert project == "project-0"
    with pytest.raises(DefaultCredentialsError):
        default()


def test_requests_have_the_stand_in_token_while_a_cassette_replays(metadata_server):
    with credentials.stand_in():
        found, _ = google.auth.default()
    with active.activate(MemoryTape()):
        assert found.valid
        assert headers_of(found) == {"authorization": "Bearer multitrack-stand-in"}
        found.refresh(None)
    assert metadata_server == []


def test_the_stand_in_keeps_the_quota_project():
    with credentials.stand_in():
        found, _ = google.auth.default(quota_project_id="billed")
    with active.activate(MemoryTape()):
        assert headers_of(found)["x-goog-user-project"] == "billed"


@pytest.mark.parametrize("mode", ["record", "record-missing", "live", None])
@pytest.mark.parametrize("inside", [True, False])
def test_without_replay_the_first_request_raises_googles_own_error(mode, inside):
    with credentials.stand_in():
        found, _ = google.auth.default()
        if inside:
            error = raised_error(mode, found)
    if not inside:
        error = raised_error(mode, found)
    assert str(error) == MISSING
    assert error.__notes__ == [NOTE]


def raised_error(mode, found) -> DefaultCredentialsError:
    if mode is None:
        with pytest.raises(DefaultCredentialsError) as caught:
            headers_of(found)
    else:
        with active.activate(MemoryTape(mode=mode)), pytest.raises(DefaultCredentialsError) as caught:
            headers_of(found)
    return caught.value


def test_outside_the_block_google_searches_itself(metadata_server):
    steps = ("_get_explicit_environ_credentials", "_get_gcloud_sdk_credentials", "_get_gce_credentials")
    before = [getattr(_default, step) for step in steps]
    with credentials.stand_in():
        google.auth.default()
        assert [getattr(_default, step) for step in steps] != before
    assert [getattr(_default, step) for step in steps] == before
    with pytest.raises(DefaultCredentialsError) as caught:
        google.auth.default()
    assert str(caught.value) == MISSING
    assert not hasattr(caught.value, "__notes__")
    assert len(metadata_server) == 1


def test_a_file_named_by_the_environment_is_used(user_file, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(user_file))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "mine")
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "mine")
    with credentials.stand_in():
        found, project = google.auth.default()
    assert type(found) is Credentials
    assert project == "mine"
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"):
        monkeypatch.delenv(name)


@pytest.mark.slow
def test_gclouds_file_is_used(tmp_path, monkeypatch):
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text(json.dumps({**USER, "quota_project_id": "mine"}))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "mine")
    with credentials.stand_in():
        found, project = google.auth.default()
    assert type(found) is Credentials
    assert project == "mine"
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")


def test_a_project_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "mine")
    with credentials.stand_in():
        assert google.auth.default()[1] == "mine"
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")


@pytest.mark.parametrize("text", [None, "{", '{"type": "nonsense"}'])
def test_the_first_request_names_a_credentials_file_that_is_missing_or_damaged(text, tmp_path, monkeypatch):
    path = tmp_path / "ci.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(DefaultCredentialsError) as without:
        google.auth.default()
    with credentials.stand_in():
        found, _ = google.auth.default()
    with active.activate(MemoryTape()):
        assert found.valid
    with pytest.raises(DefaultCredentialsError, match=str(path)) as caught:
        headers_of(found)
    assert str(caught.value) == str(without.value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")


@pytest.mark.usefixtures("on_gce")
def test_credentials_that_exist_later_are_used_outside_replay():
    with credentials.stand_in():
        found, project = google.auth.default()
    assert project == "project-0"
    assert headers_of(found)["authorization"] == "Bearer from-the-metadata-server"
    with active.activate(MemoryTape()):
        assert headers_of(found)["authorization"] == "Bearer multitrack-stand-in"


def test_a_live_run_uses_the_credentials_of_a_google_cloud_machine(on_gce):
    with credentials.stand_in(live=True):
        assert google.auth.default() == (on_gce, "gce-project")
        with active.activate(MemoryTape()):
            assert google.auth.default()[1] == "project-0"


def test_a_live_run_uses_a_stand_in_on_other_machines(metadata_server):
    with credentials.stand_in(live=True):
        assert google.auth.default()[1] == "project-0"
    assert len(metadata_server) == 1


def test_a_session_sends_nothing_without_a_cassette(listener):
    with credentials.stand_in():
        session = AuthorizedSession(google.auth.default()[0])
    with pytest.raises(DefaultCredentialsError):
        session.get(f"http://127.0.0.1:{listener.port}/")
    session.close()
    assert listener.accepted == 0


def test_stand_in_credentials_can_be_pickled():
    with credentials.stand_in():
        found, _ = google.auth.default()
    with active.activate(MemoryTape()):
        assert headers_of(pickle.loads(pickle.dumps(found)))


class Listener:
    """Counts the connections to a local port."""

    def __init__(self) -> None:
        self.accepted = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def listener(starts_server):
    listener = Listener()
    yield listener
    listener.close()


KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


def call(channel, kind):
    method = getattr(channel, kind)("/service/Method", lambda _: b"", lambda response: response)
    return method(iter([b""]) if kind.startswith("stream") else b"", timeout=5)


def get_response(channel, kind):
    response = call(channel, kind)
    return next(iter(response)) if kind.endswith("stream") else response


async def get_async_response(channel, kind):
    started = call(channel, kind)
    return await (started.read() if kind.endswith("stream") else started)


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_does_not_connect_without_a_cassette(kind, listener):
    grpc_helpers = pytest.importorskip("google.api_core.grpc_helpers")
    with credentials.stand_in():
        found, _ = google.auth.default()
        channel = grpc_helpers.create_channel(f"127.0.0.1:{listener.port}", credentials=found)
    with channel:
        with pytest.raises(DefaultCredentialsError) as caught:
            get_response(channel, kind)
        assert str(caught.value) == MISSING
        time.sleep(0.1)
    assert listener.accepted == 0


# grpcio 1.66 raises the error again when the call is collected, which must happen during this test
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function InterceptedCall:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("kind", KINDS)
def test_an_asyncio_channel_does_not_connect_without_a_cassette(kind, listener):
    grpc_helpers_async = pytest.importorskip("google.api_core.grpc_helpers_async")

    async def use() -> None:
        with credentials.stand_in():
            found, _ = google.auth.default()
            channel = grpc_helpers_async.create_channel(f"127.0.0.1:{listener.port}", credentials=found)
        async with channel:
            with pytest.raises(DefaultCredentialsError) as caught:
                await get_async_response(channel, kind)
            assert str(caught.value) == MISSING
            await asyncio.sleep(0.1)

    asyncio.run(use())
    gc.collect()
    assert listener.accepted == 0


@pytest.mark.usefixtures("on_gce")
def test_a_channel_connects_if_real_credentials_exist_by_then(listener):
    grpc = pytest.importorskip("grpc")
    grpc_helpers = pytest.importorskip("google.api_core.grpc_helpers")
    with credentials.stand_in():
        found, _ = google.auth.default()
        channel = grpc_helpers.create_channel(f"127.0.0.1:{listener.port}", credentials=found)
    with channel, pytest.raises(grpc.RpcError):
        get_response(channel, "unary_unary")
    assert listener.accepted > 0


def test_a_channel_created_outside_the_block_raises_googles_own_error():
    grpc_helpers = pytest.importorskip("google.api_core.grpc_helpers")
    with credentials.stand_in():
        found, _ = google.auth.default()
    with pytest.raises(DefaultCredentialsError) as caught:
        grpc_helpers.create_channel("127.0.0.1:1", credentials=found)
    assert str(caught.value) == MISSING
