"""The interface of a wire format: everything that Multitrack knows about how one API encodes tool calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from multitrack.wires.answer import WireAnswer
from multitrack.wires.stream_decoder import StreamDecoder
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult


class WireFormat(ABC):
    """One API of a provider. It covers answers in one piece (``<name>``) and streamed ones (``<name>.stream``).

    A format has no state: its attributes are constants of the class, and its methods are pure functions. Documents,
    which are parsed bodies of requests and answers, are not trusted, so no method that reads one raises because of its
    shape.
    """

    __slots__ = ()

    name: ClassVar[str]
    """The name, such as ``openai.chat``. Its first part is the name of the package in `multitrack.wires`."""

    precedence: ClassVar[int] = 50
    """The position of the format when a document is recognized: the format with the lowest number is asked first.

    Formats that accept documents which other formats may share have a high number.
    """

    @property
    def stream_name(self) -> str:
        """The name of the format of a streamed answer."""
        return f"{self.name}.stream"

    @abstractmethod
    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        """Return `name` if ``document`` is an answer, `stream_name` if it is a chunk of a stream, otherwise None.

        A document that has only an error is left to `recognizes_error`. If chunks look like answers, return `name`.
        """

    def recognizes_error(self, error: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Return whether ``error``, the value of ``error`` in an answer that no format recognizes, has this format."""
        return False

    @abstractmethod
    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        """Decode the parsed body of an answer."""

    @abstractmethod
    def create_stream_decoder(self) -> StreamDecoder:
        """Return a decoder for one streamed answer."""

    @abstractmethod
    def recognizes_request(self, document: Mapping[str, Any]) -> bool:
        """Return whether ``document`` is the parsed body of a request in this format."""

    @abstractmethod
    def read_request(self, document: Mapping[str, Any]) -> RequestSummary:
        """Return the model and the tool names of the parsed body of a request."""

    @abstractmethod
    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        """Return the value of ``tools`` in a request.

        Args:
            tools: The tools to offer.
            strict: Write schemas that the provider enforces on the model.

        Raises:
            TypeError: If the schema language of the format cannot express the parameters of a tool, or if ``strict``
                is set and the format has no strict schemas.
        """

    @abstractmethod
    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the messages that continue a conversation: the answer, the results of its calls, and the remark.

        Args:
            document: The parsed body of the answer.
            results: One result for each call of the answer, in order.
            remark: A text to add as a message of the user.
        """
