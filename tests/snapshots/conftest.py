from __future__ import annotations

import pytest
from nested_runs import FEWER_PLUGINS
from snapshot_project import ENVIRONMENT, Project


@pytest.fixture
def project(pytester, monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    for name, value in FEWER_PLUGINS.items():
        monkeypatch.setenv(name, value)
    return Project(pytester)
