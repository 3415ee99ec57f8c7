"""The function of a project that removes its private data."""

from __future__ import annotations

import json
import sys
import traceback
import types

import pytest
from recorded_tape import URL, request

from multitrack.errors import BadOption, RoutingError
from multitrack.tape.redaction.project_function import load_function
from multitrack.tape.settings import Settings


@pytest.fixture
def function(monkeypatch):
    """Return a function that registers a redaction function, and returns settings with it."""

    def register(redact):
        module = types.ModuleType("acme_privacy")
        module.redact = redact
        monkeypatch.setitem(sys.modules, "acme_privacy", module)
        load_function.cache_clear()
        return Settings(redact="acme_privacy:redact")

    yield register
    load_function.cache_clear()


def remove_name(text):
    return text.replace("Nora Müller", "[name]")


def prompt(text):
    return json.dumps({"messages": [{"role": "user", "content": text}]})


def test_private_data_is_removed_from_requests_and_responses(recorded, function):
    settings = function(remove_name)
    text = recorded.put((request(prompt("I am Nora Müller")), prompt("Hello Nora Müller!")), settings=settings)
    assert "Nora" not in text
    assert "Hello [name]!" in text


def test_the_request_with_private_data_matches_its_recording(recorded, function):
    settings = function(remove_name)
    sent = request(prompt("I am Nora Müller"))
    recorded.put((sent, "{}"), settings=settings)
    assert recorded.play(sent, settings=settings) == ["{}"]


def test_private_data_in_a_url_and_a_form_is_removed(recorded, function):
    settings = function(remove_name)
    sent = request("user=Nora+M%C3%BCller&n=1", url=f"{URL}/Nora%20M%C3%BCller?q=Nora%20M%C3%BCller")
    text = recorded.put((sent, "{}"), settings=settings)
    assert "/%5Bname%5D?q=%5Bname%5D" in text
    assert "user=%5Bname%5D&n=1" in text


def test_private_data_in_pieces_of_a_stream_is_removed(recorded, function):
    settings = function(remove_name)
    pieces = ["Hello Nor", "a Mül", "ler", ", how are you"]
    body = "".join(f"data: {json.dumps({'delta': piece})}\n\n" for piece in pieces)
    events = (("content-type", "text/event-stream"),)
    recorded.put((request("{}"), (200, events, body)), settings=settings)
    answer = recorded.play(request("{}"), settings=settings)[0]
    deltas = [json.loads(line[6:])["delta"] for line in answer.splitlines() if line]
    assert "".join(deltas) == "Hello [name], how are you"
    assert deltas[-1] == ", how are you"


def test_names_of_json_fields_and_the_layout_of_the_body_stay(recorded, function):
    settings = function(lambda text: text.replace("role", "ROLE"))
    recorded.put((request("{}"), '{"role":  "a role"}'), settings=settings)
    assert recorded.play(request("{}"), settings=settings) == ['{"role":  "a ROLE"}']


def test_an_error_of_the_function_names_the_function_and_the_json_path(recorded, function):
    def fail(text):
        if "Nora" in text:
            raise KeyError(text)
        return text

    settings = function(fail)
    with pytest.raises(RoutingError) as raised:
        recorded.play(request(prompt("I am Nora")), settings=settings)
    message = str(raised.value)
    assert "redact = 'acme_privacy:redact': the function raised KeyError in test_project_redaction.py, line " in message
    assert "(at $.messages[0].content)" in message
    assert "KeyError: " not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("redact", "problem"),
    [
        (lambda _: None, "must return a string, not NoneType"),
        (
            lambda text: f"x{text}",
            "changed its own result when it was called again; it must return that result unchanged",
        ),
    ],
)
def test_a_wrong_result_of_the_function_is_an_error(function, redact, problem):
    function(redact)
    with pytest.raises(BadOption, match=problem):
        load_function("acme_privacy:redact").redact_text("Nora")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("acme_privacy", "redact must be a function such as 'tests.privacy:remove_names', not 'acme_privacy'"),
        ("no_such_module:redact", "the module no_such_module cannot be imported"),
        ("acme_privacy:nothing", "the module acme_privacy has no function nothing"),
    ],
)
def test_a_function_that_cannot_be_found_is_an_error(function, path, problem):
    function(remove_name)
    with pytest.raises(BadOption, match=problem):
        load_function(path)
