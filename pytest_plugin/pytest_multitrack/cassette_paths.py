"""The cassette paths of tests and fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from multitrack.repetitions import get_unrepeated_name
from multitrack.tape import project
from multitrack.tape.file import paths
from pytest_multitrack import pytest_internals

_project = pytest.StashKey[project.Project]()


def load_project(config: pytest.Config) -> project.Project:
    """Return the settings in the project's pyproject.toml. The file is read only once.

    Raises:
        BadOption: A setting is invalid.
    """
    if _project not in config.stash:
        config.stash[_project] = project.read(config.rootpath / "pyproject.toml")
    return config.stash[_project]


def cassette_path(item: pytest.Item) -> Path:
    """Return the cassette path of ``item``.

    The file name is the ``name=`` of the closest marker or, if there is none, the name of the test.

    Raises:
        BadOption: The name leads out of the cassette folder.
    """
    folder = cassettes_folder(item.path.parent, item.config)
    names = list(_marker_names(item))
    if names:
        return paths.named_cassette_path(folder, names[0])
    name = ".".join([*_class_names(item), get_unrepeated_name(item)])
    return paths.test_cassette_path(
        folder, item.path.stem, name, readable_name=pytest_internals.unescape_parameters(name)
    )


def fixture_cassette_path(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> Path:
    """Return the path of the cassette for a class-, module-, package- or session-scoped fixture.

    The cassette of a class- or module-scoped fixture is stored with the cassettes of the module that uses the
    fixture. The cassette of a package- or session-scoped fixture is stored next to the file that defines the fixture.
    """
    name = fixturedef.argname
    if hasattr(request, "param"):
        name += f"[{_format_parameter(request)}]"
    if fixturedef.scope in ("package", "session"):
        home = request.config.rootpath / fixturedef.baseid.partition("::")[0]
        folder, module = (home.parent, home.stem) if home.suffix == ".py" else (home, "conftest")
    else:
        folder, module = request.node.path.parent, request.node.path.stem
        name = ".".join([*_class_names(request.node), name])
    return paths.test_cassette_path(cassettes_folder(folder, request.config), module, name, readable_name=name)


def _format_parameter(request: pytest.FixtureRequest) -> str:
    # prefer the value to its index: tests may parametrize a fixture again, and lists of parameters change
    match request.param:
        case None | bool() | int() | float() | str() as value:
            return str(value)
        case value:
            return getattr(value, "__name__", None) or str(getattr(request, "param_index", 0))


def fixture_name(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> str:
    """Return the name under which the recordings of a class-, module-, package- or session-scoped fixture are stored.

    A fixture can override another fixture with the same name, and also request it. Both fixtures then share a
    cassette. To give them different names there, the name of a class- or module-scoped fixture includes the file that
    defines the fixture, unless the fixture is used in the module or class that defines it.
    """
    path = fixture_cassette_path(fixturedef, request)
    name = f"fixture {path.stem} of {path.parent.name}"
    if fixturedef.scope in ("package", "session") or fixturedef.baseid == request.node.nodeid:
        return name
    location = fixturedef.baseid.replace("::", ".")
    return f"{name}, defined in {location if '.py' in location else f'{location}/conftest.py'.lstrip('/')}"


def _class_names(node: pytest.Item | pytest.Collector) -> list[str]:
    return [parent.name for parent in node.listchain() if isinstance(parent, pytest.Class)]


def is_shared(item: pytest.Item) -> bool:
    """Return whether other tests can use ``item``'s cassette."""
    return any(True for _ in _marker_names(item))


def _marker_names(item: pytest.Item) -> Iterator[str]:
    return (marker.kwargs["name"] for marker in item.iter_markers("cassette") if "name" in marker.kwargs)


def cassettes_folder(folder: Path, config: pytest.Config) -> Path:
    """Return the folder that holds the cassettes of the tests in ``folder``."""
    root = cassettes_root(config)
    return folder / "cassettes" if root is None else root / _relative_to(config.rootpath, folder)


def cassettes_root(config: pytest.Config) -> Path | None:
    """Return the root of all cassettes, or None if they are stored next to their tests (the default)."""
    option: str | None = config.option.multitrack_cassettes_dir
    return load_project(config).cassettes_dir if option is None else config.invocation_params.dir / option


def _relative_to(root: Path, folder: Path) -> Path:
    try:
        return folder.relative_to(root)
    except ValueError:
        return Path(folder.name)
