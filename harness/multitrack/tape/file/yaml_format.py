"""The file format: YAML in version 1 of vcrpy's format, laid out to be read in a pull request.

Our own keys are in places where vcrpy ignores them: https://vcrpy.readthedocs.io/en/latest/serialization.html
"""

from __future__ import annotations

import gzip
import json
import shlex
import tomllib
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import yaml

from multitrack.errors import CassetteCorrupt
from multitrack.tape import jsontext
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.file import yaml_layout, yaml_text
from multitrack.tape.file.blobs import Blobs
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.summary import summarize, summarize_text
from multitrack.tape.file.yaml_loader import AliasError, ForeignLoader, Loader
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.reencoding import can_encode, split_encodings

FORMAT = 1
_UPGRADE = "upgrade Multitrack, or use the recorder that wrote the file"
_MAY_BE_NEWER = "upgrade Multitrack if a later version wrote the file; otherwise, correct the file by hand"
_WIDEST_COMMENT = 110
_INTERACTION = frozenset({"request", "response", "provenance", "tests", "models", "results"})
_REQUEST = frozenset({"method", "uri", "headers", "body"})
_RESPONSE = frozenset({"status", "headers", "body", "layout", "encoding", "chunks", "ending", "failure"})


class _UnknownFeature(ValueError):
    """The file has a key or a value that this version does not know. A later one may have written it."""


def dump_cassette(cassette: Cassette) -> str:
    """Return ``cassette`` as YAML."""
    blobs = Blobs()
    comments: list[str] = []
    interactions: list[str] = []
    for position, interaction in enumerate(cassette.interactions, start=1):
        comments += map(_format_comment, (*summarize(position, interaction), *summarize_text(interaction)))
        interactions += _format_interaction(interaction, blobs)
    return "\n".join(
        [
            *comments,
            f"version: {FORMAT}",
            *(["interactions:", *interactions] if interactions else ["interactions: []"]),
            *_format_metadata({**cassette.metadata, "provenance": cassette.provenance}),
            *_format_blobs(blobs),
            "",
        ]
    )


def _format_comment(line: str) -> str:
    line = f"# {line}"
    line = "".join(char if char.isprintable() else "�" for char in line)
    return line if len(line) <= _WIDEST_COMMENT else line[: _WIDEST_COMMENT - 1] + "…"


def _format_metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "metadata:"
    for key, value in metadata.items():
        yield f"  {yaml_text.format_line(key)}: {yaml_text.format_line(value)}"


def _format_blobs(blobs: Blobs) -> Iterator[str]:
    if blobs.pieces:
        yield "  blobs:"
    yield from (
        f"    {yaml_text.format_line(digest)}: {yaml_text.format_line(piece)}" for digest, piece in blobs.pieces.items()
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
    yield f"  tests: {yaml_text.format_line(interaction.tests)}"
    if interaction.models:
        yield f"  models: {yaml_text.format_line(dict(interaction.models))}"
    if interaction.results is not None:
        yield f"  results: {yaml_text.format_line(interaction.results)}"


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
    """Return the text of a request, JSON indented, because requests are compared as JSON documents."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    return jsontext.indented(text) or text


def _lay_out(body: bytes) -> tuple[str | bytes, str]:
    """Return the text of a response and, if it is JSON that was indented, its original layout.

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


def load_cassette(content: bytes, path: Path) -> Cassette:
    """Return the cassette in ``content``, written by `dump_cassette`, by vcrpy, or by a tool built on vcrpy.

    Args:
        content: The bytes of the file.
        path: Where it is stored, for messages; ``.toml`` files are parsed as TOML.

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
    return _build_cassette(
        (_read_interaction(item, blobs) for item in yaml_layout.read_interactions(content)), metadata
    )


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
            interactions.append(_read_interaction(item, blobs))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"interaction {position + 1}: {_explain(error)}"
            advice = _MAY_BE_NEWER if isinstance(error, _UnknownFeature) else None
            raise CassetteCorrupt(path, reason, line=_find_line(content, position), advice=advice) from error
    return _build_cassette(interactions, metadata)


def _pair_requests(document: dict[str, Any]) -> dict[str, Any]:
    """Return ``document`` in the usual format if it has a list of requests and one of responses.

    vcrpy passes these two lists to a custom serializer. The serializer of langchain-tests writes them unchanged.
    """
    requests, responses = document.get("requests"), document.get("responses")
    if not isinstance(requests, list) or not isinstance(responses, list) or len(requests) != len(responses):
        return document
    pairs = zip(requests, responses, strict=True)
    return {"interactions": [{"request": request, "response": response} for request, response in pairs]}


def _require_known_version(document: Any, path: Path) -> None:
    """Raise `CassetteCorrupt` if the format version is unknown.

    Checked before anything else, because another version may have no list of interactions.
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


def _read_interaction(item: Any, blobs: Blobs) -> Interaction:
    item = _require_known_keys(item, "the interaction", _INTERACTION)
    request, response = _require_known_keys(item["request"], "the request", _REQUEST), item["response"]
    response = _require_known_keys(response, "the response", _RESPONSE)
    ending: Ending = response.get("ending", "complete")
    provenance: Provenance = item.get("provenance", "live")
    if ending not in get_args(Ending) or provenance not in get_args(Provenance):
        raise _UnknownFeature(f"unknown ending {ending!r} or provenance {provenance!r}")
    status = _require_mapping(response["status"], "the status")
    if type(status["code"]) is not int:
        raise TypeError(f"the status code is {status['code']!r}")
    encoding, is_encoding_requested, is_raw = _read_encoding(response.get("encoding", ""))
    return Interaction(
        Request(
            _require_text(request["method"], "the method"),
            _require_text(request["uri"], "the uri"),
            _read_headers(request["headers"]),
            blobs.restore(_read_body(request["body"])),
        ),
        Response(
            status["code"],
            _require_text(status["message"], "the status message"),
            _read_headers(response["headers"]),
            _read_response_body(response),
            ending,
            _read_chunks(response.get("chunks", {})),
            _read_failure(response.get("failure")),
            encoding,
            is_encoding_requested,
            is_raw,
        ),
        tuple(_require_text(test, "a test") for test in item.get("tests", ())),
        provenance,
        tuple(
            (_require_text(tool, "a tool"), _require_text(path, "a model"))
            for tool, path in _require_mapping(item.get("models", {}), "the models").items()
        ),
        tuple(_require_text(result, "a result") for result in item["results"]) if "results" in item else None,
    )


def _read_response_body(response: Mapping[str, Any]) -> bytes:
    body = _read_body(_require_known_keys(response["body"], "the response's body", {"string"})["string"])
    if (layout := response.get("layout")) is None:
        return body
    if layout not in jsontext.LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}")
    text = body.decode()
    document = text.rstrip("\n")
    return (jsontext.restore_layout(document, layout) + text[len(document) :]).encode()


def _read_encoding(value: Any) -> tuple[str, bool, bool]:
    """Return the encoding, whether it was requested, and whether it is deflate without the frame of zlib."""
    is_requested, is_raw = True, False
    if isinstance(value, dict):
        found = _require_known_keys(value, "the encoding", {"name", "requested", "raw"})
        value, is_requested, is_raw = found["name"], bool(found.get("requested", True)), bool(found.get("raw"))
    encoding = _require_text(value, "the encoding")
    if not can_encode(encoding) or (is_raw and split_encodings(encoding)[-1:] != ["deflate"]):
        raise ValueError(f"unknown encoding {encoding!r}")
    return encoding, is_requested, is_raw


def _read_chunks(value: Any) -> Chunks:
    found = _require_mapping(value, "the value of chunks")
    by = found.get("by", "event")
    if by not in ("event", "item"):
        raise _UnknownFeature(f"chunks are counted by event or by item, not by {by!r}")
    cuts = [_require_text(cut, "a cut").split("+") for cut in found.get("cut", ())]
    return Chunks(
        joined=tuple(int(event) for event in found.get("joined", ())),
        cut=tuple((int(event), int(offset)) for event, offset in cuts),
        gaps=tuple(int(gap) for gap in found.get("gaps_ms", ())),
        by_item=by == "item",
    )


def _read_failure(value: Any) -> Failure | None:
    if value is None:
        return None
    found = _require_mapping(value, "the failure")
    during: During = found.get("during", "read")
    if during not in get_args(During):
        raise _UnknownFeature(f"the failure has an unknown value of during: {during!r}")
    error, message, code = (found.get(name, "") for name in ("error", "message", "code"))
    return Failure(
        _require_text(error, "the error"),
        _require_text(message, "its message"),
        during,
        _require_text(code, "its code"),
    )


def _require_mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {value!r:.60}, not a mapping")
    return value


def _require_known_keys(value: Any, name: str, keys: Collection[str]) -> dict[str, Any]:
    found = _require_mapping(value, name)
    # an unknown key may be the rest of a text that lost its indentation
    if others := found.keys() - keys:
        raise _UnknownFeature(f"{name} has an unknown key {min(map(str, others))!r}")
    return found


def _require_text(value: Any, name: str) -> str:
    if isinstance(value, bytes):
        value = yaml_text.restore_text(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r:.60}, not text")
    return value


def _read_headers(headers: Any) -> Headers:
    return tuple(
        (_require_text(name, "the name of a header"), _require_text(value, f"the header {name}"))
        for name, values in _require_mapping(headers, "the value of headers").items()
        for value in (values if isinstance(values, list) else [values])
    )


def _read_body(body: Any) -> bytes:
    return body if isinstance(body, bytes) else _require_text(body, "the body").encode()
