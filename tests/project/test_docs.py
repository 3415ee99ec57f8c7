"""Follow the pages of the documentation with the stand-in provider, and compare all outputs with the pages."""

import re
from dataclasses import fields

import pytest
from documentation_page import ROOT, ExampleProject, read_blocks

from multitrack.standin import Rule, ScriptedCall, StandIn

TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"})

# the answers of the provider, by page
RULES = {
    "getting-started.md": [Rule(prompt="What is the weather in Toronto and Dallas?", calls=[TORONTO, DALLAS])],
    "recording.md": [Rule(prompt_regex=re.compile("weather"), calls=[TORONTO])],
    "snapshots.md": [],
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
