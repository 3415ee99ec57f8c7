"""Pairing live interactions with recorded ones, and finding where a conversation diverges."""

import json

import pytest

from multitrack.drift import conversation_drift
from multitrack.tape.exchange import Request, Response
from multitrack.tape.interaction import Interaction

URL = "https://api.openai.com/v1/responses"
JSON = (("content-type", "application/json"),)


def interaction(sent, answered, url=URL, **response):
    text = answered if isinstance(answered, bytes) else json.dumps(answered).encode()
    return Interaction(
        Request("POST", url, JSON, json.dumps(sent).encode()), Response(200, "OK", JSON, text, **response)
    )


def verdicts(recorded, live):
    return [(one.verdict, one.recording) for one in conversation_drift.compare_conversations(recorded, live).requests]


def responses(number, *calls, said="hm"):
    """Return a response of the Responses API whose ids contain ``number``."""
    reasoning = {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": f"secret {number}"}
    output = [
        {"type": "function_call", "id": f"fc_{number}_{at}", "call_id": f"call_{number}_{at}", "name": name,
         "arguments": json.dumps(arguments)}
        for at, (name, arguments) in enumerate(calls)
    ]  # fmt: skip
    message = {"type": "message", "id": f"msg_{number}", "content": [{"type": "output_text", "text": said}]}
    return {"object": "response", "id": f"resp_{number}", "output": [reasoning, *output, message]}


WEATHER, SEARCH = ("Weather", {"city": "Toronto"}), ("Search", {"query": "x"})


def test_ids_of_live_responses_in_later_requests_are_not_a_difference():
    def conversation(number):
        first, second = responses(number, WEATHER, SEARCH), responses(f"{number}b", SEARCH)
        results = [{"type": "function_call_output", "call_id": f"call_{number}_{at}", "output": "1"} for at in (0, 1)]
        return [
            interaction({"input": "plan"}, first),
            interaction({"input": [*first["output"][:-1], *results]}, second),
            interaction({"input": "more", "previous_response_id": second["id"]}, responses(f"{number}c")),
            interaction({}, responses(f"{number}d"), url=f"{URL}/resp_{number}b"),
        ]

    assert verdicts(conversation("a"), conversation("z")) == [("same", 1), ("same", 2), ("same", 3), ("same", 4)]


@pytest.mark.parametrize("streamed", [False, True])
def test_gemini_signatures_in_later_requests_are_not_a_difference(streamed):
    def conversation(signature):
        part = {"functionCall": {"name": "Weather", "args": {"city": "Toronto"}}, "thoughtSignature": signature}
        content = {"role": "model", "parts": [part]}
        answer = {"candidates": [{"content": content, "finishReason": "STOP"}]}
        body = b"data: " + json.dumps(answer).encode() + b"\r\n\r\n" if streamed else answer
        url = "https://x.googleapis.com/v1/m:generateContent"
        return [
            interaction({"contents": ["plan"]}, body, url),
            interaction({"contents": ["plan", content, "result"]}, body, url),
        ]

    assert verdicts(conversation("c2lnbmF0dXJl"), conversation("b3RoZXI=")) == [("same", 1), ("same", 2)]


def test_text_of_live_responses_is_replaced_but_text_of_the_user_is_not():
    def conversation(word, answer):
        return [
            interaction({"input": "yes"}, responses("a", said=word)),
            interaction({"input": ["yes", word, "and?"]}, answer),
        ]

    recorded = conversation("Yes.", responses("b", WEATHER))
    assert verdicts(recorded, conversation("yes", responses("c", WEATHER))) == [
        ("same", 1),
        ("diverged at call 2", None),
    ]
    assert verdicts(recorded, conversation("Fine.", responses("c", SEARCH))) == [
        ("same", 1),
        ("calls added or removed", 2),
    ]


def test_a_divergence_is_reported_once_and_later_recordings_are_compared():
    recorded = [interaction({"input": number}, responses(number, WEATHER)) for number in range(4)]
    live = [
        interaction({"input": 0}, responses("x", SEARCH)),
        interaction({"input": "1, but"}, responses("y", WEATHER)),
        interaction({"input": "2, but"}, responses("z", WEATHER)),
        interaction({"input": 3}, responses("w", WEATHER)),
    ]
    found = conversation_drift.compare_conversations(recorded, live)
    assert [(one.verdict, one.recording) for one in found.requests] == [
        ("calls added or removed", 1),
        ("diverged at call 2", None),
        ("same", 4),
    ]
    assert [entry.position for entry in found.unsent] == [2, 3]


def test_equal_requests_are_compared_in_order():
    recorded = [interaction({}, responses("a", WEATHER)), interaction({}, responses("b", SEARCH))]
    assert verdicts(recorded, [interaction({}, responses("c", WEATHER)), interaction({}, responses("d", SEARCH))]) == [
        ("same", 1),
        ("same", 2),
    ]
    assert verdicts(recorded, [interaction({}, responses("c", WEATHER))] * 3) == [
        ("same", 1),
        ("calls added or removed", 2),
        ("diverged at call 3", None),
    ]


def test_a_streaming_grpc_request_is_matched_by_all_its_messages():
    url = "grpc://x.example/service.Chat/Talk"
    recorded = [
        interaction([{"say": "a"}, {"say": "b"}], [{}], url),
        interaction([{"say": "a"}, {"say": "c"}], [{}], url),
    ]
    live = [interaction([{"say": "a"}, {"say": "c"}], [{}], url), interaction([{"say": "a"}], [{}], url)]
    assert verdicts(recorded, live) == [("not compared", 2), ("request changed", None)]


def test_responses_that_end_early():
    whole, part = responses("a", WEATHER), b'{"object": "response", "output": ['
    recorded = [interaction({"input": number}, whole) for number in range(2)]
    recorded += [interaction({"input": 2}, part, ending="broken")]
    live = [
        interaction({"input": 0}, part, ending="left"),
        interaction({"input": 1}, part, ending="broken"),
        interaction({"input": 2}, whole),
    ]
    found = conversation_drift.compare_conversations(recorded, live).requests
    assert [(one.verdict, one.drift.lines) for one in found] == [
        ("not compared", ("one of the responses was not read to its end",)),
        ("failed", ("broken off",)),
        ("not compared", ("the recording ends with a failure (broken off)",)),
    ]
