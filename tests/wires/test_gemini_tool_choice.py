"""``tool_choice`` in OpenAI's form, converted to Gemini's."""

import copy
import warnings

import pytest

from multitrack.wires.gemini.gemini_tool_choice import check_parallel_tool_calls, convert_tool_choice

OFFERED = ("Weather", "GoogleSearch")


def function(name):
    return {"type": "function", "function": {"name": name}}


def allowed(mode, *names):
    """Return the choice in the form of Chat Completions and in that of Responses."""
    return [
        {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [function(name) for name in names]}},
        {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": name} for name in names]},
    ]


CHOICES = [
    ("auto", {"mode": "AUTO"}),
    ("none", {"mode": "NONE"}),
    ("required", {"mode": "ANY"}),
    (function("Weather"), {"mode": "ANY", "allowedFunctionNames": ["Weather"]}),
    ({"type": "function", "name": "Weather"}, {"mode": "ANY", "allowedFunctionNames": ["Weather"]}),
    *((choice, {"mode": "ANY", "allowedFunctionNames": list(OFFERED)}) for choice in allowed("required", *OFFERED)),
    *((choice, {"mode": "VALIDATED", "allowedFunctionNames": ["Weather"]}) for choice in allowed("auto", "Weather")),
]


@pytest.mark.parametrize(("choice", "config"), CHOICES)
def test_a_choice_is_converted(choice, config):
    before = copy.deepcopy(choice)
    assert convert_tool_choice(choice, OFFERED) == {"functionCallingConfig": config}
    assert choice == before


def test_no_choice_is_none():
    assert convert_tool_choice(None, OFFERED) is None
    assert convert_tool_choice(None, ()) is None


@pytest.mark.parametrize(("choice", "config"), CHOICES)
def test_google_genai_accepts_the_choice(choice, config):
    types = pytest.importorskip("google.genai.types")
    if config["mode"] not in types.FunctionCallingConfigMode.__members__:
        pytest.skip(f"this version does not have the mode {config['mode']}")
    read = types.ToolConfig.model_validate(convert_tool_choice(choice, OFFERED))
    assert read.model_dump(mode="json", by_alias=True, exclude_none=True) == {"functionCallingConfig": config}


@pytest.mark.parametrize(("choice", "config"), CHOICES)
def test_vertex_accepts_the_choice(choice, config):
    pytest.importorskip("vertexai")
    with warnings.catch_warnings():
        # The SDK warns that it will be removed.
        warnings.simplefilter("ignore")
        from google.cloud.aiplatform_v1 import types
        from google.protobuf.json_format import MessageToDict, ParseDict
    if config["mode"] not in types.FunctionCallingConfig.Mode.__members__:
        pytest.skip(f"this version does not have the mode {config['mode']}")
    read = ParseDict(convert_tool_choice(choice, OFFERED), types.ToolConfig.pb(types.ToolConfig()))
    assert MessageToDict(read) == {"functionCallingConfig": config}


UNSUPPORTED = (
    "which Gemini does not support; use 'auto', 'none', 'required', "
    "or a dictionary with the type function or allowed_tools"
)


@pytest.mark.parametrize(
    ("choice", "kind", "message"),
    [
        ("any", ValueError, f"tool_choice is 'any', {UNSUPPORTED}"),
        ({"type": "web_search"}, ValueError, f"tool_choice is {{'type': 'web_search'}}, {UNSUPPORTED}"),
        ({}, ValueError, f"tool_choice is {{}}, {UNSUPPORTED}"),
        (True, TypeError, "tool_choice is a bool; pass a string or a dictionary"),
        (["auto"], TypeError, "tool_choice is a list; pass a string or a dictionary"),
        (
            function("Ping"),
            ValueError,
            "tool_choice requires 'Ping', but the request does not offer this tool; use one of: Weather, GoogleSearch",
        ),
        *(
            (
                choice,
                ValueError,
                "tool_choice requires 'Ping', but the request does not offer this tool; use one of: Weather, "
                "GoogleSearch",
            )
            for choice in allowed("auto", "Weather", "Ping")
        ),
        *(
            (choice, ValueError, "tool_choice has the mode 'none'; with allowed_tools, use 'auto' or 'required'")
            for choice in allowed("none", "Weather")
        ),
        *(
            (
                choice,
                ValueError,
                "tool_choice has no tools; list the allowed tools, such as {'type': 'function', ...}",
            )
            for choice in allowed("auto")
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "x"}]},
            ValueError,
            "tool_choice contains {'type': 'mcp', 'server_label': 'x'}, but Gemini supports only functions; "
            "pass {'type': 'function', 'function': {'name': ...}}",
        ),
        (
            {"type": "function"},
            ValueError,
            "tool_choice contains {'type': 'function'}, but Gemini supports only functions; "
            "pass {'type': 'function', 'function': {'name': ...}}",
        ),
    ],
)
def test_an_unsupported_choice_is_an_error(choice, kind, message):
    with pytest.raises(kind) as raised:
        convert_tool_choice(choice, OFFERED)
    assert str(raised.value) == message


@pytest.mark.parametrize("value", [True, None])
def test_parallel_calls_may_be_allowed(value):
    check_parallel_tool_calls(value)


def test_parallel_calls_cannot_be_forbidden():
    with pytest.raises(ValueError, match="parallel_tool_calls") as raised:
        check_parallel_tool_calls(False)
    assert str(raised.value) == (
        "Gemini cannot forbid several calls, so parallel_tool_calls=False is not supported; remove the argument"
    )


def test_parallel_tool_calls_must_be_a_boolean():
    with pytest.raises(TypeError, match=r"^parallel_tool_calls is 'no'; pass True or False$"):
        check_parallel_tool_calls("no")
