"""``multitrack accept`` with recordings in which a request failed."""

import re
import shlex

import pytest
from command_line import run_multitrack
from local_provider import ProviderAnswer, completion

pytestmark = pytest.mark.slow

TESTS = """
@pytest.mark.cassette{name}
@pytest.mark.parametrize("prompt", ["good", "bad"])
def test_ask(prompt):
    with pytest.raises(Exception) if prompt == "bad" and {expects_error} else nullcontext():
        client.with_options(max_retries=0).chat.completions.create(
            model="m", messages=[dict(role="user", content=prompt)])
    assert {passes}
"""


def reply_with(status):
    def reply(request):
        if b"bad" in request.body and status:
            return ProviderAnswer(b'{"error": {"message": "no, thanks"}}', status)
        return ProviderAnswer(completion("fine"))

    return reply


def write_tests(project, *, passes, name="", expects_error=False):
    text = TESTS.format(name=name, passes=passes, expects_error=expects_error)
    project.write_test("from contextlib import nullcontext\n" + text)


def accept(project, *arguments):
    return run_multitrack("accept", *arguments, cwd=project.path)


@pytest.mark.parametrize("status", [400, 401, 429, 503])
@pytest.mark.parametrize("name", ["", "(name='shared')"], ids=["own cassettes", "shared cassette"])
def test_failed_requests_are_refused_and_the_rest_is_accepted(project, status, name):
    write_tests(project, passes=False, name=name)
    project.provider.reply = reply_with(status)
    project.record()
    finished = accept(project, "cassettes")
    cassette = "cassettes/shared" if name else "cassettes/test_it/test_ask[bad]"
    assert finished.returncode == 1
    assert finished.stdout.splitlines() == [f"accepted cassettes/{'shared' if name else 'test_it/test_ask[good]'}.yaml"]
    first, *advice = finished.stderr.splitlines()
    assert re.match(
        rf"multitrack: {re.escape(cassette)}\.pending\.yaml: not accepted, because a request of "
        rf"test_it\.py::test_ask\[bad\] failed: {status} .*: no, thanks ",
        first,
    )
    assert advice == [
        "  to record it again: pytest --record 'test_it.py::test_ask[bad]'",
        f"  if the test expects this failure: multitrack accept --keep-errors "
        f"{shlex.quote(cassette + '.pending.yaml')}",
    ]
    write_tests(project, passes=True, name=name)
    assert project.run().counts == {"passed": 1, "failed": 1}


def test_both_ways_to_cure_a_refused_recording_work(project):
    write_tests(project, passes=False, expects_error=True)
    project.provider.reply = reply_with(404)
    project.record()
    refused = accept(project)
    keep = refused.stderr.partition("if the test expects this failure: multitrack ")[2].strip()
    kept = run_multitrack(*shlex.split(keep), cwd=project.path)
    assert kept.stdout.splitlines() == ["accepted cassettes/test_it/test_ask[bad].yaml"]
    write_tests(project, passes=True, expects_error=True)
    assert project.run().counts == {"passed": 2}
    assert list(project.path.rglob("*.pending.yaml")) == []


@pytest.mark.parametrize("place", ["marker", "project"])
def test_a_test_that_keeps_errors_is_accepted(project, place):
    name = "(keep_errors=True)" if place == "marker" else ""
    if place == "project":
        project.write("pyproject.toml", "[tool.multitrack]\nkeep_errors = true\n")
    write_tests(project, passes=False, name=name, expects_error=True)
    project.provider.reply = reply_with(503)
    project.record()
    finished = accept(project)
    assert finished.stderr == ""
    assert finished.returncode == 0
    write_tests(project, passes=True, name=name, expects_error=True)
    assert project.run().counts == {"passed": 2}


def test_an_error_that_the_cassette_has_already_is_accepted(project):
    write_tests(project, passes=True, expects_error=True)
    project.provider.reply = reply_with(404)
    assert project.record().counts == {"passed": 2}
    write_tests(project, passes=False, expects_error=True)
    project.record()
    assert accept(project).returncode == 0


def test_a_miss_does_not_suggest_to_accept_what_accept_refuses(project):
    write_tests(project, passes=False)
    project.provider.reply = reply_with(401)
    project.record()
    run = project.run()
    assert run.counts == {"failed": 2}
    assert "the pending recording cassettes/test_it/test_ask[good].pending.yaml has this request" in run.out
    assert "the pending recording cassettes/test_it/test_ask[bad].pending.yaml" not in run.out
    assert "to record it: pytest --record 'test_it.py::test_ask[bad]'" in run.out


def test_a_damaged_file_does_not_prevent_the_others(project):
    write_tests(project, passes=False)
    project.record()
    project.write("cassettes/test_it/a.pending.yaml", "version: 1\ninteractions: [\n")
    finished = accept(project, "cassettes", "nothing")
    assert len(finished.stdout.splitlines()) == 2
    assert "multitrack: nothing: this file does not exist and has no pending recording" in finished.stderr
    assert "a.pending.yaml, line 3: the cassette is damaged" in finished.stderr
    assert finished.returncode == 1
