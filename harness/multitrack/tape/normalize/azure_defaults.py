"""The endpoint and the API version that an Azure client gets on replay if it was created without them.

Multitrack does not know the recorded endpoint when the client is created. A request with one of these defaults
therefore matches any recorded endpoint or version.
"""

from __future__ import annotations

import re

from multitrack.tape.exchange import UnknownParts

# A host below .invalid never resolves (https://www.rfc-editor.org/rfc/rfc6761#section-6.4). If anyone could register
# this host, a copy of the client with a real key would send the key there.
ENDPOINT = "https://endpoint-0.invalid"
API_VERSION = "version-0"

_VERSION_PARAMETER = "api-version"
_VERSION = re.compile(rf"(?<=[?&]{_VERSION_PARAMETER}=)[^&]*")


def find_unknown_parts(url: str) -> UnknownParts:
    """Return which parts of ``url`` are the defaults."""
    version = _VERSION.search(url)
    has_default_version = version is not None and version[0] == API_VERSION
    return UnknownParts(
        origin=url == ENDPOINT or url.startswith((f"{ENDPOINT}/", f"{ENDPOINT}?")),
        parameters=(_VERSION_PARAMETER,) if has_default_version else (),
    )
