"""``multitrack diff``: changed requests and tool calls between two versions of cassettes."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from command_line import run_multitrack

WEATHER = {"name": "Weather", "arguments": {"location": "Toronto"}}
SEARCH = {"name": "GoogleSearch", "arguments": {"query": "who won"}}


def interaction(prompt="hi", calls=(WEATHER,), *, call_id="call_1", text=None):
    tool_calls = [
        {
            "id": f"{call_id}{number}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for number, call in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, "tool_calls": tool_calls}
    answer = {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
    }
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}
    json_type = {"content-type": ["application/json"]}
    return {
        "request": {
            "method": "POST",
            "uri": "https://api.openai.com/v1/chat/completions",
            "headers": json_type,
            "body": json.dumps(request),
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": json_type,
            "body": {"string": json.dumps(answer)},
        },
        "provenance": "live",
        "tests": ["test_it.py::test_plan"],
    }


def write(path, *interactions):
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"format": 1, "provenance": "live"}
    document = {"version": 1, "interactions": [*interactions], "metadata": metadata}
    # without aliases, which a cassette must not contain
    path.write_text(yaml.safe_dump(json.loads(json.dumps(document))))
    return path


def diff(tmp_path, before, after, *options):
    write(tmp_path / "old.yaml", *before)
    write(tmp_path / "new.yaml", *after)
    return run_multitrack("diff", "old.yaml", "new.yaml", *options, cwd=tmp_path)


def test_ids_and_accompanying_text_do_not_count(tmp_path):
    done = diff(tmp_path, [interaction()], [interaction(call_id="call_2", text="Let me see.")])
    assert done.returncode == 0
    assert done.stdout == "no differences\n"


def test_a_changed_argument(tmp_path):
    changed = {"name": "Weather", "arguments": {"location": "Dallas"}}
    done = diff(tmp_path, [interaction()], [interaction(calls=[changed])])
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "new.yaml",
        "  arguments changed: interaction 1, openai.chat gpt-4o-mini · 1 call (test_it.py::test_plan)",
        "    changed: Weather(location='Toronto')",
        "        location: was 'Toronto', now 'Dallas'",
        "1 interaction in 1 cassette differs",
    ]


def test_a_changed_prompt_with_the_same_calls(tmp_path):
    done = diff(tmp_path, [interaction("What is the weather?")], [interaction("What was the weather?")])
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "new.yaml",
        "  request changed: interaction 1, openai.chat gpt-4o-mini · 1 call (test_it.py::test_plan)",
        "    request: $.messages[0].content",
        '        before:   "What is the weather?"',
        '        after:    "What was the weather?"',
        "1 interaction in 1 cassette differs",
    ]


@pytest.mark.parametrize("options", [(), ("--json",), ("--markdown",)])
def test_a_secret_that_was_added_by_hand_is_not_shown(tmp_path, options):
    key = "sk-proj-" + "0a1B2c3D4e5F" * 4
    call = {"name": "Weather", "arguments": {"location": key}}
    compared = diff(tmp_path, [interaction()], [interaction(calls=[call])], *options)
    assert key not in compared.stdout
    assert "redacted" in compared.stdout


def test_added_and_removed_interactions(tmp_path):
    done = diff(
        tmp_path, [interaction("a"), interaction("b")], [interaction("b"), interaction("a"), interaction("c", [SEARCH])]
    )
    assert done.stdout.splitlines()[1:3] == [
        "  added: interaction 3, openai.chat gpt-4o-mini · 1 call (test_it.py::test_plan)",
        "    GoogleSearch(query='who won')",
    ]
    done = diff(tmp_path, [interaction("a"), interaction("b", [SEARCH])], [interaction("a")])
    assert done.stdout.splitlines()[1] == (
        "  removed: interaction 2, openai.chat gpt-4o-mini · 1 call (test_it.py::test_plan)"
    )


def test_json_and_markdown(tmp_path):
    changed = [interaction(calls=[WEATHER, SEARCH])]
    document = json.loads(diff(tmp_path, [interaction()], changed, "--json").stdout)
    assert document == {
        "version": 1,
        "cassettes": {
            "new.yaml": [
                {
                    "kind": "calls added or removed",
                    "tests": ["test_it.py::test_plan"],
                    "before": 1,
                    "after": 1,
                    "interaction": "openai.chat gpt-4o-mini · 2 calls",
                    "lines": [
                        "added: GoogleSearch(query='who won')",
                        "1 call unchanged",
                        "tool set: was Weather, now GoogleSearch, Weather",
                    ],
                }
            ]
        },
    }
    markdown = diff(tmp_path, [interaction()], changed, "--markdown").stdout
    assert markdown.startswith("### new.yaml\n\n**calls added or removed**: interaction 1, openai.chat")
    assert "\n````text\nadded: GoogleSearch(query='who won')\n" in markdown


def test_two_folders(tmp_path):
    write(tmp_path / "a" / "test_it" / "test_plan.yaml", interaction())
    write(tmp_path / "b" / "test_it" / "test_plan.yaml", interaction())
    write(tmp_path / "b" / "test_it" / "test_new.yaml", interaction())
    done = run_multitrack("diff", "a", "b", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == [
        "test_it/test_new.yaml",
        "  added: interaction 1, openai.chat gpt-4o-mini · 1 call (test_it.py::test_plan)",
    ]
    assert run_multitrack("diff", "a", "a", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("a.yaml",), 2, "pass two cassettes, two folders"),
        (("a.yaml", "b.yaml", "c.yaml"), 2, "pass two cassettes, two folders"),
        (("a.yaml", "nowhere.yaml"), 1, "multitrack: nowhere.yaml: there is no such cassette"),
        (("a.yaml", "."), 1, "one is a folder, and the other is not"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, arguments, code, message):
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        write(tmp_path / name, interaction())
    done = run_multitrack("diff", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr


@pytest.mark.slow
def test_two_revisions_of_git(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    path = write(tmp_path / "cassettes" / "test_it" / "test_plan.yaml", interaction())
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "Record")
    write(path, interaction(calls=[SEARCH]))
    write(tmp_path / "other.yaml", interaction())
    git("add", ".")
    git("commit", "-qm", "Record again")
    done = run_multitrack("diff", "main~1..main", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == [
        "cassettes/test_it/test_plan.yaml",
        "  calls added or removed: interaction 1, openai.chat gpt-4o-mini · 1 call (test_it.py::test_plan)",
    ]
    assert run_multitrack("diff", "main..", cwd=tmp_path).returncode == 0
    unknown = run_multitrack("diff", "main..nowhere", cwd=tmp_path)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("multitrack: git reports: ")
