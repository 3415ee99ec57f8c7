"""Write a cassette: YAML in version 1 of vcrpy's format, laid out to be read in a pull request.

Multitrack's own keys are in places where vcrpy ignores them: https://vcrpy.readthedocs.io/en/latest/serialization.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from multitrack.tape.file.summary import summarize, summarize_text
from multitrack.tape.interaction import Interaction

_WIDEST_COMMENT = 110


def dump_cassette(cassette: Cassette) -> str:
    """Return ``cassette`` as YAML."""
    return encode_cassette(cassette).decode()


def encode_cassette(cassette: Cassette, known: KnownTexts | None = None) -> bytes:
    """Return ``cassette`` as YAML in UTF-8.

    Args:
        cassette: The cassette.
        known: The interactions that were written earlier, which are not formatted again. Default: none.
    """
    texts = [
        (interaction, _find_text(position, interaction, known))
        for position, interaction in enumerate(cassette.interactions, start=1)
    ]
    if known is not None:
        known.replace_texts(texts)
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
    return b"\n".join(
        [
            *[text.comments for _, text in texts],
            f"version: {FORMAT}".encode(),
            *([b"interactions:", *[text.content for _, text in texts]] if texts else [b"interactions: []"]),
            "\n".join(end).encode(),
        ]
    )


def _find_text(position: int, interaction: Interaction, known: KnownTexts | None) -> InteractionText:
    text = known.find_text(interaction) if known is not None else None
    if text is not None and text.position == position:
        return text
    lines = map(_format_comment, (*summarize(position, interaction), *summarize_text(interaction)))
    comments = "\n".join(lines).encode()
    if text is not None:
        return replace(text, position=position, comments=comments)
    blobs = Blobs()
    content = "\n".join(_format_interaction(interaction, blobs)).encode()
    return InteractionText(position, comments, content, blobs.pieces)


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


def _format_interaction(interaction: Interaction, blobs: Blobs) -> Iterator[str]:
    request, response = interaction.request, interaction.response
    yield "- request:"
    yield f"    method: {yaml_text.format_line(request.method)}"
    yield f"    uri: {yaml_text.format_line(request.url)}"
    yield f"    headers: {_headers(request.headers)}"
    yield f"    body: {_format_content(_indent(blobs.extract(request.body)), 6)}"
    yield "  response:"
    yield f"    status: {yaml_text.format_line({'code': response.status, 'message': response.reason})}"
    yield f"    headers: {_headers(response.headers)}"
    text, layout = _lay_out(response.body)
    yield "    body:"
    yield f"      string: {_format_content(text, 8)}"
    if layout:
        yield f"    layout: {layout}"
    if response.encoding:
        yield f"    encoding: {_format_encoding(response)}"
    if chunks := _chunks(response.chunks):
        yield f"    chunks: {yaml_text.format_line(chunks)}"
    if response.ending != "complete":
        yield f"    ending: {response.ending}"
    if response.failure:
        failure = {name: value for name, value in asdict(response.failure).items() if value}
        yield f"    failure: {yaml_text.format_line(failure)}"
    if interaction.provenance != "live":
        yield f"  provenance: {interaction.provenance}"
    if interaction.source:
        yield f"  source: {yaml_text.format_line(interaction.source)}"
    yield f"  tests: {yaml_text.format_line(interaction.tests)}"
    if interaction.models:
        yield f"  models: {yaml_text.format_line(dict(interaction.models))}"
    if interaction.results is not None:
        yield f"  results: {yaml_text.format_line(interaction.results)}"
    if interaction.rebound:
        yield "  rebound: true"


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


def _indent(body: bytes) -> str | bytes:
    """Return the text of a request. JSON is indented, which is harmless because it is compared as a document."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    return jsontext.indented(text) or text


def _lay_out(body: bytes) -> tuple[str | bytes, str]:
    """Return the text of a response, and its original layout if this function indented it.

    JSON is only indented if the received bytes can be restored from the indented text.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body, ""
    document = text.rstrip("\n")
    if (indented := jsontext.indented(document)) is None or indented == document:
        return text, ""
    for layout in jsontext.LAYOUTS:
        if jsontext.restore_layout(indented, layout) == document:
            return indented + text[len(document) :], layout
    return text, ""


def _format_content(text: str | bytes, indent: int) -> str:
    if isinstance(text, bytes):
        return yaml_text.format_binary(text, indent)
    return yaml_text.format_block(text, indent) if yaml_text.fits_block(text) else yaml_text.format_line(text)


def _format_encoding(response: Response) -> str:
    details = {
        **({} if response.is_encoding_requested else {"requested": False}),
        **({"raw": True} if response.is_raw_deflate else {}),
    }
    return yaml_text.format_line({"name": response.encoding, **details} if details else response.encoding)
