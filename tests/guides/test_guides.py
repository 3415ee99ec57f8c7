"""Follow the guides from other tools in docs/migrating.md.

The environment for development has vcrpy and respx. For a recorder that is a plugin of pytest, ``nox --session guides``
installs its current release and names it in the ``RECORDER`` variable. The guide itself uninstalls it.
"""

import os
import re

import pytest
from documentation_page import ExampleProject, read_blocks

from multitrack.standin import Rule, ScriptedCall, StandIn

TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"})
RULES = [
    Rule(prompt="What is the weather in Toronto, and in Dallas?", calls=[TORONTO, DALLAS]),
    Rule(prompt_regex=re.compile("Toronto"), calls=[TORONTO]),
    Rule(prompt_regex=re.compile("Dallas"), calls=[DALLAS]),
]
SECTIONS = {
    "vcrpy": "From vcrpy",
    "respx": "From respx or hand-written mocks",
    "cassetter": "From cassetter",
    "pytest-recording": "From pytest-recording",
}
INSTALLED = [os.environ["RECORDER"]] if "RECORDER" in os.environ else ["vcrpy", "respx"]


@pytest.mark.slow
@pytest.mark.parametrize("tool", INSTALLED)
def test_a_guide_shows_the_output_of_its_steps(tool, tmp_path):
    with StandIn(RULES) as standin:
        project = ExampleProject(tmp_path, standin.environment)
        project.follow(read_blocks("docs/migrating.md", SECTIONS[tool]))
