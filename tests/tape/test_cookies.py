"""Cookies are recorded with their names, and never with their values."""

import asyncio
import http.cookiejar
import urllib.request

import httpx
import pytest
import requests
from local_provider import ProviderAnswer

from multitrack.tape.active import activate
from multitrack.tape.redaction.cookies import redact_set_cookie
from multitrack.tape.tape import Tape

VALUE = "s3cr3t-session-0123456789"
EXPIRES = "Wed, 01 Jan 2025 10:00:00 GMT"
COOKIES = [f"session={VALUE}; Path=/; HttpOnly; Expires={EXPIRES}", f'csrf="{VALUE}x"; Path=/; Max-Age=3600']


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


def by_httpx(url):
    with httpx.Client() as client:
        client.get(url)
        client.post(url, json={"csrf": client.cookies["csrf"]})
        return client.cookies["session"]


def by_requests(url):
    with requests.Session() as session:
        session.get(url)
        session.post(url, json={"csrf": session.cookies["csrf"]})
        return session.cookies["session"]


def by_urllib(url):
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    opener.open(url).close()
    found = {cookie.name: cookie.value for cookie in jar}
    opener.open(url, data=found["csrf"].encode()).close()
    return found["session"]


def by_aiohttp(url):
    aiohttp = pytest.importorskip("aiohttp")

    async def main():
        jar = aiohttp.CookieJar(unsafe=True)  # with cookies of IP addresses
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            async with session.get(url):
                pass
            found = {cookie.key: cookie.value for cookie in jar}
            async with session.post(url, json={"csrf": found["csrf"]}):
                return found["session"]

    return asyncio.run(main())


@pytest.mark.parametrize("client", [by_httpx, by_requests, by_urllib, by_aiohttp])
def test_a_cookie_is_found_by_its_name_on_replay(path, provider, client):
    provider.reply = lambda _: ProviderAnswer(
        b"{}", headers={"set-cookie": [COOKIES[0].replace("2025", "2099"), COOKIES[1]]}
    )
    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        assert client(provider.url) == VALUE
    assert tape.save().state == "written"
    assert VALUE not in path.read_text()
    with activate(Tape(path)):
        assert client(provider.url) == "__redacted__"


@pytest.mark.parametrize(
    ("header", "redacted"),
    [
        (COOKIES[0], "session=__redacted__; Path=/; HttpOnly"),
        (COOKIES[1], 'csrf="__redacted__"; Path=/; Max-Age=3600'),
        ("a=b", "a=__redacted__"),
        ("a=b=c; Secure; SameSite=None", "a=__redacted__; Secure; SameSite=None"),
        ("a=; Max-Age=0", "a=; Max-Age=0"),
        ('a=""; Max-Age=0', 'a=""; Max-Age=0'),
        ("a=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=__redacted__; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        (f"{VALUE}; Path=/", None),
        (f"={VALUE}", None),
        ("__cf_bm=abc; path=/", None),
        ("_cfuvid=abc; path=/", None),
    ],
)
def test_only_the_value_and_the_time_are_removed(header, redacted):
    assert redact_set_cookie(header) == redacted


def test_the_value_of_a_cookie_is_removed_wherever_it_appears(path, provider):
    provider.reply = lambda _: ProviderAnswer(
        VALUE.encode(), headers={"set-cookie": COOKIES[:1], "location": f"/?s={VALUE}"}
    )
    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        httpx.get(provider.url)
    tape.save()
    assert VALUE not in path.read_text()
