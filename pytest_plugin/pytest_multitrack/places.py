"""Where the tapes of tests and of fixtures lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from multitrack.tape import project
from multitrack.tape.file import paths

_project = pytest.StashKey[project.Project]()


def project_of(config: pytest.Config) -> project.Project:
    """The settings in the project's pyproject.toml. Raises `BadOption`."""
    if _project not in config.stash:
        config.stash[_project] = project.read(config.rootpath / "pyproject.toml")
    return config.stash[_project]


def tape_path(item: pytest.Item) -> Path:
    """Where the tape of ``item`` lies. Raises `BadOption` for a name that leaves the folder."""
    folder = folder_beside(item.path.parent, item.config)
    names = list(_names(item))
    if names:
        return paths.named_cassette_path(folder, names[0])
    return paths.test_cassette_path(folder, item.path.stem, ".".join([*_classes(item), item.name]))


def fixture_path(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> Path:
    """Where the tape of a fixture of wider scope lies: with the tests of the module that it is set up for, or where
    it is defined, if it is set up for several."""
    name = fixturedef.argname
    if hasattr(request, "param"):
        name += f"[{_parameter(request)}]"
    if fixturedef.scope in ("package", "session"):
        home = request.config.rootpath / fixturedef.baseid.partition("::")[0]
        folder, module = (home.parent, home.stem) if home.suffix == ".py" else (home, "conftest")
    else:
        folder, module = request.node.path.parent, request.node.path.stem
        name = ".".join([*_classes(request.node), name])
    return paths.test_cassette_path(folder_beside(folder, request.config), module, name)


def _parameter(request: pytest.FixtureRequest) -> str:
    # what it is before where it stands: tests may parametrise a fixture anew, and lists change
    match request.param:
        case None | bool() | int() | float() | str() as value:
            return str(value)
        case value:
            return getattr(value, "__name__", None) or str(getattr(request, "param_index", 0))


def fixture_name(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> str:
    """What stands with a recording of a fixture of wider scope. One that overrides another, and asks for it, has its
    tape in the same place, and another name: where it is defined stands with those that are not of the module, or
    class, that they are set up for."""
    path = fixture_path(fixturedef, request)
    name = f"fixture {path.stem} of {path.parent.name}"
    if fixturedef.scope in ("package", "session") or fixturedef.baseid == request.node.nodeid:
        return name
    place = fixturedef.baseid.replace("::", ".")
    return f"{name}, defined in {place if '.py' in place else f'{place}/conftest.py'.lstrip('/')}"


def _classes(node: pytest.Item | pytest.Collector) -> list[str]:
    return [parent.name for parent in node.listchain() if isinstance(parent, pytest.Class)]


def is_shared(item: pytest.Item) -> bool:
    """Whether other tests may play the tape of ``item``."""
    return any(True for _ in _names(item))


def _names(item: pytest.Item) -> Iterator[str]:
    return (marker.kwargs["name"] for marker in item.iter_markers("cassette") if "name" in marker.kwargs)


def folder_beside(folder: Path, config: pytest.Config) -> Path:
    """Where the tapes of the tests in ``folder`` lie."""
    root = root_of(config)
    return folder / "cassettes" if root is None else root / _below(folder, config.rootpath)


def root_of(config: pytest.Config) -> Path | None:
    """The one root of all tapes; None where they lie beside their tests."""
    asked: str | None = config.option.multitrack_cassettes_dir
    return project_of(config).cassettes_dir if asked is None else config.invocation_params.dir / asked


def _below(folder: Path, root: Path) -> Path:
    try:
        return folder.relative_to(root)
    except ValueError:
        return Path(folder.name)
