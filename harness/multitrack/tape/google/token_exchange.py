"""Token exchanges and look-ups of the machine's identity: never recorded, and on replay answered quietly.

They come and go with the machine (a key file, a metadata server, a cached token), so that a tape of one machine
would miss on the next; and what they carry is secret throughout.
"""

from __future__ import annotations

import json
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
# asked by the Vertex SDK where a variable of the environment names the project: its number could stand there
_PROJECT_LOOK_UP = "grpc://cloudresourcemanager.googleapis.com/google.cloud.resourcemanager.v3.Projects/GetProject"
_PLACEHOLDER = "placeholder"


def is_token_exchange(url: str) -> bool:
    """Whether ``url`` is that of a token endpoint, of a metadata server, or of the look-up of a project's name."""
    return url == _PROJECT_LOOK_UP or urlsplit(url).hostname in _HOSTS


def answer(request: Request) -> Response:
    """An answer that needs no network: a token that is none, valid for an hour; for a project, the name asked for."""
    if request.url == _PROJECT_LOOK_UP:
        name = json.loads(request.body)["name"]
        return _json({"name": name, "projectId": name.rpartition("/")[2]}, ("grpc-status", "0"))
    host, path = urlsplit(request.url).hostname or "", urlsplit(request.url).path
    if host == "iamcredentials.googleapis.com" and path.endswith("/allowedLocations"):
        return _json({"locations": [], "encodedLocations": "0x0"})
    if host.startswith(("metadata", "169.254.")) and not path.endswith("/token"):
        flavour = ("metadata-flavor", "Google")
        return Response(404, "Not Found", (("content-type", "text/plain"), flavour), b"")
    return _json({"access_token": _PLACEHOLDER, "id_token": _PLACEHOLDER, "expires_in": 3600, "token_type": "Bearer"})


def _json(document: object, *headers: tuple[str, str]) -> Response:
    return Response(200, "OK", (("content-type", "application/json"), *headers), json.dumps(document).encode())
