"""Where the models behind a request's tools can be imported from, as a tape keeps it and a project may say it.

A tape is data that anybody may have written: what it names is imported only from the packages that the project lists.
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
"""Models by the names of their tools."""

_SHAPE = "takes packages = ['trip.models'] and tools = {Weather = 'trip.models:Weather'}"


@dataclass(frozen=True, slots=True)
class ModelPaths:
    """The table ``[tool.multitrack.models]``. ``packages`` are those of which a tape may name a model; ``tools`` say
    which model stands behind a tool where a tape does not, and are imported wherever they lie."""

    packages: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: Any, source: str) -> ModelPaths:
        """The table, as TOML has it. Raises `BadOption`, naming the ``source``."""
        if not isinstance(table, dict) or table.keys() - {"packages", "tools"}:
            raise BadOption(f"{source}: models {_SHAPE}, not {table!r}")
        packages, tools = table.get("packages", []), table.get("tools", {})
        if not isinstance(packages, list) or not all(isinstance(package, str) and package for package in packages):
            raise BadOption(f"{source}: models.packages takes a list of packages, not {packages!r}")
        if not isinstance(tools, dict) or not all(isinstance(path, str) and ":" in path for path in tools.values()):
            raise BadOption(f"{source}: models.tools takes paths like 'trip.models:Weather', not {tools!r}")
        return cls(tuple(packages), tools)

    def allows(self, module: str) -> bool:
        """Whether a tape may name a model in ``module``."""
        return any(f"{module}.".startswith(f"{package}.") for package in self.packages)


def models_offered_by(request: Request) -> Models:
    """The models behind the tools of ``request``, which is being sent; none if its client told of none."""
    models = current_models()
    # a client may send more while it asks: for a token, for one, or to who counts its calls
    tools = wires.read_request(request.body).tools if models else ()
    return {tool: models[tool] for tool in tools if tool in models}


def find_import_paths(models: Models) -> tuple[tuple[str, str], ...]:
    """Where ``models`` can be imported from (``trip.models:Weather``), by tool name; without those that no import
    finds, such as a class made within a function, or in a program that is run as a script."""
    found = []
    for tool, model in models.items():
        path = f"{model.__module__}:{model.__qualname__}"
        if model.__module__ != "__main__" and find_loaded(path) is model:
            found.append((tool, path))
    return tuple(found)


def find_loaded(path: str) -> object:
    """What stands at ``path`` in the modules that are imported already; None if nothing does."""
    module, _, name = path.partition(":")
    found: object = sys.modules.get(module)
    for step in name.split("."):
        # what a module makes up when it is asked for does not count
        found = getattr(found, "__dict__", {}).get(step)
    return found
