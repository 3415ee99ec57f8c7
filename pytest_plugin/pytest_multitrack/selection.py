"""Whether a run was told to run less than everything."""

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


def reason(config: pytest.Config, deselected: bool = False) -> str | None:
    """Why not everything ran, as a verb with its object; None where everything did."""
    for name, flag in _FLAGS.items():
        if getattr(config.option, name, None):
            return f"used {flag}"
    if not _is_everything(config):
        return "was told where to look for tests"
    return "left out tests" if deselected else None


def _is_everything(config: pytest.Config) -> bool:
    match config.args_source:
        case config.ArgsSource.TESTPATHS:
            return True
        case config.ArgsSource.INVOCATION_DIR:
            return config.invocation_params.dir == config.rootpath
    asked = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
    tests: set[Path] = {(config.rootpath / folder).resolve() for folder in config.getini("testpaths")}
    return config.rootpath in asked or (bool(tests) and tests <= asked)
