"""Requests of forked processes, which only have a copy of the tape."""

import multiprocessing
import tomllib
from concurrent.futures import ProcessPoolExecutor

import httpx
import pytest
import requests

from multitrack.errors import ForkedCall
from multitrack.tape.file import storage
from multitrack.tape.use_cassette import use_cassette

pytestmark = [
    pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the platform cannot fork"),
    # later versions of Python warn about a fork while a thread serves the requests
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]
POSTS = {"requests": requests.post, "httpx": httpx.post}


def ask(client, url, number):
    return POSTS[client](f"{url}?key=hush", json={"n": number}).status_code


def by_pool(*args):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply_async(ask, args).get(timeout=20)


def by_executor(*args):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        return executor.submit(ask, *args).result(timeout=20)


@pytest.mark.parametrize("client", POSTS)
@pytest.mark.parametrize("fork", [by_pool, by_executor])
def test_requests_of_forked_processes_are_refused(provider, tmp_path, fork, client):
    path = tmp_path / "tape.yaml"
    address = provider.url.removeprefix("http://")
    for mode in ("record", "replay"):
        with use_cassette(path, mode=mode) as tape:
            assert ask(client, provider.url, 1) == 200
            with pytest.raises(ForkedCall) as refused:
                fork(client, provider.url, 2)
            assert ask(client, provider.url, 3) == 200
        assert str(refused.value).splitlines() == [
            f"POST {provider.url}{'/' if client == 'requests' else ''}: sent by a forked process, "
            "which cannot use the test's cassette",
            "  send the request from the test's own process, for example from a thread",
            "  if the request may go live, add to pyproject.toml:",
            "    [tool.multitrack]",
            f'    ignore_hosts = ["{address}"]',
            "  or to the test:",
            f'    @pytest.mark.cassette(ignore_hosts=["{address}"])',
        ]
        assert [sent.json for sent in tape.sent] == [{"n": 1}, {"n": 3}]
    assert len(storage.read(path).interactions) == 2
    assert len(provider.requests) == 2


@pytest.mark.parametrize("fork", [by_pool, by_executor])
def test_the_setting_in_the_message_allows_requests_of_forked_processes(provider, tmp_path, fork):
    with use_cassette(tmp_path / "tape.yaml"), pytest.raises(ForkedCall) as refused:
        fork("requests", provider.url, 1)
    lines = str(refused.value).splitlines()
    start = next(number for number, line in enumerate(lines) if "[tool.multitrack]" in line)
    settings = tomllib.loads("\n".join(lines[start : start + 2]))["tool"]["multitrack"]
    with use_cassette(tmp_path / "tape.yaml", **settings):
        assert fork("requests", provider.url, 1) == 200


@pytest.mark.parametrize("fork", [by_pool, by_executor])
def test_forked_processes_may_send_ignored_or_live_requests(provider, tmp_path, fork):
    with use_cassette(tmp_path / "tape.yaml", ignore_hosts=["127.0.0.1"]):
        assert fork("requests", provider.url, 1) == 200
    with use_cassette(tmp_path / "tape.yaml", mode="live"):
        assert fork("httpx", provider.url, 2) == 200
    assert len(provider.requests) == 2


def test_a_forked_process_may_open_its_own_cassette(provider, tmp_path):
    with use_cassette(tmp_path / "outer.yaml"), multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(record, (tmp_path / "inner.yaml", provider.url)).get(timeout=20) == 200
    assert len(storage.read(tmp_path / "inner.yaml").interactions) == 1
    assert not (tmp_path / "outer.yaml").exists()


def record(path, url):
    with use_cassette(path, mode="record"):
        return ask("requests", url, 1)
