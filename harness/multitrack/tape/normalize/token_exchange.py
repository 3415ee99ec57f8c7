"""Recognize token exchanges and lookups of the machine's identity, and answer them on replay.

These requests are never recorded, because everything in them is secret. In addition, different machines send
different requests, depending on their key files, metadata servers and cached tokens. A cassette from one machine
would therefore lack requests that another machine sends.
"""

from __future__ import annotations

import json
from functools import lru_cache
from urllib.parse import urlsplit

from multitrack.tape.exchange import Request, Response

_HOSTS = frozenset(
    {
        "oauth2.googleapis.com",
        "oauth2.mtls.googleapis.com",
        "sts.googleapis.com",
        "iamcredentials.googleapis.com",
        "accounts.google.com",
        "metadata.google.internal",
        "metadata",
        "169.254.169.254",
        "169.254.170.2",
        "login.microsoftonline.com",
    }
)
# the Vertex SDK sends this if it gets the project from an environment variable, which may contain the project's number
# instead of its id
_PROJECT_LOOKUP = "grpc://cloudresourcemanager.googleapis.com/google.cloud.resourcemanager.v3.Projects/GetProject"
_PLACEHOLDER = "placeholder"


@lru_cache(maxsize=1024)
def is_token_exchange(url: str) -> bool:
    """Return whether ``url`` is a token endpoint, is on a metadata server, or looks up a project's name."""
    return url == _PROJECT_LOOKUP or urlsplit(url).hostname in _HOSTS


def create_response(request: Request) -> Response:
    """Return a response that requires no network.

    The response to a token exchange contains a placeholder token that expires in an hour. The response to a lookup of
    a project contains the project's name.
    """
    if request.url == _PROJECT_LOOKUP:
        name = json.loads(request.body)["name"]
        return _json_response({"name": name, "projectId": name.rpartition("/")[2]}, ("grpc-status", "0"))
    host, path = urlsplit(request.url).hostname or "", urlsplit(request.url).path
    if host == "iamcredentials.googleapis.com" and path.endswith("/allowedLocations"):
        return _json_response({"locations": [], "encodedLocations": "0x0"})
    if host.startswith(("metadata", "169.254.")) and not path.endswith("/token"):
        flavor = ("metadata-flavor", "Google")
        return Response(404, "Not Found", (("content-type", "text/plain"), flavor), b"")
    return _json_response(
        {"access_token": _PLACEHOLDER, "id_token": _PLACEHOLDER, "expires_in": 3600, "token_type": "Bearer"}
    )


def _json_response(document: object, *headers: tuple[str, str]) -> Response:
    return Response(200, "OK", (("content-type", "application/json"), *headers), json.dumps(document).encode())
