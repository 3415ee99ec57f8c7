"""The command in a message about a gRPC call is pasted into a shell, and solves the problem."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from nested_runs import FEWER_PLUGINS
from warm_python import find_programs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="commands are for a POSIX shell")]

TEST = """
import grpc
import pytest

@pytest.mark.cassette
def test_call():
    with grpc.insecure_channel("localhost:{port}") as channel:
        channel.unary_unary("/multitrack.talk.Talk/Once")({message!r}, timeout=20)
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a command in the project and returns its exit code and its output."""
    path = os.pathsep.join([str(find_programs()), os.environ["PATH"]])

    def run(command):
        environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", **FEWER_PLUGINS}
        done = subprocess.run(
            ["sh", "-ec", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("talk", ["insecure"], indirect=True)
def test_the_command_about_a_response_that_cannot_be_read_records_it_again(talk, talk_types, tmp_path, run):
    message = talk_types[0](text="hello").SerializeToString()
    (tmp_path / "test_it.py").write_text(TEST.format(port=talk.port, message=message), encoding="utf-8")
    code, out = run("pytest -q --record")
    assert code == 0, out
    (cassette,) = tmp_path.rglob("*.yaml")
    recorded = cassette.read_text(encoding="utf-8")
    head, word, response = recorded.rpartition('"@wire": "')
    assert word, recorded
    cassette.write_text(f"{head}{word}*{response}", encoding="utf-8")
    code, out = run("pytest -q")
    assert code == 1
    code, pasted = run(re.search(r"or record it again: (.+)", out)[1])
    assert code == 0, pasted
    talk.stop()
    code, out = run("pytest -q")
    assert code == 0, out
