"""Responses to the requests that Google's client libraries make on their own, apart from the API calls.

These requests fetch an access token and the allowed locations of a service account.
"""

from __future__ import annotations

import re
from secrets import token_urlsafe
from typing import Any

_ACCESS_TOKEN = f"ya29.{token_urlsafe(96)}"
_ALLOWED_LOCATIONS = re.compile(r"/v1/projects/-/serviceAccounts/[^/]+/allowedLocations")


def find_auth_response(method: str, path: str) -> dict[str, Any] | None:
    """Return the JSON response to a request from Google's authentication libraries, or None for any other request.

    ``/token`` is the OAuth endpoint (https://developers.google.com/identity/protocols/oauth2/service-account). The
    encoded location ``0x0`` means that all locations are allowed.
    """
    if method == "POST" and path in ("/token", "/oauth2/v4/token"):
        return {"access_token": _ACCESS_TOKEN, "expires_in": 3599, "token_type": "Bearer"}
    if method == "GET" and _ALLOWED_LOCATIONS.fullmatch(path):
        return {"locations": [], "encodedLocations": "0x0"}
    return None
