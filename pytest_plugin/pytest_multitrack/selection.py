"""Find out whether a run covers all of the project's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

_FLAGS = {
    "keyword": "-k",
    "markexpr": "-m",
    "lf": "--lf",
    "stepwise": "--stepwise",
    "deselect": "--deselect",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "pyargs": "--pyargs",
    "collectonly": "--collect-only",
}


def find_limit(config: pytest.Config, *, has_deselected: bool = False) -> str | None:
    """Return the reason why the run does not cover all tests. Returns None if it covers all tests.

    The reason completes a sentence that starts with "this run".
    """
    for name, flag in _FLAGS.items():
        if getattr(config.option, name, None):
            return f"used {flag}"
    if not _covers_all_paths(config):
        return "was limited to the given paths"
    return "deselected tests" if has_deselected else None


def _covers_all_paths(config: pytest.Config) -> bool:
    match config.args_source:
        case config.ArgsSource.TESTPATHS:
            return True
        case config.ArgsSource.INVOCATION_DIR:
            return config.invocation_params.dir == config.rootpath
    arguments = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
    testpaths: set[Path] = {(config.rootpath / folder).resolve() for folder in config.getini("testpaths")}
    return config.rootpath in arguments or (bool(testpaths) and testpaths <= arguments)
