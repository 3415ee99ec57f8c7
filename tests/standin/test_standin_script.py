"""Rules: when they apply, and the errors for files with mistakes."""

import re
from pathlib import Path

import pytest

from multitrack.standin import Rule, ScriptedCall, ScriptedError, ScriptError, StandIn, read_rules
from multitrack.standin.model_request import ModelRequest
from multitrack.standin.script import Script
from multitrack.wires.tool import OfferedTool

REQUEST = ModelRequest(
    model="gpt-4o-mini",
    prompt="What is the weather?",
    texts=("Use tools", "What is the weather?"),
    tools=(OfferedTool("Weather", {}), OfferedTool("GoogleSearch", {})),
    turn=2,
)


@pytest.mark.parametrize(
    ("conditions", "applies"),
    [
        ({}, True),
        ({"prompt": "What is the weather?"}, True),
        ({"prompt": "What is the weather"}, False),
        ({"prompt_regex": "(?i)WEATHER"}, True),
        ({"prompt_regex": re.compile("^weather")}, False),
        ({"contains": "Use"}, True),
        ({"contains": "use"}, False),
        ({"tools": ["GoogleSearch"]}, True),
        ({"tools": ["GoogleSearch", "Other"]}, False),
        ({"model": "gpt-4o-mini"}, True),
        ({"model": "gpt-4o"}, False),
        ({"after_results": False}, True),
        ({"after_results": True}, False),
        ({"turn": 2}, True),
        ({"turn": 0}, False),
        ({"prompt": "What is the weather?", "model": "gpt-4o"}, False),
    ],
)
def test_a_rule_applies_when_all_its_conditions_hold(conditions, applies):
    assert Rule(**conditions, text="?").applies(REQUEST) is applies


def test_the_first_rule_with_uses_left_answers():
    script = Script([Rule(text="once", times=1), Rule(text="twice", times=2), Rule(model="other", text="never")])

    answers = [script.find_answer(REQUEST) for _ in range(4)]

    assert [answer and answer.text for answer in answers] == ["once", "twice", "twice", None]


def test_a_file_has_the_same_rules_as_python(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text(
        """
        rules:
        - prompt: Go
          tools: [Weather]
          calls:
          - {name: Weather, arguments: {location: Köln}}
          - {name: Bare, arguments: null, id: call_1, gate: second}
        - prompt_regex: (?i)limit
          times: 1
          error: {status: 429, details: [{"@type": type.googleapis.com/google.rpc.RetryInfo}]}
          headers: {retry-after: "1"}
        - text: Goodbye
          chunk_size: 5
          close: true
          after: 3
        """,
        "utf-8",
    )

    assert read_rules(path) == [
        Rule(
            prompt="Go",
            tools=["Weather"],
            calls=[
                ScriptedCall("Weather", {"location": "Köln"}),
                ScriptedCall("Bare", None, id="call_1", gate="second"),
            ],
        ),
        Rule(
            prompt_regex=re.compile("(?i)limit"),
            times=1,
            error=ScriptedError(status=429, details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo"}]),
            headers={"retry-after": "1"},
        ),
        Rule(text="Goodbye", chunk_size=5, close=True, after=3),
    ]


def test_the_examples_script_can_be_read():
    [rule] = read_rules(Path(__file__).parents[2] / "examples" / "standin.yaml")

    assert [(call.name, call.object) for call in rule.calls] == [
        ("Weather", {"location": "Toronto", "units": "metric"}),
        ("Weather", {"location": "Dallas", "units": "imperial"}),
        ("GoogleSearch", {"query": "who won the super bowl"}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- prompt: Go", "a script must be a mapping with one key, rules, whose value is a list"),
        ("rules: [", "cannot read the script: while parsing a flow node"),
        (
            "rules:\n- {prompt: Go, txt: gone}\n- {times: 0}",
            "the script is not valid:\n"
            "  rule 1, txt: Unexpected keyword argument\n"
            "  rule 2, times: Input should be greater than 0",
        ),
        (
            "rules:\n- {text: gone, after: 2}",
            "the script is not valid:\n  rule 1, the rule: Value error, after requires error or close",
        ),
        (
            "rules:\n- {text: gone, after_calls: 0}",
            "the script is not valid:\n  rule 1, the rule: Value error, after_calls requires error or close",
        ),
        (
            "rules:\n- {text: gone, close: true, after_calls: 1}",
            "the script is not valid:\n"
            "  rule 1, the rule: Value error, after_calls is 1, but the answer has fewer calls (0)",
        ),
        (
            "rules:\n- {text: gone, close: true, after: 1, after_calls: 0}",
            "the script is not valid:\n  rule 1, the rule: Value error, pass either after or after_calls, not both",
        ),
        (
            "rules:\n- {close: true, error: {}}",
            "the script is not valid:\n  rule 1, the rule: Value error, pass either error or close, not both",
        ),
        (
            "rules:\n- {calls: [{name: Weather, args: {}}]}",
            "the script is not valid:\n  rule 1, calls.0.args: Unexpected keyword argument",
        ),
        (
            "rules:\n- {prompt_regex: '['}",
            "the script is not valid:\n  rule 1, prompt_regex: Input should be a valid regular expression",
        ),
    ],
)
def test_a_script_with_mistakes_is_rejected(tmp_path, text, message):
    path = tmp_path / "script.yaml"
    path.write_text(text, "utf-8")

    with pytest.raises(ScriptError) as failure:
        StandIn(script=path)

    assert str(failure.value).startswith(f"{path}: {message}")


def test_a_missing_script_is_rejected(tmp_path):
    path = tmp_path / "none.yaml"

    with pytest.raises(ScriptError, match=re.escape(f"{path}: cannot read the script: ")):
        StandIn(script=path)


def test_arguments_that_are_not_an_object_cannot_be_sent_as_an_object():
    with pytest.raises(
        ScriptError,
        match=re.escape("the arguments of Weather are not a JSON object, which this wire format requires: '[1]'"),
    ):
        _ = ScriptedCall("Weather", "[1]").object
