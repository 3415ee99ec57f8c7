"""Requests that the providers reject. The stand-in rejects them with the same messages."""

import json

import grpc
import httpx
import pytest

from multitrack.standin import Rule, ScriptedCall, StandIn
from multitrack.standin.provider import Provider
from multitrack.standin.recorded_responses import RecordedResponses
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.script import Script
from multitrack.standin.vertex.protobuf_types import supports_signatures

GENERATE = "/v1beta/models/gemini-2.0-flash:generateContent"
SIGNING = "/v1beta/models/gemini-3-pro:generateContent"
USER = {"role": "user", "content": "Go"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "Weather", "arguments": "{}"}}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "Weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "21"}
PROMPT_CONTENT = {"role": "user", "parts": [{"text": "Go"}]}
CALL_CONTENT = {"role": "model", "parts": [{"functionCall": {"name": "Weather", "args": {}}}]}
RESULT_CONTENT = {"role": "user", "parts": [{"functionResponse": {"name": "Weather", "response": {"output": 21}}}]}


RULES = [Rule(prompt="Call", calls=[ScriptedCall("Weather")]), Rule(text="Fine")]


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin:
        yield standin


@pytest.fixture(scope="module")
def provider():
    """The part of a stand-in that answers requests, without the servers that receive them."""
    return Provider(Script(RULES), RecordedResponses([]))


def post(provider, path, body):
    content = json.dumps(body).encode()
    reply = provider.reply_http(ReceivedRequest("http", "POST", f"http://127.0.0.1{path}", (), body, content))
    return httpx.Response(
        reply.status, headers=reply.headers, content=b"".join(chunk.content for chunk in reply.chunks)
    )


def build_function(**more):
    return {"name": "Weather", "parameters": {"type": "object", "properties": {}}, **more}


def build_strict_function(schema):
    return build_function(strict=True, parameters={"type": "object", "additionalProperties": False, **schema})


def build_chat(*messages, **more):
    return {"model": "m", "messages": [USER, *messages], **more}


def build_chat_with_tools(*functions):
    return build_chat(tools=[{"type": "function", "function": function} for function in functions])


def build_assistant_message(**call):
    return {"role": "assistant", "tool_calls": [{**CALL, **call}]}


def build_result_message(call_id="call_1"):
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
        (build_chat(build_result_message()), "messages.[1].role", NO_CALL),
        (build_chat(build_assistant_message(), USER), "messages", NO_RESULT),
        (build_chat(build_assistant_message()), "messages", NO_RESULT),
        (
            build_chat(build_assistant_message(), build_result_message("call_2")),
            "messages.[2].tool_call_id",
            "Invalid parameter: 'tool_call_id' of 'call_2' not found in 'tool_calls' of previous message.",
        ),
        (
            build_chat(build_assistant_message(function={"name": "a.b", "arguments": "{}"}), build_result_message()),
            "messages[1].tool_calls[0].function.name",
            f"Invalid 'messages[1].tool_calls[0].function.name': {PATTERN}",
        ),
        (
            build_chat(build_assistant_message(id="c" * 41), build_result_message("c" * 41)),
            "messages[1].tool_calls[0].id",
            f"Invalid 'messages[1].tool_calls[0].id': {TOO_LONG.format(40, 41)}",
        ),
        (build_chat(tools=[build_function()]), "tools[0].function", "Missing required parameter: 'tools[0].function'."),
        (build_chat_with_tools({}), "tools[0].function.name", "Missing required parameter: 'tools[0].function.name'."),
        (
            build_chat_with_tools(build_function(), build_function(name="a b")),
            "tools[1].function.name",
            f"Invalid 'tools[1].function.name': {PATTERN}",
        ),
        (
            build_chat_with_tools(build_function(name="n" * 65)),
            "tools[0].function.name",
            f"Invalid 'tools[0].function.name': {TOO_LONG.format(64, 65)}",
        ),
        (
            build_chat_with_tools(build_function(parameters={"$ref": "#"})),
            "tools[0].function.parameters",
            "Invalid schema for function 'Weather': schema must be a JSON Schema of 'type: \"object\"', "
            "got 'type: \"None\"'.",
        ),
        (
            build_chat(tool_choice="auto"),
            "tool_choice",
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ),
        (
            build_chat(stream_options={"include_usage": True}),
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ),
    ],
)
def test_a_chat_is_rejected(provider, body, param, message):
    answer = post(provider, "/v1/chat/completions", body)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["message"] == message
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


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
def test_strict_requires_a_strict_schema(provider, api, schema, reason):
    tool = build_strict_function(schema)
    if api == "chat":
        answer = post(provider, "/v1/chat/completions", build_chat_with_tools(tool))
    else:
        answer = post(provider, "/v1/responses", {"input": "Go", "tools": [{"type": "function", **tool}]})

    error = answer.json()["error"]
    assert error["message"] == f"Invalid schema for function 'Weather': {reason}"
    assert error["code"] == "invalid_function_parameters"
    assert post(provider, "/v1/chat/completions", build_chat_with_tools({**tool, "strict": False})).status_code == 200


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
            {"input": "Go", "tools": [{"type": "function", "function": build_function()}]},
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
def test_a_responses_request_is_rejected(provider, body, param, message):
    answer = post(provider, "/v1/responses", body)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["message"] == message
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


def test_a_response_that_was_not_stored_is_not_found(provider):
    first = post(provider, "/v1/responses", {"input": "Go", "store": False}).json()

    answer = post(provider, "/v1/responses", {"input": "On", "previous_response_id": first["id"]})

    assert answer.json()["error"]["code"] == "previous_response_not_found"


def build_declarations(*names):
    return {"contents": [PROMPT_CONTENT], "tools": [{"functionDeclarations": [{"name": name} for name in names]}]}


NUMBER = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)
REJECTED_BY_GEMINI = [
    ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
    (
        {"contents": [{"role": "user", "parts": []}]},
        "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n",
    ),
    ({"contents": [{"role": "system", "parts": [{"text": "?"}]}]}, "Please use a valid role: user, model."),
    (
        {"contents": [PROMPT_CONTENT, RESULT_CONTENT]},
        "Please ensure that function response turn comes immediately after a function call turn.",
    ),
    ({"contents": [PROMPT_CONTENT, CALL_CONTENT, PROMPT_CONTENT]}, NUMBER),
    ({"contents": [PROMPT_CONTENT, {**CALL_CONTENT, "parts": CALL_CONTENT["parts"] * 2}, RESULT_CONTENT]}, NUMBER),
    (build_declarations("A", "B", "A"), "Duplicate function declaration found: A"),
    (
        build_declarations("A", "1"),
        "* GenerateContentRequest.tools[0].function_declarations[1].name: Invalid function name. Must start with a "
        "letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or "
        "dashes (-), with a maximum length of 64.\n",
    ),
]


@pytest.mark.parametrize(("body", "message"), REJECTED_BY_GEMINI)
def test_a_gemini_request_is_rejected_over_rest(provider, body, message):
    answer = post(provider, GENERATE, body)

    assert answer.status_code == 400
    assert answer.json()["error"] == {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}


def test_gemini_requests_are_rejected_over_grpc(standin):
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
        for body, message in REJECTED_BY_GEMINI:
            with pytest.raises(grpc.RpcError) as failure:
                ask(body)
            assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert failure.value.details() == message


@pytest.mark.skipif(not supports_signatures(), reason="this google-cloud-aiplatform has no signatures")
def test_a_model_that_signs_its_calls_requires_their_signatures(provider):
    prompt = {"role": "user", "parts": [{"text": "Call"}]}
    signed = post(provider, SIGNING, {"contents": [prompt]}).json()["candidates"][0]["content"]
    assert signed["parts"][0]["thoughtSignature"]
    unsigned = {**signed, "parts": [{"functionCall": signed["parts"][0]["functionCall"]}]}

    answer = post(provider, SIGNING, {"contents": [prompt, unsigned, RESULT_CONTENT]})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == (
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance. Additional data, function "
        "call `default_api:Weather` , position 2. Please refer to https://ai.google.dev/gemini-api/docs/"
        "thought-signatures for more details."
    )
    assert post(provider, SIGNING, {"contents": [prompt, signed, RESULT_CONTENT]}).status_code == 200
    assert post(provider, SIGNING, {"contents": [prompt, unsigned, RESULT_CONTENT, PROMPT_CONTENT]}).status_code == 200
    assert post(provider, GENERATE, {"contents": [prompt, unsigned, RESULT_CONTENT]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", build_chat(build_assistant_message(), build_result_message())),
        ("/v1/chat/completions", build_chat_with_tools(build_function(), build_function())),
        ("/v1/responses", {"input": [ITEM, OUTPUT]}),
        (GENERATE, {"contents": [PROMPT_CONTENT, CALL_CONTENT, RESULT_CONTENT]}),
        (GENERATE, {"contents": [{"parts": PROMPT_CONTENT["parts"]}]}),
    ],
)
def test_valid_requests_are_accepted(provider, path, body):
    assert post(provider, path, body).status_code == 200
