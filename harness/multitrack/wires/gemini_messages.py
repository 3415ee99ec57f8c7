"""A conversation in OpenAI's form, written as the ``contents`` of a Gemini request.

From https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages
to https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel

from multitrack.wires.gemini_calls import GeminiCall, attach_response, read_calls, read_signature
from multitrack.wires.gemini_parts import convert_content
from multitrack.wires.lenient_json import as_text

# what goes with a call that was made without thoughts of Gemini's, in base64 since the field is one of bytes:
# https://ai.google.dev/gemini-api/docs/thought-signatures
_UNSIGNED = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="


class GeminiConversation(NamedTuple):
    """The parts of the system instruction, and the contents."""

    system: list[dict[str, Any]]
    contents: list[dict[str, Any]]


def convert_messages(
    messages: Sequence[Mapping[str, Any] | BaseModel], *, ids: bool = False, signatures: bool = False
) -> GeminiConversation:
    """``messages``, dictionaries or the SDK's objects, in Gemini's form; they themselves are left as they are.

    Messages of one role that follow each other become one content, and the answers to the calls of one message
    another, in the order of the calls. With ``ids``, calls and answers carry their ids. With ``signatures``, calls
    carry the signatures of the thoughts before them, or the word for having none, since Gemini 3 refuses a call
    with neither. Both are for an API that has these fields; another one refuses the request for them.

    Raises ValueError, naming the message and what to do, for what Gemini cannot be told, such as a message of the
    system after the conversation has begun, a name of who speaks, or a call that nobody answers.
    """
    system: list[dict[str, Any]] = []
    turns = _Turns(ids, signatures)
    for number, given in enumerate(messages):
        place = f"messages[{number}]"
        message = _plain(given)
        if not isinstance(message, dict):
            raise ValueError(f"{place} is a {type(given).__name__}; write a dictionary with role and content")
        match role := message.get("role"):
            case "system" | "developer" if turns.contents:
                raise ValueError(
                    f"{place} has the role {role!r}, which Gemini takes at the beginning only; "
                    f"move it there, or give it the role 'user'"
                )
            case "system" | "developer":
                system += _said(message, place, role)
            case "user":
                turns.user(_said(message, place, role))
            case "assistant":
                turns.assistant(message, place)
            case "tool" | "function":
                turns.answer(message, place)
            case _:
                raise ValueError(
                    f"{place} has the role {role!r}, which Gemini does not know; "
                    f"write system, developer, user, assistant or tool"
                )
    turns.close()
    if not turns.contents:
        raise ValueError("messages holds nothing that Gemini could answer; add a message of the role 'user'")
    return GeminiConversation(system, turns.contents)


def _plain(value: Any) -> Any:
    """``value`` with a dictionary in the place of each object of an SDK, and of each mapping and sequence a copy."""
    match value:
        case BaseModel() | Mapping():
            return {key: _plain(item) for key, item in dict(value).items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _said(message: Mapping[str, Any], place: str, role: str) -> list[dict[str, Any]]:
    if name := as_text(message.get("name")):
        raise ValueError(
            f"{place} has the name {name!r}, and Gemini knows no names of those who speak; write it into the content"
        )
    parts = convert_content(message.get("content"), place, role)
    if not parts and role != "assistant":
        raise ValueError(f"{place} has no content, and Gemini takes no message without; leave it out")
    return parts


@dataclass
class _Turns:
    """The contents as they grow, and the calls that wait for their answers."""

    ids: bool
    signatures: bool
    contents: list[dict[str, Any]] = field(default_factory=list)
    _calls: list[GeminiCall] = field(default_factory=list)
    _unanswered: list[GeminiCall] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def user(self, parts: list[dict[str, Any]]) -> None:
        self.close()
        self._add("user", parts)

    def assistant(self, message: Mapping[str, Any], place: str) -> None:
        self.close()
        if message.get("audio"):
            raise ValueError(f"{place} has audio, which Gemini cannot be told; write its transcript into the content")
        parts = _said(message, place, "assistant")
        if refusal := as_text(message.get("refusal")):
            parts.append({"text": refusal})
        if signature := self._signed(read_signature(message), place):
            # it belongs to what was said, and came alone if nothing was
            parts[-1:] = [{**(parts[-1] if parts else {"text": ""}), "thoughtSignature": signature}]
        self._calls = read_calls(message, place)
        if not parts and not self._calls:
            raise ValueError(
                f"{place} has neither content nor tool_calls, and Gemini takes no empty message; leave it out"
            )
        if self._calls and not any(content["role"] == "user" for content in self.contents):
            raise ValueError(
                f"{place} calls a function before a user has said anything, which Gemini refuses; "
                f"put a message of the role 'user' before it"
            )
        for call in self._calls:
            call.signature = self._signed(call.signature, call.place)
            if self.ids and call.id and call.id not in self._known:
                call.told_id = call.id
                # some providers count calls anew in each answer, and an id of two calls tells neither
                self._known.add(call.id)
        if self.signatures and self._calls and not any(call.signature for call in self._calls):
            self._calls[0].signature = _UNSIGNED
        self._unanswered = [*self._calls]
        self._add("model", parts + [call.part() for call in self._calls])

    def answer(self, message: Mapping[str, Any], place: str) -> None:
        attach_response(message, place, self._unanswered)

    def close(self) -> None:
        """Write the answers. Raises ValueError where one is missing: Gemini wants as many as there were calls."""
        if self._unanswered:
            call = self._unanswered[0]
            raise ValueError(
                f"{call.place} is the call {call}, which no message answers, and Gemini refuses it without; "
                f"put a message of the role 'tool' behind the message that makes the call"
            )
        if self._calls:
            self._add("user", [call.answer_part() for call in self._calls])
            self._calls = []

    def _signed(self, signature: str | None, place: str) -> str | None:
        if signature and not self.signatures:
            raise ValueError(
                f"{place} has the signature of a thought, for which the installed SDK has no field; "
                f"install a newer one, or leave extra_content out"
            )
        return signature

    def _add(self, role: str, parts: list[dict[str, Any]]) -> None:
        last = self.contents[-1] if self.contents else None
        # Vertex refuses a content that holds anything beside answers
        alone = any("functionResponse" in part for part in (parts[:1] + (last["parts"][:1] if last else [])))
        if last and last["role"] == role and not alone:
            last["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})
