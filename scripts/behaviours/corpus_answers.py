"""Real answers with a licence: the corpus openllmetry in tests/data/corpora (Apache-2.0)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from multitrack.wires import ToolDefinition

_FOLDER = Path(__file__).parents[2] / "tests" / "data" / "corpora"
_FILES = ("openllmetry.jsonl", "openllmetry_anthropic_bedrock.jsonl")
_OPENAI = "packages/opentelemetry-instrumentation-openai/tests/traces/cassettes"
_AGENTS = "packages/opentelemetry-instrumentation-openai-agents/tests/cassettes"
_ANTHROPIC = "packages/opentelemetry-instrumentation-anthropic/tests/cassettes/test_messages"
_LANGCHAIN = "packages/opentelemetry-instrumentation-langchain/tests/cassettes"
_BEDROCK = "packages/opentelemetry-instrumentation-bedrock/tests/traces/cassettes"
_GEMINI = "packages/opentelemetry-instrumentation-google-generativeai/tests/cassettes"

SOURCES: Mapping[tuple[str, str], str] = {
    ("openai.chat", "one_call"): f"{_OPENAI}/test_chat/test_chat_tools.yaml#0",
    ("openai.chat.stream", "one_call"): f"{_OPENAI}/test_chat/test_chat_tools_streaming.yaml#0",
    ("openai.responses", "one_call"): f"{_OPENAI}/test_finish_reasons/TestResponsesAPIFinishReasons."
    "test_responses_api_tool_call_finish_reason.yaml#0",
    ("openai.responses.stream", "one_call"): f"{_AGENTS}/test_openai_agents/"
    "test_music_composer_handoff_hierarchy.yaml#2",
    ("anthropic", "one_call"): f"{_ANTHROPIC}/test_anthropic_tools_history_legacy.yaml#0",
    ("openai.chat", "same_tool_twice"): f"{_OPENAI}/test_functions/test_open_ai_function_calls_tools_parallel.yaml#0",
    ("openai.chat.stream", "same_tool_twice"): f"{_OPENAI}/test_functions/"
    "test_open_ai_function_calls_tools_streaming_parallel.yaml#0",
    ("openai.responses", "same_tool_twice"): f"{_OPENAI}/test_responses/test_responses_tool_calls.yaml#0",
    ("openai.chat", "text_only"): "packages/opentelemetry-instrumentation-agno/tests/cassettes/test_agent/"
    "test_agent_with_tools.yaml#1",
    ("openai.chat.stream", "text_only"): f"{_OPENAI}/test_chat/test_chat_streaming_partial_consumption.yaml#2",
    ("openai.responses", "text_only"): f"{_OPENAI}/test_responses/test_responses.yaml#0",
    ("openai.responses.stream", "text_only"): f"{_OPENAI}/test_responses/"
    "test_responses_streaming_async_with_parent_span.yaml#0",
    ("gemini", "text_only"): f"{_GEMINI}/test_generate_content/test_generate_metrics.yaml#0",
    ("anthropic", "text_only"): f"{_LANGCHAIN}/test_llms/test_anthropic.yaml#0",
    ("anthropic.stream", "text_only"): f"{_ANTHROPIC}/test_anthropic_text_stream_helper_method_legacy.yaml#0",
    ("bedrock", "text_only"): f"{_BEDROCK}/test_meta/test_meta_converse.yaml#0",
    ("bedrock.stream", "text_only"): f"{_BEDROCK}/test_meta/test_meta_converse_stream.yaml#0",
    ("bedrock.stream", "text_beside_calls"): f"{_BEDROCK}/test_anthropic/"
    "test_anthropic_converse_stream_with_tool_use.yaml#0",
    ("bedrock.stream", "safety_block"): f"{_BEDROCK}/test_guardrails/test_guardrail_converse_stream.yaml#0",
    ("anthropic", "text_beside_calls"): f"{_LANGCHAIN}/test_tool_calls/test_tool_calls_anthropic_text_block.yaml#0",
    ("anthropic.stream", "text_beside_calls"): f"{_ANTHROPIC}/test_anthropic_tools_streaming_legacy.yaml#0",
    ("openai.responses", "empty_arguments"): f"{_AGENTS}/test_openai_agents/test_agent_with_handoff_spans.yaml#0",
    ("openai.responses.stream", "empty_arguments"): f"{_AGENTS}/test_openai_agents/"
    "test_music_composer_handoff_hierarchy.yaml#1",
    ("openai.responses.stream", "call_in_one_delta"): f"{_AGENTS}/test_complete_handoff_with_tools/"
    "test_router_analytics_complete_workflow.yaml#0",
    ("openai.chat", "refusal"): f"{_OPENAI}/test_chat_parse/test_parsed_refused_completion.yaml#0",
    ("openai.chat", "bad_request"): f"{_OPENAI}/test_vision/test_vision.yaml#2",
}
"""The id of the real answer for each cell that has one."""


@dataclass(frozen=True)
class CorpusAnswer:
    """A real answer. ``tools`` are the functions that its request offered, as far as they are known."""

    id: str
    status: int
    body: str | bytes
    tools: tuple[ToolDefinition, ...]


@cache
def _load() -> dict[str, dict[str, Any]]:
    lines = [line for name in _FILES for line in (_FOLDER / name).read_text("utf-8").splitlines()]
    return {record["id"]: record for record in map(json.loads, lines)}


def find_answer(cell: str, name: str) -> CorpusAnswer | None:
    """Return the real answer for a behaviour. None if the corpus has none."""
    if (source := SOURCES.get((cell, name))) is None:
        return None
    record = _load()[source]
    encoded = record.get("response_b64")
    body = record["response_body"] if encoded is None else base64.b64decode(encoded)
    return CorpusAnswer(source, record["status"], body, _read_tools(record))


def _read_tools(record: Mapping[str, Any]) -> tuple[ToolDefinition, ...]:
    if record.get("tools"):
        return tuple(
            ToolDefinition(tool["name"], tool.get("description"), tool["parameters"]) for tool in record["tools"]
        )
    # the corpus has no requests of Anthropic and Bedrock: the schemas follow from the arguments
    return tuple(
        ToolDefinition(
            call["name"],
            None,
            {
                "type": "object",
                "properties": {name: {"type": "string"} for name in call["arguments"]},
                "required": [*call["arguments"]],
            },
        )
        for call in record["expected"]
    )
