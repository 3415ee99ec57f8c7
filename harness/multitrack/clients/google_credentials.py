"""Register stand-ins for Google's application default credentials, which both of Google's SDKs use."""

from __future__ import annotations

from types import ModuleType

from multitrack.tape import credentials
from multitrack.tape.patching import Patch


def patches(module: ModuleType) -> list[Patch]:
    """Return the patches of ``module``."""
    # imported only with Google's own libraries, which it needs
    from multitrack.clients import google_default

    return google_default.patches(module)


for _trigger in (
    "google.auth",
    "google.auth.transport.grpc",
    "google.api_core.grpc_helpers",
    "google.api_core.grpc_helpers_async",
):
    credentials.register(_trigger, patches)
