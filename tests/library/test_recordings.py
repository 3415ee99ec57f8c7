"""``make cassettes`` writes the same bytes again. Only a few cassettes are recorded here, because all take too long."""

from pathlib import Path

import pytest
from scripts.behaviours.recording import record_behaviour

pytestmark = pytest.mark.slow

CASSETTES = Path(__file__).parents[2] / "cassettes" / "library"
CELLS = [
    ("openai.chat", "one_call"),
    ("openai.chat.stream", "missing_index"),
    ("openai.responses.stream", "reasoning_before_calls"),
    ("gemini", "duplicate_ids"),
    ("gemini.stream", "error_event_in_stream"),
    ("gemini.grpc", "thought_signatures"),
    ("gemini.grpc.stream", "stream_cut"),
    ("anthropic", "rate_limit_then_success"),
    ("anthropic.stream", "stream_cut"),
    ("bedrock", "connection_reset"),
    ("bedrock.stream", "text_beside_calls"),
]


@pytest.mark.usefixtures("starts_server")
@pytest.mark.parametrize(("wire", "name"), CELLS)
def test_a_recording_is_reproduced(wire, name):
    assert record_behaviour(wire, name) == (CASSETTES / wire / f"{name}.yaml").read_bytes()
