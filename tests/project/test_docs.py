"""Follow the pages of the documentation with the stand-in provider, and compare all outputs with the pages."""

import json
import re
from dataclasses import fields

import pytest
import yaml
from documentation_page import ROOT, ExampleProject, read_blocks

from multitrack import Settings
from multitrack.standin import Rule, ScriptedCall, StandIn

TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"})
SEARCH = ScriptedCall("GoogleSearch", {"query": "who won the super bowl"})

# test_gemini_page.py follows gemini.md, tests/guides follows migrating.md, and tests/frameworks follows the other two
FOLLOWED_ELSEWHERE = ["gemini.md", "migrating.md", "frameworks.md", "instructor.md"]

# By page, the answers of the provider.
RULES = {
    "extraction.md": [
        Rule(
            prompt="What is the weather in toronto and dallas and who won the super bowl?",
            calls=[TORONTO, DALLAS, SEARCH],
        ),
        Rule(
            prompt="How warm is it in Kelvin?",
            turn=0,
            calls=[TORONTO, ScriptedCall("Weather", {"location": "Dallas", "units": "kelvin"}, id="call_b")],
        ),
        Rule(
            prompt="How warm is it in Kelvin?",
            turn=1,
            calls=[ScriptedCall("Weather", {"location": "Dallas", "units": "metric"})],
        ),
        Rule(prompt="Do I need an umbrella in Toronto or Dallas?", turn=0, calls=[TORONTO, DALLAS]),
        Rule(prompt="Do I need an umbrella in Toronto or Dallas?", contains="sun", text="Only in Toronto."),
    ],
    "getting-started.md": [Rule(prompt="What is the weather in Toronto and Dallas?", calls=[TORONTO, DALLAS])],
    "audit.md": [Rule(prompt_regex=re.compile("weather"), text="It is sunny.")],
    "anthropic.md": [Rule(prompt="What is the weather in Toronto and Dallas?", calls=[TORONTO, DALLAS])],
    "bedrock.md": [Rule(prompt="What is the weather in Toronto and Dallas?", calls=[TORONTO, DALLAS])],
    "openai.md": [Rule(prompt="What is the weather in Toronto and Dallas?", calls=[TORONTO, DALLAS])],
    "recording.md": [Rule(prompt_regex=re.compile("weather"), calls=[TORONTO])],
    "behaviours.md": [],
    "snapshots.md": [],
    "stand-in.md": [],
    "failures.md": [Rule(prompt_regex=re.compile("weather"), calls=[TORONTO, DALLAS])],
    "drift.md": [
        Rule(
            prompt="What is the weather in toronto and dallas?",
            calls=[TORONTO, ScriptedCall("Weather", {"location": "Dallas", "units": units})],
            times=1,
        )
        # in the order of the live requests: the recording, one drift run, and one run of three samples
        for units in ("imperial", "metric", "imperial", "metric", "imperial")
    ],
    "options.md": [Rule(prompt_regex=re.compile("weather"), calls=[TORONTO])],
}


@pytest.mark.slow
@pytest.mark.parametrize("page", RULES)
def test_a_page_shows_the_output_of_its_examples(page, tmp_path):
    with StandIn(RULES[page]) as standin:
        project = ExampleProject(tmp_path, standin.environment)
        project.follow(read_blocks(f"docs/{page}"))
    for workflow in project.folder.glob(".github/workflows/*.yml"):
        for step in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]["tests"]["steps"]:
            command = step.get("run", "")
            if command.startswith(("pytest", "multitrack")):
                finished = project.run(command, CI="true", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
                assert finished.returncode == 0, finished.stdout


def test_every_page_with_examples_is_followed():
    pages = {path.name for path in (ROOT / "docs").glob("*.md") if any(map(is_example, read_blocks(path)))}
    assert pages == {*RULES, *FOLLOWED_ELSEWHERE}


def is_example(block):
    return block.language in ("python", "console", "toml")


@pytest.mark.parametrize("path", ["README.md", *(f"docs/{page}" for page in [*RULES, *FOLLOWED_ELSEWHERE])])
def test_every_example_is_a_file_of_the_project(path):
    untitled = [block.text for block in read_blocks(path) if block.language in ("python", "toml") and not block.title]
    assert untitled == []


def rows(page, heading):
    """Yield the cells of the first table below a heading, without its first two lines."""
    section = (ROOT / page).read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    table = section[section.index("\n|") + 1 :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


OPTIONS = {cells[0].strip("`"): cells for cells in rows("docs/options.md", "## All options")}
TYPES = {
    "bool": "true or false",
    "int": "number of days",
    "str": "text",
    "tuple[str, ...]": "list of texts",
    "tuple[tuple[str, str], ...]": "table of texts",
}


def test_the_table_of_options_is_complete():
    others = {"name", "mode", "cassettes_dir", "allow_ci_writes", "block_network", "models.packages", "models.tools"}
    others |= {"snapshot_ignore"}
    assert set(OPTIONS) == {field.name for field in fields(Settings)} | others


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_the_table_of_options_says_the_type(field):
    assert OPTIONS[field.name][1] == TYPES[field.type]


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_the_table_of_options_says_the_default(field):
    if field.name == "match_on":
        expected = "all parts"
    elif field.name == "max_age":
        expected = f"`{field.default}`: any age"
    elif field.default == ():
        expected = "empty"
    else:
        expected = f"`{json.dumps(field.default)}`"
    assert OPTIONS[field.name][2] == expected
