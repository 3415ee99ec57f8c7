"""A local stand-in provider for demos and tests: it speaks real wire formats, and its answers come from a script.

``python -m multitrack.standin`` starts it from a shell; ``StandIn`` starts it in a test::

    from multitrack.standin import Rule, ScriptedCall, StandIn

    rule = Rule(prompt="Weather in Toronto?", calls=[ScriptedCall("Weather", {"location": "Toronto"})])
    with StandIn(rules=[rule]) as standin:
        client = openai.OpenAI(base_url=standin.openai_base_url, api_key="any")

An unmodified application can use the providers' own host names: with the environment variables in
``StandIn.environment``, its requests reach the stand-in. An answer comes from recorded responses
(``multitrack.standin.recorded_responses``) or from a script (``multitrack.standin.script``). If neither has an
answer, the stand-in calls each offered tool once, with arguments that are valid for the tool's schema. The stand-in
does not understand prompts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multitrack.standin.identity import (
        ACCOUNT_DATA,
        ANTHROPIC_COOKIE,
        ANTHROPIC_ORGANIZATION,
        GOOGLE_COOKIE,
        GOOGLE_ORGANIZATION,
        GOOGLE_PROJECT,
        OPENAI_COOKIE,
        OPENAI_ORGANIZATION,
        OPENAI_PROJECT,
        STANDIN_HEADER,
    )
    from multitrack.standin.request_log import ReceivedRequest
    from multitrack.standin.script import Rule, ScriptedAnswer, ScriptedCall, ScriptedError, ScriptError, read_rules
    from multitrack.standin.standin import StandIn

__all__ = [
    "ACCOUNT_DATA",
    "ANTHROPIC_COOKIE",
    "ANTHROPIC_ORGANIZATION",
    "GOOGLE_COOKIE",
    "GOOGLE_ORGANIZATION",
    "GOOGLE_PROJECT",
    "OPENAI_COOKIE",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT",
    "STANDIN_HEADER",
    "ReceivedRequest",
    "Rule",
    "ScriptError",
    "ScriptedAnswer",
    "ScriptedCall",
    "ScriptedError",
    "StandIn",
    "read_rules",
]

# Imported on first access: `python -m multitrack.standin` imports this module before it can say that the extra is
# missing.
_MODULES = {
    "ACCOUNT_DATA": "identity",
    "ANTHROPIC_COOKIE": "identity",
    "ANTHROPIC_ORGANIZATION": "identity",
    "GOOGLE_COOKIE": "identity",
    "GOOGLE_ORGANIZATION": "identity",
    "GOOGLE_PROJECT": "identity",
    "OPENAI_COOKIE": "identity",
    "OPENAI_ORGANIZATION": "identity",
    "OPENAI_PROJECT": "identity",
    "STANDIN_HEADER": "identity",
    "ReceivedRequest": "request_log",
    "Rule": "script",
    "ScriptError": "script",
    "ScriptedAnswer": "script",
    "ScriptedCall": "script",
    "ScriptedError": "script",
    "read_rules": "script",
    "StandIn": "standin",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
