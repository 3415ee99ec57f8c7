"""What stands in for the endpoint and the API version of an Azure client that was given none, while a tape replays.

Nothing is known there of where the recording went, so a request to these places goes where the recording did.
"""

from __future__ import annotations

import re

# A host below .invalid never resolves (https://www.rfc-editor.org/rfc/rfc6761#section-6.4): one that somebody can own
# would be sent the user's key by a copy of the client that was given a real one.
ENDPOINT = "https://endpoint-0.invalid"
VERSION = "version-0"

_VERSION = re.compile(r"(?<=[?&]api-version=)[^&]*")


def stands_in(origin: str, target: str) -> bool:
    """Whether a request to ``target`` at ``origin`` has one of these places."""
    found = _VERSION.search(target)
    return origin == ENDPOINT or (found is not None and found[0] == VERSION)


def moved(target: str, recorded: str) -> str:
    """``target`` with the API version of ``recorded`` in the place of the one that stands in for it."""
    found, version = _VERSION.search(target), _VERSION.search(recorded)
    if found is None or version is None or found[0] != VERSION:
        return target
    return target[: found.start()] + version[0] + target[found.end() :]
