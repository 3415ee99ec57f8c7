"""The SDK of a provider that does not exist. Its API is like no other, and it sends requests with httpx."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx


class ToyError(Exception):
    """The error of the SDK for a client without a key."""


class ToyStream:
    """The pieces of a streamed answer."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self._response.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))

    def close(self) -> None:
        self._response.close()


class ToyClient:
    """A client of the API at ``url``. The key comes from the environment variable TOY_KEY by default."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.key = key or os.environ.get("TOY_KEY")
        if not self.key:
            raise ToyError("there is no key; pass key=, or set TOY_KEY")
        self._http = httpx.Client(base_url=url, headers={"connection": "close"})

    def talk(self, **body: Any) -> dict[str, Any]:
        response = self._http.send(self._build(body))
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def talk_in_pieces(self, **body: Any) -> ToyStream:
        return ToyStream(self._http.send(self._build({**body, "pieces": True}), stream=True))

    def _build(self, body: dict[str, Any]) -> httpx.Request:
        return self._http.build_request("POST", "/talk", json=body, headers={"authorization": f"Bearer {self.key}"})
