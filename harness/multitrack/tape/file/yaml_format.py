"""The file: a cassette as YAML in the format of vcrpy's version 1, laid out to be read in a pull request.

Our own keys stand where vcrpy ignores them: https://vcrpy.readthedocs.io/en/latest/serialization.html
"""

from __future__ import annotations

import json
import tomllib
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
from multitrack.tape.file.summary import summarize
from multitrack.tape.file.yaml_loader import Aliased, Loader
from multitrack.tape.interaction import Interaction, Provenance

FORMAT = 1
_WIDEST_COMMENT = 110
_INTERACTION = frozenset({"request", "response", "provenance", "tests", "models", "results"})
_REQUEST = frozenset({"method", "uri", "headers", "body"})
_RESPONSE = frozenset({"status", "headers", "body", "chunks", "ending", "failure"})


def dump_cassette(cassette: Cassette) -> str:
    """``cassette`` as YAML, made to be read in a pull request."""
    blobs = Blobs()
    comments: list[str] = []
    interactions: list[str] = []
    for position, interaction in enumerate(cassette.interactions, start=1):
        comments += map(_comment, summarize(position, interaction))
        interactions += _lines(interaction, blobs)
    return "\n".join(
        [
            *comments,
            f"version: {FORMAT}",
            *(["interactions:", *interactions] if interactions else ["interactions: []"]),
            *_metadata({**cassette.metadata, "provenance": cassette.provenance}),
            *_pieces(blobs),
            "",
        ]
    )


def _comment(line: str) -> str:
    line = f"# {line}"
    line = "".join(char if char.isprintable() else "�" for char in line)
    return line if len(line) <= _WIDEST_COMMENT else line[: _WIDEST_COMMENT - 1] + "…"


def _metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "metadata:"
    for key, value in metadata.items():
        yield f"  {yaml_text.format_line(key)}: {yaml_text.format_line(value)}"


def _pieces(blobs: Blobs) -> Iterator[str]:
    if blobs.pieces:
        yield "  blobs:"
    yield from (
        f"    {yaml_text.format_line(digest)}: {yaml_text.format_line(piece)}" for digest, piece in blobs.pieces.items()
    )


def _lines(interaction: Interaction, blobs: Blobs) -> Iterator[str]:
    request, response = interaction.request, interaction.response
    yield "- request:"
    yield f"    method: {yaml_text.format_line(request.method)}"
    yield f"    uri: {yaml_text.format_line(request.url)}"
    yield f"    headers: {_headers(request.headers)}"
    yield f"    body: {_body(blobs.extract(request.body), 6)}"
    yield "  response:"
    yield f"    status: {yaml_text.format_line({'code': response.status, 'message': response.reason})}"
    yield f"    headers: {_headers(response.headers)}"
    yield "    body:"
    yield f"      string: {_body(response.body, 8)}"
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


def _body(body: bytes, indent: int) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return yaml_text.format_binary(body, indent)
    laid_out = jsontext.indented(text) or text
    return (
        yaml_text.format_block(laid_out, indent) if yaml_text.fits_block(laid_out) else yaml_text.format_line(laid_out)
    )


def load_cassette(content: bytes, path: Path) -> Cassette:
    """Return the cassette in ``content``, written by `dump_cassette`, by vcrpy, or by a tool built on vcrpy.

    Args:
        content: The bytes of the file.
        path: Where it is stored, for messages; ``.toml`` files are parsed as TOML.

    Raises:
        CassetteCorrupt: The file cannot be read. The error names the line or the interaction.
    """
    # git may have changed the line ends
    content = content.replace(b"\r\n", b"\n")
    try:
        return _by_layout(content)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return _by_yaml(content, path)


def _by_layout(content: bytes) -> Cassette:
    metadata = yaml_layout.read_metadata(content)
    if metadata["format"] != FORMAT:
        raise yaml_layout.UnknownLayout
    blobs = _blobs(metadata)
    return _cassette((_read(item, blobs) for item in yaml_layout.read_interactions(content)), metadata)


def _cassette(interactions: Iterable[Interaction], metadata: Mapping[str, Any]) -> Cassette:
    return Cassette(tuple(interactions), {key: metadata[key] for key in metadata if key not in ("provenance", "blobs")})


def _by_yaml(content: bytes, path: Path) -> Cassette:
    document = _parsed(content, path)
    if document is None:
        raise CassetteCorrupt(path, "it is empty")
    if isinstance(document, list) and document and isinstance(document[0], dict) and "request" in document[0]:
        raise CassetteCorrupt(path, f"it is of vcrpy's format before 1: migrate it (python -m vcr.migration {path})")
    if not isinstance(document, dict) or not isinstance(document.get("interactions"), list):
        raise CassetteCorrupt(path, "it holds no list of interactions")
    if (version := document.get("version", 1)) != 1:
        raise CassetteCorrupt(path, f"it is of version {version!r} of vcrpy's format, and this Multitrack reads 1")
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise CassetteCorrupt(path, f"its metadata is no mapping but {metadata!r}")
    if "format" not in metadata:
        from multitrack.tape.file import foreign  # vcrpy imports every HTTP library that is installed

        return foreign.read(document, path)
    if metadata["format"] != FORMAT:
        found = metadata["format"]
        raise CassetteCorrupt(path, f"it is of format {found!r}, and this Multitrack reads format {FORMAT}: upgrade it")
    try:
        blobs = _blobs(metadata)
    except TypeError as error:
        raise CassetteCorrupt(path, str(error)) from error
    interactions = []
    for position, item in enumerate(document["interactions"]):
        try:
            interactions.append(_read(item, blobs))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"interaction {position + 1}: {_reason(error)}"
            raise CassetteCorrupt(path, reason, line=_line(content, position)) from error
    return _cassette(interactions, metadata)


def _parsed(content: bytes, path: Path) -> Any:
    try:
        text = content.decode()
        if text.lstrip()[:1] == "{":
            # vcrpy writes JSON, too, whose pairs of surrogates YAML does not put together
            with suppress(ValueError):
                return json.loads(text)
        if path.suffix == ".toml":
            # as cassetter writes it, if asked to
            return tomllib.loads(text)
        return yaml.load(text, Loader=Loader)
    except Aliased:
        events: Any = yaml.parse(text, Loader=Loader)
        mark: Any = next(event.start_mark for event in events if isinstance(event, yaml.AliasEvent))
        reason, line = "it uses YAML aliases, which no recorder writes", mark.line + 1
    except yaml.MarkedYAMLError as error:
        reason, line = error.problem or "no YAML", error.problem_mark.line + 1 if error.problem_mark else None
    except yaml.reader.ReaderError as error:
        reason, line = f"U+{error.character:04X} is not allowed", content[: error.position].count(b"\n") + 1
    except UnicodeDecodeError as error:
        reason, line = "it is no UTF-8 text", content[: error.start].count(b"\n") + 1
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason, line = " ".join(str(error).split()), None
    raise CassetteCorrupt(path, reason, line=line)


def _blobs(metadata: Mapping[str, Any]) -> Blobs:
    found = metadata.get("blobs", {})
    if not isinstance(found, dict) or not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise TypeError(f"its blobs are no mapping of texts but {found!r:.60}")
    return Blobs(found)


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _line(content: bytes, position: int) -> int:
    """The line on which the interaction at ``position`` begins."""
    document: Any = yaml.compose(content.decode(), Loader=Loader)
    # the last one is that which was read
    interactions = next(value for key, value in reversed(document.value) if key.value == "interactions")
    return int(interactions.value[position].start_mark.line) + 1


def _read(item: Any, blobs: Blobs) -> Interaction:
    item = _known(item, "the interaction", _INTERACTION)
    request, response = _known(item["request"], "the request", _REQUEST), item["response"]
    response = _known(response, "the response", _RESPONSE)
    ending: Ending = response.get("ending", "complete")
    provenance: Provenance = item.get("provenance", "live")
    if ending not in get_args(Ending) or provenance not in get_args(Provenance):
        raise ValueError(f"unknown ending {ending!r} or provenance {provenance!r}")
    status = _mapping(response["status"], "the status")
    if type(status["code"]) is not int:
        raise TypeError(f"the status code is {status['code']!r}")
    return Interaction(
        Request(
            _text(request["method"], "the method"),
            _text(request["uri"], "the uri"),
            _pairs(request["headers"]),
            blobs.restore(_bytes(request["body"])),
        ),
        Response(
            status["code"],
            _text(status["message"], "the status message"),
            _pairs(response["headers"]),
            _bytes(_known(response["body"], "the response's body", {"string"})["string"]),
            ending,
            _read_chunks(response.get("chunks", {})),
            _read_failure(response.get("failure")),
        ),
        tuple(_text(test, "a test") for test in item.get("tests", ())),
        provenance,
        tuple((tool, _text(path, "a model")) for tool, path in _mapping(item.get("models", {}), "the models").items()),
        tuple(_text(result, "a result") for result in item["results"]) if "results" in item else None,
    )


def _read_chunks(value: Any) -> Chunks:
    found = _mapping(value, "what stands under chunks")
    by = found.get("by", "event")
    if by not in ("event", "item"):
        raise ValueError(f"chunks are by event or by item, not by {by!r}")
    places = [_text(place, "a cut").split("+") for place in found.get("cut", ())]
    return Chunks(
        joined=tuple(int(event) for event in found.get("joined", ())),
        cut=tuple((int(event), int(offset)) for event, offset in places),
        gaps=tuple(int(gap) for gap in found.get("gaps_ms", ())),
        by_item=by == "item",
    )


def _read_failure(value: Any) -> Failure | None:
    if value is None:
        return None
    found = _mapping(value, "the failure")
    during: During = found.get("during", "read")
    if during not in get_args(During):
        raise ValueError(f"unknown time of a failure {during!r}")
    error, message, code = (found.get(name, "") for name in ("error", "message", "code"))
    return Failure(_text(error, "the error"), _text(message, "its message"), during, _text(code, "its code"))


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {value!r:.60}, not a mapping")
    return value


def _known(value: Any, name: str, keys: Collection[str]) -> dict[str, Any]:
    found = _mapping(value, name)
    # what stands under them may be the rest of a text whose indent is gone
    if others := found.keys() - keys:
        raise ValueError(f"{name} has an unknown key {min(map(str, others))!r}")
    return found


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r:.60}, not text")
    return value


def _pairs(headers: Any) -> Headers:
    return tuple(
        (_text(name, "the name of a header"), _text(value, f"the header {name}"))
        for name, values in _mapping(headers, "what stands under headers").items()
        for value in (values if isinstance(values, list) else [values])
    )


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else _text(body, "the body").encode()
