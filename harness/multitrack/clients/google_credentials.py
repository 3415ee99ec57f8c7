"""Register stand-ins for Google's application default credentials, and for the API key of ``google.genai``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from multitrack.tape import credentials
from multitrack.tape.patching import Patch

# Each module whose import triggers patches, with the file in this folder whose `patches(module)` returns them. The file
# is imported only at that time, because it may need Google's own libraries.
_TRIGGERS = (
    ("google.auth", "google_default"),
    ("google.auth.transport.grpc", "google_default"),
    ("google.api_core.grpc_helpers", "google_default"),
    ("google.api_core.grpc_helpers_async", "google_default"),
    ("google.genai._api_client", "genai_key"),
)


def _register(trigger: str, name: str) -> None:
    def patches(module: ModuleType) -> list[Patch]:
        found: list[Patch] = import_module(f"multitrack.clients.{name}").patches(module)
        return found

    credentials.register(trigger, patches)


for _trigger, _name in _TRIGGERS:
    _register(_trigger, _name)
