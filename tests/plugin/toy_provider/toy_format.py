"""The wire format of the provider. In the package, it would be ``multitrack/wires/toy/``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.call_queue import CallFields, CallQueue
from multitrack.wires.encoding import PIECE_SIZE, place_calls, split_text
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json
from multitrack.wires.registry import register
from multitrack.wires.stream_decoder import StreamDecoder
from multitrack.wires.stream_text import StreamChunk
from multitrack.wires.tool import RequestMessage, RequestSummary, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat


class ToyFormat(WireFormat):
    """Answers are ``reply`` documents; streamed ones are ``piece`` documents, and an ``end``."""

    __slots__ = ()

    name = "toy"
    conversation_key = "talk"
    tools_key = "acts"
    declaration_key = "act"
    call_id_key = "ticket"
    opaque_keys = frozenset({"ticket", "stamp"})
    fragment_keys = frozenset({"slot"})
    sdks = MappingProxyType({"toysdk": "toysdk"})

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        match document.get("kind"):
            case "reply":
                return self.name
            case "piece" | "end":
                return self.stream_name
        return None

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        acts = enumerate(as_objects(document.get("acts")))
        why = as_text(document.get("why"))
        return WireAnswer(
            calls=tuple(ToolCall(*_read_act(act), index) for index, act in acts),
            text=as_text(document.get("say")),
            finish_reason=why,
            error=error_message(document.get("error")),
            model=as_text(document.get("engine")),
            is_truncated=why == "too long",
        )

    def create_stream_decoder(self) -> ToyStreamDecoder:
        return ToyStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:  # noqa: ARG002
        return "done"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        recorded = original or {}
        acts = as_objects(recorded.get("acts"))
        written = [
            _write_act({} if source is None else acts[source], call)
            for _, source, call in place_calls(self.read_answer(recorded).calls, answer.calls, acts)
        ]
        envelope = original or {"kind": "reply", "engine": answer.model}
        return {**envelope, "say": answer.text, "acts": written, "why": answer.finish_reason}

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        decoder = ToyStreamDecoder()
        for chunk in original or ():
            decoder.feed_chunk(chunk.document or {})
        reply = self.write_answer(answer, decoder.document if original else None)
        says = [{"slot": 0, "say": piece} for piece in split_text(reply.pop("say") or "", PIECE_SIZE)]
        acts = [{"slot": n, **act, "with": to_compact_json(act["with"]), "last": True}
                for n, act in enumerate(reply.pop("acts"), start=1)]  # fmt: skip
        pieces = [{"kind": "piece", **piece} for piece in [*says, *acts]]
        end = [{**reply, "kind": "end"}] if answer.is_complete else []
        return [StreamChunk(document, 0 if original else None) for document in [*pieces, *end]]

    def find_call(self, value: Any) -> tuple[object, object] | None:
        return (value["act"], value.get("with")) if isinstance(value, Mapping) and "act" in value else None

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:  # noqa: ARG002
        return "talk" in document and "engine" in document

    def read_request(self, document: Mapping[str, Any]) -> RequestSummary:
        acts = [as_object(entry.get("act")) for entry in as_objects(document.get("acts"))]
        names = [as_text(act.get("name")) for act in acts]
        return RequestSummary(as_text(document.get("engine")), tuple(name for name in names if name))

    def read_message(self, message: Mapping[str, Any]) -> RequestMessage:
        calls = [self.format_call(act["act"], act.get("with")) for act in as_objects(message.get("acts"))]
        texts = [text for text in (as_text(message.get("say")), as_text(message.get("gives")), *calls) if text]
        return RequestMessage(str(message.get("by")), "\n".join(texts))

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        if strict:
            raise TypeError("the toy provider has no strict schemas; leave out strict=True")
        return [{"act": {"name": tool.name, "takes": dict(tool.parameters)}} for tool in tools]

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        answer = {"by": "model", "say": document.get("say"), "acts": document.get("acts", [])}
        given = [{"by": "tool", "ticket": result.call.id, "gives": result.text} for result in results]
        return [answer, *given, *([{"by": "user", "say": remark}] if remark else [])]


def _write_act(act: Mapping[str, Any], call: ToolCall) -> dict[str, Any]:
    written = {**act, "act": call.name, "with": json.loads(call.arguments or "{}")}
    return written if call.id is None else {**written, "ticket": call.id}


def _read_act(act: Mapping[str, Any]) -> CallFields:
    arguments = act.get("with")
    text = arguments if arguments is None or isinstance(arguments, str) else to_compact_json(arguments)
    return as_text(act.get("ticket")), as_text(act.get("act")) or "", text


class ToyStreamDecoder(StreamDecoder):
    """Joins the pieces of each slot, which has text or a call."""

    def __init__(self) -> None:
        super().__init__()
        self._slots: dict[int, _Slot] = {}
        self._queue = CallQueue[_Slot]()
        self._end: Mapping[str, Any] = {}

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        self._error = self._error or error_message(chunk.get("error"))
        if chunk.get("kind") == "end":
            self._end, self.has_ended = chunk, True
            return self._complete_open_calls()
        number = chunk.get("slot")
        number = number if isinstance(number, int) else 0
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = _Slot(number)
            if "act" in chunk:
                self._queue.add(slot)
        slot.add(chunk)
        return self._queue.release()

    def _complete_open_calls(self) -> list[ToolCall]:
        for slot in self._slots.values():
            slot.is_complete = True
        return self._queue.release(is_last=True)

    @property
    def document(self) -> Mapping[str, Any]:
        slots = [slot for _, slot in sorted(self._slots.items())]
        acts = [slot.as_act() for slot in slots if not slot.is_empty]
        return {**self._end, "kind": "reply", "say": "".join(slot.say for slot in slots) or None, "acts": acts}

    @property
    def answer(self) -> WireAnswer:
        document = self.document
        return WireAnswer(
            calls=self._queue.calls(),
            text=document["say"],
            finish_reason=as_text(self._end.get("why")),
            error=self._error,
            model=as_text(self._end.get("engine")),
            is_complete=self.has_ended and self._error is None,
            is_truncated=self._end.get("why") == "too long",
        )


class _Slot:
    def __init__(self, number: int) -> None:
        self.order = (number,)
        self.say = ""
        self.is_complete = False
        self._act: dict[str, Any] = {}
        self._with: list[str] = []

    @property
    def fields(self) -> CallFields:
        return _read_act({**self._act, "with": "".join(self._with)})

    @property
    def is_empty(self) -> bool:
        return not self._act

    def add(self, piece: Mapping[str, Any]) -> None:
        self.say += as_text(piece.get("say")) or ""
        self._act.update({key: piece[key] for key in ("ticket", "act", "stamp") if key in piece})
        self._with.append(as_text(piece.get("with")) or "")
        self.is_complete = self.is_complete or piece.get("last") is True

    def as_act(self) -> dict[str, Any]:
        return {**self._act, "with": json.loads("".join(self._with) or "{}")}


register(ToyFormat())
