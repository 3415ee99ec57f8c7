"""Compare Multitrack's ``create`` for Amazon Bedrock with boto3's ``converse``, for a short response."""

from __future__ import annotations

from benchmarks.page import Section
from benchmarks.provider_extraction import measure_extraction


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a tenth of the rounds."""
    return measure_extraction(
        "Extraction with Bedrock",
        "bedrock_process",
        {"sync": ()},
        quick=quick,
        method="boto3's `converse`",
        provider="A handler of botocore's `before-send` event returns the response, so that nothing is sent.",
        raw_client="It calls `converse(toolConfig=...)` with the same schemas, and validates each call with "
        '`Model.model_validate(block["toolUse"]["input"])`.',
    )
