"""From `Iterable[A | B]` to tools, and from tool calls to validated models. Knows no SDK and no HTTP."""

from multitrack.extraction.extraction import Extraction
from multitrack.extraction.toolset import OnError, Toolset

__all__ = ["Extraction", "OnError", "Toolset"]
