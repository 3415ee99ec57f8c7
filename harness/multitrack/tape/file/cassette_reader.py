"""Read a cassette from Multitrack or from another recorder."""

from __future__ import annotations

import gzip
import json
import shlex
import tomllib
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from multitrack.errors import CassetteCorrupt
from multitrack.tape.file import yaml_layout, yaml_text
from multitrack.tape.file.blobs import Blobs
from multitrack.tape.file.cassette import FORMAT, Cassette
from multitrack.tape.file.interaction_reader import UnknownFeature, read_interaction
from multitrack.tape.file.yaml_loader import AliasError, ForeignLoader, Loader
from multitrack.tape.interaction import Interaction

_UPGRADE = "upgrade Multitrack, or use the recorder that wrote the file"
_MAY_BE_NEWER = "upgrade Multitrack if a later version wrote the file; otherwise, correct the file by hand"


def load_cassette(content: bytes, path: Path) -> Cassette:
    """Return the cassette in ``content``, written by `dump_cassette`, by vcrpy, or by a tool built on vcrpy.

    Args:
        content: The bytes of the file.
        path: The path of the file, for messages. A file with the suffix ``.toml`` is parsed as TOML.

    Raises:
        CassetteCorrupt: The file cannot be read. The error names the line or the interaction.
    """
    content = _decompress(content, path)
    # git may have changed the line endings
    content = content.replace(b"\r\n", b"\n")
    try:
        return _load_by_layout(content)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return _load_yaml(content, path)


def _decompress(content: bytes, path: Path) -> bytes:
    # the custom serializer of langchain-tests, and similar ones, compress the YAML
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise CassetteCorrupt(path, f"it is damaged gzip data: {error}") from error


def _load_by_layout(content: bytes) -> Cassette:
    metadata = yaml_layout.read_metadata(content)
    if metadata["format"] != FORMAT:
        raise yaml_layout.UnknownLayout
    blobs = _read_blobs(metadata)
    return _build_cassette((read_interaction(item, blobs) for item in yaml_layout.read_interactions(content)), metadata)


def _build_cassette(interactions: Iterable[Interaction], metadata: Mapping[str, Any]) -> Cassette:
    kept = {key: yaml_text.restore_text(metadata[key]) for key in metadata if key not in ("provenance", "blobs")}
    return Cassette(tuple(interactions), kept)


def _load_yaml(content: bytes, path: Path) -> Cassette:
    document = _parse_document(content, path)
    if document is None:
        raise CassetteCorrupt(path, "it is empty")
    if isinstance(document, list) and document and isinstance(document[0], dict) and "request" in document[0]:
        reason = "it is in vcrpy's old format, from before format version 1"
        command = f"python -m vcr.migration {shlex.quote(str(path))}"
        raise CassetteCorrupt(path, reason, advice=f"to migrate it: {command}")
    _require_known_version(document, path)
    if isinstance(document, dict) and "interactions" not in document:
        document = _pair_requests(document)
    if not isinstance(document, dict) or not isinstance(document.get("interactions"), list):
        raise CassetteCorrupt(path, "it has no list of interactions")
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise CassetteCorrupt(path, f"its metadata is not a mapping but {metadata!r}")
    if "format" not in metadata:
        from multitrack.tape.file import foreign  # vcrpy imports every HTTP library that is installed

        return foreign.read(document, path)
    try:
        blobs = _read_blobs(metadata)
    except TypeError as error:
        raise CassetteCorrupt(path, str(error)) from error
    interactions = []
    for position, item in enumerate(document["interactions"]):
        try:
            interactions.append(read_interaction(item, blobs))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"interaction {position + 1}: {_explain(error)}"
            advice = _MAY_BE_NEWER if isinstance(error, UnknownFeature) else None
            raise CassetteCorrupt(path, reason, line=_find_line(content, position), advice=advice) from error
    return _build_cassette(interactions, metadata)


def _pair_requests(document: dict[str, Any]) -> dict[str, Any]:
    """Return ``document`` in the usual format if it has two lists, one of requests and one of responses.

    vcrpy passes these two lists to a custom serializer. The serializer of langchain-tests writes them unchanged.
    """
    requests, responses = document.get("requests"), document.get("responses")
    if not isinstance(requests, list) or not isinstance(responses, list) or len(requests) != len(responses):
        return document
    pairs = zip(requests, responses, strict=True)
    return {"interactions": [{"request": request, "response": response} for request, response in pairs]}


def _require_known_version(document: Any, path: Path) -> None:
    """Raise `CassetteCorrupt` if the format version is unknown.

    The version is checked before anything else, because a cassette of another version may have no list of interactions.
    """
    if not isinstance(document, dict):
        return
    metadata = document.get("metadata")
    found = metadata.get("format", FORMAT) if isinstance(metadata, dict) else FORMAT
    if found != FORMAT:
        raise CassetteCorrupt(
            path, f"it has format {found!r}, but this Multitrack reads format {FORMAT}", advice=_UPGRADE
        )
    if (version := document.get("version", 1)) != 1:
        reason = f"it has version {version!r} of vcrpy's format, but this Multitrack reads version 1"
        raise CassetteCorrupt(path, reason, advice=_UPGRADE)


def _parse_document(content: bytes, path: Path) -> Any:
    try:
        text = content.decode()
        if text.lstrip()[:1] == "{":
            # vcrpy also writes JSON, whose surrogate pairs YAML does not combine
            with suppress(ValueError):
                return json.loads(text)
        if path.suffix == ".toml":
            # cassetter writes TOML on request
            return tomllib.loads(text)
        return _parse_yaml(text)
    except AliasError as error:
        events: Any = yaml.parse(text, Loader=Loader)
        mark: Any = next(event.start_mark for event in events if isinstance(event, yaml.AliasEvent))
        reason, line = error.problem or "", mark.line + 1
    except yaml.MarkedYAMLError as error:
        reason, line = error.problem or "not YAML", error.problem_mark.line + 1 if error.problem_mark else None
    except yaml.reader.ReaderError as error:
        reason, line = f"U+{error.character:04X} is not allowed", content[: error.position].count(b"\n") + 1
    except UnicodeDecodeError as error:
        reason, line = "it is not UTF-8 text", content[: error.start].count(b"\n") + 1
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        reason, line = " ".join(str(error).split()), None
    raise CassetteCorrupt(path, reason, line=line)


def _parse_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=Loader)
    except AliasError:
        document = yaml.load(text, Loader=ForeignLoader)
        metadata = document.get("metadata") if isinstance(document, dict) else None
        if isinstance(metadata, dict) and "format" in metadata:
            raise
        return document


def _read_blobs(metadata: Mapping[str, Any]) -> Blobs:
    found = metadata.get("blobs", {})
    if not isinstance(found, dict) or not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise TypeError(f"its blobs are not a mapping of texts but {found!r:.60}")
    return Blobs(found)


def _explain(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _find_line(content: bytes, position: int) -> int:
    """Return the line on which the interaction at ``position`` begins."""
    document: Any = yaml.compose(content.decode(), Loader=Loader)
    # if a key is repeated, YAML uses the last one
    interactions = next(value for key, value in reversed(document.value) if key.value == "interactions")
    return int(interactions.value[position].start_mark.line) + 1
