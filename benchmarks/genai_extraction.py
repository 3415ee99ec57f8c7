"""Compare Multitrack's ``create`` for google-genai with the SDK's own ``generate_content``, for a short response."""

from __future__ import annotations

from benchmarks.page import Section
from benchmarks.provider_extraction import measure_extraction


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a tenth of the rounds."""
    return measure_extraction(
        "Extraction with google-genai",
        "genai_process",
        {"sync": ()},
        quick=quick,
        method="the SDK's `generate_content`",
        provider="The provider is a `MockTransport` in the same process.",
        raw_client="It calls `generate_content` with the same contents and tools, and validates each call with "
        "`Model.model_validate(part.function_call.args)`.",
        reason="It does two things that the raw client does not do. It converts the messages from OpenAI's form to the "
        "SDK's objects, and it copies the fields of the SDK's response into dictionaries for its decoder.",
    )
