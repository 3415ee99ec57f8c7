"""Bodies of Amazon Bedrock and of Anthropic's API that are not messages: other models, other methods, and exceptions.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html describes the bodies of ``InvokeModel``.
"""

import base64
import json

import pytest

from multitrack.wires import read_answer, recognize
from multitrack.wires.event_stream import write_message

# the formats of other models, which no wire format decodes
UNKNOWN = {
    "Titan": {"inputTextTokenCount": 5, "results": [{"outputText": "Hi", "completionReason": "FINISH"}]},
    "Titan, streamed": {"outputText": "Hi", "index": 0, "completionReason": None, "inputTextTokenCount": 5},
    "Titan embeddings": {"embedding": [0.1], "inputTextTokenCount": 5},
    "Titan images": {"images": ["aGk="], "error": None},
    "Llama": {"generation": "Hi", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": "stop"},
    "Mistral": {"outputs": [{"text": "Hi", "stop_reason": "stop"}]},
    "Command": {"generations": [{"finish_reason": "COMPLETE", "id": "1", "text": "Hi"}], "id": "2", "prompt": "x"},
    "Command R": {
        "response_id": "1",
        "text": "",
        "generation_id": "2",
        "tool_calls": [{"name": "Weather", "parameters": {"city": "Bonn"}}],
        "finish_reason": "COMPLETE",
    },
    "Command R, streamed": {"is_finished": False, "event_type": "text-generation", "text": "Hi"},
    "Jurassic-2": {"id": 1, "completions": [{"data": {"text": "Hi"}, "finishReason": {"reason": "endoftext"}}]},
    "Claude 2": {"type": "completion", "completion": " Hi", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"},
    "tokens of Anthropic": {"input_tokens": 2095},
    "tokens of Bedrock": {"inputTokens": 2095},
    "batch of Anthropic": {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"},
    "guardrail of Bedrock": {"action": "GUARDRAIL_INTERVENED", "outputs": [{"text": "no"}], "usage": {}},
    "answer from a knowledge base": {"output": {"text": "Hi"}, "sessionId": "1", "citations": []},
    "item of a conversation of OpenAI": {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi"}],
    },
}

USE = {"toolUseId": "tooluse_1", "name": "Weather"}
NOVA = {
    "output": {"message": {"role": "assistant", "content": [{"toolUse": {**USE, "input": {"city": "Bonn"}}}]}},
    "stopReason": "tool_use",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3, "cacheReadInputTokenCount": 0},
}
NOVA_EVENTS = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockStart": {"start": {"toolUse": USE}, "contentBlockIndex": 0}},
    {"contentBlockDelta": {"delta": {"toolUse": {"input": '{"city":"Bonn"}'}}, "contentBlockIndex": 0}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "tool_use"}},
    {"metadata": {"usage": {"inputTokens": 1}}, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}},
]
EXCEPTION = {
    ":exception-type": "throttlingException",
    ":content-type": "application/json",
    ":message-type": "exception",
}


def encode_invoke_stream(*chunks):
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    pieces = (base64.b64encode(json.dumps(chunk).encode()).decode() for chunk in chunks)
    return b"".join(write_message(headers, json.dumps({"bytes": piece}).encode()) for piece in pieces)


@pytest.mark.parametrize("encode", [lambda body: json.dumps(body).encode(), encode_invoke_stream])
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_body_in_an_unknown_format_is_not_recognized(name, encode):
    assert recognize(encode(UNKNOWN[name])) is None


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        pytest.param(json.dumps(NOVA).encode(), "bedrock", id="InvokeModel"),
        pytest.param(encode_invoke_stream(*NOVA_EVENTS), "bedrock.stream", id="InvokeModelWithResponseStream"),
    ],
)
def test_nova_answers_in_the_format_of_converse(body, wire):
    assert recognize(body) == wire
    answer = read_answer(body)
    assert [(call.name, call.arguments) for call in answer.calls] == [("Weather", '{"city":"Bonn"}')]
    assert answer.finish_reason == "tool_use"
    assert answer.is_complete


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(write_message(EXCEPTION, b'{"message":"Slow down"}'), id="as received"),
        pytest.param(b'{"throttlingException":{"message":"Slow down"}}\n', id="in a cassette"),
    ],
)
def test_an_exception_can_be_the_whole_stream(body):
    assert recognize(body) == "bedrock.stream"
    answer = read_answer(body, "bedrock.stream")
    assert answer.error == "throttlingException: Slow down"
    assert not answer.is_complete


def test_vertex_marks_the_events_of_anthropic():
    start = {"id": "msg_vrtx_1", "type": "message", "role": "assistant", "content": [], "usage": {}}
    events = [
        ("vertex_event", {"type": "ping"}),
        ("message_start", {"type": "message_start", "message": start}),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}),
        ("message_stop", {"type": "message_stop"}),
    ]
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    assert recognize(body) == "anthropic.stream"
    assert read_answer(body).finish_reason == "end_turn"
