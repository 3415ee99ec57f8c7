"""Requests as the code under test sent them, for assertions in tests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from multitrack import wires
from multitrack.tape.exchange import Request
from multitrack.tape.redaction import secrets
from multitrack.wires import registry

_HIDDEN = "[credential]"
_IN_URL = re.compile(rf"(?i)(?<=[?&])({'|'.join(sorted(secrets.CREDENTIAL_PARAMETERS))})=[^&#]+")


class _HiddenText(str):
    """A string whose ``repr`` does not show the text, because pytest prints all parts of a failed assertion."""

    displayed: str

    def __new__(cls, text: str, displayed: str = _HIDDEN) -> _HiddenText:
        hidden = super().__new__(cls, text)
        hidden.displayed = displayed
        return hidden

    def __repr__(self) -> str:
        return repr(self.displayed)


@dataclass(frozen=True, repr=False)
class Sent:
    """A request in the form in which the client sent it, without redaction. The request is kept only in memory.

    Credentials in the headers and in the URL can be compared, but their ``repr`` hides them.
    """

    request: Request

    @property
    def method(self) -> str:
        """The HTTP method; ``POST`` for gRPC."""
        return self.request.method

    @property
    def url(self) -> str:
        """The absolute URL; ``grpc://host/package.Service/Method`` for gRPC."""
        return _HiddenText(self.request.url, _IN_URL.sub(rf"\1={_HIDDEN}", self.request.url))

    @property
    def headers(self) -> dict[str, str]:
        """A dictionary from the lower-case names of the headers to their values. For gRPC, the call's metadata.

        If a header is repeated, the dictionary contains its last value.
        """
        credentials = secrets.credential_headers()
        return {name: _HiddenText(value) if name in credentials else value for name, value in self.request.headers}

    @property
    def body(self) -> bytes:
        """The decoded body, without its content encoding. For gRPC, the message as protobuf JSON."""
        return self.request.with_sent_messages.body

    @cached_property
    def json(self) -> Any:
        """The body as a JSON document. Raises ValueError if the body is anything else, such as a form with a file."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            content_type = self.headers.get("content-type", "none").partition(";")[0]
            raise ValueError(
                f"the body of {self} is not JSON (content type: {content_type}); use .body instead"
            ) from error

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that the request offers."""
        return wires.read_request(self.body, self.request.url).tools

    @property
    def model(self) -> str | None:
        """The name of the requested model, from the body or the URL. None if the request does not contain it."""
        url = self.request.url
        return wires.read_request(self.body, url).model or registry.find_model_in_url(url)

    def __repr__(self) -> str:
        return f"<Sent: {self.method} {self.request.url.partition('?')[0]}>"
