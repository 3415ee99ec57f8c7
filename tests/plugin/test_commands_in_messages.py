"""Each message that suggests a command: the command is pasted into a shell, and solves the problem.

A shell divides the command into arguments. To save two seconds for each, pytest and ``multitrack`` then run within the
process of the tests, except in ``test_a_command_is_pasted_into_a_shell``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import run_multitrack
from local_provider import ProviderAnswer, completion
from warm_python import find_programs

from multitrack.tape.interceptors import abandoned

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="commands are for a POSIX shell")]

ASK = """
@pytest.mark.cassette
def test_ask():
    ask("x")
"""
NAMES = ["a b", "it's", 'say "x"', "[x]", "$HOME `id` \\\\ !", "zürich 東京", "a::b/c", "&& false; #"]
NAMED = f"""
@pytest.mark.cassette
@pytest.mark.parametrize("name", {NAMES!r})
def test_ask(name):
    ask(name)
"""
ABANDONING = """
import asyncio
import httpx

@pytest.mark.cassette
def test_ask():
    async def main():
        async with httpx.AsyncClient() as http:
            task = asyncio.ensure_future(http.get(f"{{client.base_url}}slow"))
            {wait}
    asyncio.run(main())
"""
CALLS = """
@pytest.mark.cassette
def test_ask(calls_snapshot):
    answer = client.chat.completions.create(model="m", messages=[dict(role="user", content="x")])
    assert answer.choices[0].message.tool_calls == calls_snapshot
"""


def answer_with_calls(place):
    call = {"id": "c", "type": "function", "function": {"name": "Weather", "arguments": json.dumps({"place": place})}}
    return lambda _: ProviderAnswer(completion(None, tool_calls=[call]))


# In place of both programs, a shell prints its folder and their arguments. None of these characters is in a command.
PROGRAMS = "".join(
    f"{program}() {{ printf '%s\\036' \"$PWD\" {program} \"$@\"; printf '\\035'; }}\n"
    for program in ("pytest", "multitrack")
)


def paste(project, command):
    """Let a shell divide ``command``, and run its pytest and ``multitrack`` as a user with an API key."""
    done = run_in_shell(PROGRAMS + command)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    for line in done.stdout.split("\x1d")[:-1]:
        folder, program, *arguments = line.split("\x1e")[:-1]
        if program == "pytest":
            with contextlib.chdir(folder):
                run = project.record(*arguments)
            assert run.code == 0, f"{command}\n{run.out}{run.err}"
        else:
            finished = run_multitrack(*arguments, cwd=Path(folder))
            assert finished.returncode == 0, f"{command}\n{finished.stdout}{finished.stderr}"


def paste_into_shell(command):
    """Run ``command`` in a shell, as a user with an API key does."""
    done = run_in_shell(command)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def run_in_shell(command):
    path = os.pathsep.join([str(find_programs()), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": path,
        "OPENAI_API_KEY": "sk-proj-inner0123456789abcdefghij",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        ["sh", "-ec", command], cwd=Path.cwd(), env=environment, capture_output=True, encoding="utf-8", check=False
    )


def extract(run, pattern):
    """Return the commands in the output of ``run`` that ``pattern`` finds, without duplicates."""
    found = [match[1] for line in run.lines if (match := re.search(pattern, line.removeprefix("E  ")))]
    assert found, f"{pattern} is not in\n{run.out}"
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Scenario:
    """A problem: how to produce it, where its message has the command, and what to do besides pasting the command."""

    produce: Callable
    pattern: str
    prepare: Callable = lambda _: None
    options: tuple[str, ...] = ()


def miss(project):
    project.write_test(ASK)
    return project.run()


def miss_with_odd_names(project):
    project.write_test(NAMED)
    return project.run()


def miss_in_a_subfolder(project):
    project.write("pytest.ini", "[pytest]\n")
    project.write("conftest.py", "")
    project.write_test(ASK, "suite/inner/test_it.py")
    os.chdir(project.path / "suite")
    return project.run()


def miss_in_odd_folders(project):
    project.write("conftest.py", "")
    project.write_test(ASK, "the suite's/part [1]/test_it.py")
    return project.run()


def miss_with_another_folder(project):
    project.write_test(ASK)
    return project.run("--cassettes-dir", "other tapes")


def miss_with_a_foreign_record_option(project):
    project.write("conftest.py", "def pytest_addoption(parser): parser.addoption('--record', action='store_true')\n")
    project.write_test(ASK)
    return project.run()


def miss_in_a_session_fixture(project):
    project.write("conftest.py", "")
    project.write_test(
        """
        @pytest.fixture(scope="session", params=["x", "it's"])
        def answer(request):
            return ask(request.param)

        @pytest.mark.cassette
        def test_ask(answer):
            pass
        """
    )
    return project.run()


DOCTEST = """
>>> from multitrack import use_cassette
>>> from app import ask
>>> with use_cassette("cassettes/doc.yaml"):
...     ask("x")
'echo: x'
"""


def miss_in_a_doctest(project):
    project.write("documented.py", f'"""{DOCTEST}"""')
    return project.run("--doctest-modules")


def miss_in_a_text_file(project):
    project.write("conftest.py", "import app\n")
    project.write("page.rst", DOCTEST)
    return project.run("--doctest-glob=*.rst")


def miss_with_a_configuration_file(project):
    project.write("other.ini", "[pytest]\npython_files = check_*.py\n")
    project.write_test(ASK, "check_it.py")
    return project.run("-c", "other.ini")


def renamed_cassette(project):
    project.write_test(ASK.replace("cassette\n", "cassette(name='first')\n"))
    project.record()
    project.write_test(ASK.replace("cassette\n", "cassette(name='second')\n"))
    return project.run()


def damaged(project):
    project.write_test(ASK)
    project.write("cassettes/test_it/test_ask.yaml", "version: 1\ninteractions: [\n")
    return project.run()


def unplayed(project):
    project.write_test(ASK + "    ask('y')\n")
    project.record()
    project.write_test(ASK)
    return project.run("--cassettes-strict")


def record_calls(project):
    project.provider.reply = answer_with_calls("Toronto")
    project.write_test(CALLS)
    assert project.record().counts == {"passed": 1}


def no_snapshot(project):
    record_calls(project)
    (project.path / "__snapshots__" / "test_it.calls").unlink()
    return project.run()


def damaged_snapshot(project):
    record_calls(project)
    project.write("__snapshots__/test_it.calls", "# serializer version: 1\n<<<<<<< HEAD\n")
    return project.run()


def changed_reply(*flags):
    def produce(project):
        record_calls(project)
        project.provider.reply = answer_with_calls("Dallas")
        run = project.record(*flags)
        assert run.counts["passed" if "--cassettes-strict" in flags else "drifted" if "drift" in flags[0] else "failed"]
        return run

    return produce


def drift_without_a_cassette(project):
    project.write_test(ASK)
    return project.record("--calls-drift")


def drift_without_a_snapshot(project, *flags):
    project.provider.reply = answer_with_calls("Toronto")
    project.write_test(CALLS.replace("calls_snapshot):", "):").replace("== calls_snapshot", ""))
    assert project.record().counts == {"passed": 1}
    project.provider.reply = answer_with_calls("Dallas")
    run = project.record("--calls-drift", *flags)
    assert "multitrack: drift: 0 of 1 unchanged" in run.lines
    return run


def sampled_drift(project):
    return drift_without_a_snapshot(project, "--calls-drift-samples", "2")


def failed_recording(project):
    project.write_test(ASK.replace('ask("x")', "client.with_options(max_retries=0).models.list()"))
    project.provider.reply = lambda _: ProviderAnswer(b'{"error": {"message": "no key"}}', 401)
    run = project.record()
    project.provider.reply = lambda _: ProviderAnswer(b'{"data": [], "object": "list"}')
    return run


def blocked_folder(project):
    project.write_test(ASK)
    project.write("cassettes", "a file")
    return project.record()


def abandoned_request(project):
    """Record a request whose caller gives up, and replay it with a caller that waits."""
    released = threading.Event()
    project.provider.reply = lambda _: released.wait(20) and ProviderAnswer(b"too late")
    project.write_test(ABANDONING.format(wait="await asyncio.wait([task], timeout=0.2); task.cancel()"))
    assert project.record().counts == {"passed": 1}
    released.set()
    project.provider.reply = lambda _: ProviderAnswer(b"in time")
    project.write_test(ABANDONING.format(wait="await task"))
    return project.run()


SCENARIOS = {
    "miss": Scenario(miss, r"to record it: (.+)"),
    "miss, odd names": Scenario(miss_with_odd_names, r"to record it: (.+)"),
    "miss, started in a subfolder": Scenario(miss_in_a_subfolder, r"to record it: (.+)"),
    "miss, odd folders": Scenario(miss_in_odd_folders, r"to record it: (.+)"),
    "miss, --cassettes-dir": Scenario(
        miss_with_another_folder, r"to record it: (.+)", options=("--cassettes-dir", "other tapes")
    ),
    "miss, --record of a conftest": Scenario(miss_with_a_foreign_record_option, r"to record it: (.+)"),
    "miss in a session fixture": Scenario(miss_in_a_session_fixture, r"to record it: (.+)"),
    "miss in a doctest": Scenario(miss_in_a_doctest, r"to record it: (.+)", options=("--doctest-modules",)),
    "miss in a text file": Scenario(miss_in_a_text_file, r"to record it: (.+)", options=("--doctest-glob=*.rst",)),
    "miss, -c": Scenario(miss_with_a_configuration_file, r"to record it: (.+)", options=("-c", "other.ini")),
    "cassette with another name": Scenario(renamed_cassette, r"if the cassette was renamed, run: (.+)"),
    "damaged cassette": Scenario(
        damaged,
        r"or delete it and record it again: (.+)",
        lambda project: project.cassette("test_it/test_ask").unlink(),
    ),
    "not replayed": Scenario(
        unplayed, r"to record only the requests that are still sent: (.+)", options=("--cassettes-strict",)
    ),
    "no snapshot": Scenario(no_snapshot, r"to write it: (.+)"),
    "damaged snapshot": Scenario(
        damaged_snapshot,
        r"or delete it and write it again: (.+)",
        lambda project: (project.path / "__snapshots__" / "test_it.calls").unlink(),
    ),
    "drift": Scenario(changed_reply("--calls-drift"), r"to accept: (.+)"),
    "drift without a snapshot": Scenario(
        drift_without_a_snapshot, r"to accept: (pytest --record test_it.py::test_ask)$"
    ),
    "drift, sampled": Scenario(sampled_drift, r"to accept: (.+)"),
    "other calls, live": Scenario(changed_reply("--live"), r"to accept: (.+)"),
    "other calls, recorded": Scenario(changed_reply("--record"), r"to accept: (.+)"),
    "pending": Scenario(changed_reply("--record"), r"^  ((?:multitrack accept|pytest --snapshot-update) .+)"),
    "drift without a cassette": Scenario(drift_without_a_cassette, r"to record it: (.+)"),
    "failed recording": Scenario(failed_recording, r"^  (pytest --record .+)"),
    "not written": Scenario(
        blocked_folder, r"then record again: (.+)", lambda project: (project.path / "cassettes").unlink()
    ),
    "abandoned request": Scenario(abandoned_request, r"to record a response: (.+)"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_command_in_a_message_cures_the_problem(project, name, monkeypatch):
    monkeypatch.chdir(project.path)
    # a caller may wait this many seconds longer than the recorded one
    monkeypatch.setattr(abandoned, "_GRACE_SECONDS", 0.1)
    scenario = SCENARIOS[name]
    commands = extract(scenario.produce(project), scenario.pattern)
    scenario.prepare(project)
    # all at once, because the machine starts one shell faster than many
    paste(project, "\n".join(commands))
    project.provider.stop()
    run = project.run(*scenario.options)
    assert set(run.counts) == {"passed"}, run.out


@pytest.mark.parametrize("name", ["miss, odd folders", "pending"])
def test_a_command_is_pasted_into_a_shell(project, name, monkeypatch):
    monkeypatch.chdir(project.path)
    paste_into_shell("\n".join(extract(SCENARIOS[name].produce(project), SCENARIOS[name].pattern)))
    project.provider.stop()
    assert set(project.run().counts) == {"passed"}


@pytest.mark.parametrize(
    "produce", [changed_reply("--calls-drift"), drift_without_a_snapshot], ids=["snapshot", "none"]
)
def test_the_recorded_calls_are_those_that_drifted(project, monkeypatch, produce):
    monkeypatch.chdir(project.path)
    (command,) = extract(produce(project), r"to accept: (.+)")
    paste(project, command)
    run = project.record("--calls-drift")
    assert run.counts == {"passed": 1}
    assert "multitrack: drift: 1 of 1 unchanged" in run.lines


def test_the_command_names_a_plugin_that_the_test_requires(project, monkeypatch):
    monkeypatch.chdir(project.path)
    monkeypatch.syspath_prepend(project.path)
    monkeypatch.setenv("PYTHONPATH", str(project.path))
    project.write("plugged.py", "import pytest\n@pytest.fixture\ndef prompt(): return 'x'\n")
    project.write_test("@pytest.mark.cassette\ndef test_ask(prompt): ask(prompt)\n")
    (command,) = extract(project.run("-p", "plugged"), r"to record it: (.+)")
    paste(project, command)
    assert project.run("-p", "plugged").counts == {"passed": 1}


def test_a_test_that_fails_because_of_drift_is_to_be_changed_first(project, monkeypatch):
    monkeypatch.chdir(project.path)
    project.provider.reply = answer_with_calls("Toronto")
    project.write_test(
        CALLS.replace("calls_snapshot):", "):").replace("== calls_snapshot", "[0].function.arguments.count('Toronto')")
    )
    assert project.record().counts == {"passed": 1}
    project.provider.reply = answer_with_calls("Dallas")
    run = project.record("--calls-drift")
    (command,) = extract(run, r"to accept: the test fails with these responses, so change it first, then run: (.+)")
    project.write_test((project.path / "test_it.py").read_text().partition("\n\n")[2].replace("Toronto", "Dallas"))
    paste(project, command)
    assert project.record("--calls-drift").counts == {"passed": 1}


def test_the_command_that_migrates_a_cassette_makes_it_readable(project, monkeypatch):
    monkeypatch.chdir(project.path)
    url = {"protocol": "http", "host": "x.example", "port": 80, "path": "/"}
    request = {"method": "GET", **url, "headers": {}, "body": None}
    response = {"status": {"code": 200, "message": "OK"}, "headers": ["a: b\r\n"], "body": {"string": "x"}}
    project.write("old it.json", json.dumps([{"request": request, "response": response}]))
    done = run_multitrack("show", "old it.json", cwd=project.path)
    command = done.stderr.partition("to migrate it: ")[2]
    paste(project, f"{command.strip()}; multitrack show 'old it.json'")


def check(project):
    finished = run_multitrack("check", cwd=project.path)
    return finished.returncode, finished.stdout + finished.stderr


def test_the_advice_about_a_missing_cassette_helps(project, monkeypatch):
    monkeypatch.chdir(project.path)
    project.write_test(ASK)
    code, out = check(project)
    assert code == 1
    paste(project, re.search(r"or record some: (.+)", out)[1])
    code, out = check(project)
    assert code == 0, out


def test_the_advice_about_the_cassette_of_a_renamed_test_helps(project, monkeypatch):
    monkeypatch.chdir(project.path)
    project.write("pytest.ini", "[pytest]\n")
    project.write_test(ASK)
    project.record()
    project.write_test(ASK.replace("test_ask", "test_answer"))
    code, out = check(project)
    assert code == 1
    project.run("-p", "cacheprovider")
    command = re.search(r"run the tests, and then: (.+?);", out)[1]
    found = run_multitrack(*shlex.split(command)[1:], cwd=project.path)
    assert run_multitrack(*shlex.split(found.stdout)[1:], cwd=project.path).returncode == 0
    code, out = check(project)
    assert code == 0, out
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


BYPASSING = """
import socket

{marker}
def test_ask():
    with socket.socket(socket.{family}) as plain:
        plain.settimeout(0.1)
        try:
            plain.connect(("{host}", 9))
        except OSError:
            pass
"""


@pytest.mark.parametrize(("host", "family"), [("192.0.2.1", "AF_INET"), ("2001:db8::1", "AF_INET6")])
@pytest.mark.parametrize("place", ["pyproject.toml", "marker"])
def test_the_setting_in_the_message_allows_the_connection(project, host, family, place):
    text = BYPASSING.format(marker="@pytest.mark.cassette", host=host, family=family)
    project.write_test(text)
    run = project.run()
    assert run.counts == {"failed": 1}
    lines = [line.removeprefix("E").strip() for line in run.lines]
    if place == "marker":
        marker = next(line for line in lines if line.startswith("@pytest.mark.cassette(allow_hosts="))
        project.write_test(text.replace("@pytest.mark.cassette", marker))
    else:
        start = lines.index("[tool.multitrack]")
        project.write("pyproject.toml", "\n".join(lines[start : start + 2]) + "\n")
    assert project.run().counts == {"passed": 1}
