"""The import paths of the Pydantic models behind tools, from cassettes and from a project's settings.

A cassette can come from an untrusted source. Therefore, a model that is named in a cassette is imported only if the
project's settings list its package.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multitrack import wires
from multitrack.errors import BadOption
from multitrack.model_context import current_models
from multitrack.tape.exchange import Request

if TYPE_CHECKING:
    from pydantic import BaseModel

Models = Mapping[str, "type[BaseModel]"]
"""Models by tool name."""

_EXPECTED = "must have packages = ['trip.models'] and tools = {Weather = 'trip.models:Weather'}"


@dataclass(frozen=True, slots=True)
class ModelPaths:
    """The settings in the ``[tool.multitrack.models]`` table of pyproject.toml."""

    packages: tuple[str, ...] = ()
    """The packages from which models named in cassettes may be imported."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """The import paths of models by tool name, for tools whose cassette names no model. Any package is allowed."""

    @classmethod
    def from_table(cls, table: Any, source: str) -> ModelPaths:
        """Return the paths in ``table``, which was parsed from TOML.

        Error messages contain ``source``, the name of the file.
        """
        if not isinstance(table, dict) or table.keys() - {"packages", "tools"}:
            raise BadOption(f"{source}: models {_EXPECTED}, not {table!r}")
        packages, tools = table.get("packages", []), table.get("tools", {})
        if not isinstance(packages, list) or not all(isinstance(package, str) and package for package in packages):
            raise BadOption(f"{source}: models.packages must be a list of packages, not {packages!r}")
        if not isinstance(tools, dict) or not all(isinstance(path, str) and ":" in path for path in tools.values()):
            raise BadOption(f"{source}: models.tools must have paths like 'trip.models:Weather', not {tools!r}")
        return cls(tuple(packages), tools)

    def allows(self, module: str) -> bool:
        """Return whether a model named in a cassette may be imported from ``module``."""
        return any(f"{module}.".startswith(f"{package}.") for package in self.packages)


def models_offered_by(request: Request) -> Models:
    """Return the models behind the tools in the ``request`` that is being sent. Empty if they are unknown."""
    models = current_models()
    # a client may send other requests at the same time, for example for a token or to a telemetry host
    tools = wires.read_request(request.body, request.url).tools if models else ()
    return {tool: models[tool] for tool in tools if tool in models}


def find_import_paths(models: Models) -> tuple[tuple[str, str], ...]:
    """Return pairs of a tool name and the import path of its model, such as ``trip.models:Weather``.

    Models that cannot be imported are left out: classes defined in a function, or in a script that is being run.
    """
    found = []
    for tool, model in models.items():
        path = f"{model.__module__}:{model.__qualname__}"
        if model.__module__ != "__main__" and find_loaded(path) is model:
            found.append((tool, path))
    return tuple(found)


def find_loaded(path: str) -> object:
    """Return the object at ``path`` if its module is already imported, ``None`` otherwise."""
    module, _, name = path.partition(":")
    found: object = sys.modules.get(module)
    for step in name.split("."):
        # do not call a module's `__getattr__`, which may create objects on demand
        found = getattr(found, "__dict__", {}).get(step)
    return found
