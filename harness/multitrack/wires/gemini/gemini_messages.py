"""Convert a conversation in OpenAI's form to the ``contents`` of a Gemini request.

The input is described at https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages,
and the output at https://ai.google.dev/api/caching#Content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel

from multitrack.wires.gemini.gemini_calls import GeminiCall, attach_response, read_calls, read_signature
from multitrack.wires.gemini.gemini_parts import convert_content
from multitrack.wires.lenient_json import as_text

# The placeholder for a call that was made without a Gemini thought, in base64 because the field holds bytes:
# https://ai.google.dev/gemini-api/docs/thought-signatures
_PLACEHOLDER_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="


class GeminiConversation(NamedTuple):
    """A conversation in Gemini's form: the parts of the system instruction, and the contents."""

    system: list[dict[str, Any]]
    contents: list[dict[str, Any]]


def convert_messages(
    messages: Iterable[Mapping[str, Any] | BaseModel], *, ids: bool = False, signatures: bool = False
) -> GeminiConversation:
    """Convert messages from OpenAI's form to Gemini's.

    Consecutive messages with the same role become one content. The answers to the calls in one message also become
    one content, in the order of the calls.

    Set ``ids`` and ``signatures`` only if the API has these fields. An API without them refuses the request.

    Args:
        messages: Dictionaries or SDK objects. They are not changed. A dictionary with ``parts`` is already in
            Gemini's form, and is sent unchanged.
        ids: Whether to send the ids of calls and answers.
        signatures: Whether to send the signatures of the thoughts before calls. If no call in a message has a
            signature, the first call gets a placeholder, because Gemini 3 refuses the message otherwise.

    Raises:
        ValueError: If Gemini does not support something in the messages, such as a system message after the start of
            the conversation, the name of a speaker, or a call without an answer. The error shows where the message is
            and what to do.
    """
    system: list[dict[str, Any]] = []
    turns = _Turns(ids, signatures)
    for number, original in enumerate(messages):
        location = f"messages[{number}]"
        message = _to_plain(original)
        if not isinstance(message, dict):
            raise ValueError(f"{location} is a {type(original).__name__}; pass a dictionary with role and content")
        if "parts" in message:
            turns.add_content(message, location)
            continue
        match role := message.get("role"):
            case "system" | "developer" if turns.contents:
                raise ValueError(
                    f"{location} has the role {role!r}, which Gemini accepts only at the beginning; "
                    f"move the message there, or change its role to 'user'"
                )
            case "system" | "developer":
                system += _convert_message(message, location, role)
            case "user":
                turns.add_user(_convert_message(message, location, role))
            case "assistant":
                turns.add_assistant(message, location)
            case "tool" | "function":
                turns.add_response(message, location)
            case _:
                raise ValueError(
                    f"{location} has the role {role!r}, which is not supported; "
                    f"use system, developer, user, assistant or tool"
                )
    turns.finish_calls()
    if not turns.contents:
        raise ValueError("messages has nothing that Gemini could answer; add a message with the role 'user'")
    return GeminiConversation(system, turns.contents)


def _to_plain(value: Any) -> Any:
    """Copy ``value``. SDK objects and mappings become dictionaries, and sequences become lists."""
    match value:
        # the usual types come first, because a comparison with BaseModel or Mapping, which are abstract, is slow
        case str():
            return value
        case dict() | BaseModel() | Mapping():
            return {key: _to_plain(item) for key, item in dict(value).items()}
        case list() | tuple():
            return [_to_plain(item) for item in value]
        case _:
            return value


def _convert_message(message: Mapping[str, Any], location: str, role: str) -> list[dict[str, Any]]:
    if name := as_text(message.get("name")):
        raise ValueError(
            f"{location} has the key 'name' ({name!r}), but Gemini has no field for the name of a speaker; "
            f"put the name into the content"
        )
    parts = convert_content(message.get("content"), location, role)
    if not parts and role != "assistant":
        raise ValueError(f"{location} has no content, and Gemini refuses an empty message; remove the message")
    return parts


@dataclass
class _Turns:
    """The contents written so far, and the calls that have no response yet."""

    ids: bool
    signatures: bool
    contents: list[dict[str, Any]] = field(default_factory=list)
    _calls: list[GeminiCall] = field(default_factory=list)
    _unanswered: list[GeminiCall] = field(default_factory=list)
    _used_ids: set[str] = field(default_factory=set)

    def add_content(self, content: Mapping[str, Any], location: str) -> None:
        """Add a message that is already in Gemini's form (a ``Content`` object)."""
        if content.get("role") not in ("user", "model") or not isinstance(content["parts"], list):
            raise ValueError(
                f"{location} has the key 'parts', but is not a valid Content object of Gemini; "
                f"its parts must be a list, and its role must be 'user' or 'model'"
            )
        self.finish_calls()
        self._add(content["role"], content["parts"])

    def add_user(self, parts: list[dict[str, Any]]) -> None:
        self.finish_calls()
        self._add("user", parts)

    def add_assistant(self, message: Mapping[str, Any], location: str) -> None:
        self.finish_calls()
        if message.get("audio"):
            raise ValueError(
                f"{location} has audio, which Gemini does not accept from the assistant; "
                f"write its transcript into the content"
            )
        parts = _convert_message(message, location, "assistant")
        if refusal := as_text(message.get("refusal")):
            parts.append({"text": refusal})
        if signature := self._check_signature(read_signature(message), location):
            # The signature belongs to the text. If there is no text, the signature is sent alone.
            parts[-1:] = [{**(parts[-1] if parts else {"text": ""}), "thoughtSignature": signature}]
        self._calls = read_calls(message, location)
        if not parts and not self._calls:
            raise ValueError(
                f"{location} has neither content nor tool_calls, and Gemini refuses an empty message; remove the "
                f"message"
            )
        if self._calls and not any(content["role"] == "user" for content in self.contents):
            raise ValueError(
                f"{location} calls a function before the first user message, which Gemini refuses; "
                f"add a message with the role 'user' before it"
            )
        for call in self._calls:
            call.signature = self._check_signature(call.signature, call.location)
            if self.ids and call.id and call.id not in self._used_ids:
                call.gemini_id = call.id
                # Some providers restart the numbering of calls in each answer. An id that two calls share identifies
                # neither, so only the first one keeps it.
                self._used_ids.add(call.id)
        if self.signatures and self._calls and not any(call.signature for call in self._calls):
            self._calls[0].signature = _PLACEHOLDER_SIGNATURE
        self._unanswered = [*self._calls]
        self._add("model", parts + [call.to_call_part() for call in self._calls])

    def add_response(self, message: Mapping[str, Any], location: str) -> None:
        attach_response(message, location, self._unanswered)

    def finish_calls(self) -> None:
        """Write the responses to the open calls.

        Raises ValueError if a response is missing, because Gemini requires as many responses as there were calls.
        """
        if self._unanswered:
            call = self._unanswered[0]
            raise ValueError(
                f"the call {call} at {call.location} has no answer, but Gemini requires an answer to each call; "
                f"after the message with the call, add a message with the role 'tool'"
            )
        if self._calls:
            self._add("user", [call.to_response_part() for call in self._calls])
            self._calls = []

    def _check_signature(self, signature: str | None, location: str) -> str | None:
        if signature and not self.signatures:
            raise ValueError(
                f"{location} has a thought signature, but the installed SDK has no field for it; "
                f"upgrade the SDK, or leave extra_content out"
            )
        return signature

    def _add(self, role: str, parts: list[dict[str, Any]]) -> None:
        last = self.contents[-1] if self.contents else None
        # Vertex refuses a content that has both responses and other parts.
        has_responses = any("functionResponse" in part for part in (parts[:1] + (last["parts"][:1] if last else [])))
        if last and last["role"] == role and not has_responses:
            last["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})
