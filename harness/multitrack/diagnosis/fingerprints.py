"""A moment: the request, the reply and the models as they were when something was written, each by a fingerprint.

It stands beside what was written: ``# request 1f0c8a2e, reply 77d1b3a9, models 5b6c7d8e``. What differs from it when
a test fails has moved since.
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
from multitrack.tape.matching import body
from multitrack.tape.matching.index import Key
from multitrack.tool_call import ToolCall

_LINE = re.compile(r"^# request (\w+), reply (\w+), models (\w+)$", re.MULTILINE)
_UNKNOWN, _NONE = "unknown", "none"


@dataclass(frozen=True, slots=True)
class ExchangeFingerprint:
    """One exchange. ``models`` is None where nobody can tell what came of the reply."""

    request: str
    reply: str
    models: str | None

    @classmethod
    def of(cls, interaction: Interaction, key: Key, results: Sequence[str] | None) -> ExchangeFingerprint:
        """The moment of an ``interaction`` that has this ``key`` on its tape, and came to these ``results``."""
        return cls(
            # without the origin, which is another one where a stand-in or a proxy takes the provider's place
            fingerprint("\n".join((key.method, key.target, key.body))),
            fingerprint(_told(interaction)),
            _summed(results),
        )

    def __str__(self) -> str:
        return (
            f"# request {self.request}, reply {self.reply}, models {_UNKNOWN if self.models is None else self.models}"
        )


def format_fingerprints(moments: Iterable[ExchangeFingerprint]) -> str:
    """``moments`` as comments, one on each line."""
    return "\n".join(map(str, moments))


def parse_fingerprints(text: str) -> tuple[ExchangeFingerprint, ...]:
    """The moments among the comments of ``text``."""
    return tuple(
        ExchangeFingerprint(request, reply, None if models == _UNKNOWN else models)
        for request, reply, models in _LINE.findall(text)
    )


def canonical_arguments(call: ToolCall) -> str:
    """The arguments of ``call``, the same text for the same JSON."""
    try:
        return jsontext.canonical(json.loads(call.arguments or "{}"))
    except (ValueError, RecursionError):
        return call.arguments or ""


def _summed(results: Sequence[str] | None) -> str | None:
    if results is None or UNKNOWN in results:
        return None
    return fingerprint(" ".join(results)) if results else _NONE


def _told(interaction: Interaction) -> str:
    """What a reply says, without ids and times, which differ with every one."""
    response: Response = interaction.response
    answer = parse_answer(interaction.response.body)
    if answer is None:
        said = body.canonical(response.body, response.header("content-type"))
        return repr((response.status, response.ending, said))
    calls = [(call.name, canonical_arguments(call)) for call in answer.calls]
    text = None if answer.calls else answer.text
    return repr((calls, text, answer.refusal, answer.error, answer.is_truncated, response.ending))
