"""Make nested runs of pytest faster, and independent of each other; a plugin of the test suite.

Each nested run that shares the process of the tests repeats work on the same files: pytest reads the metadata of all
installed packages (15 ms), and for a failed test it parses each module in the traceback (150 ms for openai's). The
results are kept here. A worker of pytest-xdist imports the SDKs again (1 s for openai), so that workers are forks of a
process that has imported them. A nested run prints and reports the same as without this module.
"""

from __future__ import annotations

import functools
import importlib.metadata
import shutil

import pytest
import yaml
from _pytest._code import code as traceback_code
from warm_python import find_warm_python

try:
    from execnet import gateway_io
except ImportError:  # most of nox's sessions do not install pytest-xdist
    gateway_io = None

# Pytester removes the modules that a nested run imports first, but PyYAML's C extension cannot be imported twice.
IMPORTED_ONCE = (yaml,)

# Plugins that few nested runs use; a new process starts in half the time without them.
FEWER_PLUGINS = {"PYTEST_ADDOPTS": "-p no:inline_snapshot -p no:hypothesispytest -p no:respx"}


def _keep_syntax_trees(find_statement):
    @functools.lru_cache(maxsize=100)
    def keep(text):
        return []

    def find_kept_statement(lineno, source, assertion=False, astnode=None):
        kept = keep(str(source))
        found = find_statement(lineno, source, assertion, astnode or (kept[0] if kept else None))
        kept[:] = found[:1]
        return found

    return find_kept_statement


def _keep_by_path(attribute):
    values = {}

    def read(distribution):
        path = getattr(distribution, "_path", None)
        if path is None:
            return attribute.fget(distribution)
        key = str(path)
        if key not in values:
            values[key] = attribute.fget(distribution)
        return values[key]

    return property(read)


def _forget_compiled_modules(start_run):
    """Let a nested run compile the modules of its folder again.

    Python would take a compiled module for current if a test changed the module within a second of the last run.
    """

    @functools.wraps(start_run)
    def start_new_run(pytester, *arguments, **options):
        for cache in list(pytester.path.rglob("__pycache__")):
            shutil.rmtree(cache)
        return start_run(pytester, *arguments, **options)

    return start_new_run


def _find_worker_command(find_command):
    def find_warm_command(spec):
        if spec.python or spec.dont_write_bytecode:
            return find_command(spec)
        return [*find_warm_python(), "-c", gateway_io.popen_bootstrapline]

    return find_warm_command


@pytest.fixture(scope="session", autouse=True)
def _adapt_nested_runs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traceback_code, "getstatementrange_ast", _keep_syntax_trees(traceback_code.getstatementrange_ast))
        for name in ("entry_points", "metadata", "files"):
            attribute = getattr(importlib.metadata.Distribution, name)
            patch.setattr(importlib.metadata.Distribution, name, _keep_by_path(attribute))
        if gateway_io is not None:
            patch.setattr(gateway_io, "popen_args", _find_worker_command(gateway_io.popen_args))
        for name in ("inline_run", "popen"):
            patch.setattr(pytest.Pytester, name, _forget_compiled_modules(getattr(pytest.Pytester, name)))
        yield
