"""The file: a cassette as YAML in the format of vcrpy's version 1, laid out to be read in a pull request.

Our own keys stand where vcrpy ignores them: https://vcrpy.readthedocs.io/en/latest/serialization.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import yaml

from multitrack.errors import CassetteCorrupt
from multitrack.tape import jsontext
from multitrack.tape.blobs import Blobs
from multitrack.tape.cassette import Cassette
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.summary import summary
from multitrack.tape.yaml_loader import Loader

FORMAT = 1
_WIDEST_COMMENT = 110


def dumps(cassette: Cassette) -> str:
    """``cassette`` as YAML, made to be read in a pull request."""
    comments = [
        _comment(line)
        for position, interaction in enumerate(cassette.interactions, start=1)
        for line in summary(position, interaction)
    ]
    blobs = Blobs()
    interactions = [_interaction(interaction, blobs) for interaction in cassette.interactions]
    metadata = {**_on_lines(cassette.metadata), "provenance": cassette.provenance}
    document = {
        "version": FORMAT,
        "interactions": interactions,
        "metadata": metadata | ({"blobs": blobs.pieces} if blobs.pieces else {}),
    }
    return "".join(comments) + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)


def _on_lines(metadata: Mapping[str, Any]) -> dict[str, Any]:
    lines: dict[str, Any] = {}
    for key, value in metadata.items():
        match value:
            case dict():
                lines[key] = _Flow(value)
            case list():
                lines[key] = _FlowList(value)
            case _:
                lines[key] = value
    return lines


def _comment(line: str) -> str:
    line = f"# {line}"
    line = "".join(char if char.isprintable() else "�" for char in line)
    return (line if len(line) <= _WIDEST_COMMENT else line[: _WIDEST_COMMENT - 1] + "…") + "\n"


def _interaction(interaction: Interaction, blobs: Blobs) -> dict[str, Any]:
    request, response = interaction.request, interaction.response
    answered: dict[str, Any] = {
        "status": _Flow(code=response.status, message=response.reason),
        "headers": _headers(response.headers),
        "body": {"string": _body(response.body)},
    }
    if chunks := _chunks(response.chunks):
        answered["chunks"] = chunks
    if response.ending != "complete":
        answered["ending"] = response.ending
    if response.failure:
        answered["failure"] = _Flow({name: value for name, value in asdict(response.failure).items() if value})
    document: dict[str, Any] = {
        "request": {
            "method": request.method,
            "uri": request.url,
            "headers": _headers(request.headers),
            "body": _body(blobs.taken_out(request.body)),
        },
        "response": answered,
    }
    if interaction.provenance != "live":
        document["provenance"] = interaction.provenance
    document["tests"] = _FlowList(interaction.tests)
    if interaction.models:
        document["models"] = _Flow(interaction.models)
    if interaction.results is not None:
        document["results"] = _FlowList(interaction.results)
    return document


def _chunks(chunks: Chunks) -> _Flow:
    written = _Flow()
    if chunks.by_item:
        written["by"] = "item"
    if chunks.joined:
        written["joined"] = list(chunks.joined)
    if chunks.cut:
        written["cut"] = [f"{event}+{offset}" for event, offset in chunks.cut]
    if chunks.gaps:
        written["gaps_ms"] = list(chunks.gaps)
    return written


class _Flow(dict[str, Any]):
    """A mapping written on one line."""


class _FlowList(list[str]):
    """A list written on one line."""


class _Block(str):
    """A text written as a literal block."""

    __slots__ = ()


def _headers(headers: Headers) -> _Flow:
    grouped = _Flow()
    for name, value in headers:
        grouped.setdefault(name, _FlowList()).append(value)
    return grouped


def _body(body: bytes) -> str | bytes | None:
    if not body:
        return ""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    laid_out = jsontext.indented(text) or text
    return _Block(laid_out) if _fits_a_block(laid_out) else laid_out


def _fits_a_block(text: str) -> bool:
    # YAML 1.1 and 1.2 disagree on U+0085, U+2028 and U+2029; trailing spaces and tabs get lost in editors
    lines = text.split("\n")
    return (
        len(lines) > 1
        and not text.startswith((" ", "\n"))
        and all(line == line.rstrip() and line.isprintable() for line in lines)
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless)


def _represent_block(dumper: _Dumper, text: _Block) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    # in any other style, PyYAML writes these line breaks of Unicode as they are and reads them as a space
    style = '"' if any(char in text for char in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_flow(dumper: _Dumper, mapping: _Flow) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping, flow_style=True)


def _represent_flow_list(dumper: _Dumper, items: _FlowList) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Block, _represent_block)
_Dumper.add_representer(_Flow, _represent_flow)
_Dumper.add_representer(_FlowList, _represent_flow_list)


def loads(text: str, path: Path) -> Cassette:
    """The cassette that `dumps` wrote as ``text``, or that vcrpy or a tool on top of it did; ``path`` is for
    messages. Raises `CassetteCorrupt` with the line or the interaction where it cannot be read."""
    try:
        document = _document(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise CassetteCorrupt(path, error.problem or "no YAML", line=line) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CassetteCorrupt(path, " ".join(str(error).split())) from error
    if document is None:
        raise CassetteCorrupt(path, "it is empty")
    if not isinstance(document, dict) or not isinstance(document.get("interactions"), list):
        raise CassetteCorrupt(path, "it holds no list of interactions")
    _refuse_aliases(text, document, path, set())
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise CassetteCorrupt(path, f"its metadata is no mapping but {metadata!r}")
    if "format" not in metadata:
        from multitrack.tape import foreign  # vcrpy imports every HTTP library that is installed

        return foreign.read(document, path)
    if metadata["format"] != FORMAT:
        found = metadata["format"]
        raise CassetteCorrupt(path, f"it is of format {found!r}, and this Multitrack reads format {FORMAT}: upgrade it")
    blobs = Blobs(_blobs(metadata, path))
    interactions = []
    for position, item in enumerate(document["interactions"]):
        try:
            interactions.append(_read(item, blobs))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"interaction {position + 1}: {_reason(error)}"
            raise CassetteCorrupt(path, reason, line=_line(text, position)) from error
    return Cassette(tuple(interactions), {key: metadata[key] for key in metadata if key not in ("provenance", "blobs")})


def _document(text: str) -> Any:
    if text.lstrip()[:1] == "{":
        # vcrpy writes JSON, too, whose pairs of surrogates YAML does not put together
        with suppress(ValueError):
            return json.loads(text)
    return yaml.load(text, Loader=Loader)


def _blobs(metadata: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    found = metadata.get("blobs", {})
    if not isinstance(found, dict) or not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise CassetteCorrupt(path, f"its blobs are no mapping of texts but {found!r:.60}")
    return found


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _line(text: str, position: int) -> int | None:
    """The line on which the interaction at ``position`` begins."""
    document: Any = yaml.compose(text, Loader=Loader)
    for key, value in document.value:
        if key.value == "interactions":
            return int(value.value[position].start_mark.line) + 1
    return None


def _refuse_aliases(text: str, value: Any, path: Path, seen: set[int]) -> None:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        if isinstance(item, dict | list):
            # a few aliases of aliases make a file of one kilobyte fill the memory
            if id(item) in seen:
                events: Any = yaml.parse(text, Loader=Loader)
                alias: Any = next(event for event in events if isinstance(event, yaml.AliasEvent))
                raise CassetteCorrupt(
                    path, "it uses YAML aliases, which no recorder writes", line=alias.start_mark.line + 1
                )
            seen.add(id(item))
            _refuse_aliases(text, item, path, seen)


def _read(item: Any, blobs: Blobs) -> Interaction:
    request, response = _mapping(item, "the interaction")["request"], item["response"]
    ending: Ending = _mapping(response, "the response").get("ending", "complete")
    provenance: Provenance = item.get("provenance", "live")
    if ending not in get_args(Ending) or provenance not in get_args(Provenance):
        raise ValueError(f"unknown ending {ending!r} or provenance {provenance!r}")
    status = _mapping(response["status"], "the status")
    if type(status["code"]) is not int:
        raise TypeError(f"the status code is {status['code']!r}")
    return Interaction(
        Request(
            _text(_mapping(request, "the request")["method"], "the method"),
            _text(request["uri"], "the uri"),
            _pairs(request["headers"]),
            blobs.put_back(_bytes(request["body"])),
        ),
        Response(
            status["code"],
            _text(status["message"], "the status message"),
            _pairs(response["headers"]),
            _bytes(_mapping(response["body"], "the response's body")["string"]),
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
