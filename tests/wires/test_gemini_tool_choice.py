"""``tool_choice`` in OpenAI's form as Gemini is told it."""

import copy
import warnings

import pytest

from multitrack.wires.gemini_tool_choice import check_parallel_tool_calls, convert_tool_choice

OFFERED = ("Weather", "GoogleSearch")


def function(name):
    return {"type": "function", "function": {"name": name}}


def allowed(mode, *names):
    """As Chat Completions has it, and as Responses has it."""
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
def test_choices(choice, config):
    before = copy.deepcopy(choice)
    assert convert_tool_choice(choice, OFFERED) == {"functionCallingConfig": config}
    assert choice == before


def test_no_choice():
    assert convert_tool_choice(None, OFFERED) is None
    assert convert_tool_choice(None, ()) is None


@pytest.mark.parametrize(("choice", "config"), CHOICES)
def test_google_genai_takes_the_choice(choice, config):
    types = pytest.importorskip("google.genai.types")
    if config["mode"] not in types.FunctionCallingConfigMode.__members__:
        pytest.skip(f"this version knows no mode {config['mode']}")
    read = types.ToolConfig.model_validate(convert_tool_choice(choice, OFFERED))
    assert read.model_dump(mode="json", by_alias=True, exclude_none=True) == {"functionCallingConfig": config}


@pytest.mark.parametrize(("choice", "config"), CHOICES)
def test_vertex_takes_the_choice(choice, config):
    pytest.importorskip("vertexai")
    with warnings.catch_warnings():
        # the SDK says that it will be removed
        warnings.simplefilter("ignore")
        from google.cloud.aiplatform_v1 import types
        from google.protobuf.json_format import MessageToDict, ParseDict
    if config["mode"] not in types.FunctionCallingConfig.Mode.__members__:
        pytest.skip(f"this version knows no mode {config['mode']}")
    read = ParseDict(convert_tool_choice(choice, OFFERED), types.ToolConfig.pb(types.ToolConfig()))
    assert MessageToDict(read) == {"functionCallingConfig": config}


UNKNOWN = (
    "which Gemini does not know; write 'auto', 'none', 'required', "
    "or a dictionary of the type function or allowed_tools"
)


@pytest.mark.parametrize(
    ("choice", "kind", "message"),
    [
        ("any", ValueError, f"tool_choice is 'any', {UNKNOWN}"),
        ({"type": "web_search"}, ValueError, f"tool_choice is {{'type': 'web_search'}}, {UNKNOWN}"),
        ({}, ValueError, f"tool_choice is {{}}, {UNKNOWN}"),
        (True, TypeError, "tool_choice is a bool; it may be text, or a dictionary"),
        (["auto"], TypeError, "tool_choice is a list; it may be text, or a dictionary"),
        (
            function("Ping"),
            ValueError,
            "tool_choice names the function 'Ping', which is not offered; offered: Weather, GoogleSearch",
        ),
        *(
            (
                choice,
                ValueError,
                "tool_choice names the function 'Ping', which is not offered; offered: Weather, GoogleSearch",
            )
            for choice in allowed("auto", "Weather", "Ping")
        ),
        *(
            (choice, ValueError, "tool_choice has the mode 'none'; of allowed_tools it is 'auto' or 'required'")
            for choice in allowed("none", "Weather")
        ),
        *(
            (
                choice,
                ValueError,
                "tool_choice has no tools; write those that are allowed, such as {'type': 'function', ...}",
            )
            for choice in allowed("auto")
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "x"}]},
            ValueError,
            "tool_choice names {'type': 'mcp', 'server_label': 'x'}, and Gemini knows functions only; "
            "write one with its name",
        ),
        (
            {"type": "function"},
            ValueError,
            "tool_choice names {'type': 'function'}, and Gemini knows functions only; write one with its name",
        ),
    ],
)
def test_what_gemini_cannot_be_asked(choice, kind, message):
    with pytest.raises(kind) as raised:
        convert_tool_choice(choice, OFFERED)
    assert str(raised.value) == message


@pytest.mark.parametrize("value", [True, None])
def test_parallel_calls(value):
    check_parallel_tool_calls(value)


def test_parallel_calls_cannot_be_forbidden():
    with pytest.raises(ValueError, match="parallel_tool_calls") as raised:
        check_parallel_tool_calls(False)
    assert str(raised.value) == (
        "parallel_tool_calls=False cannot be asked of Gemini, which may always make several calls; leave it out"
    )
    with pytest.raises(TypeError, match=r"^parallel_tool_calls is 'no'; it is True or False$"):
        check_parallel_tool_calls("no")
