"""Compare Multitrack's ``create`` for Anthropic's client with the SDK's own, for a short response."""

from __future__ import annotations

from benchmarks.page import Section
from benchmarks.provider_extraction import measure_extraction


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a tenth of the rounds."""
    return measure_extraction(
        "Extraction with Anthropic",
        "anthropic_process",
        {"sync": (), "async": ("--async",)},
        quick=quick,
        method="the SDK's `messages.create`",
        provider="The provider is a `MockTransport` in the same process.",
        raw_client='It calls `create(tools=..., tool_choice={"type": "auto"})` with the same schemas, and validates '
        "each call with `Model.model_validate(block.input)`.",
    )
