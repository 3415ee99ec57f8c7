"""The endpoint and the API version that an Azure client gets on replay if it was created without them.

Multitrack does not know the recorded endpoint when the client is created. A request with one of these defaults
therefore matches any recorded endpoint or version.
"""

from __future__ import annotations

import re

# A host below .invalid never resolves (https://www.rfc-editor.org/rfc/rfc6761#section-6.4). If anyone could register
# this host, a copy of the client with a real key would send the key there.
ENDPOINT = "https://endpoint-0.invalid"
API_VERSION = "version-0"

_VERSION = re.compile(r"(?<=[?&]api-version=)[^&]*")


def is_default(origin: str, target: str) -> bool:
    """Return whether a request for ``target`` at ``origin`` uses the default endpoint or API version."""
    version = _VERSION.search(target)
    return origin == ENDPOINT or (version is not None and version[0] == API_VERSION)


def adopt_version(target: str, recorded: str) -> str:
    """Return ``target`` with the API version of ``recorded``, if ``target`` has the default version."""
    sent_version, recorded_version = _VERSION.search(target), _VERSION.search(recorded)
    if sent_version is None or recorded_version is None or sent_version[0] != API_VERSION:
        return target
    return target[: sent_version.start()] + recorded_version[0] + target[sent_version.end() :]
