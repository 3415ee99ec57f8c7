"""Read the name and the version of a client library from the headers that it sends."""

from __future__ import annotations

import re
from collections.abc import Mapping

from multitrack.tape.exchange import Request

# "AsyncOpenAI/Python 1.12.0", "Anthropic/Python 0.39.0"
_PYTHON_SDK = re.compile(r"(?P<name>[A-Za-z][\w-]*)/Python (?P<version>\d[\w.]*)")
# "Boto3/1.34.69 md/Botocore#1.34.69", "google-genai-sdk/1.2.0 gl-python/3.12", "python-httpx/0.27.0"
_PRODUCT = re.compile(r"(?P<name>[A-Za-z][\w.-]*)/(?P<version>\d[\w.]*)")


def read_client(request: Request) -> tuple[str, str] | None:
    """Return the name and the version of the client that sent ``request``. None if the headers do not contain them."""
    agent = request.header("user-agent") or ""
    match = _PYTHON_SDK.match(agent) or _PRODUCT.match(agent)
    if match is None:
        return None
    # the asynchronous client is in the same package
    name = match["name"].removeprefix("Async")
    return name, match["version"]


def find_upgrades(recorded: Request, sent: Request) -> Mapping[str, tuple[str, str]]:
    """Return ``{library: (recorded version, live version)}`` if the client library was upgraded, otherwise ``{}``."""
    before, after = read_client(recorded), read_client(sent)
    if before is None or after is None or before[0] != after[0] or before[1] == after[1]:
        return {}
    return {before[0]: (before[1], after[1])}
