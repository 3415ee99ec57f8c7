"""The lines at the end of a run."""

import pytest

from multitrack.reporting.savings import measure_savings
from multitrack.reporting.terminal import TapeSummary, summary_lines
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Request, Response
from multitrack.tape.interaction import Interaction


def summary(number=0, **fields):
    defaults = {"test": f"t.py::test_{number}", "is_test": True, "mode": "replay", "tape": f"{number}.yaml"}
    return TapeSummary(**{**defaults, "played": 1, "recorded": 0, **fields})


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        ([], []),
        ([summary(), summary(1)], ["multitrack: 2 tests used a cassette, 2 requests replayed"]),
        (
            [summary(tokens=1200, seconds=0.02), summary(1, tokens=34)],
            ["multitrack: 2 tests used a cassette, 2 requests replayed (1,234 tokens saved)"],
        ),
        (
            [summary(tokens=200, seconds=4.06)],
            ["multitrack: 1 test used a cassette, 1 request replayed (200 tokens and 4.1 s saved)"],
        ),
        (
            [summary(played=0, recorded=2)],
            ["multitrack: 1 test used a cassette, 2 requests recorded in 1 cassette"],
        ),
        (
            [summary(number, played=0, days=50 + number) for number in range(2)],
            [
                "multitrack: 2 tests used a cassette",
                "multitrack: old: 0.yaml: recorded 50 days ago",
                "multitrack: old: 1.yaml: recorded 51 days ago",
            ],
        ),
        (
            [summary(number, played=0, days=50 + number) for number in range(9)],
            [
                "multitrack: 9 tests used a cassette",
                "multitrack: old: recorded at least 50 days ago: 9 cassettes",
                "  in 0.yaml, 1.yaml, 2.yaml and 6 more",
            ],
        ),
        (
            [summary(number, unplayed=[1, 3]) for number in range(4)],
            [
                "multitrack: 4 tests used a cassette, 4 requests replayed",
                "multitrack: not replayed: 8 interactions in 4 cassettes",
                "  in 0.yaml, 1.yaml, 2.yaml and 1 more",
            ],
        ),
        (
            [
                summary(number, played=0, recorded=1, pending=f"{number}.pending.yaml", reason="the test failed")
                for number in range(5)
            ],
            [
                "multitrack: 5 tests used a cassette",
                "multitrack: pending: 5 recordings: the test failed",
                "  in 0.pending.yaml, 1.pending.yaml, 2.pending.yaml and 2 more",
                "  to accept all pending recordings: multitrack accept",
            ],
        ),
    ],
    ids=["nothing", "replayed", "tokens", "seconds", "recorded", "two old", "many old", "not replayed", "pending"],
)
def test_the_summary_has_one_line_for_each_kind_of_fact(facts, lines):
    assert list(summary_lines(facts)) == lines
    assert all(len(line) <= 84 for line in lines)


def test_a_failed_request_has_a_line_of_its_own_beside_many_pending_recordings():
    facts = [
        summary(number, recorded=1, pending=f"{number}.pending.yaml", reason="the test failed") for number in range(4)
    ]
    facts.append(
        summary(
            9, recorded=1, pending="9.pending.yaml", reason="status 429", failed_request="POST", record_hint="pytest 9"
        )
    )
    lines = list(summary_lines(facts))
    assert "multitrack: pending: 9.pending.yaml: status 429" in lines
    assert "  to record the failed requests again: pytest 9" in lines
    assert "multitrack: pending: 4 recordings: the test failed" in lines


@pytest.mark.parametrize(
    ("fields", "is_printed"),
    [({}, False), ({"recorded": 1}, True), ({"days": 9}, True), ({"unplayed": [2]}, True)],
    ids=["replayed", "recorded", "old", "not replayed"],
)
def test_a_quiet_run_prints_only_what_was_written_or_is_wrong(fields, is_printed):
    lines = list(summary_lines([summary(**fields)], is_quiet=True))
    assert bool(lines) == is_printed
    assert not any(line.endswith("request replayed") for line in lines)


@pytest.mark.parametrize(
    ("headers", "gaps", "seconds"),
    [
        ({"openai-processing-ms": "1212"}, (), 1.212),
        ({"x-envoy-upstream-service-time": "980"}, (), 0.98),
        ({"x-amzn-bedrock-invocation-latency": "640"}, (), 0.64),
        ({"openai-processing-ms": "1212"}, (1300,), 1.3),
        ({"openai-processing-ms": "soon"}, (), 0),
        ({"openai-processing-ms": "9" * 5000}, (), 0),
        ({}, (), 0),
    ],
    ids=["openai", "envoy", "bedrock", "recorded", "no number", "too many digits", "unknown"],
)
def test_the_provider_measures_the_time_if_the_cassette_does_not(headers, gaps, seconds):
    response = Response(200, "OK", tuple(headers.items()), b"{}", chunks=Chunks(gaps=gaps))
    interaction = Interaction(Request("POST", "https://example.com", (), b""), response)
    assert measure_savings([interaction]).seconds == seconds


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ('{"object":"chat.completion","choices":[],"usage":{"total_tokens":75}}', 75),
        ('{"object":"response","output":[],"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}', 7),
        ('{"candidates":[{"content":{"parts":[]}}],"usageMetadata":{"totalTokenCount":31}}', 31),
        (
            '{"type":"message","role":"assistant","content":[],"usage":'
            '{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":3}}',
            17,
        ),
        (
            '{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn","usage":{"totalTokens":9}}',
            9,
        ),
        (
            '{"model":"m","created_at":"x","message":{"role":"assistant","content":"a"},"done":true,'
            '"prompt_eval_count":6,"eval_count":5}',
            11,
        ),
        ('{"object":"chat.completion","choices":[]}', 0),
        ('{"object":"chat.completion","choices":[],"usage":{"total_tokens":"many"}}', 0),
        ("not an answer", 0),
    ],
    ids=["chat", "responses", "gemini", "anthropic", "bedrock", "ollama", "no usage", "a wrong type", "no answer"],
)
def test_the_tokens_of_each_provider_are_counted(body, tokens):
    response = Response(200, "OK", (), body.encode(), chunks=Chunks(gaps=(400, 100)))
    interaction = Interaction(Request("POST", "https://example.com", (), b""), response)
    assert measure_savings([interaction]) == (tokens, 0.5)
