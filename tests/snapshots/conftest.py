from __future__ import annotations

import pytest
from snapshot_project import ENVIRONMENT, Project


@pytest.fixture
def project(pytester, monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return Project(pytester)
