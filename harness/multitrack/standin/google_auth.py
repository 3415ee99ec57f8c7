"""What Google's client libraries ask for around a call: an access token, and the allowed locations."""

from __future__ import annotations

import re
from secrets import token_urlsafe
from typing import Any

_ACCESS_TOKEN = f"ya29.{token_urlsafe(96)}"
_ALLOWED_LOCATIONS = re.compile(r"/v1/projects/-/serviceAccounts/[^/]+/allowedLocations")


def answer(method: str, path: str) -> dict[str, Any] | None:
    """The JSON that answers a request of Google's authentication libraries; None where it is none.

    ``/token`` is the OAuth endpoint (https://developers.google.com/identity/protocols/oauth2/service-account);
    ``allowedLocations`` with ``0x0`` means that nothing is restricted.
    """
    if method == "POST" and path in ("/token", "/oauth2/v4/token"):
        return {"access_token": _ACCESS_TOKEN, "expires_in": 3599, "token_type": "Bearer"}
    if method == "GET" and _ALLOWED_LOCATIONS.fullmatch(path):
        return {"locations": [], "encodedLocations": "0x0"}
    return None
