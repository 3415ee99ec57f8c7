"""Patterns of hosts, with and without a path, in ``drop_hosts``, ``ignore_hosts`` and ``allow_hosts``."""

import re

import pytest
from recorded_tape import request

from multitrack.errors import BadOption
from multitrack.tape.exchange import Passthrough, Replay
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

TRACES = "https://api.openai.com/v1/traces/ingest"


@pytest.mark.parametrize(
    ("glob", "url", "matches"),
    [
        ("api.example.com/v1/traces/*", "https://api.example.com/v1/traces/ingest", True),
        ("api.example.com/v1/traces/*", "https://api.example.com/v1/traces/ingest?a=/b", True),
        ("api.example.com/v1/traces", "https://api.example.com/v1/traces", True),
        ("api.example.com/v1/traces", "https://api.example.com/v1/traces/ingest", True),
        ("api.example.com/v1/traces/", "https://api.example.com/v1/traces/ingest", True),
        ("api.example.com/v1/traces", "https://api.example.com/v1/traces-of-others", False),
        ("api.example.com/v1/traces/*", "https://api.example.com/v1/chat/completions", False),
        ("api.example.com/v1/traces/*", "https://other.example.com/v1/traces/ingest", False),
        ("*.example.com:8443/*/ingest", "https://eu.example.com:8443/v1/traces/ingest", True),
        ("*.example.com:8443/*/ingest", "https://eu.example.com/v1/traces/ingest", False),
        ("API.example.com/v1/Traces", "https://api.EXAMPLE.com/v1/Traces", True),
        ("api.example.com/v1/Traces", "https://api.example.com/v1/traces", False),
        ("api.example.com/", "https://api.example.com", True),
        ("api.example.com/", "https://api.example.com/v1", True),
        ("[::1]:8080/v1", "http://[::1]:8080/v1/traces", True),
        ("[::1]/v1", "http://[::1]:8080/v1/traces", True),
        ("[::1]", "http://[::1]:8080/v1", True),
        ("traces.example/package.Service/*", "grpc://traces.example/package.Service/Export", True),
    ],
)
def test_a_pattern_may_have_a_path(recorded, glob, url, matches):
    sent = request("{}", url=url)
    assert (
        isinstance(Tape(recorded.path, mode="record", settings=Settings(drop_hosts=(glob,))).route(sent), Replay)
        == matches
    )
    ignoring = Tape(recorded.path, mode="record", settings=Settings(ignore_hosts=(glob,)))
    assert isinstance(ignoring.route(sent), Passthrough) == matches


def test_an_exception_may_have_a_path(recorded):
    tape = Tape(recorded.path, mode="record", settings=Settings(drop_hosts=("*.example", "!api.example/info")))
    assert isinstance(tape.route(request("{}", url="https://api.example/v1")), Replay)
    assert not isinstance(tape.route(request("{}", url="https://api.example/info")), Replay)


def test_the_traces_of_openai_agents_are_dropped_by_default(recorded):
    tape = Tape(recorded.path)
    assert isinstance(tape.route(request("{}", url=TRACES)), Replay)
    assert tape.violations == []
    kept = Tape(recorded.path, mode="record", settings=Settings(drop_hosts=("!api.openai.com/v1/traces",)))
    assert not isinstance(kept.route(request("{}", url=TRACES)), Replay)


def test_a_pattern_with_a_path_does_not_allow_raw_connections():
    settings = Settings(ignore_hosts=("api.example.com/v1", "db.example"))
    assert not settings.allows_connection("api.example.com", 443)
    assert settings.allows_connection("db.example", 5432)


@pytest.mark.parametrize(
    ("option", "glob", "reason"),
    [
        ("allow_hosts", "db.example/table", "to allow the whole host: 'db.example'"),
        ("allow_hosts", "10.0.0.0/8", "a raw connection has none"),
        ("allow_hosts", "https://db.example", "leave out the scheme: write 'db.example'"),
        ("drop_hosts", "https://api.openai.com/v1/*", "leave out the scheme: write 'api.openai.com/v1/*'"),
        ("drop_hosts", "!https://api.openai.com", "leave out the scheme: write '!api.openai.com'"),
        ("drop_hosts", "/v1/traces", "drop_hosts must contain hosts such as"),
        ("drop_hosts", "", "drop_hosts must contain hosts such as"),
        ("drop_hosts", "!!a.example", "drop_hosts must contain hosts such as"),
        ("ignore_hosts", "!a.example", "ignore_hosts must contain hosts such as"),
        ("ignore_hosts", " a.example", "ignore_hosts must contain hosts such as"),
    ],
)
def test_a_pattern_that_can_never_match_is_an_error(option, glob, reason):
    with pytest.raises(BadOption) as error:
        Settings().with_options({option: [glob]}, "pyproject.toml")
    assert str(error.value).startswith("pyproject.toml: ")
    assert reason in str(error.value)
    if advice := re.search(r"(?:leave out the scheme|to allow the whole host): '(\S+)'", reason):
        settings = Settings().with_options({option: [advice[1]]}, "pyproject.toml")
        assert getattr(settings, option) == (advice[1],)
