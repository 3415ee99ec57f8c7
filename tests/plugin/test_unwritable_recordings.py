"""Recordings that the system does not let us write: one error that says what, where, why and what to do."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

ASK = """
@pytest.mark.cassette
def test_ask():
    assert ask("x") == {expected!r}
"""
BLOCK = """
from multitrack import use_cassette

def test_ask():
    with use_cassette("cassettes/test_it/shared.yaml"):
        assert ask("x") == {expected!r}
"""
# the size of a file is limited, which looks like a full disk; Python ignores the signal
FULL_DISK = """
import resource

import pytest

# only while the cassette is written, because pytest needs its own files
@pytest.fixture(autouse=True)
def full_disk():
    import multitrack.tape.file.storage as storage
    replace = storage._replace

    def replace_with_limit(path, text):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            replace(path, text)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    storage._replace = replace_with_limit
"""


def assert_one_clear_error(run, path, reason, remedy, command="pytest --record test_it.py::test_ask"):
    assert f"{path}: not written: {reason}" in run.lines, run.out
    assert f"  {remedy}, then record again: {command}" in run.lines, run.out
    assert "accept" not in re.sub(r"/tmp/\S+", "", run.out)
    assert "Traceback" not in run.out
    assert "INTERNALERROR" not in run.out
    assert run.code == 1


@pytest.mark.parametrize("text", [ASK, BLOCK], ids=["marker", "block"])
@pytest.mark.parametrize("expected", ["echo: x", "other"], ids=["passed", "failed"])
@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_a_file_in_the_place_of_the_folder(project, text, expected, options):
    project.use_httpx()
    blocking = project.write("cassettes", "")
    project.write_test(text.format(expected=expected))
    run = project.record("--record", *options)
    assert run.counts == ({"passed": 1, "errors": 1} if expected == "echo: x" else {"failed": 1, "errors": 1})
    shown, name = ("cassettes", "shared") if text == BLOCK else (blocking, "test_ask")
    path = f"{shown}/test_it/{name}{'' if expected == 'echo: x' else '.pending'}.yaml"
    assert_one_clear_error(run, path, "Not a directory", f"move {shown}, which is not a folder")
    assert run.changed == set()
    # the advice solves the problem
    blocking.rename(project.path / "moved")
    project.write_test(text.format(expected="echo: x"))
    assert project.record(*shlex.split("pytest --record test_it.py::test_ask")[1:]).counts == {"passed": 1}
    assert project.run().counts == {"passed": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="limits are those of POSIX")
@pytest.mark.parametrize("expected", ["echo: x", "other"], ids=["passed", "failed"])
def test_a_full_disk(project, expected):
    project.use_httpx()
    project.write("conftest.py", FULL_DISK)
    project.write_test(ASK.format(expected=expected))
    run = project.record("--record", subprocess=True)
    path = project.path / "cassettes" / "test_it" / f"test_ask{'' if expected == 'echo: x' else '.pending'}.yaml"
    assert_one_clear_error(run, path, "File too large", "make room on the disk")
    assert run.changed == set()


def test_a_snapshot_that_cannot_be_written_is_no_internal_error(project):
    project.write("__snapshots__", "")
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask(calls_snapshot):
            ask("x")
            assert [] == calls_snapshot
        """
    )
    run = project.record("--record")
    assert run.code == 1
    assert "INTERNALERROR" not in run.out
    assert "__snapshots__/test_it.calls: the snapshots were not written: " in run.err
