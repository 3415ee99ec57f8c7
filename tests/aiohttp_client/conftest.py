from __future__ import annotations

import contextlib
import importlib.util
import ssl

import pytest
import trustme
from aiohttp_wire import Deck, Wire

collect_ignore_glob = [] if importlib.util.find_spec("aiohttp") else ["test_*"]


@pytest.fixture
def wire(starts_server):
    """`wire(script)` starts a server that answers by ``script``, bytes or a function."""
    with contextlib.ExitStack() as closing:

        def start(script, **options):
            if isinstance(script, bytes):
                answer = script
                script = lambda talk, *_: talk.send(answer) or True  # noqa: E731
            server = Wire(script, **options)
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
    return Deck(tmp_path / "tape.yaml")
