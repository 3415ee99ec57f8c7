"""Requests that the providers refuse, refused by the stand-in in the providers' words."""

import grpc
import httpx
import pytest

from multitrack.standin import Rule, ScriptedCall, StandIn
from multitrack.standin.vertex.protobuf_types import supports_signatures

GENERATE = "/v1beta/models/gemini-2.0-flash:generateContent"
SIGNING = "/v1beta/models/gemini-3-pro:generateContent"
USER = {"role": "user", "content": "Go"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "Weather", "arguments": "{}"}}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "Weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "21"}
ASKED = {"role": "user", "parts": [{"text": "Go"}]}
CALLED = {"role": "model", "parts": [{"functionCall": {"name": "Weather", "args": {}}}]}
ANSWERED = {"role": "user", "parts": [{"functionResponse": {"name": "Weather", "response": {"output": 21}}}]}


@pytest.fixture(scope="module")
def standin():
    with StandIn([Rule(prompt="Call", calls=[ScriptedCall("Weather")]), Rule(text="Fine")]) as standin:
        yield standin


def post(standin, path, body):
    return httpx.post(f"{standin.proxy_url}{path}", json=body, trust_env=False)


def function(**more):
    return {"name": "Weather", "parameters": {"type": "object", "properties": {}}, **more}


def strict(schema):
    return function(strict=True, parameters={"type": "object", "additionalProperties": False, **schema})


def chat(*messages, **more):
    return {"model": "m", "messages": [USER, *messages], **more}


def offering_models(*functions):
    return chat(tools=[{"type": "function", "function": each} for each in functions])


def assistant(**call):
    return {"role": "assistant", "tool_calls": [{**CALL, **call}]}


def result(call_id="call_1"):
    return {"role": "tool", "tool_call_id": call_id, "content": "21"}


NO_CALL = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
NO_RESULT = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: call_1"
)
PATTERN = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
TOO_LONG = "string too long. Expected a string with maximum length {}, but got a string with length {} instead."


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (chat(result()), "messages.[1].role", NO_CALL),
        (chat(assistant(), USER), "messages", NO_RESULT),
        (chat(assistant()), "messages", NO_RESULT),
        (
            chat(assistant(), result("call_2")),
            "messages.[2].tool_call_id",
            "Invalid parameter: 'tool_call_id' of 'call_2' not found in 'tool_calls' of previous message.",
        ),
        (
            chat(assistant(function={"name": "a.b", "arguments": "{}"}), result()),
            "messages[1].tool_calls[0].function.name",
            f"Invalid 'messages[1].tool_calls[0].function.name': {PATTERN}",
        ),
        (
            chat(assistant(id="c" * 41), result("c" * 41)),
            "messages[1].tool_calls[0].id",
            f"Invalid 'messages[1].tool_calls[0].id': {TOO_LONG.format(40, 41)}",
        ),
        (chat(tools=[function()]), "tools[0].function", "Missing required parameter: 'tools[0].function'."),
        (offering_models({}), "tools[0].function.name", "Missing required parameter: 'tools[0].function.name'."),
        (
            offering_models(function(), function(name="a b")),
            "tools[1].function.name",
            f"Invalid 'tools[1].function.name': {PATTERN}",
        ),
        (
            offering_models(function(name="n" * 65)),
            "tools[0].function.name",
            f"Invalid 'tools[0].function.name': {TOO_LONG.format(64, 65)}",
        ),
        (
            offering_models(function(parameters={"$ref": "#"})),
            "tools[0].function.parameters",
            "Invalid schema for function 'Weather': schema must be a JSON Schema of 'type: \"object\"', "
            "got 'type: \"None\"'.",
        ),
        (
            chat(tool_choice="auto"),
            "tool_choice",
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ),
        (
            chat(stream_options={"include_usage": True}),
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ),
    ],
)
def test_a_chat_is_refused(standin, body, param, message):
    answer = post(standin, "/v1/chat/completions", body)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["message"], error["param"], error["type"]) == (message, param, "invalid_request_error")


INNER = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (
            {"properties": {"a": INNER}, "required": ["a"]},
            "In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            {"properties": {"a": {"type": "string"}}},
            "In context=(), 'required' is required to be supplied and to be an array including every key in "
            "properties. Missing 'a'.",
        ),
        (
            {"properties": {"a": {"type": "string", "default": "b"}}, "required": ["a"]},
            "In context=('properties', 'a'), 'default' is not permitted.",
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/A", "description": "?"}}, "required": ["a"]},
            "In context=('properties', 'a'), $ref cannot have keywords {'description'}.",
        ),
        (
            {"properties": {"a": {"type": "array", "items": {"anyOf": [{"oneOf": []}]}}}, "required": ["a"]},
            "In context=('properties', 'a', 'items', 'anyOf', '0'), 'oneOf' is not permitted.",
        ),
        (
            {"properties": {}, "$defs": {"A": INNER}},
            "In context=('$defs', 'A'), 'additionalProperties' is required to be supplied and to be false.",
        ),
    ],
)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_schema_that_is_not_strict_is_refused_where_it_should_be(standin, api, schema, reason):
    tool = strict(schema)
    if api == "chat":
        answer = post(standin, "/v1/chat/completions", offering_models(tool))
    else:
        answer = post(standin, "/v1/responses", {"input": "Go", "tools": [{"type": "function", **tool}]})

    error = answer.json()["error"]
    assert error["message"] == f"Invalid schema for function 'Weather': {reason}"
    assert error["code"] == "invalid_function_parameters"
    assert post(standin, "/v1/chat/completions", offering_models({**tool, "strict": False})).status_code == 200


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"input": [OUTPUT]}, "input", "No tool call found for function call output with call_id call_1."),
        (
            {"input": [ITEM, OUTPUT, OUTPUT]},
            "input",
            "No tool call found for function call output with call_id call_1.",
        ),
        ({"input": [ITEM]}, "input", "No tool output found for function call call_1."),
        ({"input": [{**ITEM, "name": "a.b"}, OUTPUT]}, "input[0].name", f"Invalid 'input[0].name': {PATTERN}"),
        ({}, "input", "Missing required parameter: 'input'."),
        (
            {"messages": [USER]},
            "messages",
            "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. "
            "Try again with the new parameter.",
        ),
        (
            {"input": "Go", "tools": [{"type": "function", "function": function()}]},
            "tools[0].name",
            "Missing required parameter: 'tools[0].name'.",
        ),
        (
            {"input": "Go", "previous_response_id": "resp_0"},
            "previous_response_id",
            "Previous response with id 'resp_0' not found.",
        ),
        ([], None, "We could not parse the JSON body of your request."),
    ],
)
def test_a_response_is_refused(standin, body, param, message):
    answer = post(standin, "/v1/responses", body)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["message"], error["param"], error["type"]) == (message, param, "invalid_request_error")


def test_a_response_that_was_not_stored_is_not_found(standin):
    first = post(standin, "/v1/responses", {"input": "Go", "store": False}).json()

    answer = post(standin, "/v1/responses", {"input": "On", "previous_response_id": first["id"]})

    assert answer.json()["error"]["code"] == "previous_response_not_found"


def declaring(*names):
    return {"contents": [ASKED], "tools": [{"functionDeclarations": [{"name": name} for name in names]}]}


NUMBER = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)
REFUSED_BY_GEMINI = [
    ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
    (
        {"contents": [{"role": "user", "parts": []}]},
        "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n",
    ),
    ({"contents": [{"role": "system", "parts": [{"text": "?"}]}]}, "Please use a valid role: user, model."),
    (
        {"contents": [ASKED, ANSWERED]},
        "Please ensure that function response turn comes immediately after a function call turn.",
    ),
    ({"contents": [ASKED, CALLED, ASKED]}, NUMBER),
    ({"contents": [ASKED, {**CALLED, "parts": CALLED["parts"] * 2}, ANSWERED]}, NUMBER),
    (declaring("A", "B", "A"), "Duplicate function declaration found: A"),
    (
        declaring("A", "1"),
        "* GenerateContentRequest.tools[0].function_declarations[1].name: Invalid function name. Must start with a "
        "letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or "
        "dashes (-), with a maximum length of 64.\n",
    ),
]


@pytest.mark.parametrize(("body", "message"), REFUSED_BY_GEMINI)
def test_gemini_refuses(standin, body, message):
    answer = post(standin, GENERATE, body)

    assert answer.status_code == 400
    assert answer.json()["error"] == {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}


def test_gemini_refuses_over_grpc(standin):
    from google.cloud.aiplatform_v1.types import prediction_service
    from google.protobuf.json_format import ParseDict

    credentials = grpc.ssl_channel_credentials(standin.certificate_authority.read_bytes())
    with grpc.secure_channel(f"localhost:{standin.grpc_port}", credentials) as channel:
        ask = channel.unary_unary(
            "/google.cloud.aiplatform.v1.PredictionService/GenerateContent",
            request_serializer=lambda body: ParseDict(
                body, prediction_service.GenerateContentRequest.pb()()
            ).SerializeToString(),
        )
        for body, message in REFUSED_BY_GEMINI:
            with pytest.raises(grpc.RpcError) as failure:
                ask(body)
            assert (failure.value.code(), failure.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)


@pytest.mark.skipif(not supports_signatures(), reason="this google-cloud-aiplatform knows no signatures")
def test_a_model_that_signs_its_calls_wants_the_signature_back(standin):
    asked = {"role": "user", "parts": [{"text": "Call"}]}
    content = post(standin, SIGNING, {"contents": [asked]}).json()["candidates"][0]["content"]
    assert content["parts"][0]["thoughtSignature"]
    unsigned = {**content, "parts": [{"functionCall": content["parts"][0]["functionCall"]}]}

    answer = post(standin, SIGNING, {"contents": [asked, unsigned, ANSWERED]})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == (
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance. Additional data, function "
        "call `default_api:Weather` , position 2. Please refer to https://ai.google.dev/gemini-api/docs/"
        "thought-signatures for more details."
    )
    assert post(standin, SIGNING, {"contents": [asked, content, ANSWERED]}).status_code == 200
    assert post(standin, SIGNING, {"contents": [asked, unsigned, ANSWERED, ASKED]}).status_code == 200
    assert post(standin, GENERATE, {"contents": [asked, unsigned, ANSWERED]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat(assistant(), result())),
        ("/v1/chat/completions", offering_models(function(), function())),
        ("/v1/responses", {"input": [ITEM, OUTPUT]}),
        (GENERATE, {"contents": [ASKED, CALLED, ANSWERED]}),
        (GENERATE, {"contents": [{"parts": ASKED["parts"]}]}),
    ],
)
def test_what_the_providers_take_is_taken(standin, path, body):
    assert post(standin, path, body).status_code == 200
