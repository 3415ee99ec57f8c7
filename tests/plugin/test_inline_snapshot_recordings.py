"""Tests with inline-snapshot's ``snapshot()`` are recorded, even if the value does not exist yet."""

import os

import pytest

pytest.importorskip("inline_snapshot.plugin", reason="inline-snapshot is older than its plugin API")
pytestmark = pytest.mark.slow

TEST = """
from inline_snapshot import snapshot

@pytest.mark.cassette
def test_ask():
    assert ask("x") == snapshot({value})
"""


@pytest.fixture(autouse=True)
def with_inline_snapshot(project, monkeypatch):
    project.use_httpx()
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:respx -p no:xdist")
    # with these variables, inline-snapshot would mistake the inner run for a worker, and be inactive
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("flags", [[], ["--inline-snapshot=create"]])
def test_a_recording_with_a_new_value_is_written(project, flags):
    project.write_test(TEST.format(value=""))
    run = project.record("--record", *flags, subprocess=True)
    assert "cassettes/test_it/test_ask.yaml" in run.changed
    assert "pending" not in run.out
    project.provider.stop()
    assert "your snapshot is missing one value" in run.out
    project.run("--inline-snapshot=create", subprocess=True)
    assert "echo: x" in (project.path / "test_it.py").read_text(encoding="utf-8")
    assert project.run(subprocess=True).counts == {"passed": 1}


def test_a_recording_with_a_different_value_is_pending(project):
    project.write_test(TEST.format(value="'other'"))
    run = project.record("--record", subprocess=True)
    assert "cassettes/test_it/test_ask.pending.yaml" in run.changed
