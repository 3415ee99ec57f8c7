"""Plugins, settings of other libraries and the report header of the whole test suite."""

import contextlib
import gc
import importlib
import os
import sys
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from multitrack.tape.interceptors import respx_mocker
from pytest_multitrack import item_tape, run_end, tape_report

# pytester removes the modules that an inner run imports first. The interceptor of httpx would then use the removed copy
# of respx_mocker, and the patches of respx a new copy. The other modules in this list import most of our modules, which
# the plugin needs when a test uses a cassette; otherwise, each inner run would import them again.
IMPORTED = [respx_mocker, item_tape, run_end, tape_report]

# `typing` would compare types that it cached for inline-snapshot with types of a removed dirty_equals, and raise an
# error. inline-snapshot is not in the group test.
with contextlib.suppress(ImportError):
    IMPORTED.append(importlib.import_module("inline_snapshot"))

# Without this, threads of gRPC log to file descriptor 2 at any time, for example "Got goaway" if a test ends a
# connection on purpose. gRPC reads the variable once, when it is first used.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# Each client loads the authorities that it trusts: 24 ms for the 140 of certifi or for those that a shell names, and
# 87 ms for google-genai's client, which loads them several times. No test connects to a server with a certificate of
# one of these authorities.
for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
    os.environ[name] = str(Path(__file__).parent / "data" / "unused_authority.pem")

# If a shell sets this variable, each of several hundred processes compiles Multitrack again, which takes half a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# the inner runs of many tests record, which a run in CI does not do
os.environ.pop("CI", None)

# By default, Hypothesis fails a test if an example takes longer than 200 ms or if examples are generated slowly. On a
# busy machine, that says nothing about the code; and if the example is long, a warning about its size hides the reason.
settings.register_profile("multitrack", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("multitrack")

pytest_plugins = ["pytester", "local_provider", "nested_runs", "slow_tests"]

SDKS = ("openai", "google-cloud-aiplatform", "google-genai", "anthropic", "grpcio", "httpx", "aiohttp", "pydantic")


# Libraries that only a session of nox installs. Without them, their tests are left out.
SESSIONS = {
    "mcp": ["mcp"],
    "xai_sdk": ["xai-sdk"],
    "frameworks": sorted(path.parent.name for path in Path(__file__).parent.glob("frameworks/*/scenario.py")),
}


def pytest_report_header():
    versions = {distribution.name: distribution.version for distribution in metadata.distributions()}
    installed = ", ".join(f"{name} {versions.get(name, 'none')}" for name in SDKS)
    missing = [
        f"{', '.join(names)} (nox --session {session})"
        for session, libraries in SESSIONS.items()
        if (names := [name for name in libraries if name not in versions])
    ]
    return [f"installed: {installed}", f"not installed, and not tested: {', '.join(missing) or 'none'}"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    # Many tests open tapes and, on purpose, do not play all of them or leave pending recordings. Without this, the
    # summary of the whole run would list these as if they were the project's own.
    vars(report).pop("multitrack", None)


@pytest.fixture(scope="module", autouse=True)
def _freeze_older_objects():
    """Let ``gc.collect()`` examine only what the tests of one module create.

    Many tests call ``gc.collect()``, above all those that run pytest. Without this fixture, each call examines all
    objects that were ever imported.
    """
    gc.collect()
    gc.freeze()
