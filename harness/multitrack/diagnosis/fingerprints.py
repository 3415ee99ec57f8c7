"""Compute fingerprints of a request, its reply and the Pydantic models, for a snapshot or a cassette.

A snapshot stores the fingerprints in a comment: ``# request 1f0c8a2e, reply 77d1b3a9, models 5b6c7d8e``. When a test
fails, the fingerprint that differs shows which of the three changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multitrack.diagnosis.call_results import UNKNOWN, fingerprint, parse_answer
from multitrack.tape import jsontext
from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.canonical_body import canonicalize_body
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tool_call import ToolCall

_LINE = re.compile(r"^# request (\w+), reply (\w+), models (\w+)$", re.MULTILINE)
_UNKNOWN, _NONE = "unknown", "none"


@dataclass(frozen=True, slots=True)
class ExchangeFingerprint:
    """The fingerprints of one request, its reply, and the models that validated its calls.

    ``models`` is None if the validated result is unknown.
    """

    request: str
    reply: str
    models: str | None

    @classmethod
    def of(cls, interaction: Interaction, key: MatchingKey, results: Sequence[str] | None) -> ExchangeFingerprint:
        """Return the fingerprints of ``interaction``, from its matching key and the fingerprints of its results."""
        return cls(
            # without the origin, because it differs if a stand-in or a proxy replaces the provider
            fingerprint("\n".join((key.method, key.target, key.body))),
            fingerprint(_summarize_reply(interaction)),
            _combine_results(results),
        )

    def __str__(self) -> str:
        return (
            f"# request {self.request}, reply {self.reply}, models {_UNKNOWN if self.models is None else self.models}"
        )


def format_fingerprints(fingerprints: Iterable[ExchangeFingerprint]) -> str:
    """Return ``fingerprints`` as comments, one per line."""
    return "\n".join(map(str, fingerprints))


def parse_fingerprints(text: str) -> tuple[ExchangeFingerprint, ...]:
    """Return the fingerprints in the comments of ``text``."""
    return tuple(
        ExchangeFingerprint(request, reply, None if models == _UNKNOWN else models)
        for request, reply, models in _LINE.findall(text)
    )


def canonical_arguments(call: ToolCall) -> str:
    """Return the arguments of ``call`` as canonical JSON, so that equal arguments have the same text."""
    try:
        return jsontext.canonical(json.loads(call.arguments or "{}"))
    except (ValueError, RecursionError):
        return call.arguments or ""


def _combine_results(results: Sequence[str] | None) -> str | None:
    if results is None or UNKNOWN in results:
        return None
    return fingerprint(" ".join(results)) if results else _NONE


def _summarize_reply(interaction: Interaction) -> str:
    """Return the content of a reply without ids and times, which differ in every reply."""
    response: Response = interaction.response
    answer = parse_answer(interaction.response.body)
    if answer is None:
        content = canonicalize_body(response.body, response.header("content-type"))
        return repr((response.status, response.ending, content))
    calls = [(call.name, canonical_arguments(call)) for call in answer.calls]
    text = None if answer.calls else answer.text
    return repr((calls, text, answer.refusal, answer.error, answer.is_truncated, response.ending))
