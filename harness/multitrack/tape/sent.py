"""What the code under test really sent, for a test to look at."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from multitrack import wires
from multitrack.tape.exchange import Request
from multitrack.tape.redaction import secrets

_HIDDEN = "[credential]"
_MODEL_IN_URL = re.compile(r"/models/([^/:?#]+):\w+(?:[?#]|$)")
_IN_URL = re.compile(rf"(?i)(?<=[?&])({'|'.join(sorted(secrets.CREDENTIAL_PARAMETERS))})=[^&#]+")


class _Hiding(str):
    """A text that is ``shown`` as another one: pytest prints all that a failed assertion is made of."""

    shown: str

    def __new__(cls, text: str, shown: str = _HIDDEN) -> _Hiding:
        hiding = super().__new__(cls, text)
        hiding.shown = shown
        return hiding

    def __repr__(self) -> str:
        return repr(self.shown)


@dataclass(frozen=True, repr=False)
class Sent:
    """One request as it left the client, with nothing taken out: it lives in memory only.

    ``headers`` have lower-case names; of repeated ones the last. Credentials in them and in the ``url`` are compared as
    they are, and are not shown.
    """

    request: Request

    @property
    def method(self) -> str:
        """The HTTP method; ``POST`` for gRPC."""
        return self.request.method

    @property
    def url(self) -> str:
        """The absolute URL; ``grpc://host/package.Service/Method`` for gRPC."""
        return _Hiding(self.request.url, _IN_URL.sub(rf"\1={_HIDDEN}", self.request.url))

    @property
    def headers(self) -> dict[str, str]:
        """The headers, or a gRPC call's metadata."""
        return {
            name: _Hiding(value) if name in secrets.CREDENTIAL_HEADERS else value
            for name, value in self.request.headers
        }

    @property
    def body(self) -> bytes:
        """The body, decoded; protobuf JSON for gRPC."""
        return self.request.with_sent_messages.body

    @cached_property
    def json(self) -> Any:
        """The body as a JSON document. Raises ValueError where it is none, such as a form with a file in it."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            kind = self.headers.get("content-type", "no content type").partition(";")[0]
            raise ValueError(f"the body of {self} is no JSON, but {kind}; see its .body") from error

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that the request offered."""
        return wires.read_request(self.body).tools

    @property
    def model(self) -> str | None:
        """The name of the model asked, where the request says it; Gemini's REST does so in the URL."""
        in_url = _MODEL_IN_URL.search(self.request.url)
        return wires.read_request(self.body).model or (in_url and in_url[1])

    def __repr__(self) -> str:
        return f"<Sent: {self.method} {self.request.url.partition('?')[0]}>"
