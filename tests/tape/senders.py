"""One way to read a response for each client: chunks are appended to a list until the body ends or breaks."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import urllib.request
from urllib.parse import urlsplit

import httplib2
import httpx
import httpx2
import requests
import urllib3


def _verified(url):
    # to read the trusted authorities takes longer than all the rest
    return url.startswith("https:")


def by_httpx(module):
    def send(url, seen, timeout=5.0):
        with module.Client(timeout=timeout, verify=_verified(url)) as client, client.stream("GET", url) as answer:
            for chunk in answer.iter_bytes():
                seen.append(chunk)

    return send


def by_async_httpx(module):
    def send(url, seen, timeout=5.0):
        async def main():
            async with (
                module.AsyncClient(timeout=timeout, verify=_verified(url)) as client,
                client.stream("GET", url) as answer,
            ):
                async for chunk in answer.aiter_bytes():
                    seen.append(chunk)

        asyncio.run(main())

    return send


def by_requests(url, seen, timeout=5.0):
    with requests.Session() as session:
        session.trust_env = False
        with session.get(url, stream=True, timeout=timeout) as answer:
            for chunk in answer.iter_content(None):
                seen.append(chunk)


def by_urllib3(url, seen, timeout=5.0):
    with urllib3.PoolManager(retries=False, timeout=timeout, cert_reqs="CERT_REQUIRED") as pool:
        answer = pool.request("GET", url, preload_content=False)
        for chunk in answer.stream(65536):
            seen.append(chunk)
        answer.release_conn()


def by_urllib(url, seen, timeout=5.0):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        while chunk := answer.read1():
            seen.append(chunk)


def by_http_client(url, seen, timeout=5.0):
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        while chunk := answer.read1():
            seen.append(chunk)
        if not answer.isclosed():
            seen.append(answer.read())
    finally:
        connection.close()


def by_httplib2(url, seen, timeout=5.0):
    client = httplib2.Http(timeout=timeout)
    try:
        seen.append(client.request(url)[1])
    finally:
        client.close()


HTTPX = {
    "httpx": by_httpx(httpx),
    "httpx-async": by_async_httpx(httpx),
    "httpx2": by_httpx(httpx2),
    "httpx2-async": by_async_httpx(httpx2),
}
STREAMING = {**HTTPX, "requests": by_requests, "urllib3": by_urllib3, "urllib": by_urllib}
ALL = {**STREAMING, "http.client": by_http_client, "httplib2": by_httplib2}
