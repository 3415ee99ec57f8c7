"""Make nested runs of pytest faster; a plugin of the test suite.

Each nested run that shares the process of the tests repeats work on the same files: pytest reads the metadata of all
installed packages (15 ms), and for a failed test it parses each module in the traceback (150 ms for openai's). The
results are kept here. A nested run prints and reports the same as without this module.
"""

from __future__ import annotations

import functools
import importlib.metadata

import pytest
from _pytest._code import code as traceback_code


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


@pytest.fixture(scope="session", autouse=True)
def _keep_what_nested_runs_read():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traceback_code, "getstatementrange_ast", _keep_syntax_trees(traceback_code.getstatementrange_ast))
        for name in ("entry_points", "metadata", "files"):
            attribute = getattr(importlib.metadata.Distribution, name)
            patch.setattr(importlib.metadata.Distribution, name, _keep_by_path(attribute))
        yield
