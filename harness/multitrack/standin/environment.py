"""The environment with which unmodified clients reach the stand-in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from secrets import choice
from string import ascii_letters, digits

_KEY_MARK = "T3BlbkFJ"
"""What scanners for secrets know a key of OpenAI's by."""


def openai_key() -> str:
    """A new key in the shape of a project key of OpenAI's, worth nothing anywhere."""
    halves = ["".join(choice(ascii_letters + digits) for _ in range(74)) for _ in range(2)]
    return "sk-proj-" + _KEY_MARK.join(halves)


def variables(*, proxy_url: str, certificate_authority: Path, credentials: Path, project: str) -> dict[str, str]:
    """The variables, each with whom it serves.

    gRPC reads the proxy in lower case only; requests reads ``REQUESTS_CA_BUNDLE``, httpx and the standard
    library ``SSL_CERT_FILE``, gRPC a variable of its own. Loopback is kept out of the proxy, so that what an
    application runs beside its provider is still reached.
    """
    authority = str(certificate_authority)
    loopback = "127.0.0.1,localhost,::1"
    return {
        "HTTPS_PROXY": proxy_url,
        "https_proxy": proxy_url,
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "SSL_CERT_FILE": authority,
        "REQUESTS_CA_BUNDLE": authority,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": authority,
        "OPENAI_API_KEY": openai_key(),
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "GOOGLE_CLOUD_PROJECT": project,
    }


def exports(environment: Mapping[str, str]) -> str:
    """The variables as lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
