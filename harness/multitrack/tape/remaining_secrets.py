"""Find secrets that redaction did not remove, before a recording is written.

One of the project's functions or placeholders can put a secret into a request or a response after redaction. A test's
name can contain a secret, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from multitrack.tape import jsontext
from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.redaction.redactor import Redactor

_MAX_SHOWN = 3


def remove_remaining_secrets(
    interactions: Sequence[Interaction], redactor: Redactor
) -> tuple[list[Interaction], str | None]:
    """Return the ``interactions`` without secrets, and a message that says where the secrets were.

    The message does not contain the secrets. If there were none, the message is ``None``.
    """
    clean: list[Interaction] = []
    locations: list[str] = []
    for position, interaction in enumerate(interactions, start=1):
        found = list(dict.fromkeys(_locate_in_interaction(interaction, redactor)))
        locations += (f"interaction {position}, {location}" for location in found)
        clean.append(_redact(interaction, redactor) if found else interaction)
    return clean, _describe(locations) if locations else None


def _describe(locations: Sequence[str]) -> str:
    more = f" and {len(locations) - _MAX_SHOWN} more" if len(locations) > _MAX_SHOWN else ""
    return (
        f"after redaction, a value still looked like a secret, and was replaced with __redacted__: "
        f"{'; '.join(locations[:_MAX_SHOWN])}{more}. If the value is not a secret, add it to allow_secrets and "
        f"record again"
    )


def _locate_in_interaction(interaction: Interaction, redactor: Redactor) -> Iterator[str]:
    yield from (f"request {location}" for location in _locate_in_message(interaction.request, redactor))
    yield from (f"response {location}" for location in _locate_in_message(interaction.response, redactor))
    if any(_has_secret(name, redactor) for name in interaction.tests):
        yield "the name of the test (pass ids= to parametrize)"


def _locate_in_message(message: Request | Response, redactor: Redactor) -> Iterator[str]:
    if isinstance(message, Request) and _has_secret(message.url, redactor):
        yield "URL"
    if isinstance(message, Response) and _has_secret(message.reason, redactor):
        yield "status"
    for name, value in message.headers:
        if _has_secret(value, redactor):
            yield f"header {name}"
    text = message.body.decode("utf-8", "surrogateescape")
    if _has_secret(text, redactor):
        yield from _locate_in_body(text, redactor)


def _locate_in_body(text: str, redactor: Redactor) -> Iterator[str]:
    paths = list(_find_paths(text, redactor))
    if not paths:
        lines = ((number, line) for number, line in enumerate(text.splitlines(), start=1))
        for number, line in lines:
            if _has_secret(line, redactor):
                found = list(_find_paths(line.removeprefix("data:").strip(), redactor))
                paths += [f"line {number} {path}" for path in found] or [f"line {number}"]
    yield from (f"body {path}" for path in paths or ["as a whole"])


def _find_paths(text: str, redactor: Redactor) -> Iterator[str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    for path, value in jsontext.iterate_strings(document):
        if _has_secret(value, redactor):
            yield path


def _has_secret(text: str, redactor: Redactor) -> bool:
    return any(redactor.find_secrets(text))


def _redact(interaction: Interaction, redactor: Redactor) -> Interaction:
    request, response = interaction.request, interaction.response
    body = redactor.redact_body(response.body)
    return replace(
        interaction,
        request=replace(
            request,
            url=redactor.redact_url(request.url),
            headers=_redact_headers(request.headers, redactor),
            body=redactor.redact_body(request.body),
        ),
        response=replace(
            response,
            reason=redactor.redact_text(response.reason),
            headers=_redact_headers(response.headers, redactor),
            body=body,
            chunks=response.chunks.adapt(response.body, body, response.header("content-type")),
        ),
        tests=tuple(map(redactor.redact_text, interaction.tests)),
    )


def _redact_headers(headers: Headers, redactor: Redactor) -> Headers:
    return tuple((name, redactor.redact_text(value)) for name, value in headers)
