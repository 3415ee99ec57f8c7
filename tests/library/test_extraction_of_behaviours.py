"""What extraction makes of each behaviour, in every wire format."""

import pytest
from scripts.behaviours.page import describe_outcome

from multitrack.library import behaviours
from multitrack.library.catalogue import ENTRIES

OUTCOMES = {
    "one_call": {"1 model"},
    "three_parallel_calls": {"3 models"},
    "same_tool_twice": {"2 models"},
    "text_only": {"`NoToolCalls`"},
    "text_beside_calls": {"1 model", "2 models"},
    "unknown_tool": {"`UnknownTool`"},
    "invalid_arguments": {"`InvalidArguments`"},
    "truncated_arguments": {"`TruncatedResponse`"},
    "empty_arguments": {"`InvalidArguments`"},
    "absent_arguments": {"`InvalidArguments`"},
    "non_canonical_arguments": {"1 model"},
    "duplicate_ids": {"2 models"},
    "missing_index": {"3 models"},
    "repeated_index": {"3 models"},
    "interleaved_deltas": {"2 models"},
    "call_in_one_delta": {"1 model", "3 models"},
    "reasoning_before_calls": {"1 model"},
    "refusal": {"`Refusal`"},
    "safety_block": {"`Refusal`"},
    "content_filter": {
        "`Refusal`",
        "the client's error for status 400",
        "`StreamBroken`, 0 models before it",
    },
    "no_candidates": {"`Refusal`"},
    "several_choices": {"2 models"},
    "thought_signatures": {"1 model", "2 models"},
    "bad_request": {"the client's error for status 400", "the client's error for INVALID_ARGUMENT"},
    "unauthorized": {
        "the client's error for status 401",
        "the client's error for status 403",
        "the client's error for UNAUTHENTICATED",
    },
    "rate_limit_then_success": {
        "the client's error for status 429, then 1 model",
        "the client's error for RESOURCE_EXHAUSTED, then 1 model",
    },
    "server_error_then_success": {
        "the client's error for status 500, then 1 model",
        "the client's error for INTERNAL, then 1 model",
    },
    "unavailable": {"the client's error for status 503", "the client's error for UNAVAILABLE"},
    "overloaded": {"the client's error for status 529"},
    "error_event_in_stream": {"`StreamBroken`, 1 model before it"},
    "stream_cut": {"`StreamBroken`, 1 model before it"},
    "read_timeout": {"the client's error for a timeout", "the client's error for DEADLINE_EXCEEDED"},
    "connection_reset": {"the client's error for a closed connection", "the client's error for UNAVAILABLE"},
}


def test_every_behaviour_has_an_outcome():
    assert list(OUTCOMES) == [entry.name for entry in ENTRIES]


@pytest.mark.parametrize("name", OUTCOMES)
def test_extraction_of_a_behaviour(name):
    found = behaviours(name=name)
    assert found
    unexpected = {str(one): outcome for one in found if (outcome := describe_outcome(one)) not in OUTCOMES[name]}
    assert unexpected == {}
