"""From `Iterable[A | B]` to tools, and from tool calls to validated models. Knows no SDK and no HTTP."""

from multitrack.extraction.correction import Correction
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.reader import OnError, Reader
from multitrack.extraction.stream import ExtractionStream, StreamSource
from multitrack.extraction.toolset import Toolset

__all__ = ["Correction", "Extraction", "ExtractionStream", "OnError", "Reader", "StreamSource", "Toolset"]
