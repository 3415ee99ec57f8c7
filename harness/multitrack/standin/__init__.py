"""A local provider that speaks the real wires, for demos and tests; it never pretends to understand.

``python -m multitrack.standin`` runs it; `StandIn` runs it in a test::

    from multitrack.standin import Call, Rule, StandIn

    rule = Rule(prompt="Weather in Toronto?", calls=[Call("Weather", {"location": "Toronto"})])
    with StandIn(rules=[rule]) as standin:
        client = openai.OpenAI(base_url=standin.openai_base_url, api_key="any")

`standin.environment` holds what an unmodified application needs to reach it under the providers' own host
names. What it answers is said by a script (`multitrack.standin.script`), by recorded answers
(`multitrack.standin.answers`), and else by one schema-valid call for each tool offered.
"""

from multitrack.standin.identity import (
    GOOGLE_COOKIE,
    GOOGLE_ORGANIZATION,
    GOOGLE_PROJECT,
    OPENAI_COOKIE,
    OPENAI_ORGANIZATION,
    OPENAI_PROJECT,
    STANDIN_HEADER,
    SUPPLIED,
)
from multitrack.standin.received import Received
from multitrack.standin.script import Answer, Call, Error, Rule, ScriptError, read_rules
from multitrack.standin.standin import StandIn

__all__ = [
    "GOOGLE_COOKIE",
    "GOOGLE_ORGANIZATION",
    "GOOGLE_PROJECT",
    "OPENAI_COOKIE",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT",
    "STANDIN_HEADER",
    "SUPPLIED",
    "Answer",
    "Call",
    "Error",
    "Received",
    "Rule",
    "ScriptError",
    "StandIn",
    "read_rules",
]
