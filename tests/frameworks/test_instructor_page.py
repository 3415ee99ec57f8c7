"""Follow docs/instructor.md, and run each row of its tables with instructor and with Multitrack."""

import re
from collections.abc import Iterable
from typing import Literal

import openai
import pytest
from documentation_page import ROOT, ExampleProject, read_blocks
from pydantic import BaseModel, ValidationInfo, field_validator

import multitrack
from multitrack import errors
from multitrack.standin import Rule, ScriptedCall, StandIn

instructor = pytest.importorskip("instructor", reason="nox --session frameworks tests it")
core_errors = pytest.importorskip("instructor.core.exceptions")
tenacity = pytest.importorskip("tenacity")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]


class Trip(BaseModel):
    place: str

    @field_validator("place")
    @classmethod
    def add_unit(cls, place, info: ValidationInfo):
        return f"{place} in {info.context['unit']}"


TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"})
INVALID = ScriptedCall("Weather", {"location": "Dallas", "units": "kelvin"})
RULES = [
    Rule(prompt="What is the weather in Toronto and Dallas?", calls=[TORONTO, DALLAS]),
    Rule(prompt="correct", turn=0, calls=[TORONTO, INVALID]),
    Rule(prompt="correct", calls=[DALLAS]),
    Rule(prompt="invalid", calls=[INVALID]),
    Rule(prompt="unknown", calls=[TORONTO, ScriptedCall("Nothing", {"a": 1})]),
    Rule(prompt="text", text="Hello."),
    Rule(prompt="trip", calls=[ScriptedCall("Trip", {"place": "Toronto"})]),
    Rule(prompt_regex=re.compile("rendered|name"), calls=[TORONTO]),
    Rule(calls=[TORONTO, DALLAS]),
]
BOTH = [Weather(location="Toronto", units="metric"), Weather(location="Dallas", units="imperial")]


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "key-0")
        patch.setenv("OPENAI_BASE_URL", standin.openai_base_url)
        yield standin


def make_client(library, **options):
    return library.from_openai(openai.OpenAI(), mode=library.Mode.PARALLEL_TOOLS, **options)


def ask(client, prompt="both", response_model=Iterable[Weather], **options):
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, response_model=response_model, **options
    )


def count_requests(standin, call):
    before = len(standin.requests)
    with pytest.raises((errors.ExtractionError, core_errors.InstructorRetryException)):
        list(call())
    return len(standin.requests) - before


def check_from_openai(library, standin):
    assert list(ask(make_client(library))) == BOTH
    assert callable(library.from_openai(openai.AsyncOpenAI(), mode=library.Mode.PARALLEL_TOOLS).create)


def check_patch(library, standin):
    assert list(ask(library.patch(openai.OpenAI(), mode=library.Mode.PARALLEL_TOOLS))) == BOTH


def check_create(library, standin):
    messages = [{"role": "user", "content": "both"}]
    found = make_client(library).create(model="gpt-4o-mini", messages=messages, response_model=Iterable[Weather])
    assert list(found) == BOTH


def check_tools(library, standin):
    ask(make_client(library), response_model=Iterable[Weather | Trip])
    assert [tool["function"]["name"] for tool in standin.requests[-1].body["tools"]] == ["Weather", "Trip"]


def check_no_model(library, standin):
    assert ask(make_client(library), "text", None).choices[0].message.content == "Hello."


def check_retries(library, standin):
    client = make_client(library)
    assert count_requests(standin, lambda: ask(client, "invalid", max_retries=2)) == 3


def check_context(library, standin):
    found = list(ask(make_client(library), "trip", Iterable[Trip], context={"unit": "K"}))
    assert [trip.place for trip in found] == ["Toronto in K"]


SAME = {
    "`from_openai(openai.OpenAI(), mode=Mode.PARALLEL_TOOLS)`": check_from_openai,
    "`patch(openai.OpenAI(), mode=Mode.PARALLEL_TOOLS)`": check_patch,
    "`client.chat.completions.create(...)`, `client.create(...)`": check_create,
    "`response_model=Iterable[A \\| B]`": check_tools,
    "`response_model=None`": check_no_model,
    "`max_retries=2`": check_retries,
    '`context={"unit": "K"}`': check_context,
}


def raises(error, message, call):
    with pytest.raises(error, match=message):
        call()


def check_result(theirs, ours, standin):
    once, extraction = ask(theirs), ask(ours)
    assert [list(once), list(once)] == [BOTH, []]
    assert [list(extraction), list(extraction)] == [BOTH, BOTH]


def check_default_mode(theirs, ours, standin):
    assert instructor.from_openai(openai.OpenAI()).mode == instructor.Mode.TOOLS
    assert list(ask(multitrack.from_openai(openai.OpenAI()))) == BOTH


def check_default_retries(theirs, ours, standin):
    assert count_requests(standin, lambda: ask(theirs, "invalid")) == 4
    assert count_requests(standin, lambda: ask(ours, "invalid")) == 1


def check_correction(theirs, ours, standin):
    assert list(ask(theirs, "correct", max_retries=2)) == BOTH[1:]
    assert list(ask(ours, "correct", max_retries=2)) == BOTH


def check_invalid(theirs, ours, standin):
    raises(core_errors.InstructorRetryException, "", lambda: ask(theirs, "invalid", max_retries=0))
    raises(errors.InvalidArguments, "kelvin", lambda: ask(ours, "invalid"))


def check_unknown(theirs, ours, standin):
    assert list(ask(theirs, "unknown")) == BOTH[:1]
    raises(errors.UnknownTool, "Nothing", lambda: ask(ours, "unknown"))


def check_no_calls(theirs, ours, standin):
    before = len(standin.requests)
    ask(theirs, "text", max_retries=1)
    assert len(standin.requests) == before + 2
    raises(errors.NoToolCalls, "allow_empty", lambda: ask(ours, "text"))
    assert list(ask(ours, "text", allow_empty=True)) == []


def check_completion(theirs, ours, standin):
    arguments = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "both"}]}
    arguments["response_model"] = Iterable[Weather]
    create = theirs.chat.completions.create_with_completion
    raises(AttributeError, "_raw_response", lambda: create(**arguments))
    extraction, completion = ours.chat.completions.create_with_completion(**arguments)
    assert extraction == BOTH
    assert completion.choices


def check_stream(theirs, ours, standin):
    raises(core_errors.ConfigurationError, "stream=True", lambda: ask(theirs, stream=True))
    assert list(ask(ours, stream=True)) == BOTH


def check_list(theirs, ours, standin):
    raises(TypeError, "Iterable", lambda: ask(theirs, response_model=list[Weather]))
    assert ask(ours, response_model=list[Weather]) == BOTH


def check_template(theirs, ours, standin):
    for client, sent in ((theirs, "rendered"), (ours, "{{ name }}")):
        ask(client, "{{ name }}", context={"name": "rendered"})
        assert standin.requests[-1].body["messages"][-1]["content"] == sent


def check_validation_context(theirs, ours, standin):
    options = {"response_model": Iterable[Trip], "validation_context": {"unit": "K"}}
    raises(core_errors.InstructorRetryException, "unexpected keyword", lambda: ask(theirs, "trip", **options))
    assert [trip.place for trip in ask(ours, "trip", **options)] == ["Toronto in K"]


def check_strict(theirs, ours, standin):
    for client, sent in ((theirs, None), (ours, True)):
        ask(client, strict=True)
        assert standin.requests[-1].body["tools"][0]["function"].get("strict") is sent


def check_description(theirs, ours, standin):
    for client, has_description in ((theirs, True), (ours, False)):
        ask(client)
        assert ("description" in standin.requests[-1].body["tools"][0]["function"]) is has_description


DIFFERENT = {
    "the result of `create`": check_result,
    "no `mode=`": check_default_mode,
    "no `max_retries=`": check_default_retries,
    "a corrected call": check_correction,
    "a call that stays invalid": check_invalid,
    "a call to an unknown tool": check_unknown,
    "a response without calls": check_no_calls,
    "`create_with_completion`": check_completion,
    "`stream=True`": check_stream,
    "`response_model=list[A]`": check_list,
    "`context=` and `{{ name }}` in a message": check_template,
    "`validation_context=`": check_validation_context,
    "`strict=True`": check_strict,
    "a model without a docstring": check_description,
}

# by row, what runs with instructor and raises this error with Multitrack
MISSING = {
    '`from_provider("openai/gpt-4o-mini")`': (
        AttributeError,
        "from_openai",
        lambda library, _: library.from_provider("openai/gpt-4o-mini"),
    ),
    '`from_openai(client, model="gpt-4o-mini")`': (
        TypeError,
        "'model'",
        lambda library, _: make_client(library, model="gpt-4o-mini"),
    ),
    "`response_model=A`": (
        TypeError,
        r"response_model=Iterable\[Weather\]",
        lambda library, _: ask(library.from_openai(openai.OpenAI()), response_model=Weather),
    ),
    "`Mode.TOOLS`, `Mode.JSON` and other modes": (
        AttributeError,
        "only supports parallel tool calls",
        lambda library, _: (library.Mode.TOOLS, library.Mode.JSON),
    ),
    '`client.on("completion:kwargs", ...)` and other hooks': (
        AttributeError,
        "event hooks",
        lambda _, client: client.on("completion:kwargs", print),
    ),
    "`max_retries=tenacity.Retrying(...)`": (
        TypeError,
        "max_retries must be an integer",
        lambda _, client: ask(client, max_retries=tenacity.Retrying(stop=tenacity.stop_after_attempt(2))),
    ),
    "`client.create_iterable(...)`": (AttributeError, "stream=True", lambda _, client: client.create_iterable),
    "`client.create_partial(...)`, `Partial[A]`": (
        AttributeError,
        "stream=True",
        lambda library, client: (library.Partial, client.create_partial),
    ),
    "`client.messages.create(...)`": (AttributeError, r"create\(\)", lambda _, client: client.messages.create),
    "`Maybe(A)`": (AttributeError, "allow_empty", lambda library, _: library.Maybe(Weather)),
    "`Image`, `Audio`": (
        AttributeError,
        "content part",
        lambda library, _: (library.Image, library.Audio),
    ),
    "`llm_validator(...)`": (AttributeError, "Pydantic validator", lambda library, _: library.llm_validator),
    "`cache=`": (TypeError, "'cache'", lambda _, client: ask(client, cache=None)),
}


@pytest.mark.parametrize("library", [instructor, multitrack], ids=["instructor", "multitrack"])
@pytest.mark.parametrize("row", SAME)
def test_what_is_the_same(row, library, standin):
    SAME[row](library, standin)


@pytest.mark.parametrize("row", DIFFERENT)
def test_what_is_different(row, standin):
    DIFFERENT[row](make_client(instructor), make_client(multitrack), standin)


@pytest.mark.parametrize("row", MISSING)
def test_what_is_not_there(row, standin):
    error, message, run = MISSING[row]
    run(instructor, make_client(instructor))
    with pytest.raises(error, match=message):
        run(multitrack, make_client(multitrack))


def test_every_row_of_the_tables_is_tested():
    page = (ROOT / "docs/instructor.md").read_text(encoding="utf-8").partition("## Compare the two")[2]
    rows = [re.split(r" (?<!\\)\| ", line.removeprefix("| "))[0] for line in page.splitlines() if line.startswith("| ")]
    assert [row for row in rows if row not in ("code", "code or response", "---")] == [*SAME, *DIFFERENT, *MISSING]


def test_the_steps_of_the_page_print_the_output_that_is_shown(tmp_path):
    with StandIn(RULES) as standin:
        ExampleProject(tmp_path, standin.environment).follow(read_blocks("docs/instructor.md"))
