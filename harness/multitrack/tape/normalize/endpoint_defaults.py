"""Default parts of URLs, such as an endpoint, for clients that are created without these parts during a replay.

Multitrack does not know the recorded endpoint when the client is created. A request with a default part therefore
matches any recorded value of this part.
"""

from __future__ import annotations

import re

from multitrack.tape.exchange import UnknownParts

# A host below .invalid never resolves (https://www.rfc-editor.org/rfc/rfc6761#section-6.4). If anyone could register
# this host, a copy of the client with a real key would send the key there.
ENDPOINT = "https://endpoint-0.invalid"
API_VERSION = "version-0"
"""The API version of an Azure client."""

_VERSION_PARAMETER = "api-version"
_VERSION = re.compile(rf"(?<=[?&]{_VERSION_PARAMETER}=)[^&]*")
# A Vertex AI client without a region has no endpoint either. `global` is not replaced with a pseudonym.
_LOCATIONS = "locations"


def find_unknown_parts(url: str) -> UnknownParts:
    """Return which parts of ``url`` are defaults and therefore match any recorded value."""
    version = _VERSION.search(url)
    has_default_version = version is not None and version[0] == API_VERSION
    has_default_endpoint = url == ENDPOINT or url.startswith((f"{ENDPOINT}/", f"{ENDPOINT}?"))
    return UnknownParts(
        origin=has_default_endpoint,
        parameters=(_VERSION_PARAMETER,) if has_default_version else (),
        collections=(_LOCATIONS,) if has_default_endpoint and f"/{_LOCATIONS}/" in url else (),
    )
