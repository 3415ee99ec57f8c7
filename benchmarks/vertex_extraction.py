"""Compare Multitrack's ``create`` for Vertex AI with the SDK's own ``generate_content``, for a short response."""

from __future__ import annotations

from benchmarks.page import Section
from benchmarks.provider_extraction import measure_extraction


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a tenth of the rounds."""
    return measure_extraction(
        "Extraction with Vertex AI",
        "vertex_process",
        {"sync": ()},
        quick=quick,
        method="the SDK's `GenerativeModel.generate_content`",
        provider="The provider is a gRPC channel that returns a message without a connection.",
        raw_client="It calls `generate_content` with the same contents and tools, and validates each call with "
        "`Model.model_validate(call.args)`.",
        reason="The reason is the SDK's `args` property, which the raw client reads: it converts each call on its own, "
        "through several wrapper objects. Multitrack converts the protobuf message of the whole response.",
    )
