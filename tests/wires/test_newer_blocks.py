"""Answers of Anthropic and Bedrock with blocks and stop reasons that the recorded answers do not have.

Each answer was written after the provider's documentation, with other names and values:
https://platform.claude.com/docs/en/api/messages and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. ``test_sdk_types.py`` compares them
with the types in the installed SDKs.
"""

import base64
import json

import pytest

from multitrack.wires import continue_conversation, create_stream_decoder, read_answer, recognize
from multitrack.wires.event_stream import write_message
from multitrack.wires.tool import ToolResult

TEXT = {"type": "text", "text": "Let me see."}
USE = {"type": "tool_use", "id": "toolu_1", "name": "Weather", "input": {"city": "Köln"}}
CALL = ("toolu_1", "Weather", '{"city":"Köln"}')


def message(*blocks, stop="end_turn", **fields):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": list(blocks),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "output_tokens": 4,
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        },
        **fields,
    }


def server_use(name, arguments, **fields):
    return {"type": "server_tool_use", "id": "srvtoolu_1", "name": name, "input": arguments, **fields}


def server_result(kind, content, **fields):
    return {"type": f"{kind}_tool_result", "tool_use_id": "srvtoolu_1", "content": content, **fields}


SEARCH_RESULT = {
    "type": "web_search_result",
    "url": "https://example.com",
    "title": "Weather",
    "encrypted_content": "RW5j",
    "page_age": None,
}
CITATION = {
    "type": "web_search_result_location",
    "url": "https://example.com",
    "title": "Weather",
    "encrypted_index": "SW5k",
    "cited_text": "rain",
}
BY_CODE = {"caller": {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}}

# name: (message, the calls, the attributes of the answer that are not the default)
ANTHROPIC = {
    "context window exceeded": (
        message(TEXT, stop="model_context_window_exceeded"),
        [],
        {"is_truncated": True},
    ),
    "context window exceeded in a call": (
        message(TEXT, USE, stop="model_context_window_exceeded"),
        [CALL],
        {"is_truncated": True, "has_cut_off_call": True},
    ),
    "length limit in the text after a call": (
        message(USE, TEXT, stop="max_tokens"),
        [CALL],
        {"is_truncated": True, "has_cut_off_call": False},
    ),
    "length limit in a thought": (
        message({"type": "thinking", "thinking": "Hm", "signature": ""}, stop="max_tokens"),
        [],
        {"is_truncated": True, "text": None},
    ),
    "refusal with details": (
        message(
            TEXT,
            stop="refusal",
            stop_details={"type": "refusal", "category": "cyber", "explanation": "This may harm others."},
        ),
        [],
        {"refusal": "This may harm others."},
    ),
    "refusal with a category": (
        message(stop="refusal", stop_details={"type": "refusal", "category": "bio", "explanation": None}),
        [],
        {"refusal": "bio", "text": None},
    ),
    "refusal without details": (message(stop="refusal", stop_details=None), [], {"refusal": "refusal", "text": None}),
    "stop sequence": (message(TEXT, stop="stop_sequence", stop_details=None), [], {}),
    "pause": (
        message(TEXT, server_use("web_search", {"query": "rain"}), stop="pause_turn"),
        [],
        {},
    ),
    "web search": (
        message(
            TEXT,
            server_use("web_search", {"query": "rain"}),
            server_result("web_search", [SEARCH_RESULT]),
            {"type": "text", "text": " It rains.", "citations": [CITATION]},
            USE,
            stop="tool_use",
        ),
        [CALL],
        {"text": "Let me see. It rains."},
    ),
    "web search that failed": (
        message(
            server_use("web_search", {"query": "rain"}),
            server_result("web_search", {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}),
            TEXT,
        ),
        [],
        {},
    ),
    "web fetch": (
        message(
            server_use("web_fetch", {"url": "https://example.com"}),
            server_result(
                "web_fetch",
                {
                    "type": "web_fetch_result",
                    "url": "https://example.com",
                    "content": {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                    },
                },
            ),
            TEXT,
        ),
        [],
        {},
    ),
    "code execution": (
        message(
            server_use("bash_code_execution", {"command": "ls"}),
            server_result(
                "bash_code_execution",
                {
                    "type": "bash_code_execution_result",
                    "stdout": "a",
                    "stderr": "",
                    "return_code": 0,
                    "content": [{"type": "bash_code_execution_output", "file_id": "file_1"}],
                },
            ),
            TEXT,
            container={"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"},
        ),
        [],
        {},
    ),
    "file that the code edits": (
        message(
            server_use("text_editor_code_execution", {"command": "view", "path": "a.py"}),
            server_result(
                "text_editor_code_execution",
                {"type": "text_editor_code_execution_tool_result_error", "error_code": "unavailable"},
            ),
            TEXT,
        ),
        [],
        {},
    ),
    "encrypted output of code": (
        message(
            server_result(
                "code_execution",
                {
                    "type": "encrypted_code_execution_result",
                    "encrypted_stdout": "RW5j",
                    "stderr": "",
                    "return_code": 0,
                    "content": [],
                },
            ),
            TEXT,
        ),
        [],
        {},
    ),
    "call by code": (
        message(server_use("code_execution", {"code": "x"}), {**USE, **BY_CODE}, stop="tool_use"),
        [CALL],
        {"text": None},
    ),
    "direct call": (message(TEXT, {**USE, "caller": {"type": "direct"}}, stop="tool_use"), [CALL], {}),
    "MCP": (
        message(
            {
                "type": "mcp_tool_use",
                "id": "mcptoolu_1",
                "name": "Weather",
                "server_name": "maps",
                "input": {"city": "Bonn"},
            },
            {
                "type": "mcp_tool_result",
                "tool_use_id": "mcptoolu_1",
                "is_error": True,
                "content": [{"type": "text", "text": "no such place"}],
            },
            TEXT,
        ),
        [],
        {},
    ),
    "tool search": (
        message(
            server_use("tool_search_tool_regex", {"query": "weather"}),
            server_result(
                "tool_search",
                {
                    "type": "tool_search_tool_search_result",
                    "tool_references": [{"type": "tool_reference", "tool_name": "Weather"}],
                },
            ),
            TEXT,
            USE,
            stop="tool_use",
        ),
        [CALL],
        {},
    ),
    "compaction": (message({"type": "compaction", "content": "So far."}, stop="compaction"), [], {"text": None}),
    "compaction that failed": (message({"type": "compaction", "content": None}, TEXT), [], {}),
    "managed context": (
        message(
            TEXT,
            context_management={
                "applied_edits": [
                    {"type": "clear_tool_uses_20250919", "cleared_tool_uses": 2, "cleared_input_tokens": 50}
                ]
            },
        ),
        [],
        {},
    ),
    "upload into a container": (message({"type": "container_upload", "file_id": "file_1"}, TEXT), [], {}),
    "redacted thought": (
        message({"type": "redacted_thinking", "data": "RW5j"}, TEXT, USE, stop="tool_use"),
        [CALL],
        {},
    ),
    "omitted thought": (
        message({"type": "thinking", "thinking": "", "signature": "c2ln"}, TEXT, USE, stop="tool_use"),
        [CALL],
        {},
    ),
    "citations of a document": (
        message(
            TEXT,
            {
                "type": "text",
                "text": " Green.",
                "citations": [
                    {
                        "type": "char_location",
                        "cited_text": "green",
                        "document_index": 0,
                        "document_title": None,
                        "start_char_index": 0,
                        "end_char_index": 5,
                        "file_id": None,
                    }
                ],
            },
        ),
        [],
        {"text": "Let me see. Green."},
    ),
    "call without input": (
        message({**USE, "input": {}}, stop="tool_use"),
        [("toolu_1", "Weather", "{}")],
        {"text": None},
    ),
    "guardrail of Bedrock": (
        message(TEXT, **{"amazon-bedrock-guardrailAction": "NONE", "amazon-bedrock-trace": {"guardrail": {}}}),
        [],
        {},
    ),
    "block of the future": (message({"type": "hologram", "input": {"name": "Weather"}}, TEXT), [], {}),
    "stop reason of the future": (message(TEXT, USE, stop="coffee_break"), [CALL], {}),
}
STREAMED = {name: case for name, case in ANTHROPIC.items() if name not in {"compaction that failed"}}


def anthropic_events(document):
    """Yield the events of a stream, with the input of calls in pieces."""
    start = {**document, "content": [], "stop_reason": None}
    stop_details = {key: start.pop(key) for key in ("stop_details",) if key in start}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(document["content"]):
        fields, deltas = dict(block), []
        match block:
            case {"type": "text"}:
                fields["text"] = ""
                deltas = [{"type": "citations_delta", "citation": one} for one in fields.pop("citations", ())]
                deltas.append({"type": "text_delta", "text": block["text"]})
            case {"type": "thinking"}:
                fields |= {"thinking": "", "signature": ""}
                deltas = [{"type": f"{key}_delta", key: block[key]} for key in ("thinking", "signature")]
            case {"type": "compaction"}:
                fields["content"] = None
                deltas = [{"type": "compaction_delta", "content": block["content"]}]
            case {"type": "tool_use" | "server_tool_use" | "mcp_tool_use", "input": {**arguments}}:
                fields["input"] = {}
                text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":")) if arguments else ""
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:3], text[3:])]
        yield {"type": "content_block_start", "index": index, "content_block": fields}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": document["stop_reason"], "stop_sequence": None, **stop_details}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 4}}
    yield {"type": "message_stop"}


def sse(events):
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def invoke_stream(events):
    """Return the body of ``InvokeModelWithResponseStream``: each event is base64 in a message of an event stream."""
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    encoded = (base64.b64encode(json.dumps(event).encode()).decode() for event in events)
    return b"".join(write_message(headers, json.dumps({"bytes": data, "p": "abc"}).encode()) for data in encoded)


def check(body, wire, calls, finish_reason, expected):
    assert recognize(body) == wire
    answer = read_answer(body, wire)
    assert read_answer(body) == answer
    assert [(call.id, call.name, call.arguments) for call in answer.calls] == calls
    assert answer.finish_reason == finish_reason
    defaults = {"is_complete": True, "is_truncated": False, "has_cut_off_call": False, "refusal": None, "error": None}
    for name, value in {**defaults, **expected}.items():
        assert getattr(answer, name) == value, name


@pytest.mark.parametrize("name", ANTHROPIC)
def test_a_message_is_decoded(name):
    document, calls, expected = ANTHROPIC[name]
    body = json.dumps(document).encode()
    check(body, "anthropic", calls, document["stop_reason"], {"text": TEXT["text"], **expected})


@pytest.mark.parametrize("encode", [sse, invoke_stream])
@pytest.mark.parametrize("name", STREAMED)
def test_a_streamed_message_is_decoded(name, encode):
    document, calls, expected = ANTHROPIC[name]
    # the whole JSON text of the input has arrived, so the limit did not cut the call off
    expected = {**expected, "has_cut_off_call": False}
    body = encode(anthropic_events(document))
    check(body, "anthropic.stream", calls, document["stop_reason"], {"text": TEXT["text"], **expected})


@pytest.mark.parametrize("name", ANTHROPIC)
def test_the_document_of_a_streamed_message_has_all_blocks(name):
    document, _, _ = ANTHROPIC[name]
    decoder = create_stream_decoder("anthropic.stream")
    decoder.feed(sse(anthropic_events(document)))
    found = decoder.document["content"]
    assert [block["type"] for block in found] == [block["type"] for block in document["content"]]
    results = [ToolResult(call, True, "fine") for call in decoder.answer.calls]
    assert continue_conversation(decoder.document, results, "anthropic") == continue_conversation(
        document, results, "anthropic"
    )


@pytest.mark.parametrize(
    ("events", "error"),
    [
        pytest.param(
            [{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}],
            "Overloaded",
            id="at the beginning",
        ),
        pytest.param(
            [
                {"type": "message_start", "message": message(stop=None)},
                {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}},
            ],
            "Internal server error",
            id="in the middle",
        ),
    ],
)
def test_an_error_in_a_stream_is_reported(events, error):
    body = sse(events)
    assert recognize(body) == "anthropic.stream"
    answer = read_answer(body, "anthropic.stream")
    assert answer.error == error
    assert not answer.is_complete


# --- Bedrock's Converse API -----------------------------------------------------------------------------------------

B_TEXT = {"text": "Let me see."}
B_USE = {"toolUse": {"toolUseId": "tooluse_1", "name": "Weather", "input": {"city": "Köln"}}}
B_CALL = ("tooluse_1", "Weather", '{"city":"Köln"}')
LOCATION = {"documentChar": {"documentIndex": 0, "start": 0, "end": 4}}


def converse(*blocks, stop="end_turn", **fields):
    return {
        "metrics": {"latencyMs": 12},
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": stop,
        "usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13},
        **fields,
    }


BEDROCK = {
    "context window exceeded": (
        converse(B_TEXT, B_USE, stop="model_context_window_exceeded"),
        [B_CALL],
        {"is_truncated": True, "has_cut_off_call": True},
    ),
    "length limit after a call": (converse(B_USE, B_TEXT, stop="max_tokens"), [B_CALL], {"is_truncated": True}),
    "refusal": (converse(B_TEXT, stop="refusal"), [], {"refusal": "refusal"}),
    "guardrail": (
        converse(
            B_TEXT,
            stop="guardrail_intervened",
            trace={
                "guardrail": {"inputAssessment": {"abc": {"topicPolicy": {"topics": []}}}, "actionReason": "Blocked."}
            },
        ),
        [],
        {"refusal": "guardrail_intervened"},
    ),
    "content filter": (converse(B_TEXT, stop="content_filtered"), [], {"refusal": "content_filtered"}),
    "malformed call": (converse(B_TEXT, stop="malformed_tool_use"), [], {"error": "malformed_tool_use"}),
    "malformed answer": (
        converse(stop="malformed_model_output"),
        [],
        {"error": "malformed_model_output", "text": None},
    ),
    "stop sequence": (
        converse(B_TEXT, stop="stop_sequence", additionalModelResponseFields={"stop_sequence": "END"}),
        [],
        {},
    ),
    "thought": (
        converse(
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
            B_TEXT,
            B_USE,
            stop="tool_use",
        ),
        [B_CALL],
        {},
    ),
    "redacted thought": (
        converse({"reasoningContent": {"redactedContent": "RW5j"}}, B_TEXT, B_USE, stop="tool_use"),
        [B_CALL],
        {},
    ),
    "citations": (
        converse(
            {
                "citationsContent": {
                    "content": [{"text": "Let me "}, {"text": "see."}],
                    "citations": [{"title": "a", "sourceContent": [{"text": "x"}], "location": LOCATION}],
                }
            },
            B_USE,
            stop="tool_use",
        ),
        [B_CALL],
        {},
    ),
    "server tool": (
        converse(
            {"toolUse": {**B_USE["toolUse"], "name": "nova_grounding", "type": "server_tool_use"}},
            {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "x"}], "type": "nova_grounding_result"}},
            B_TEXT,
        ),
        [],
        {},
    ),
    "cache point": (converse(B_TEXT, {"cachePoint": {"type": "default"}}), [], {}),
    "text for a guardrail": (converse({"guardContent": {"text": {"text": "secret"}}}, B_TEXT), [], {}),
    "video in a bucket": (
        converse({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/k"}}}}, B_TEXT),
        [],
        {},
    ),
    "image": (converse({"image": {"format": "png", "source": {"bytes": "aGk="}}}, B_TEXT), [], {}),
    "audio": (
        converse({"audio": {"format": "wav", "source": {"bytes": "aGk="}, "error": {"message": "no"}}}, B_TEXT),
        [],
        {},
    ),
    "search result": (
        converse(
            {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}], "citations": {"enabled": True}}},
            B_TEXT,
        ),
        [],
        {},
    ),
    "prompt router": (
        converse(B_TEXT, trace={"promptRouter": {"invokedModelId": "amazon.nova-lite-v1:0"}}),
        [],
        {"model": "amazon.nova-lite-v1:0"},
    ),
    "latency and tier": (
        converse(B_TEXT, performanceConfig={"latency": "optimized"}, serviceTier={"type": "flex"}),
        [],
        {},
    ),
    "input that is a string": (
        converse(B_TEXT, {"toolUse": {**B_USE["toolUse"], "input": '{"city":"Köln"'}}, stop="tool_use"),
        [("tooluse_1", "Weather", '{"city":"Köln"')],
        {},
    ),
    "call without input": (
        converse({"toolUse": {**B_USE["toolUse"], "input": {}}}, stop="tool_use"),
        [("tooluse_1", "Weather", "{}")],
        {"text": None},
    ),
    "block of the future": (converse({"hologram": {"name": "Weather"}}, B_TEXT), [], {}),
    "stop reason of the future": (converse(B_TEXT, B_USE, stop="coffee_break"), [B_CALL], {}),
}
# these blocks are not streamed
B_STREAMED = [
    name
    for name in BEDROCK
    if name not in {"cache point", "text for a guardrail", "video in a bucket", "audio", "search result", "server tool"}
]


def converse_events(document):
    yield {"messageStart": {"role": "assistant", "p": "ab"}}
    for index, block in enumerate(document["output"]["message"]["content"]):
        match block:
            case {"text": text}:
                deltas = [{"text": text[:3]}, {"text": text[3:]}]
            case {"reasoningContent": {"reasoningText": {**thought}}}:
                deltas = [{"reasoningContent": {key: value}} for key, value in thought.items()]
            case {"reasoningContent": thought}:
                deltas = [{"reasoningContent": thought}]
            case {"image": {"format": kind, "source": source}}:
                yield {"contentBlockStart": {"start": {"image": {"format": kind}}, "contentBlockIndex": index}}
                deltas = [{"image": {"source": source}}]
            case {"citationsContent": {"content": parts, "citations": citations}}:
                deltas = [*parts, *({"citation": citation} for citation in citations)]
            case {"toolUse": {"input": arguments, **start}}:
                yield {"contentBlockStart": {"start": {"toolUse": start}, "contentBlockIndex": index}}
                text = (
                    arguments
                    if isinstance(arguments, str)
                    else json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
                )
                deltas = [{"toolUse": {"input": piece}} for piece in ("", text[:4], text[4:])]
            case _:
                yield {"contentBlockStart": {"start": block, "contentBlockIndex": index}}
                deltas = []
        yield from ({"contentBlockDelta": {"delta": delta, "contentBlockIndex": index, "p": "x"}} for delta in deltas)
        yield {"contentBlockStop": {"contentBlockIndex": index}}
    yield {"messageStop": {"stopReason": document["stopReason"]}}
    yield {"metadata": {key: document[key] for key in ("usage", "metrics", "trace") if key in document}}


def event_stream(events):
    headers = {":content-type": "application/json", ":message-type": "event"}
    named = (next(iter(event.items())) for event in events)
    return b"".join(write_message({":event-type": name, **headers}, json.dumps(one).encode()) for name, one in named)


def json_lines(events):
    """Return the events as a cassette stores them."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@pytest.mark.parametrize("name", BEDROCK)
def test_an_answer_of_converse_is_decoded(name):
    document, calls, expected = BEDROCK[name]
    body = json.dumps(document).encode()
    check(body, "bedrock", calls, document["stopReason"], {"text": B_TEXT["text"], **expected})


@pytest.mark.parametrize("encode", [event_stream, json_lines])
@pytest.mark.parametrize("name", B_STREAMED)
def test_a_streamed_answer_of_converse_is_decoded(name, encode):
    document, calls, expected = BEDROCK[name]
    expected = {**expected, "has_cut_off_call": False}
    check(
        encode(converse_events(document)),
        "bedrock.stream",
        calls,
        document["stopReason"],
        {"text": B_TEXT["text"], **expected},
    )


EXCEPTIONS = ["throttlingException", "modelStreamErrorException", "validationException", "serviceUnavailableException"]


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_an_exception_ends_a_stream(kind):
    events = [*converse_events(BEDROCK["thought"][0])][:4]
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    converse_body = event_stream(events) + write_message(headers, b'{"message":"Slow down"}')
    events = [*anthropic_events(ANTHROPIC["direct call"][0])][:4]
    invoke_body = invoke_stream(events) + write_message(headers, b'{"message":"Slow down"}')
    for body, wire in ((converse_body, "bedrock.stream"), (invoke_body, "anthropic.stream")):
        assert recognize(body) == wire
        answer = read_answer(body)
        assert "Slow down" in (answer.error or "")
        assert not answer.is_complete
