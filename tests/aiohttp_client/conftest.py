from __future__ import annotations

import contextlib
import importlib.util
import ssl

import pytest
import trustme
from aiohttp_server import ByteServer, TapeRunner

collect_ignore_glob = [] if importlib.util.find_spec("aiohttp") else ["test_*"]


@pytest.fixture
def serve(starts_server):
    """A ``serve(script)`` function that starts a ``ByteServer``; ``script`` is a response or a function."""
    with contextlib.ExitStack() as closing:

        def start(script, **options):
            if isinstance(script, bytes):
                response = script
                script = lambda connection, *_: connection.send(response) or True  # noqa: E731
            server = ByteServer(script, **options)
            closing.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "api.example.com").configure_cert(context)
    return context


@pytest.fixture
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def tape_runner(tmp_path):
    return TapeRunner(tmp_path / "tape.yaml")
