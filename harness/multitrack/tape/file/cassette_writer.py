"""Write a cassette as YAML in version 1 of vcrpy's format, with a layout that is easy to read in a pull request.

Multitrack's own keys are in places where vcrpy ignores them:
https://vcrpy.readthedocs.io/en/latest/serialization.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from multitrack.tape import jsontext
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Headers, Response
from multitrack.tape.file import yaml_text
from multitrack.tape.file.blobs import Blobs
from multitrack.tape.file.cassette import FORMAT, Cassette
from multitrack.tape.file.known_texts import InteractionText, KnownTexts
from multitrack.tape.file.metadata_reader import END_MARKER
from multitrack.tape.file.summary import summarize
from multitrack.tape.interaction import Interaction

_WIDEST_COMMENT = 110
_LARGE = 1 << 20
_LARGEST_INDENTED = 10_000_000
"""The maximum size, in bytes, of a body that is indented. Nobody reads a larger one in a pull request."""


def dump_cassette(cassette: Cassette) -> str:
    """Return ``cassette`` as YAML."""
    return b"".join(encode_cassette(cassette)).decode()


def encode_cassette(cassette: Cassette, known: KnownTexts | None = None) -> list[bytes | bytearray]:
    """Return ``cassette`` as YAML in UTF-8, in several parts. Joining the parts would copy each large body once more.

    Args:
        cassette: The cassette.
        known: The texts of interactions that were written before; these are not formatted again. Default: none.
    """
    texts = [
        (interaction, _find_text(position, interaction, known))
        for position, interaction in enumerate(cassette.interactions, start=1)
    ]
    if known is not None:
        for interaction, text in texts:
            known.add_text(interaction, text)
    pieces: dict[str, str] = {}
    for _, text in texts:
        pieces.update(text.pieces)
    end = [
        *_format_metadata(cassette.metadata),
        *_format_pieces(pieces),
        # must be the last line: it shows ``metadata_reader`` that the file was not cut off
        f"  {END_MARKER}: {cassette.provenance}",
        "",
    ]
    return [
        *[text.comments for _, text in texts],
        f"version: {FORMAT}\ninteractions:{'' if texts else ' []'}\n".encode(),
        *[part for _, text in texts for part in text.content],
        "\n".join(end).encode(),
    ]


def _find_text(position: int, interaction: Interaction, known: KnownTexts | None) -> InteractionText:
    text = known.find_text(interaction) if known is not None else None
    if text is not None:
        if text.position == position:
            return text
        return replace(text, position=position, comments=_format_comments(position, text.summary))
    first, *others = summarize(position, interaction, with_text=True)
    summary = (first.removeprefix(str(position)), *others)
    blobs = Blobs()
    parts = [part.encode() if isinstance(part, str) else part for part in _format_interaction(interaction, blobs)]
    content = tuple(parts) if sum(map(len, parts)) > _LARGE else (b"".join(parts),)
    return InteractionText(position, _format_comments(position, summary), summary, content, blobs.pieces)


def _format_comments(position: int, summary: Sequence[str]) -> bytes:
    first, *others = summary
    return "".join(f"{_format_comment(line)}\n" for line in (f"{position}{first}", *others)).encode()


def _format_comment(line: str) -> str:
    line = f"# {line}"
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "�" for char in line)
    return line if len(line) <= _WIDEST_COMMENT else line[: _WIDEST_COMMENT - 1] + "…"


def _format_metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "metadata:"
    for key, value in metadata.items():
        yield f"  {yaml_text.format_line(key)}: {yaml_text.format_line(value)}"


def _format_pieces(pieces: Mapping[str, str]) -> Iterator[str]:
    if pieces:
        yield "  blobs:"
    yield from (
        f"    {yaml_text.format_line(digest)}: {yaml_text.format_line(piece)}" for digest, piece in pieces.items()
    )


def _format_interaction(interaction: Interaction, blobs: Blobs) -> Iterator[str | bytes | bytearray]:
    request, response = interaction.request, interaction.response
    yield "- request:\n"
    yield f"    method: {yaml_text.format_line(request.method)}\n"
    yield f"    uri: {yaml_text.format_line(request.url)}\n"
    yield f"    headers: {_headers(request.headers)}\n"
    yield "    body: "
    yield yaml_text.encode_body(_indent(blobs.extract(request.body)), 6)
    yield "\n  response:\n"
    yield f"    status: {yaml_text.format_line({'code': response.status, 'message': response.reason})}\n"
    yield f"    headers: {_headers(response.headers)}\n"
    text, layout = _lay_out(response.body)
    yield "    body:\n      string: "
    yield yaml_text.encode_body(text, 8)
    yield "\n"
    if layout:
        yield f"    layout: {layout}\n"
    if response.encoding:
        yield f"    encoding: {_format_encoding(response)}\n"
    if chunks := _chunks(response.chunks):
        yield f"    chunks: {yaml_text.format_line(chunks)}\n"
    if response.ending != "complete":
        yield f"    ending: {response.ending}\n"
    if response.failure:
        failure = {name: value for name, value in asdict(response.failure).items() if value}
        yield f"    failure: {yaml_text.format_line(failure)}\n"
    if interaction.provenance != "live":
        yield f"  provenance: {interaction.provenance}\n"
    if interaction.source:
        yield f"  source: {yaml_text.format_line(interaction.source)}\n"
    yield f"  tests: {yaml_text.format_line(interaction.tests)}\n"
    if interaction.models:
        yield f"  models: {yaml_text.format_line(dict(interaction.models))}\n"
    if interaction.results is not None:
        yield f"  results: {yaml_text.format_line(interaction.results)}\n"
    if interaction.rebound:
        yield "  rebound: true\n"


def _chunks(chunks: Chunks) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if chunks.by_item:
        written["by"] = "item"
    if chunks.joined:
        written["joined"] = chunks.joined
    if chunks.cut:
        written["cut"] = [f"{event}+{offset}" for event, offset in chunks.cut]
    if chunks.gaps:
        written["gaps_ms"] = chunks.gaps
    return written


def _headers(headers: Headers) -> str:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return yaml_text.format_line(grouped)


def _indent(body: bytes) -> bytes:
    """Return the body with its JSON indented. Requests are compared as JSON, so the whitespace does not matter."""
    if len(body) > _LARGEST_INDENTED:
        return body
    try:
        indented = jsontext.indented(body.decode())
    except UnicodeDecodeError:
        return body
    return indented.encode() if indented else body


def _lay_out(body: bytes) -> tuple[bytes, str]:
    """Return the text of a response, and the layout that it had before it was indented here. The layout is "" if the
    text is unchanged.

    JSON is indented only if the received bytes can be restored from the indented text.
    """
    if len(body) > _LARGEST_INDENTED:
        return body, ""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body, ""
    document = text.rstrip("\n")
    if (indented := jsontext.indented(document)) is None or indented == document:
        return body, ""
    for layout in jsontext.LAYOUTS:
        if jsontext.restore_layout(indented, layout) == document:
            return (indented + text[len(document) :]).encode(), layout
    return body, ""


def _format_encoding(response: Response) -> str:
    details = {
        **({} if response.is_encoding_requested else {"requested": False}),
        **({"raw": True} if response.is_raw_deflate else {}),
    }
    return yaml_text.format_line({"name": response.encoding, **details} if details else response.encoding)
