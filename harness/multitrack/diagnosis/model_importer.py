"""Import models by their paths, but only from the packages that the project allows.

By default, the project's own packages are allowed. Importing a module runs its code, and anyone can write a cassette.
A path in a cassette is therefore checked first, even if its package is allowed: the module is imported only if its
source defines the model.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from multitrack.diagnosis.call_results import is_model_class
from multitrack.errors import MultitrackError
from multitrack.tape.model_paths import ModelPaths
from multitrack.tape.project import find_pyproject

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def format_toml_key(name: str) -> str:
    """Return ``name`` as a key of a TOML table, in quotes if it requires them."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


class ModelNotFound(MultitrackError):
    """There is no model at an import path, or the project does not allow cassettes to import it."""


class ModelImporter:
    """An importer of models by their paths in cassettes and in the project's settings. It imports each model once.

    Args:
        paths: The settings.
        own_folders: The folders with the project's modules. Unless the settings allow packages, a path in a cassette
            can only lead to a module in these folders.

    Attributes:
        is_configured: Whether the settings contain a package or a model.
        suggested_packages: Modules that appear in cassettes, and were not imported because the settings do not allow
            them.
        unknown_tools: Tools whose model is unknown.
    """

    def __init__(self, paths: ModelPaths, own_folders: Sequence[str] = ()) -> None:
        self._paths = paths
        self._own_folders = list(own_folders)
        self.is_configured = bool(paths.packages or paths.tools)
        self.suggested_packages: set[str] = set()
        self.unknown_tools: set[str] = set()
        self._found: dict[tuple[str, bool], type[BaseModel] | ModelNotFound] = {}
        self._seen_files: set[tuple[Path, str]] = set()

    def import_model(self, tool: str, recorded_path: str | None) -> type[BaseModel]:
        """Return the Pydantic model of ``tool``.

        Args:
            tool: The name of the tool.
            recorded_path: The import path in the cassette. The project's settings have priority.

        Raises:
            ModelNotFound: The model is unknown, its import is not allowed, or the import failed.
        """
        path = self._paths.tools.get(tool, recorded_path)
        if path is None:
            self.unknown_tools.add(tool)
            raise ModelNotFound(
                "the model of this tool is unknown; add the model to pyproject.toml, in [tool.multitrack.models]: "
                f"tools = {{{format_toml_key(tool)} = 'package:Class'}}"
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
        if not trusted and not self._allows(module_name):
            self.suggested_packages.add(module_name)
            raise ModelNotFound(
                f"{path} must not be imported; to allow the import, add to pyproject.toml, in "
                f"[tool.multitrack.models]: packages = [{module_name!r}]"
            )
        try:
            if not trusted and not _defines(module_name, name.partition(".")[0]):
                raise ModelNotFound(f"{path} is not a Pydantic model")
            found: object = importlib.import_module(module_name)
        except ModelNotFound:
            raise
        except (Exception, SystemExit) as error:  # running the module may raise anything
            raise ModelNotFound(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
        for step in name.split("."):
            # not getattr, because a module's __getattr__ may return or do anything
            found = vars(found).get(step) if hasattr(found, "__dict__") else None
        # a name that the module itself imported may be outside the allowed packages
        if not is_model_class(found) or not (trusted or found.__module__ == module_name):
            raise ModelNotFound(f"{path} is not a Pydantic model")
        return found

    def _allows(self, module_name: str) -> bool:
        if self._paths.packages:
            return self._paths.allows(module_name)
        # find_spec imports nothing here, because the name has no dots
        return PathFinder.find_spec(module_name.partition(".")[0], self._own_folders) is not None

    def add_test_folders(self, root: Path, tests: Iterable[str]) -> None:
        """Make the modules next to ``tests`` importable in the same way as pytest does.

        ``tests`` are node ids relative to ``root``.
        """
        for test in tests:
            # handle each file only once: it usually has many tests, and each of them has many interactions
            name, separator, _ = test.partition("::")
            if not separator or (root, name) in self._seen_files:
                continue
            self._seen_files.add((root, name))
            file = (root / name).resolve()
            if not file.is_file() or not file.is_relative_to(root.resolve()):
                continue
            folder = next(up for up in file.parents if not (up / "__init__.py").exists())
            if folder.is_relative_to(root.resolve()) and str(folder) not in self._own_folders:
                self._own_folders.append(str(folder))
                sys.path.append(str(folder))


def _defines(module_name: str, name: str) -> bool:
    """Return whether a module's source code defines ``name``.

    Imports the module's parent packages, but not the module.
    """
    if module_name in sys.modules:
        return True
    spec = find_spec(module_name)
    source = getattr(spec.loader if spec else None, "get_source", lambda _: None)(module_name)
    if source is None:  # the module is compiled, or it is missing, which the import reports
        return True
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name=defined) | ast.Name(id=defined, ctx=ast.Store()) if defined == name:
                return True
    return False


def import_folders(folder: Path) -> list[str]:
    """Return the folders from which the tests of a project can import modules.

    The result contains the root of the project to which ``folder`` belongs, the root's ``src`` folder, and the
    folders in pytest's ``pythonpath`` in the project's pyproject.toml.
    """
    file = find_pyproject(folder)
    if file is None:
        return [str(folder), str(folder / "src")]
    options = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("pytest", {}).get("ini_options", {})
    pythonpath = options.get("pythonpath", [])
    return [
        str(file.parent / name)
        for name in ["", "src", *(pythonpath.split() if isinstance(pythonpath, str) else pythonpath)]
    ]
