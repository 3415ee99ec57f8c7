"""What the code under test really sent, for a test to look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from multitrack import wires
from multitrack.tape.exchange import Request


@dataclass(frozen=True)
class Sent:
    """One request as it left the client, with nothing taken out: it lives in memory only.

    ``headers`` have lower-case names; of repeated ones the last.
    """

    request: Request

    @property
    def method(self) -> str:
        """The HTTP method; ``POST`` for gRPC."""
        return self.request.method

    @property
    def url(self) -> str:
        """The absolute URL; ``grpc://host/package.Service/Method`` for gRPC."""
        return self.request.url

    @property
    def headers(self) -> dict[str, str]:
        """The headers, or a gRPC call's metadata."""
        return dict(self.request.headers)

    @property
    def body(self) -> bytes:
        """The body, decoded; protobuf JSON for gRPC."""
        return self.request.whole.body

    @cached_property
    def json(self) -> Any:
        """The body as a JSON document. Raises ValueError where it is none."""
        return json.loads(self.body)

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that the request offered."""
        return wires.requested(self.body).tools

    @property
    def model(self) -> str | None:
        """The name of the model asked, where the request says it."""
        return wires.requested(self.body).model
