"""Read a cassette that does not have Multitrack's layout, by parsing it as YAML, TOML or JSON.

Other recorders write such cassettes. A cassette from Multitrack loses its layout if it is edited by hand, or damaged.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from multitrack.errors import CassetteCorrupt
from multitrack.tape.file.cassette import FORMAT, Cassette
from multitrack.tape.file.interaction_reader import OWN_KEYS, OWN_RESPONSE_KEYS, read_interaction
from multitrack.tape.file.metadata_reader import END_MARKER, Metadata, read_metadata
from multitrack.tape.file.value_checks import NOT_UNDERSTOOD, UnknownFeature, format_value, require_known_keys
from multitrack.tape.file.yaml_loader import AliasError, ForeignLoader, Loader
from multitrack.tape.interaction import Interaction

_UPGRADE = "upgrade Multitrack, or use the recorder that wrote the file"
_MAY_BE_NEWER = "upgrade Multitrack if a later version wrote the file; otherwise, correct the file by hand"
_RESOLVE = "resolve the conflict in the file, or keep one side (git checkout --ours or --theirs) and record again"

_KEYS = ("version", "interactions", "metadata")
# the first lines, which `cassette_writer` writes and no other recorder does
_OWN_HEAD = re.compile(rb"# 1 \xc2\xb7 [^\n]*\n(?:#[^\n]*\n)*version: 1\n")
# the text of a body is always indented, so it cannot match
_CONFLICT = re.compile(rb"^<{7}(?: [^\n]*)?$", re.MULTILINE)
_CONFLICT_END = re.compile(rb"^>{7}(?: [^\n]*)?$", re.MULTILINE)


def load_document(content: bytes, path: Path) -> Cassette:
    """Return the cassette in ``content``. Works like ``cassette_reader.load_cassette``."""
    if path.suffix != ".toml" and (start := _CONFLICT.search(content)) and _CONFLICT_END.search(content, start.end()):
        line = content.count(b"\n", 0, start.start()) + 1
        raise CassetteCorrupt(path, "it contains the conflict markers of a merge", line=line, advice=_RESOLVE)
    document = _parse_document(content, path)
    if document is None:
        raise CassetteCorrupt(path, "it is empty")
    if isinstance(document, list) and document and isinstance(document[0], dict) and "request" in document[0]:
        reason = "it is in vcrpy's old format, from before format version 1"
        command = f"python -m vcr.migration {shlex.quote(str(path))}"
        raise CassetteCorrupt(path, reason, advice=f"to migrate it: {command}")
    damage = _Damage(content, path)
    _require_known_version(document, path)
    if isinstance(document, dict) and "interactions" not in document:
        document = _pair_requests(document)
    if not isinstance(document, dict) or not isinstance(document.get("interactions"), list):
        if _OWN_HEAD.match(content):
            damage.raise_cut_off()
        if not isinstance(document, dict) or "interactions" not in document:
            raise CassetteCorrupt(path, "it has no list of interactions")
        damage.raise_at("it has no list of interactions", "interactions")
    metadata = document.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        damage.raise_at(f"its metadata is not a mapping but {format_value(metadata)}", "metadata")
    if metadata is None or metadata.get("format") is None:
        if _OWN_HEAD.match(content) or "format" in (metadata or ()) or any(map(_is_our_own, document["interactions"])):
            damage.raise_cut_off()
        return _load_foreign(document, path, damage)
    if END_MARKER not in metadata:
        damage.raise_cut_off()
    try:
        require_known_keys(document, "the file", _KEYS)
    except UnknownFeature as error:
        other = next(key for key in document if key not in _KEYS)
        damage.raise_at(str(error), other, advice=_MAY_BE_NEWER)
    return _load_own(document["interactions"], metadata, damage)


class _Damage:
    """The damage in one cassette. The methods raise ``CassetteCorrupt`` with the number of the damaged line."""

    def __init__(self, content: bytes, path: Path) -> None:
        self._content = content
        self._path = path

    def raise_at(self, reason: str, *steps: str | int, advice: str | None = None) -> NoReturn:
        """Raise the error for one value. ``steps`` are the keys and positions that lead to the value."""
        raise CassetteCorrupt(self._path, reason, line=self._find_line(steps), advice=advice)

    def raise_cut_off(self) -> NoReturn:
        """Raise the error for a file that ends too early."""
        reason = f"it was cut off: its end, the key metadata.{END_MARKER}, is missing"
        raise CassetteCorrupt(self._path, reason, line=self._content.rstrip().count(b"\n") + 1)

    def _find_line(self, steps: Sequence[str | int]) -> int | None:
        try:
            node: Any = yaml.compose(self._content.decode(), Loader=ForeignLoader)
        except (yaml.YAMLError, *NOT_UNDERSTOOD):
            return None  # a TOML file
        line = node.start_mark.line
        for step in steps:
            if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
                line = node.start_mark.line
            elif isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == step), None)
                line, node = (line, node) if pair is None else (pair[0].start_mark.line, pair[1])
        return int(line) + 1


def _load_own(items: Sequence[Any], found: Mapping[Any, Any], damage: _Damage) -> Cassette:
    try:
        metadata: Metadata = read_metadata(found)
    except NOT_UNDERSTOOD as error:
        damage.raise_at(_explain(error), "metadata", advice=_find_advice(error))
    interactions: list[Interaction] = []
    for position, item in enumerate(items):
        try:
            interactions.append(read_interaction(item, metadata.blobs))
        except NOT_UNDERSTOOD as error:
            reason = f"interaction {position + 1}: {_explain(error)}"
            damage.raise_at(reason, "interactions", position, advice=_find_advice(error))
    return Cassette(tuple(interactions), metadata.kept)


def _load_foreign(document: Mapping[str, Any], path: Path, damage: _Damage) -> Cassette:
    from multitrack.tape.file import foreign  # most runs do not need this module

    try:
        return foreign.read(document)
    except foreign.BadInteraction as error:
        reason = f"interaction {error.position + 1}: {error.reason}"
        damage.raise_at(reason, error.key, error.index, advice=error.advice)
    except foreign.NotSupported as error:
        raise CassetteCorrupt(path, str(error), advice=error.advice) from error


def _is_our_own(item: Any) -> bool:
    """Return whether an interaction has keys that only Multitrack writes."""
    if not isinstance(item, dict):
        return False
    response = item.get("response")
    return not OWN_KEYS.isdisjoint(item) or (isinstance(response, dict) and not OWN_RESPONSE_KEYS.isdisjoint(response))


def _pair_requests(document: dict[str, Any]) -> dict[str, Any]:
    """Pair each request with its response if ``document`` has a list of requests and a list of responses.

    Return any other document unchanged. vcrpy passes the two lists to custom serializers, and the serializer in
    langchain-tests stores them without pairing requests with responses.
    """
    requests, responses = document.get("requests"), document.get("responses")
    if not isinstance(requests, list) or not isinstance(responses, list) or len(requests) != len(responses):
        return document
    pairs = zip(requests, responses, strict=True)
    return {"interactions": [{"request": request, "response": response} for request, response in pairs]}


def _require_known_version(document: Any, path: Path) -> None:
    """Raise ``CassetteCorrupt`` if the format version is unknown.

    The version is checked before anything else, because a cassette with another version may have no list of
    interactions.
    """
    if not isinstance(document, dict):
        return
    metadata = document.get("metadata")
    found = metadata.get("format") if isinstance(metadata, dict) else None
    found = FORMAT if found is None else found
    if type(found) is not int or found != FORMAT:
        reason = f"it has format {format_value(found)}, but this Multitrack reads format {FORMAT}"
        raise CassetteCorrupt(path, reason, advice=_UPGRADE)
    version = document.get("version", 1)
    if type(version) is not int or version != 1:
        reason = f"it has version {format_value(version)} of vcrpy's format, but this Multitrack reads version 1"
        raise CassetteCorrupt(path, reason, advice=_UPGRADE)


def _parse_document(content: bytes, path: Path) -> Any:
    try:
        text = content.decode()
        if text.lstrip()[:1] == "{":
            # vcrpy also writes JSON, whose surrogate pairs YAML does not combine
            try:
                return json.loads(text, object_pairs_hook=_build_object)
            except (ValueError, RecursionError):
                pass  # the text may be YAML in braces; if it is damaged JSON, YAML's error names the line
        if path.suffix == ".toml":
            # cassetter writes TOML on request
            return tomllib.loads(text)
        return _parse_yaml(text)
    except AliasError as error:
        # the error has the line of the anchor
        events: Any = yaml.parse(text, Loader=Loader)
        mark: Any = next(event.start_mark for event in events if isinstance(event, yaml.AliasEvent))
        reason, line = error.problem or "", mark.line + 1
    except yaml.MarkedYAMLError as error:
        reason, line = error.problem or "not YAML", error.problem_mark.line + 1 if error.problem_mark else None
    except yaml.reader.ReaderError as error:
        reason, line = f"U+{error.character:04X} is not allowed", content[: error.position].count(b"\n") + 1
    except UnicodeDecodeError as error:
        reason, line = "it is not UTF-8 text", content[: error.start].count(b"\n") + 1
    except RecursionError:
        reason, line = "nested too deeply", None
    except (yaml.YAMLError, *NOT_UNDERSTOOD) as error:
        reason, line = " ".join(str(error).split()), None
    raise CassetteCorrupt(path, reason, line=line)


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def _parse_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=Loader)
    except AliasError:
        document = yaml.load(text, Loader=ForeignLoader)
        metadata = document.get("metadata") if isinstance(document, dict) else None
        if isinstance(metadata, dict) and "format" in metadata:
            raise
        return document


def _explain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _find_advice(error: Exception) -> str | None:
    return _MAY_BE_NEWER if isinstance(error, UnknownFeature) else None
