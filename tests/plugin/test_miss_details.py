"""What a miss shows: the part of a long value that changed, where the request was sent, and recordings elsewhere."""

import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from command_line import run_multitrack
from local_provider import ProviderAnswer, completion

RULES = "You are a careful assistant who answers questions about the weather in any city of the world. " * 12

ASKING = """
@pytest.mark.cassette
def test_ask():
    ask({prompt!r}{options})
"""

SENDING = """
import httpx

@pytest.mark.cassette
def test_ask():
    httpx.post(str(client.base_url) + "items", {arguments})
"""


def miss_of(run):
    """Return the lines of the first miss in the output of ``run``, from the reason on."""
    start = next(index for index, line in enumerate(run.lines) if line.startswith("CassetteMiss: "))
    begin = next(index for index in range(start, len(run.lines)) if line_starts(run, index, "  reason: "))
    commands = ("  to keep the recorded answer, ", "  to record it: ")
    end = next(index for index in range(begin, len(run.lines)) if line_starts(run, index, commands))
    return run.lines[begin:end]


def line_starts(run, index, text):
    return run.lines[index].startswith(text)


def change(project, before, after, *args):
    """Record with the test file ``before``, and return the run with ``after``."""
    project.write_test(before)
    project.record()
    project.write_test(after)
    return project.run(*args)


def test_a_long_prompt_is_shown_around_its_first_difference(project):
    before = RULES + "Answer in one sentence. Never guess."
    run = change(
        project,
        ASKING.format(prompt=before, options=""),
        ASKING.format(prompt=before.replace("one sentence", "three words"), options=""),
    )
    miss = miss_of(run)
    assert miss == [
        "  reason: changed: the nearest recording, interaction 1 of 1, differs in 1 place",
        "    $.messages[0].content",
        '      recorded: ..."any city of the world. Answer in one sentence. Never guess."',
        "                                                     ^^^^^^^^^^^^",
        '      sent:     ..."any city of the world. Answer in three words. Never guess."',
        "                                                     ^^^^^^^^^^^",
    ]
    assert all(len(line) <= 80 for line in miss)


def test_later_differences_in_a_long_prompt_are_mentioned(project):
    run = change(
        project,
        ASKING.format(prompt="Use metric units. " + RULES + "Be brief. " + RULES + "Be kind.", options=""),
        ASKING.format(prompt="Use imperial units. " + RULES + "Be quick. " + RULES + "Be nice.", options=""),
    )
    miss = miss_of(run)
    assert miss[2].startswith('      recorded: "Use metric units. You are')
    assert miss[4].startswith('      sent:     "Use imperial units. You are')
    assert miss[-1] == "      and more differences later in this text"


def test_a_tool_description_is_shown_around_its_first_difference(project):
    tools = ", tools=[dict(type='function', function=dict(name='Weather', description={!r}, parameters={{}}))]"
    run = change(
        project,
        ASKING.format(prompt="x", options=tools.format(RULES + "Units are metric.")),
        ASKING.format(prompt="x", options=tools.format(RULES + "Units are imperial.")),
    )
    miss = miss_of(run)
    assert miss[1] == "    $.tools[0].function.description"
    assert any('Units are metric."' in line for line in miss)
    assert any('Units are imperial."' in line for line in miss)
    assert all(len(line) <= 80 for line in miss)


def test_the_field_of_a_form_is_named(project):
    run = change(
        project,
        SENDING.format(arguments="data=dict(prompt='a b', size='1')"),
        SENDING.format(arguments="data=dict(prompt='a c', size='1')"),
    )
    assert miss_of(run)[1:] == ['    form field "prompt"', '      recorded: "a b"', '      sent: "a c"']


def test_the_part_of_a_multipart_body_is_named_and_its_boundary_is_not(project):
    run = change(
        project,
        SENDING.format(arguments="files=dict(file=('a.txt', b'one')), data=dict(model='whisper')"),
        SENDING.format(arguments="files=dict(file=('a.txt', b'two')), data=dict(model='whisper')"),
    )
    assert miss_of(run)[1:] == ['    part "file"', '      recorded: "one"', '      sent: "two"']


def test_the_line_of_json_lines_is_named_inside_a_part(project):
    lines = '{"custom_id": "1", "model": "a"}\n{"custom_id": "2", "model": "%s"}\n'
    sending = "files=dict(file=('batch.jsonl', b'''%s''', 'application/jsonl'))"
    run = change(
        project,
        SENDING.format(arguments=sending % (lines % "a")),
        SENDING.format(arguments=sending % (lines % "b")),
    )
    assert miss_of(run)[1:] == ['    part "file", line 2: $.model', '      recorded: "a"', '      sent: "b"']


def test_the_line_of_json_lines_is_named(project):
    sending = "content=b'''{\"n\": 1}\\n{\"n\": %d}\\n''', headers={'content-type': 'application/x-ndjson'}"
    run = change(
        project,
        SENDING.replace("{arguments}", sending % 2),
        SENDING.replace("{arguments}", sending % 3),
    )
    assert miss_of(run)[1:] == ["    line 2: $.n", "      recorded: 2", "      sent: 3"]


def test_the_words_that_differ_have_colours_if_the_terminal_has_them(project):
    before = RULES + "Be brief."
    run = change(
        project,
        ASKING.format(prompt=before, options=""),
        ASKING.format(prompt=before.replace("brief", "quick"), options=""),
        "--color=yes",
    )
    assert "Be \x1b[31mbrief\x1b[0m." in run.out
    assert "Be \x1b[32mquick\x1b[0m." in run.out
    assert "^^^^^" not in run.out.partition("to record it")[0]
    plain = project.run("--color=no")
    assert "\x1b[" not in plain.out
    assert "^^^^^" in plain.out


def test_a_random_value_is_recognized_and_the_suggested_setting_ignores_it(project):
    asking = """
    import uuid

    @pytest.mark.cassette
    def test_ask():
        ask("x", metadata={"run-id": str(uuid.uuid4())})
    """
    run = change(project, asking, asking)
    start = "      this value looks random; to ignore it, add to [tool.multitrack]: "
    setting = suggested_command(run, start)
    assert setting == 'ignore = ["$.metadata.run-id"]'
    project.write("pyproject.toml", f"[tool.multitrack]\n{setting}\n")
    assert project.run().counts == {"passed": 1}


def test_a_field_that_is_never_compared_is_named_if_it_differs(project):
    asking = """
    import uuid

    @pytest.mark.cassette
    def test_ask():
        ask({prompt!r}, prompt_cache_key="agents-sdk:run:" + uuid.uuid4().hex)
    """
    run = change(project, asking.format(prompt="x"), asking.format(prompt="y"))
    assert miss_of(run)[1:] == [
        "    $.messages[0].content",
        '      recorded: "x"',
        '      sent: "y"',
        "    $.prompt_cache_key also differs, but is not compared, because the client generates a new "
        "value in each run",
    ]


# --- the call site ----------------------------------------------------------------------------------------------------

SITES = """
def answer_question():
    return ask("x")


@pytest.mark.cassette
def test_ask():
    answer_question()


@pytest.mark.cassette
def test_swallowed():
    try:
        answer_question()
    except BaseException:
        pass
"""


def test_a_miss_names_the_line_of_the_application_that_sent_the_request(project):
    project.write_test(SITES)
    run = project.run()
    assert run.out.count("\n  sent from: app.py:11 (in ask)\n") == 2


@pytest.mark.parametrize("style", ["auto", "long", "short", "native"])
def test_a_traceback_has_the_frames_of_the_user_and_no_others(project, style):
    project.write_test(SITES)
    run = project.run(f"--tb={style}")
    assert run.counts == {"failed": 2}
    for test in "test_ask", "test_swallowed":
        failure = run.out.partition(f"_ {test} _")[2].partition("\n____")[0].partition("\nmultitrack:")[0]
        frames = re.findall(r'^(?:  File "\S*?)?(\w+\.py)(?:", line |:)\d+', failure, re.MULTILINE)
        assert frames == ["test_it.py", "test_it.py", "app.py"], failure
        assert "answer_question()" in failure
        assert "client.chat.completions.create" in failure
        assert "site-packages" not in failure
        assert failure.count("has no recording") == 1


@pytest.mark.parametrize("style", ["line", "no"])
def test_other_styles_have_no_frames(project, style):
    project.write_test(SITES)
    run = project.run(f"--tb={style}")
    assert run.counts == {"failed": 2}
    assert "client.chat.completions.create" not in run.out


def test_the_frames_are_shown_under_xdist(project):
    project.write_test(SITES)
    run = project.run("--tb=short", "-n", "1")
    assert run.out.count("app.py:11: in ask") == 2


# --- recordings elsewhere ---------------------------------------------------------------------------------------------


def suggested_command(run, start):
    (line,) = [line for line in run.lines if line.startswith(start)]
    return line.removeprefix(start)


def follow(project, command):
    """Run a suggested command: in a shell, or in this process if it is one of Multitrack's own."""
    program, *arguments = shlex.split(command)
    if program == "multitrack":
        done = run_multitrack(*arguments, cwd=project.path)
        assert done.returncode == 0, done.stderr
    else:
        subprocess.run(command, shell=True, cwd=project.path, check=True)


@pytest.mark.parametrize("is_tracked", [True, False], ids=["git", "no git"])
@pytest.mark.parametrize("file", ["test_it.py", "test_new.py"])
def test_the_cassette_of_a_renamed_test_is_found_and_the_suggested_command_moves_it(project, is_tracked, file):
    project.use_httpx()
    project.write_test(ASKING.format(prompt="x", options=""))
    project.record()
    if is_tracked:
        subprocess.run(["git", "init", "-q"], cwd=project.path, check=True)
        subprocess.run(["git", "add", "cassettes"], cwd=project.path, check=True)
    (project.path / "test_it.py").unlink()
    project.write_test(ASKING.format(prompt="x", options="").replace("test_ask", "test_question"), file)
    run = project.run("-p", "cacheprovider")
    assert run.counts == {"failed": 1}
    assert (
        "  reason: there is no cassette yet, but cassettes/test_it/test_ask.yaml has this request, recorded by "
        "test_it.py::test_ask, which no longer exists" in run.lines
    )
    command = suggested_command(run, "  to use it: ")
    assert command == f"multitrack mv test_it.py::test_ask {file}::test_question"
    found = run_multitrack("mv", "--find", cwd=project.path)
    assert found.returncode == 0
    assert found.stdout == f"{command}\n"
    follow(project, command)
    assert project.run().counts == {"passed": 1}
    assert "orphan" not in run_multitrack("check", "cassettes", cwd=project.path).stdout


def test_the_cassette_of_a_renamed_parameter_is_found(project):
    test = """
    @pytest.mark.cassette
    @pytest.mark.parametrize("city", ["Rome"], ids=["{id}"])
    def test_ask(city):
        ask(city)
    """
    run = change(project, test.format(id="rome"), test.format(id="the capital"))
    command = suggested_command(run, "  if the parameters of the test were renamed, run: ")
    names = ["test_it.py::test_ask[rome]", "test_it.py::test_ask[the capital]"]
    assert shlex.split(command) == ["multitrack", "mv", *names]


def test_the_cassette_of_a_test_that_exists_is_not_suggested(project):
    project.write_test(ASKING.format(prompt="x", options=""))
    project.record()
    project.write_test(
        ASKING.format(prompt="x", options="") + ASKING.format(prompt="x", options="").replace("test_ask", "test_new")
    )
    run = project.run()
    assert run.counts == {"passed": 1, "failed": 1}
    assert "  reason: there is no cassette yet" in run.lines


MANY = """
@pytest.mark.cassette
@pytest.mark.parametrize("number", range(5))
def test_ask(number):
    client.chat.completions.create(model="gpt-4o-mini", messages=[
        dict(role="system", content={system!r}), dict(role="user", content=str(number)),
    ])


@pytest.mark.cassette
def test_other():
    ask({prompt!r})
"""


MOVES = {
    "folder": ("tests/one/test_it.py", "tests/two/test_it.py", ()),
    "folder and module": ("tests/one/test_it.py", "test_new.py", ()),
    "folder, one root": ("tests/one/test_it.py", "other/deep/test_it.py", ("--cassettes-dir", "recorded")),
    "module, one root": ("tests/test_it.py", "tests/test_new.py", ("--cassettes-dir", "recorded")),
}


@pytest.mark.parametrize("is_tracked", [True, False], ids=["git", "no git"])
@pytest.mark.parametrize("name", MOVES)
def test_the_cassettes_of_a_moved_module_are_found_and_one_command_moves_them(project, monkeypatch, name, is_tracked):
    before, after, options = MOVES[name]
    for file in ("pytest.ini", "conftest.py"):
        project.write(file, "[pytest]\n" if file == "pytest.ini" else "")
    test = MANY.format(system="Be brief.", prompt="x")
    project.write_test(test, before)
    project.record("--record", *options)
    if is_tracked:
        subprocess.run(["git", "init", "-q"], cwd=project.path, check=True)
        subprocess.run(["git", "add", "."], cwd=project.path, check=True)
    (project.path / before).unlink()
    project.write_test(test, after)
    run = project.run(*options)
    assert run.counts == {"failed": 6}
    assert re.search(rf"has this request, recorded by {before}::test_other, which no longer exists", run.out)
    commands = {line.strip() for line in run.lines if line.startswith("  to use them: ")}
    (command,) = commands
    assert "multitrack: 6 tests failed for the same reason: there is no cassette yet, but " in run.out
    command = command.removeprefix("to use them: ")
    # ``multitrack mv`` does not know a folder that only the command line of pytest names
    if options:
        assert ("git mv " in command) == is_tracked
    else:
        assert command == f"multitrack mv {before} {after}"
    follow(project, command)
    assert project.run(*options).counts == {"passed": 6}


@pytest.mark.parametrize("options", [(), ("--cassettes-dir", "recorded")], ids=["next to tests", "one root"])
def test_the_cassette_of_a_test_that_was_renamed_and_moved_to_another_folder_is_found(project, options):
    project.write("conftest.py", "")
    other = "@pytest.mark.cassette\ndef test_stays(): ask('y')\n"
    test = ASKING.format(prompt="x", options="")
    project.write_test(test + other, "tests/one/test_it.py")
    project.record("--record", *options)
    project.write_test(other, "tests/one/test_it.py")
    project.write_test(test.replace("test_ask", "test_question"), "tests/two/test_new.py")
    run = project.run(*options)
    assert run.counts == {"passed": 1, "failed": 1}
    follow(project, suggested_command(run, "  to use it: "))
    assert project.run(*options).counts == {"passed": 2}


def test_a_moved_cassette_that_is_recorded_again_replays_the_new_response(project):
    project.write_test(ASKING.format(prompt="x", options=""))
    project.record()
    project.write_test(ASKING.format(prompt="x", options="").replace("test_ask", "test_question"))
    follow(project, suggested_command(project.run(), "  to use it: "))
    project.provider.reply = lambda _: ProviderAnswer(completion("a new answer"))
    assert project.record().counts == {"passed": 1}
    text = (project.path / "test_it.py").read_text()
    project.write("test_it.py", text.replace("    ask(", "    assert 'a new answer' == ask("))
    assert project.run().counts == {"passed": 1}


OWNED = """
class Base:
    def test_inherited(self):
        ask("inherited")


@pytest.mark.cassette
class TestDerived(Base):
    pass


@pytest.fixture(scope="module")
def answer():
    return ask("fixture")


@pytest.mark.cassette
def test_fixture(answer):
    pass
"""


def test_the_cassettes_of_inherited_tests_and_of_fixtures_are_not_suggested(project):
    project.write_test(OWNED)
    assert project.record().counts == {"passed": 2}
    same_requests = (
        f"@pytest.mark.cassette\ndef test_{prompt}():\n    ask({prompt!r})\n" for prompt in ("inherited", "fixture")
    )
    project.write_test("".join(same_requests), "test_new.py")
    run = project.run()
    assert run.counts == {"passed": 2, "failed": 2}
    assert run.lines.count("  reason: there is no cassette yet") == 2


PENDING = """
@pytest.mark.cassette
def test_ask():
    for prompt in {prompts!r}:
        ask(prompt)
    assert {passes}
"""


@pytest.mark.parametrize("flag", ["--record", "--record-missing"])
@pytest.mark.parametrize("prompts", [["new"], ["old", "old"]], ids=["changed", "repeated"])
def test_the_pending_recording_of_an_existing_cassette_is_found_and_accepting_it_helps(project, flag, prompts):
    project.write_test(PENDING.format(prompts=["old"], passes=True))
    project.record()
    project.write_test(PENDING.format(prompts=prompts, passes=False))
    project.record(flag)
    project.write_test(PENDING.format(prompts=prompts, passes=True))
    run = project.run()
    assert run.counts == {"failed": 1}
    assert "  the pending recording cassettes/test_it/test_ask.pending.yaml has this request" in run.lines
    assert "reason: " in run.out
    accept = suggested_command(run, "  to accept it: ")
    assert run_multitrack(*shlex.split(accept)[1:], cwd=project.path).returncode == 0
    assert project.run().counts == {"passed": 1}


def test_a_pending_recording_with_too_few_responses_is_not_suggested(project):
    project.write_test(PENDING.format(prompts=["old"], passes=True))
    project.record()
    project.write_test(PENDING.format(prompts=["old"], passes=False))
    project.record()
    project.write_test(PENDING.format(prompts=["old", "old"], passes=True))
    run = project.run()
    assert run.counts == {"failed": 1}
    assert "the pending recording" not in run.out


def test_a_pending_recording_is_found_and_the_suggested_command_accepts_it(project):
    project.write_test(ASKING.format(prompt="x", options="") + "    assert False\n")
    project.record()
    project.write_test(ASKING.format(prompt="x", options=""))
    run = project.run()
    assert (
        "  reason: there is no cassette yet, but the pending recording cassettes/test_it/test_ask.pending.yaml has "
        "this request" in run.lines
    )
    program, *arguments = shlex.split(suggested_command(run, "  to accept it: "))
    assert program == "multitrack"
    assert run_multitrack(*arguments, cwd=project.path).returncode == 0
    assert project.run().counts == {"passed": 1}


# --- findings of several tests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_tests_that_miss_for_the_same_reason_are_one_finding(project, workers):
    run = change(
        project,
        MANY.format(system="Be brief.", prompt="x"),
        MANY.format(system="Be quick.", prompt="y"),
        *workers,
    )
    assert run.counts == {"failed": 6}
    start = next(i for i, line in enumerate(run.lines) if line.startswith("multitrack: 5 tests failed for the same"))
    assert run.lines[start : start + 4] == [
        "multitrack: 5 tests failed for the same reason: changed: the nearest recording differs in 1 place",
        "  $.messages[0].content",
        '    recorded: "Be brief."',
        '    sent: "Be quick."',
    ]
    assert re.fullmatch(r"  in (test_it\.py::test_ask\[\d\](, )?){3} and 2 more", run.lines[start + 4])
    assert run.out.count("failed for the same reason") == 1


STREAMING = """
import os
import grpc
from google.protobuf.wrappers_pb2 import StringValue


@pytest.mark.cassette
@pytest.mark.parametrize("number", range(3))
def test_chat(number):
    with grpc.insecure_channel(f"localhost:{{os.environ['TALK_PORT']}}") as channel:
        chat = channel.stream_stream(
            "/talk.Talk/Chat",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=StringValue.FromString,
        )
        list(chat(iter([StringValue(value=f"hello {{number}}"), StringValue(value={text!r})])))
"""


@pytest.fixture
def talk_port():
    grpc = pytest.importorskip("grpc")
    from google.protobuf.wrappers_pb2 import StringValue

    handler = grpc.stream_stream_rpc_method_handler(
        lambda messages, _: messages, StringValue.FromString, StringValue.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("talk.Talk", {"Chat": handler})])
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_streamed_calls_that_miss_for_the_same_reason_are_one_finding(project, talk_port, monkeypatch):
    monkeypatch.setenv("TALK_PORT", str(talk_port))
    project.write_test(STREAMING.format(text="be brief"))
    assert project.record().counts == {"passed": 3}
    project.write_test(STREAMING.format(text="be quick"))
    run = project.run()
    assert run.counts == {"failed": 3}
    assert run.has_lines(
        """
        multitrack: 3 tests failed for the same reason: changed: message 2 differs from the recorded message in 1 place
          $
            recorded: "be brief"
            sent: "be quick"
        """
    )


# --- anyio ------------------------------------------------------------------------------------------------------------

ANYIO = """
import httpx

pytestmark = [pytest.mark.anyio, pytest.mark.cassette]


@pytest.fixture
def anyio_backend():
    return "{backend}"


@pytest.fixture
async def http():
    async with httpx.AsyncClient() as http:
        yield http


async def test_ask(http):
    await http.get("http://example.test/x")


async def test_ask_in_a_group(http):
    import anyio

    async with anyio.create_task_group() as group:
        group.start_soon(http.get, "http://example.test/x")


async def send(http):
    await http.get("http://example.test/x")


async def test_send_in_a_group(http):
    import anyio

    async with anyio.create_task_group() as group:
        group.start_soon(send, http)


class TestMethods:
    async def test_ask(self, http):
        await http.get("http://example.test/x")


@pytest.fixture
async def answer(http):
    return await http.get("http://example.test/x")


@pytest.fixture
async def answer_and_close(http):
    yield await http.get("http://example.test/x")


async def test_fixture(answer): pass


async def test_generator_fixture(answer_and_close): pass
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_miss_in_a_test_of_anyio_is_one_failure(project, backend):
    pytest.importorskip(backend)
    project.write_test(ANYIO.replace("{backend}", backend))
    run = project.run()
    assert run.counts == {"failed": 4, "errors": 2}
    assert run.out.count("\n  reason: there is no cassette yet\n") == 6
    assert "ERROR at teardown" not in run.out
    assert "ClosedResourceError" not in run.out
    # a task that only runs a method of the client has no frame of the user's code
    functions = [line.partition("(in ")[2] for line in run.lines if line.startswith("  sent from: test_it.py:")]
    assert functions == ["answer)", "answer_and_close)", "test_ask)", "send)", "test_ask)"]


# --- a client that asks again -----------------------------------------------------------------------------------------

ASKS_AGAIN = """
import json

from pydantic import BaseModel, ValidationError, field_validator


class Weather(BaseModel):
    location: str
    units: str
{validator}

@pytest.mark.cassette
def test_ask():
    messages = [dict(role="user", content="weather?")]
    for _ in range(3):
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        try:
            Weather.model_validate_json(json.dumps(dict(location="Rome", units="metric")))
            break
        except ValidationError as error:
            messages += [
                dict(role="assistant", content=answer.choices[0].message.content),
                dict(role="user", content=f"Validation Error found:\\n{{error}}\\nRecall the function correctly"),
            ]
"""

VALIDATOR = """
    @field_validator("units")
    def known(cls, value):
        raise ValueError("only imperial is known")
"""


def test_a_request_for_a_valid_reply_is_diagnosed_as_changed_models(project):
    run = change(project, ASKS_AGAIN.format(validator=""), ASKS_AGAIN.format(validator=VALIDATOR))
    assert run.counts == {"failed": 1}
    line = (
        "the models or validators changed: Weather.units: Value error, only imperial is known; "
        "the recorded reply is no longer valid, so the client sent another request"
    )
    assert line in run.lines
    assert f"FAILED test_it.py::test_ask - {line}" in run.lines
    assert "    $.messages[1] (absent)" not in run.lines
