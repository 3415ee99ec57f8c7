"""Models by their import paths: from what the project lists, and from nowhere else.

To import a module is to run it, and a tape is a file that anybody may have written. So one that a tape names is looked
at before it is imported: of a listed package, too, a script is not run for a name that it does not have.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from multitrack.diagnosis.call_results import is_model_class
from multitrack.errors import MultitrackError
from multitrack.tape.model_paths import ModelPaths
from multitrack.tape.project import find_pyproject

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class ModelNotFound(MultitrackError):
    """There is no model at an import path, or the project does not let a tape name it."""


class ModelImporter:
    """Finds models by the paths that stand on tapes and in the project's own ``paths``; each is imported once."""

    def __init__(self, paths: ModelPaths) -> None:
        self._paths = paths
        self._found: dict[tuple[str, bool], type[BaseModel] | ModelNotFound] = {}

    def model(self, tool: str, on_tape: str | None) -> type[BaseModel]:
        """The model behind ``tool``: the one that the project names, else that which stands ``on_tape``. Raises
        `ModelNotFound`."""
        path = self._paths.tools.get(tool, on_tape)
        if path is None:
            raise ModelNotFound(
                f"its model is unknown; set it: [tool.multitrack.models] tools = {{{tool} = 'package:Class'}}"
            )
        key = (path, tool in self._paths.tools)
        if key not in self._found:
            try:
                self._found[key] = self._import(*key)
            except ModelNotFound as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, ModelNotFound):
            raise found
        return found

    def _import(self, path: str, trusted: bool) -> type[BaseModel]:
        if not _PATH.fullmatch(path):
            raise ModelNotFound(f"{path!r} is not an import path")
        module_name, _, name = path.partition(":")
        if not trusted and not self._paths.allows(module_name):
            raise ModelNotFound(
                f"{path} may not be imported; allow it: [tool.multitrack.models] packages = [{module_name!r}]"
            )
        try:
            if not trusted and not _defines(module_name, name.partition(".")[0]):
                raise ModelNotFound(f"{path} is not a Pydantic model")
            found: object = importlib.import_module(module_name)
        except ModelNotFound:
            raise
        except (Exception, SystemExit) as error:  # whatever the module does when it is run
            raise ModelNotFound(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
        for step in name.split("."):
            # what a module makes up when it is asked for may be anything
            found = vars(found).get(step) if hasattr(found, "__dict__") else None
        # a name that a module has from elsewhere leads out of what the project lists
        if not is_model_class(found) or not (trusted or found.__module__ == module_name):
            raise ModelNotFound(f"{path} is not a Pydantic model")
        return found


def _defines(module_name: str, name: str) -> bool:
    """Whether a module gives that ``name`` to something, as far as its source tells; only its packages are run."""
    if module_name in sys.modules:
        return True
    spec = find_spec(module_name)
    source = getattr(spec.loader if spec else None, "get_source", lambda _: None)(module_name)
    if source is None:  # importing it says why, or it is compiled
        return True
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name=given) | ast.Name(id=given, ctx=ast.Store()) if given == name:
                return True
    return False


def import_folders(folder: Path) -> list[str]:
    """The folders from which the tests of the project that ``folder`` is in import: its root, and those that pytest is
    told of in its pyproject.toml."""
    file = find_pyproject(folder)
    if file is None:
        return [str(folder)]
    options = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("pytest", {}).get("ini_options", {})
    told = options.get("pythonpath", [])
    return [str(file.parent / name) for name in ["", *(told.split() if isinstance(told, str) else told)]]
