"""The examples: what a fresh clone can do with the committed tapes, and what those tapes must not hold."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from multitrack.standin import StandIn

ROOT = Path(__file__).parents[2]
TAPES = sorted((ROOT / "cassettes" / "examples").rglob("*.yaml"))


def bare_environment(home):
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


def pytest_run(arguments, home, environment=(), before=()):
    command = [*before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**bare_environment(home), **dict(environment)}, capture_output=True, text=True, check=False
    )


def test_the_examples_replay_where_there_is_no_interface_at_all(tmp_path):
    unshare = shutil.which("unshare")
    before = [unshare, "--map-root-user", "--net", "--"]
    if not unshare or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine permits no network namespaces")
    finished = pytest_run(["examples"], tmp_path, before=before)
    assert finished.returncode == 0, finished.stdout
    assert "multitrack: 8 tests on tape, 8 requests replayed" in finished.stdout.splitlines()


def test_the_examples_are_the_stand_ins_and_say_so():
    assert len(TAPES) == 8
    for tape in TAPES:
        assert "  provenance: standin\n" in tape.read_text(encoding="utf-8"), tape


VCRPY = """
import sys, json, vcr
from pathlib import Path
openai = 0
for tape in map(Path, sys.argv[1:]):
    with vcr.use_cassette(str(tape), record_mode="none", allow_playback_repeats=False) as cassette:
        assert len(cassette) > 0, tape
        for request in cassette.requests:
            if request.host != "api.openai.com":
                continue
            import urllib.request
            sent = urllib.request.Request(request.uri, data=request.body, method=request.method)
            with urllib.request.urlopen(sent) as answer:
                assert json.load(answer)["choices"][0]["message"]["tool_calls"], tape
            openai += 1
            assert cassette.play_count == 1
print(openai)
"""


def test_vcrpy_alone_loads_every_tape_and_replays_those_of_openai(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-c", VCRPY, *map(str, TAPES)],
        env=bare_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout.strip()) == (0, "5"), finished.stderr


PLANTED = '''
"""An application that lets every secret it knows into its prompt."""

from collections.abc import Iterable
from pathlib import Path
import json
import os

import openai
import pytest

import multitrack
from tools import GoogleSearch, Weather

client = multitrack.from_openai(openai.OpenAI(default_query={"key": os.environ.get("OPENAI_API_KEY", "k" * 20)}))
planted = os.environ.get("PLANTED", "nothing")


@pytest.mark.cassette
def test_calls(calls_snapshot):
    extraction = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": f"planted {planted}"}],
        response_model=Iterable[Weather | GoogleSearch],
    )
    for call in extraction.calls:
        print(call)
    assert extraction == calls_snapshot


@pytest.mark.cassette
def test_stream():
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": f"stream {planted}"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


@pytest.mark.cassette
def test_failing():
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": f"planted {planted}"}])
    raise AssertionError("so that the recording is pending")
'''


def test_nothing_private_of_a_recording_reaches_a_file_or_the_terminal(tmp_path):
    from multitrack.standin import Rule
    from multitrack.toolcall import ToolCall  # noqa: F401 - the rule's calls are of this form

    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(ROOT / "examples" / "tools.py", project)
    (project / "test_planted.py").write_text(PLANTED, encoding="utf-8")
    home = tmp_path / "home"
    home.mkdir()

    with StandIn() as probe:
        private = private_values(probe.environment)
    rules = []
    with StandIn(rules=rules) as standin:
        private = private_values(standin.environment)
    # the stand-in's own values are new each time, so that the planted ones come from one that is running
    with StandIn(rules=[Rule(prompt=re.compile("stream"), text="x")]) as standin:
        private = private_values(standin.environment)
        planted = " and ".join(private.values())
        environment = {**standin.environment, "PLANTED": planted}
        recorded = run_in(project, home, environment, "--record")
    replayed = run_in(project, home, {})
    assert "2 passed, 1 failed" in recorded or "1 failed, 2 passed" in recorded, recorded
    files = {path: path.read_text(encoding="utf-8") for path in project.rglob("*") if path.suffix in (".yaml", ".calls")}
    assert {path.name for path in files} >= {"test_calls.yaml", "test_stream.yaml", "test_failing.pending.yaml"}
    for name, value in private.items():
        for place, text in {**files, "recording": recorded, "replay": replayed}.items():
            assert value not in text, (name, place)


def private_values(environment):
    import json

    account = json.loads(Path(environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text(encoding="utf-8"))
    return {
        "key": environment["OPENAI_API_KEY"],
        "project": environment["GOOGLE_CLOUD_PROJECT"],
        "account": account["client_email"],
        "key id": account["private_key_id"],
    }


def run_in(project, home, environment, *options):
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rN", *options],
        cwd=project,
        env={**bare_environment(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout + finished.stderr
