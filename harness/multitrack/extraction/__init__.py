"""Convert Pydantic models (``Iterable[A | B]``) to tools, and tool calls to validated instances of these models.

This package does not depend on HTTP or on any SDK.
"""

from multitrack.extraction.continuation import Continuation, FollowUp
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.response_reader import OnError, ResponseReader
from multitrack.extraction.retries import Retries
from multitrack.extraction.stream import ExtractionStream, StreamSource
from multitrack.extraction.toolset import Toolset, define_tools

__all__ = [
    "Continuation",
    "Extraction",
    "ExtractionStream",
    "FollowUp",
    "OnError",
    "ResponseReader",
    "Retries",
    "StreamSource",
    "Toolset",
    "define_tools",
]
