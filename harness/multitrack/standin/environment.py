"""The environment variables that make clients send their requests to the stand-in without a change to their code."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from secrets import choice
from string import ascii_letters, ascii_uppercase, digits

_KEY_MARK = "T3BlbkFJ"
"""The part of every OpenAI key that secret scanners search for."""


def generate_openai_key() -> str:
    """Return a new key that has the shape of an OpenAI project key but is not valid anywhere."""
    halves = ["".join(choice(ascii_letters + digits) for _ in range(74)) for _ in range(2)]
    return "sk-proj-" + _KEY_MARK.join(halves)


def _generate_key(prefix: str, length: int) -> str:
    return prefix + "".join(choice(ascii_letters + digits) for _ in range(length))


def build_environment(
    *, proxy_url: str, certificate_authority: Path, credentials: Path, project: str
) -> dict[str, str]:
    """Return the environment variables that make an application send its requests to the stand-in.

    gRPC reads only proxy variables with lower-case names. Each group of clients reads the path of the certificate
    file from its own variable:

    - ``REQUESTS_CA_BUNDLE`` for ``requests``
    - ``AWS_CA_BUNDLE`` for botocore
    - ``SSL_CERT_FILE`` for httpx and the standard library
    - ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`` for gRPC

    Connections to loopback addresses bypass the proxy, so that an application still reaches the other local servers
    it uses.
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
        "AWS_CA_BUNDLE": authority,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": authority,
        "OPENAI_API_KEY": generate_openai_key(),
        "AZURE_OPENAI_API_KEY": _generate_key("", 84),
        "ANTHROPIC_API_KEY": _generate_key("sk-ant-api03-", 95),
        "AWS_ACCESS_KEY_ID": "AKIA" + "".join(choice(ascii_uppercase + digits) for _ in range(16)),
        "AWS_SECRET_ACCESS_KEY": _generate_key("", 40),
        "AWS_DEFAULT_REGION": "us-east-1",
        "OLLAMA_API_KEY": _generate_key("", 32) + "." + _generate_key("", 24),
        "XAI_API_KEY": _generate_key("xai-", 80),
        "GEMINI_API_KEY": _generate_key("AIza", 35),
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "GOOGLE_CLOUD_PROJECT": project,
    }


def format_exports(environment: Mapping[str, str]) -> str:
    """Return the variables as ``export`` lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
