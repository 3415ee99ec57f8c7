"""The catalogue: every behaviour, and the wire formats in which it does not occur.

A behaviour has two cells for each wire format: one for unstreamed and one for streamed answers. Each cell is a
cassette, unless the catalogue says why the behaviour does not occur there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

WIRES = ("openai.chat", "openai.responses", "gemini", "gemini.grpc", "anthropic", "bedrock")
"""The library's wire formats. ``gemini`` is REST. ``gemini.grpc`` is Vertex AI over gRPC."""

CELLS = tuple(name for wire in WIRES for name in (wire, f"{wire}.stream"))
"""The wire formats, each followed by its name for streamed answers."""

ArgumentStyle = Literal["valid", "recorded", "invalid", "cut_off", "spaced"]
"""How the arguments of the calls are adapted to a test's tools.

``valid``: they match the schema. ``recorded``: they stay as recorded. ``invalid``: they do not match the schema.
``cut_off``: they match it, but end too early. ``spaced``: they match it, as JSON with unusual whitespace and escapes.
"""

_CHAT_STREAM = "https://platform.openai.com/docs/api-reference/chat-streaming"
_RESPONSES = "https://platform.openai.com/docs/api-reference/responses/object"
_OPENAI_ERRORS = "https://platform.openai.com/docs/guides/error-codes"
_CLAUDE_API = "https://platform.claude.com/docs/en/api/messages"
_CLAUDE_STREAM = "https://platform.claude.com/docs/en/build-with-claude/streaming"
_CLAUDE_STOPS = "https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons"
_CLAUDE_ERRORS = "https://platform.claude.com/docs/en/api/errors"
_CONVERSE = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"
_CONVERSE_STREAM = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html"
_TOOL_USE_BLOCK = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html"
_GEMINI = "https://ai.google.dev/api/generate-content"
_SIGNATURES = "https://ai.google.dev/gemini-api/docs/thought-signatures"
_GOOGLE_ERRORS = "https://cloud.google.com/apis/design/errors"

_GOOGLE = ("gemini", "gemini.grpc")
_NO_DELTAS = "an unstreamed answer has no deltas"
_COMPLETE_PARTS = f"every `functionCall` arrives complete in one chunk: see {_GEMINI}"


def _stream(*wires: str) -> tuple[str, ...]:
    return tuple(f"{wire}.stream" for wire in wires)


def _both(*wires: str) -> tuple[str, ...]:
    return (*wires, *_stream(*wires))


def _absent(*reasons: tuple[Iterable[str], str]) -> Mapping[str, str]:
    return {cell: reason for cells, reason in reasons for cell in cells}


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """A provider behaviour in the catalogue.

    Attributes:
        name: The name of the behaviour, which is the same for all wire formats.
        description: What the provider does, in one sentence.
        seen: Where the behaviour is described or was seen: provider pages, and issues.
        arguments: How the arguments are adapted to a test's tools.
        absent: The wire formats in which the behaviour does not occur, each with the reason.
    """

    name: str
    description: str
    seen: tuple[str, ...]
    arguments: ArgumentStyle = "valid"
    absent: Mapping[str, str] = field(default_factory=dict)


ENTRIES: tuple[CatalogueEntry, ...] = (
    CatalogueEntry(
        name="one_call",
        description="The model calls one tool.",
        seen=("https://platform.openai.com/docs/guides/function-calling",),
    ),
    CatalogueEntry(
        name="three_parallel_calls",
        description="The model calls tools three times in one answer.",
        seen=("https://platform.openai.com/docs/guides/function-calling",),
    ),
    CatalogueEntry(
        name="same_tool_twice",
        description="The model calls the same tool twice.",
        seen=("https://github.com/generative-computing/mellea/issues/1431",),
    ),
    CatalogueEntry(
        name="text_only",
        description="The model answers with text instead of calls.",
        seen=("https://platform.openai.com/docs/guides/function-calling",),
    ),
    CatalogueEntry(
        name="text_beside_calls",
        description="The model writes text and calls a tool in the same answer.",
        seen=(_CLAUDE_API, _CONVERSE),
    ),
    CatalogueEntry(
        name="unknown_tool",
        description="The model calls a tool that was not offered.",
        seen=("https://github.com/OpenHands/OpenHands/issues/5111",),
    ),
    CatalogueEntry(
        name="invalid_arguments",
        description="The arguments are JSON, but do not match the tool's schema.",
        seen=("https://platform.openai.com/docs/api-reference/chat/object",),
        arguments="invalid",
    ),
    CatalogueEntry(
        name="truncated_arguments",
        description="The token limit ends the answer in the middle of the arguments.",
        seen=(_CLAUDE_STOPS, "https://github.com/open-webui/computer/issues/252"),
        arguments="cut_off",
        absent=_absent(
            (_both(*_GOOGLE), f"the arguments are one object, which cannot be incomplete: see {_GEMINI}")
        ),
    ),
    CatalogueEntry(
        name="empty_arguments",
        description="The arguments are an empty string or an empty object.",
        seen=(
            "https://github.com/vllm-project/vllm/issues/19419",
            "https://github.com/deepset-ai/haystack-core-integrations/issues/1947",
            "https://github.com/vercel/ai/pull/10859",
        ),
        arguments="recorded",
    ),
    CatalogueEntry(
        name="absent_arguments",
        description="The field with the arguments is missing, or no delta contains it.",
        seen=(
            "https://github.com/JetBrains/koog/pull/2147",
            "https://github.com/aws-amplify/amplify-backend/pull/2226",
            "https://github.com/microsoft/autogen/pull/6979",
        ),
        arguments="recorded",
        absent=_absent(
            (_both("openai.responses"), f"`arguments` is a required field of a call: see {_RESPONSES}"),
            (("anthropic",), f"`input` is a required field of a call: see {_CLAUDE_API}"),
            (("bedrock",), f"`input` is a required field of a call: see {_TOOL_USE_BLOCK}"),
        ),
    ),
    CatalogueEntry(
        name="non_canonical_arguments",
        description="The arguments are valid JSON with unusual whitespace and escapes.",
        seen=("the corpus openllmetry",),
        arguments="spaced",
        absent=_absent(
            (
                (*_both(*_GOOGLE), "anthropic", "bedrock"),
                "the arguments are an object, not a string of JSON",
            ),
        ),
    ),
    CatalogueEntry(
        name="duplicate_ids",
        description="Two calls in one answer have the same id.",
        seen=(
            "https://github.com/HKUDS/nanobot/pull/3943",
            "https://github.com/HKUDS/nanobot/issues/4473",
        ),
    ),
    CatalogueEntry(
        name="missing_index",
        description="The deltas do not say which call they belong to.",
        seen=("https://github.com/ollama/ollama/issues/7881", "https://github.com/openai/openai-python/pull/3246"),
        absent=_absent(
            (WIRES, _NO_DELTAS),
            (_stream("openai.responses"), f"each delta must have `output_index` and `item_id`: see {_RESPONSES}"),
            (_stream("anthropic"), f"each event of a block must have an `index`: see {_CLAUDE_STREAM}"),
            (_stream("bedrock"), f"each delta must have a `contentBlockIndex`: see {_CONVERSE_STREAM}"),
            (_stream(*_GOOGLE), _COMPLETE_PARTS),
        ),
    ),
    CatalogueEntry(
        name="repeated_index",
        description="The deltas of all calls have the same index.",
        seen=("https://github.com/ai-dynamo/dynamo/pull/4723", "https://github.com/BerriAI/litellm/pull/16194"),
        absent=_absent(
            (WIRES, _NO_DELTAS),
            (_stream("openai.responses"), f"each call has its own `output_index`: see {_RESPONSES}"),
            (_stream("anthropic"), f"each block has its own `index`: see {_CLAUDE_STREAM}"),
            (_stream("bedrock"), f"each block has its own `contentBlockIndex`: see {_CONVERSE_STREAM}"),
            (_stream(*_GOOGLE), _COMPLETE_PARTS),
        ),
    ),
    CatalogueEntry(
        name="interleaved_deltas",
        description="The deltas of two calls alternate.",
        seen=("https://github.com/huggingface/smolagents/pull/2605", _CHAT_STREAM),
        absent=_absent(
            (WIRES, _NO_DELTAS),
            (_stream("anthropic"), f"a block ends before the next block starts: see {_CLAUDE_STREAM}"),
            (_stream("bedrock"), f"a block ends before the next block starts: see {_CONVERSE_STREAM}"),
            (_stream(*_GOOGLE), _COMPLETE_PARTS),
        ),
    ),
    CatalogueEntry(
        name="call_in_one_delta",
        description="A streamed call arrives with all its arguments in one delta.",
        seen=("the corpus openllmetry", "https://github.com/ollama/ollama/issues/7881"),
        absent=_absent((WIRES, _NO_DELTAS), (_stream(*_GOOGLE), f"{_COMPLETE_PARTS} and `one_call`")),
    ),
    CatalogueEntry(
        name="reasoning_before_calls",
        description="The answer contains the model's reasoning before its calls.",
        seen=("https://api-docs.deepseek.com/guides/reasoning_model", _RESPONSES, _CLAUDE_STREAM, _GEMINI),
    ),
    CatalogueEntry(
        name="refusal",
        description="The model refuses, and the answer says so.",
        seen=("https://platform.openai.com/docs/guides/structured-outputs#refusals", _CLAUDE_STOPS),
        absent=_absent(
            (_both(*_GOOGLE), f"the API has neither a field nor a finish reason for a model's refusal: see {_GEMINI}"),
            (_both("bedrock"), f"the API has no stop reason for a refusal by the model: see {_CONVERSE}"),
        ),
    ),
    CatalogueEntry(
        name="safety_block",
        description="The provider's safety filter withholds the answer.",
        seen=(_GEMINI, "https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-use-converse-api.html"),
        absent=_absent(
            (_both("openai.chat", "openai.responses"), "OpenAI's filter ends an answer early: see `content_filter`"),
            (
                _both("anthropic"),
                f"an answer that a safety classifier stops is a refusal: see `refusal` and {_CLAUDE_STOPS}",
            ),
        ),
    ),
    CatalogueEntry(
        name="content_filter",
        description="The provider's content filter ends the answer.",
        seen=(
            "https://platform.openai.com/docs/api-reference/chat/object",
            _CONVERSE,
            _GEMINI,
            "https://github.com/anthropics/claude-code/issues/58367",
        ),
    ),
    CatalogueEntry(
        name="no_candidates",
        description="The answer has no candidate, because the prompt was blocked.",
        seen=("https://github.com/zed-industries/zed/pull/38670", _GEMINI),
        absent=_absent(
            (_both("openai.chat"), "a filtered answer still has a choice: see `content_filter`"),
            (_both("openai.responses", "anthropic", "bedrock"), "an answer is one message, not a list of candidates"),
        ),
    ),
    CatalogueEntry(
        name="several_choices",
        description="The answer has two alternatives, each with a call, because the request asks for two.",
        seen=("https://platform.openai.com/docs/api-reference/chat/create", _GEMINI),
        absent=_absent(
            (
                _both("openai.responses", "anthropic", "bedrock"),
                "a request cannot ask for alternative answers",
            )
        ),
    ),
    CatalogueEntry(
        name="thought_signatures",
        description="The calls or the reasoning have signatures, which the next request must repeat.",
        seen=(_SIGNATURES, _CLAUDE_STREAM),
    ),
    CatalogueEntry(
        name="bad_request",
        description="The provider rejects the request: status 400.",
        seen=(_OPENAI_ERRORS, _CLAUDE_ERRORS, _CONVERSE, _GOOGLE_ERRORS),
    ),
    CatalogueEntry(
        name="unauthorized",
        description="The provider rejects the credentials: status 401, for Bedrock 403.",
        seen=(_OPENAI_ERRORS, _CLAUDE_ERRORS, _GOOGLE_ERRORS),
    ),
    CatalogueEntry(
        name="rate_limit_then_success",
        description="The first request is rejected with status 429 and `Retry-After`; the second request succeeds.",
        seen=(_OPENAI_ERRORS, _CLAUDE_ERRORS, _CONVERSE, _GOOGLE_ERRORS),
    ),
    CatalogueEntry(
        name="server_error_then_success",
        description="The first request fails with status 500; the second request succeeds.",
        seen=(_OPENAI_ERRORS, _CLAUDE_ERRORS, _CONVERSE, _GOOGLE_ERRORS),
    ),
    CatalogueEntry(
        name="unavailable",
        description="The service is unavailable: status 503, or UNAVAILABLE over gRPC.",
        seen=(_OPENAI_ERRORS, _CONVERSE, _GOOGLE_ERRORS),
    ),
    CatalogueEntry(
        name="overloaded",
        description="The API is overloaded: status 529.",
        seen=(_CLAUDE_ERRORS,),
        absent=_absent(
            (
                _both("openai.chat", "openai.responses", *_GOOGLE, "bedrock"),
                "only Anthropic uses the status 529; other providers send 503: see `unavailable`",
            )
        ),
    ),
    CatalogueEntry(
        name="error_event_in_stream",
        description="A stream that began with status 200 ends with an error.",
        seen=(_CLAUDE_ERRORS, _CONVERSE_STREAM),
        absent=_absent((WIRES, "an unstreamed answer reports an error in its status")),
    ),
    CatalogueEntry(
        name="stream_cut",
        description="The connection closes in the middle of a stream.",
        seen=("https://www.rfc-editor.org/rfc/rfc9112#section-8",),
        absent=_absent((WIRES, "an unstreamed answer has no stream to interrupt: use `connection_reset` instead")),
    ),
    CatalogueEntry(
        name="read_timeout",
        description="The provider accepts the request, but does not answer in time.",
        seen=("https://www.python-httpx.org/advanced/timeouts/", "https://grpc.io/docs/guides/deadlines/"),
    ),
    CatalogueEntry(
        name="connection_reset",
        description="The connection closes before the answer begins.",
        seen=("https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1",),
    ),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in ENTRIES}


def list_cells() -> Iterator[tuple[CatalogueEntry, str]]:
    """Yield every behaviour with every wire format."""
    for entry in ENTRIES:
        for cell in CELLS:
            yield entry, cell
