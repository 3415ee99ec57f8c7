"""Functions that request a URL with one client each, and append the chunks of the response to a list.

A list keeps the chunks that arrived before an error.
"""

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


def _verifies(url):
    # loading the trusted authorities takes longer than everything else
    return url.startswith("https:")


def by_httpx(module):
    def send(url, chunks, timeout=5.0):
        with module.Client(timeout=timeout, verify=_verifies(url)) as client, client.stream("GET", url) as response:
            for chunk in response.iter_bytes():
                chunks.append(chunk)

    return send


def by_async_httpx(module):
    def send(url, chunks, timeout=5.0):
        async def main():
            async with (
                module.AsyncClient(timeout=timeout, verify=_verifies(url)) as client,
                client.stream("GET", url) as response,
            ):
                async for chunk in response.aiter_bytes():
                    chunks.append(chunk)

        asyncio.run(main())

    return send


def by_requests(url, chunks, timeout=5.0):
    with requests.Session() as session:
        session.trust_env = False
        with session.get(url, stream=True, timeout=timeout) as response:
            for chunk in response.iter_content(None):
                chunks.append(chunk)


def by_urllib3(url, chunks, timeout=5.0):
    with urllib3.PoolManager(retries=False, timeout=timeout, cert_reqs="CERT_REQUIRED") as pool:
        response = pool.request("GET", url, preload_content=False)
        for chunk in response.stream(65536):
            chunks.append(chunk)
        response.release_conn()


def by_urllib(url, chunks, timeout=5.0):
    with urllib.request.urlopen(url, timeout=timeout) as response:
        while chunk := response.read1():
            chunks.append(chunk)


def by_http_client(url, chunks, timeout=5.0):
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        while chunk := response.read1():
            chunks.append(chunk)
        if not response.isclosed():
            chunks.append(response.read())
    finally:
        connection.close()


def by_httplib2(url, chunks, timeout=5.0):
    client = httplib2.Http(timeout=timeout)
    try:
        chunks.append(client.request(url)[1])
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
