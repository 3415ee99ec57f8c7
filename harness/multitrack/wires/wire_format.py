"""The interface of a wire format: everything that Multitrack knows about how one API encodes tool calls."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.stream_decoder import StreamDecoder
from multitrack.wires.tool import RequestMessage, RequestSummary, ToolDefinition, ToolResult

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk


class WireFormat(ABC):
    """The wire format of one API, both for whole answers (``<name>``) and for streamed answers (``<name>.stream``).

    A format has no state: its attributes are class constants, and its methods are pure functions. A document is the
    parsed body of a request or an answer. Documents are not trusted: the methods that read them accept documents of
    any shape.
    """

    __slots__ = ()

    name: ClassVar[str]
    """The name, such as ``openai.chat``. Its first part is the name of the package in ``multitrack.wires``."""

    precedence: ClassVar[int] = 50
    """The position of the format when a document is recognized: the format with the lowest number is asked first.

    A format that also accepts documents in other formats needs a high number, so that it is asked last.
    """

    conversation_key: ClassVar[str] = "messages"
    """The field of a request that holds the conversation."""

    instruction_keys: ClassVar[tuple[str, ...]] = ()
    """The fields of a request that hold system instructions, which are separate from the conversation."""

    tools_key: ClassVar[str] = "tools"
    """The field of a request, at any depth, that holds the tools."""

    declaration_key: ClassVar[str | None] = None
    """The field of a tool that holds its name and its schema. None if the tool itself has them."""

    opaque_keys: ClassVar[frozenset[str]] = frozenset({"id"})
    """The keys of strings that only the provider reads, such as ids and the signatures of thoughts.

    A later request repeats these strings, which differ from answer to answer.
    """

    fragment_keys: ClassVar[frozenset[str]] = frozenset({"index"})
    """The keys whose values distinguish strings in one answer that are streamed at the same time.

    To join the fragments of text that is spread over a stream, redaction groups them by the values of these keys and
    by the path to the text.
    """

    call_id_key: ClassVar[str] = "id"
    """The key of a call's id, in an answer and in the SDK's objects."""

    credential_headers: ClassVar[frozenset[str]] = frozenset()
    """The request headers that hold a credential, in lower case, besides those that many providers share.

    ``multitrack.tape.redaction.secrets`` has the shared ones, such as ``authorization`` and ``x-api-key``.
    """

    end_marks: ClassVar[tuple[bytes, ...]] = ()
    """Regular expressions for the last bytes of a streamed answer, without the whitespace that follows.

    A client that stops reading after these bytes has the whole answer.
    """

    token_keys: ClassVar[tuple[str, ...]] = ("total_tokens",)
    """The fields of the usage object whose sum is the number of tokens in a request and its answer."""

    sdks: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """The distributions of the provider's SDKs, keyed by the names of their modules."""

    @property
    def stream_name(self) -> str:
        """The name of the format for streamed answers."""
        return f"{self.name}.stream"

    @abstractmethod
    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        """Return ``name`` if ``document`` is an answer, ``stream_name`` if it is a chunk of a stream, otherwise None.

        If chunks and whole answers look the same, return ``name``. For a document that contains only an error, return
        None; see ``recognizes_error``.
        """

    def recognizes_error(self, error: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Return whether ``error`` has the form of this API's errors. Called if no format recognizes the answer."""
        return False

    @abstractmethod
    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        """Decode the parsed body of an answer."""

    def find_call(self, value: Any) -> tuple[object, object] | None:  # noqa: ARG002
        """Return the name and the arguments of the call ``value``, or None if it is not a call in the provider's form.

        Args:
            value: Any object, such as an object of the provider's SDK or an equivalent dictionary. The caller already
                recognizes dictionaries with ``name`` and one of ``arguments``, ``args`` and ``input``, so this method
                need not.

        Returns:
            The name, and the arguments as JSON or as a dictionary. The types of both are not checked.
        """
        return None

    @abstractmethod
    def create_stream_decoder(self) -> StreamDecoder:
        """Return a decoder for one streamed answer."""

    @abstractmethod
    def usual_finish_reason(self, answer: WireAnswer) -> str:
        """Return the finish reason that the provider sends for ``answer`` if nothing went wrong."""

    @abstractmethod
    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the body of ``answer`` as a JSON object.

        Args:
            answer: The answer. Its finish reason is never None. Its text is None or not empty.
            original: The parsed body of a recorded answer. The result is a copy of this body, in which only calls,
                text, refusal and finish reason can differ. None to write an answer from scratch, with the model and
                usage of ``answer``.

        Raises:
            ValueError: If the format cannot express the answer.
        """

    @abstractmethod
    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        """Return the chunks of a stream that contains ``answer``. See ``write_answer`` for the arguments and the
        errors.

        At least one chunk of ``original`` must have a document. Each returned chunk then refers to a frame of the
        original stream, and contains new content for this frame. Without an ``original``, the stream ends with a
        chunk that has no document.
        """

    def format_chunk(self, document: Mapping[str, Any] | None) -> bytes:
        """Return one frame of a stream. By default, this is a server-sent event.

        If ``document`` is None, return the end mark.
        """
        # A program that only decodes answers does not need this module.
        from multitrack.wires.json_rewriting import format_json

        data = "[DONE]" if document is None else format_json(document, separators=(",", ":"))
        return f"data: {data}\n\n".encode()

    @staticmethod
    def format_line(document: Mapping[str, Any] | None) -> bytes:
        """Return one line of JSON. Formats whose streams have no end mark use this function as ``format_chunk``."""
        from multitrack.wires.json_rewriting import format_json

        return b"" if document is None else f"{format_json(document, separators=(',', ':'))}\n".encode()

    @abstractmethod
    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:
        """Return whether ``document`` is the parsed body of a request in this format.

        Args:
            document: The parsed body.
            url: The URL of the request, for formats whose bodies look the same. Empty if it is not known.
        """

    def read_request(self, document: Mapping[str, Any]) -> RequestSummary:
        """Return the model name and the tool names from a request's parsed body.

        By default, the ``model`` key holds the model name. A tool's ``name`` is inside the object at
        ``declaration_key``. If the format has no such key, the tool has its ``name`` at the top level.
        """
        key = self.declaration_key
        tools = as_objects(document.get("tools"))
        names = [as_text((as_object(tool.get(key)) if key else tool).get("name")) for tool in tools]
        return RequestSummary(as_text(document.get("model")), tuple(name for name in names if name))

    def find_model_in_url(self, url: str) -> str | None:  # noqa: ARG002
        """Return the name of the model in the URL of a request, or None if the URL contains none."""
        return None

    def read_messages(self, document: Mapping[str, Any]) -> Iterator[RequestMessage]:
        """Yield the instructions and the messages in a request's parsed body."""
        for key in self.instruction_keys:
            if document.get(key):
                yield RequestMessage("system", self.read_content(document[key]))
        conversation = document.get(self.conversation_key)
        if isinstance(conversation, str):
            yield RequestMessage("user", conversation)
        elif isinstance(conversation, Sequence):
            for message in conversation:
                yield (
                    self.read_message(message)
                    if isinstance(message, Mapping)
                    else RequestMessage("user", self.read_content(message))
                )

    def read_message(self, message: Mapping[str, Any]) -> RequestMessage:
        """Return the role and the text of one message in a request."""
        content = message.get("content")
        return RequestMessage(str(message.get("role", "user")), self.read_content(content) if content else "")

    def read_content(self, content: object) -> str:
        """Return the text in a message's content: a string, a part, or a list of parts."""
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return "\n".join(map(self.read_content, content))
        return (self.read_part(content) if isinstance(content, Mapping) else None) or json.dumps(
            content, ensure_ascii=False
        )

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        """Return the text of one part of a message, or None to show the part as JSON."""
        text = part.get("text")
        return text if isinstance(text, str) else None

    @staticmethod
    def format_call(name: str, arguments: object) -> str:
        """Return a tool call as text, for ``read_part``."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return str(ToolCall(id=None, name=name, arguments=text, index=0))

    @abstractmethod
    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        """Return the value of a request's ``tools`` field.

        Args:
            tools: The tools to offer.
            strict: Whether to write strict schemas. The provider forces the model to follow a strict schema.

        Raises:
            TypeError: If the schema language of the format cannot express a tool's parameters, or if ``strict`` is
                set and the format has no strict schemas.
        """

    @staticmethod
    def refuse_strict(reason: str) -> NoReturn:
        """Raise the error for ``strict=True`` in a format without strict schemas. ``reason`` says why it has none."""
        raise TypeError(f"strict=True is not available, because {reason}; remove strict=True")

    @abstractmethod
    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the messages that continue a conversation: the answer, the results of its calls, and the remark.

        Args:
            document: The parsed body of the answer.
            results: One result for each call in the answer, in order.
            remark: Text to add as a user message.
        """
