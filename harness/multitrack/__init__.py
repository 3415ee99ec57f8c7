"""Extract parallel tool calls as Pydantic models, and replay recorded responses in tests."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multitrack import errors
    from multitrack.clients import Mode, from_anthropic, from_bedrock, from_genai, from_openai, from_vertexai, patch
    from multitrack.extraction import Extraction, ExtractionStream, Toolset
    from multitrack.snapshots.assertion import assert_calls
    from multitrack.snapshots.calls_snapshot import CallsSnapshot
    from multitrack.tape.sent import Sent
    from multitrack.tape.settings import Settings
    from multitrack.tape.tape import Tape
    from multitrack.tape.use_cassette import use_cassette
    from multitrack.tool_call import ToolCall
    from multitrack.wires import decode

__all__ = [
    "CallsSnapshot",
    "Extraction",
    "ExtractionStream",
    "Mode",
    "Sent",
    "Settings",
    "Tape",
    "ToolCall",
    "Toolset",
    "assert_calls",
    "decode",
    "errors",
    "from_anthropic",
    "from_bedrock",
    "from_genai",
    "from_openai",
    "from_vertexai",
    "patch",
    "use_cassette",
]

# Imported on first access (https://peps.python.org/pep-0562/), so that code that only extracts does not import the
# tape, and tests that use other clients do not import ours.
_MODULES = {
    "CallsSnapshot": "multitrack.snapshots.calls_snapshot",
    "Extraction": "multitrack.extraction",
    "ExtractionStream": "multitrack.extraction",
    "Mode": "multitrack.clients",
    "Sent": "multitrack.tape.sent",
    "Settings": "multitrack.tape.settings",
    "Tape": "multitrack.tape.tape",
    "ToolCall": "multitrack.tool_call",
    "Toolset": "multitrack.extraction",
    "assert_calls": "multitrack.snapshots.assertion",
    "decode": "multitrack.wires",
    "from_anthropic": "multitrack.clients",
    "from_bedrock": "multitrack.clients",
    "from_genai": "multitrack.clients",
    "from_openai": "multitrack.clients",
    "from_vertexai": "multitrack.clients",
    "patch": "multitrack.clients",
    "use_cassette": "multitrack.tape.use_cassette",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("multitrack.errors")
    if name not in _MODULES:
        raise _create_error(name)
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def _create_error(name: str) -> Exception:
    from multitrack.clients.instructor_names import explain_module_name

    explanation = explain_module_name(name, __all__)
    if explanation is None:
        return AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # `from multitrack import name` replaces the message of an AttributeError, but keeps that of an ImportError
    is_from_import = sys._getframe(2).f_code.co_name == "_handle_fromlist"
    return ImportError(explanation) if is_from_import else AttributeError(explanation)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
