"""Read a cassette from Multitrack or from another recorder.

The reader rejects everything that it does not understand. It raises ``CassetteCorrupt`` with the file, the line and
the reason. A damaged or hostile file must never replay half an answer, fill the memory, or stop pytest.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from multitrack.errors import CassetteCorrupt
from multitrack.tape.file import yaml_layout
from multitrack.tape.file.cassette import FORMAT, Cassette
from multitrack.tape.file.interaction_reader import read_interaction
from multitrack.tape.file.known_texts import KnownTexts
from multitrack.tape.file.metadata_reader import read_metadata
from multitrack.tape.file.value_checks import NOT_UNDERSTOOD
from multitrack.tape.interaction import Interaction
from multitrack.tape.normalize.content_encoding import largest_decoded_size


def load_cassette(content: bytes, path: Path, known: KnownTexts | None = None) -> Cassette:
    """Return the cassette in ``content``, written by ``dump_cassette``, by vcrpy, or by a tool built on vcrpy.

    Args:
        content: The bytes of the file.
        path: The path of the file, for messages. A file with the suffix ``.toml`` is parsed as TOML.
        known: Interactions that were read earlier. They are not read again. Default: none.

    Raises:
        CassetteCorrupt: The file cannot be read. The error shows the number of the line or the interaction.
    """
    content = decompress(content, path)
    if b"\r" in content:
        # git may have changed the line endings
        content = content.replace(b"\r\n", b"\n")
    try:
        return _load_by_layout(content, known)
    except NOT_UNDERSTOOD:
        return _load_document(content, path)


def decompress(content: bytes, path: Path) -> bytes:
    """Return the text of a cassette that a recorder may have compressed with gzip.

    Raises:
        CassetteCorrupt: The file at ``path`` is damaged, or a compression bomb.
    """
    # some custom serializers, such as that of langchain-tests, compress the YAML
    if not content.startswith(b"\x1f\x8b"):
        return content
    most = largest_decoded_size(len(content))
    pieces: list[bytes] = []
    try:
        while content:
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            pieces.append(member.decompress(content, max(1, most)))
            most -= len(pieces[-1])
            if member.unconsumed_tail or most <= 0:
                raise CassetteCorrupt(path, "it is compressed so much that no recorder can have written it")
            if not member.eof:
                raise CassetteCorrupt(path, "it is damaged gzip data: it ends too early")
            content = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise CassetteCorrupt(path, f"it is damaged gzip data: {error}") from error
    return b"".join(pieces)


def _load_by_layout(content: bytes, known: KnownTexts | None) -> Cassette:
    yaml_layout.require_printable(content)
    found = yaml_layout.read_metadata(content)
    if type(found["format"]) is not int or found["format"] != FORMAT:
        raise yaml_layout.UnknownLayout
    metadata = read_metadata(found)

    def read(text: bytes, start: int, end: int) -> Interaction:
        return read_interaction(yaml_layout.parse_interaction(text, start, end), metadata.blobs)

    spans = yaml_layout.find_interactions(content)
    if known is None:
        return Cassette(tuple(read(content, start, end) for start, end in spans), metadata.kept)
    texts = [content[start:end] for start, end in spans]
    interactions = known.read_all(texts, metadata.blobs.pieces, lambda text: read(text, 0, len(text)))
    return Cassette(tuple(interactions), metadata.kept)


def _load_document(content: bytes, path: Path) -> Cassette:
    # imported here, because a run with cassettes in Multitrack's layout needs no YAML parser
    from multitrack.tape.file import document_reader

    return document_reader.load_document(content, path)
