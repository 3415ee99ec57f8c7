"""A suite with more than a hundred cassettes of vcrpy, in which twelve changes are planted.

Each test sends the live body of its case; its cassette holds the recorded body. The two differ only where a change is
planted.
"""

import copy
import json
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

URL = "https://api.openai.com/v1/chat/completions"
RECORDED_ID = "session-0b9f6c1e-7d52-4f0a-9a57-3b8f2f0c6a11"

APPLICATION = '''
import json
import random
import uuid
from datetime import datetime, timezone
from pathlib import Path

import httpx
import vcr

FOLDER = Path(__file__).parent
CASES = json.loads((FOLDER / "cases.json").read_text())
CLIENT = httpx.Client(headers={"user-agent": "OpenAI/Python 2.32.0", "authorization": "Bearer sk-test"})


def fill(value):
    """Return a body with the values that the application generates for each request."""
    if isinstance(value, dict):
        return {key: fill(item) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item) for item in value]
    if isinstance(value, str):
        value = value.replace("<uuid>", str(uuid.uuid4()))
        value = value.replace("<now>", datetime.now(timezone.utc).isoformat(timespec="seconds"))
        return value.replace("<word>", "".join(random.choices("abcdefghij", k=8)))
    return value


def run(name):
    with vcr.use_cassette(str(FOLDER / f"cassettes/{name}.yaml"), record_mode="none"):
        for body in CASES[name]:
            response = CLIENT.post("https://api.openai.com/v1/chat/completions", json=fill(body))
            assert response.status_code == 200
'''

_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Return the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "units": {"type": "string", "enum": ["metric", "imperial"]},
            },
            "required": ["city"],
        },
    },
}


@dataclass
class Case:
    """The recorded and the live bodies of one test."""

    recorded: list
    sent: list
    plant: str = ""


@dataclass
class Suite:
    """The suite in a folder, with the tests of each planted change."""

    folder: Path
    tests: dict = field(default_factory=dict)


def _make_body(number, **changes):
    question = f"Question {number}: which train goes to town {number}?"
    messages = [
        {"role": "system", "content": "You are a helpful travel agent. Answer in one sentence."},
        {"role": "user", "content": question},
    ]
    return {"model": "gpt-4o-mini", "messages": messages, **changes}


def _make_turn(body, number):
    """Return the next request of a conversation: with the answer, and another question."""
    later = copy.deepcopy(body)
    later["messages"] += [
        {"role": "assistant", "content": "Take the first one."},
        {"role": "user", "content": f"And back, number {number}?"},
    ]
    return later


def _edit(body, path, value):
    """Return a copy of ``body`` with another value at ``path``. None removes the key."""
    edited = copy.deepcopy(body)
    inner = edited
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return edited


_PARAMETERS = ("tools", 0, "function", "parameters")


def _plant(name, number):
    base = _make_body(number)
    with_tool = _make_body(number, tools=[_WEATHER])
    match name:
        case "prompt":
            sent = _edit(base, ("messages", 0, "content"), "You are a terse travel agent. Answer in one sentence.")
            if number % 10 == 0:
                return [base, _make_turn(base, number)], [sent, _make_turn(sent, number)]
            return [base], [sent]
        case "renamed tool":
            return [with_tool], [_edit(with_tool, ("tools", 0, "function", "name"), "fetch_weather")]
        case "required field":
            sent = _edit(with_tool, (*_PARAMETERS, "properties", "day"), {"type": "string"})
            return [with_tool], [_edit(sent, (*_PARAMETERS, "required"), ["city", "day"])]
        case "enum":
            return [with_tool], [_edit(with_tool, (*_PARAMETERS, "properties", "units", "enum"), ["metric", "kelvin"])]
        case "temperature":
            return [_make_body(number, temperature=0.2)], [_make_body(number, temperature=0.5 + number % 3 / 2)]
        case "order":
            body = _make_body(number)
            body["messages"].insert(1, {"role": "user", "content": "The timetable: 8:00, 9:00, 10:00."})
            swapped = copy.deepcopy(body)
            swapped["messages"][1:] = reversed(swapped["messages"][1:])
            return [body], [swapped]
        case "id":
            return [_make_body(number, user=RECORDED_ID)], [_make_body(number, user="session-<uuid>")]
        case "timestamp":
            text = f"It is %s. Which of the trains number {number} leaves next, and from which platform does it leave?"
            path = ("messages", 1, "content")
            return [_edit(base, path, text % "2024-05-01T10:00:00+00:00")], [_edit(base, path, text % "<now>")]
        case "model":
            return [base], [_make_body(number, model="gpt-4.1-mini")]
        case "renamed field":
            return [_make_body(number, max_tokens=number)], [_make_body(number, max_completion_tokens=number)]
        case "null":
            return [base], [_make_body(number, seed=None)]
        case "word":
            return [_make_body(number, metadata={"shard": "qqqqqqqq"})], [
                _make_body(number, metadata={"shard": "<word>"})
            ]
    return [base], [base]


PLANTS = {
    "prompt": range(30),
    "renamed tool": range(30, 35),
    "required field": range(35, 39),
    "enum": range(39, 42),
    "temperature": (43, 44, 46, 47),
    "order": range(48, 50),
    "id": range(50, 56),
    "timestamp": range(56, 59),
    "model": range(59, 61),
    "renamed field": range(61, 65),
    "null": range(65, 68),
    "word": range(68, 71),
}
"""The numbers of the tests in which each change is planted."""

COUNT = 100
"""The number of tests with one cassette each, besides the special ones."""


def write_suite(folder):
    """Write the suite to ``folder`` and return it."""
    plants = {number: name for name, numbers in PLANTS.items() for number in numbers}
    cases = {f"{number:03}": _plant(plants.get(number, ""), number) for number in range(COUNT)}
    one, other = _make_body(200), _make_body(201)
    cases["swapped"] = [one, other], [other, one]
    cases["superseded"] = [one, other], [other]
    cases["repeated"] = [one, one], [one]
    cases["secret"] = [one], [one]
    cases["silent"] = [one], []
    write_cases(folder, cases)
    suite = Suite(folder)
    for name, numbers in PLANTS.items():
        suite.tests[name] = [f"test_suite.py::test_{number:03}" for number in numbers]
    return suite


def write_cases(folder, cases):
    """Write an application, its cassettes, and a test for each of the ``cases``: recorded and live bodies by name."""
    (folder / "cassettes").mkdir(parents=True)
    for name, (recorded, _) in cases.items():
        key = "Bearer sk-proj-abcdefghij0123456789klmnop" if name == "secret" else "Bearer DUMMY"
        cassette = {"version": 1, "interactions": [_make_interaction(body, key) for body in recorded]}
        # JSON is YAML, which vcrpy reads
        (folder / "cassettes" / f"{name}.yaml").write_text(json.dumps(cassette))
    (folder / "cases.json").write_text(json.dumps({name: sent for name, (_, sent) in cases.items()}))
    (folder / "application.py").write_text(APPLICATION)
    tests = "\n\n".join(f'def test_{name}():\n    application.run("{name}")\n' for name in cases)
    (folder / "test_suite.py").write_text(f"import application\n\n\n{tests}")
    (folder / "pyproject.toml").write_text(
        textwrap.dedent(
            """
            [tool.pytest.ini_options]
            addopts = "-p no:inline_snapshot -p no:hypothesispytest -p no:respx"
            """
        )
    )


def _make_interaction(body, key):
    headers = {"content-type": ["application/json"], "user-agent": ["OpenAI/Python 1.12.0"], "authorization": [key]}
    answer = {
        "id": "chatcmpl-9XkQ2",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Take the first one."},
            }
        ],
    }
    return {
        "request": {"method": "POST", "uri": URL, "body": json.dumps(body, indent=1), "headers": headers},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": json.dumps(answer)},
        },
    }
