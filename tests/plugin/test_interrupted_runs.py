"""Interrupted runs: cassettes stay as they were, and recordings are pending if there is time to save them."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from local_provider import DONE, STREAM, ProviderAnswer, echo, event

from multitrack.tape.file import storage

KEY = "sk-proj-inner0123456789abcdefghij"

# A shell that ignores SIGINT (`trap "" INT`, `nohup`) passes that on to every process that it starts, and Python then
# installs no handler for Ctrl-C. Without this, the tests that interrupt a run would wait for its end.
PYTEST = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import pytest
sys.exit(pytest.console_main())
"""


@pytest.fixture
def start(project):
    """Return ``start(*arguments)``, which starts a pytest run in another process, with a key."""
    running = []

    def start(*arguments):
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", PYTEST, "-p", "no:cacheprovider", *arguments],
            cwd=project.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


class HoldingProvider:
    """Answers as usual, but waits for ``go`` before it answers the prompt ``hold``, and sets ``reached`` meanwhile."""

    def __init__(self, answer=None):
        self.reached, self.go = threading.Event(), threading.Event()
        self._answer = answer

    def __call__(self, request):
        if b"hold" not in request.body:
            return echo(request)
        if self._answer is not None:
            return self._answer(self)
        self.reached.set()
        self.go.wait(20)
        return echo(request)


def streaming(holding):
    def body():
        yield event("one")
        yield event("two")
        holding.reached.set()
        holding.go.wait(20)
        yield DONE

    return ProviderAnswer(body(), headers=STREAM)


TEST = """
@pytest.fixture
def asking_late():
    yield
    ask("late")

@pytest.mark.cassette
def test_before():
    ask("before")

@pytest.mark.cassette
def test_ask(asking_late):
    ask("first")
    ask("{word}")
"""


@pytest.fixture
def recorded(project):
    """Return a project whose tests are recorded."""
    project.use_httpx()
    project.write_test(TEST.format(word="second"))
    assert project.record().counts == {"passed": 2}
    return project


def read_prompts(path):
    import json

    return [
        (json.loads(one.request.body)["messages"][0]["content"], one.response.ending)
        for one in storage.read(path).interactions
    ]


def test_ctrl_c_keeps_the_cassette_and_leaves_a_pending_recording(recorded, start):
    recorded.provider.reply = holding = HoldingProvider()
    recorded.provider.silence()
    recorded.write_test(TEST.format(word="hold"))
    before = recorded.read_files()
    process = start("--record")
    assert holding.reached.wait(20)
    process.send_signal(signal.SIGINT)
    # the request in the teardown of the fixture belongs to the test too
    out, _ = process.communicate(timeout=20)
    holding.go.set()
    assert process.returncode == 2
    pending = "cassettes/test_it/test_ask.pending.yaml"
    after = recorded.read_files()
    assert after["cassettes/test_it/test_ask.yaml"] == before["cassettes/test_it/test_ask.yaml"]
    assert after.keys() - before.keys() == {pending}
    assert read_prompts(recorded.path / pending) == [
        ("first", "complete"),
        ("hold", "unanswered"),
        ("late", "complete"),
    ]
    lines = out.splitlines()
    assert f"multitrack: pending: {pending}: the run was interrupted" in lines
    assert f"  to accept it: multitrack accept {pending}" in lines
    # the test before it had finished
    assert "multitrack: 2 tests used a cassette, 1 request recorded in 1 cassette" in lines
    assert KEY not in after[pending].decode()


@pytest.mark.parametrize("whom", ["all", "the first"])
def test_ctrl_c_lists_the_pending_recordings_of_workers(recorded, start, whom):
    recorded.provider.reply = holding = HoldingProvider()
    recorded.provider.silence()
    recorded.write_test(TEST.format(word="hold"))
    before = recorded.read_files()
    process = start("--record", "-n", "2", "-p", "no:randomly")
    assert holding.reached.wait(40)
    # a terminal sends the signal to all processes, `kill` only to the first
    os.killpg(process.pid, signal.SIGINT) if whom == "all" else process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=40)
    holding.go.set()
    pending = "cassettes/test_it/test_ask.pending.yaml"
    # the test in the other worker may have finished by then
    other = "cassettes/test_it/test_before.pending.yaml"
    assert recorded.read_files().keys() - before.keys() in ({pending}, {pending, other})
    assert read_prompts(recorded.path / pending) == [
        ("first", "complete"),
        ("hold", "unanswered"),
        ("late", "complete"),
    ]
    lines = out.splitlines()
    assert f"multitrack: pending: {pending}: the run was interrupted" in lines
    assert f"  to accept it: multitrack accept {pending}" in lines


def test_a_killed_worker_loses_only_its_running_test(project, start):
    project.use_httpx()
    project.provider.reply = holding = HoldingProvider()
    project.provider.silence()
    project.write_test(
        """
        import os

        @pytest.mark.cassette(name="shared")
        @pytest.mark.parametrize("word", ["a", "b", "hold", "c", "d"])
        def test_ask(word):
            if word == "hold":
                print("process", os.getpid(), file=open("process.txt", "w"), flush=True)
            ask(word)
            assert word != "b"
        """
    )
    process = start("--record", "-n", "1", "-p", "no:randomly")
    assert holding.reached.wait(40)
    os.kill(int((project.path / "process.txt").read_text().split()[1]), signal.SIGKILL)
    out, _ = process.communicate(timeout=40)
    holding.go.set()
    # another worker continues, and no lock of the killed one blocks it
    assert "worker 'gw0' crashed" in out
    assert sorted(read_prompts(project.cassette("shared"))) == [(word, "complete") for word in ("a", "c", "d")]
    assert read_prompts(project.cassette("shared.pending")) == [("b", "complete")]
    lines = out.splitlines()
    assert "multitrack: 4 tests used a cassette, 3 requests recorded in 1 cassette" in lines
    assert "multitrack: pending: cassettes/shared.pending.yaml: the test failed" in lines


def test_ctrl_c_during_a_stream_keeps_the_received_part(project, start):
    project.provider.reply = holding = HoldingProvider(streaming)
    project.provider.silence()
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask():
            messages = [dict(role="user", content="hold")]
            for chunk in client.chat.completions.create(model="m", messages=messages, stream=True):
                print(chunk)
        """
    )
    process = start("--record")
    assert holding.reached.wait(20)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    holding.go.set()
    [interaction] = storage.read(project.path / "cassettes/test_it/test_ask.pending.yaml").interactions
    assert interaction.response.body == event("one") + event("two")
    assert interaction.response.ending == "left"


def test_pytest_exit_leaves_a_pending_recording(project):
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask():
            ask("first")
            pytest.exit("enough")
        """
    )
    run = project.record()
    assert run.changed == {"cassettes/test_it/test_ask.pending.yaml"}
    assert "multitrack: pending: cassettes/test_it/test_ask.pending.yaml: the run was interrupted" in run.lines


def test_an_interrupted_replay_records_nothing(recorded):
    recorded.write_test(TEST.format(word="second").replace('ask("first")', 'ask("first"); pytest.exit("enough")'))
    run = recorded.run()
    assert run.changed == set()
    assert "pending" not in run.out


def test_kill_9_while_recording_keeps_the_cassettes(recorded, start):
    recorded.provider.reply = holding = HoldingProvider()
    recorded.provider.silence()
    recorded.write_test(TEST.format(word="hold").replace('"before"', '"before that"'))
    before = recorded.read_files()
    process = start("--record")
    assert holding.reached.wait(20)
    process.kill()
    process.communicate(timeout=20)
    holding.go.set()
    after = recorded.read_files()
    # the test that had finished is recorded
    assert {name for name in after if after[name] != before.get(name)} == {"cassettes/test_it/test_before.yaml"}
    assert read_prompts(recorded.cassette("test_it/test_before")) == [("before that", "complete")]
    recorded.write_test(TEST.format(word="second").replace('"before"', '"before that"'))
    recorded.provider.stop()
    assert recorded.run().counts == {"passed": 2}


WRITING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from multitrack.tape.exchange import Request
from multitrack.tape.tape import Tape

path, generation = Path(sys.argv[1]), 0
while True:
    generation += 1
    tape = Tape(path, mode="record", test="t.py::test")
    for number in range(20):
        recording = tape.route(Request("GET", f"https://api.example.com/{number}", (), b""))
        recording.record_head(200, "OK", (("content-type", "text/plain"),))
        recording.record_chunk(b"%d " % generation * 400)
        recording.record_end()
    failure = "no" if sys.argv[2] == "pending" else None
    tape.save(failure=failure)
    print(generation, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["written", "pending"])
def test_kill_9_while_a_cassette_is_written_leaves_a_complete_one(tmp_path, kind):
    path = tmp_path / "tape.yaml"
    written = path if kind == "written" else tmp_path / "tape.pending.yaml"
    for attempt in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITING), str(path), kind], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline()
        # during one of the next writes
        time.sleep(0.02 * attempt)
        process.kill()
        process.communicate()
        cassette = storage.read(written)
        assert len(cassette.interactions) == 20
        assert len({one.response.body for one in cassette.interactions}) == 1
    # the temporary file of the interrupted write stays, and is not read as a cassette
    assert {found.name for found in tmp_path.glob("*.yaml")} == {written.name}
    left = [found.name for found in tmp_path.iterdir() if found != written]
    assert all(name.startswith(".") and name.endswith(".tmp") for name in left)
    pending = storage.find_pending(tmp_path)
    assert pending == ([] if kind == "written" else [written])
    assert all(storage.accept_pending(file, lambda cassette: cassette).accepted == 1 for file in pending)
