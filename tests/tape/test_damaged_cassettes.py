"""Damaged and hostile cassettes: the reader accepts only what it understands, and names the file, line and reason."""

import gzip
import json
import os
import re
import socket
import zlib
from pathlib import Path
from random import Random
from time import process_time

import pytest
import yaml
from recorded_tape import JSON, request

from multitrack.errors import CassetteCorrupt
from multitrack.tape.file import storage
from multitrack.tape.file.cassette_reader import load_cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.file.yaml_loader import Loader

ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "tests" / "data" / "hostile"
PLAN = ROOT / "cassettes" / "examples" / "test_openai" / "test_plan.yaml"
STREAM = ROOT / "cassettes" / "examples" / "test_anthropic" / "test_a_stream.yaml"
PATH = Path("cassette.yaml")

REASONS = {
    "bad_port": (5, "interaction 1: the uri is invalid: its host or its port cannot be read"),
    "chunks_cut_negative": (5, "interaction 1: a cut must be an event and an offset, such as 3+17, not '-5+-9'"),
    "duplicate_interactions": (57, "the key 'version' is repeated"),
    "duplicate_response": (49, "the key 'response' is repeated"),
    "foreign_method_list": (2, "interaction 1: the method is [], not text"),
    "models_int": (5, "interaction 1: the models is 5, not a mapping"),
    "placeholders_int": (51, "metadata.placeholders is 5, not a list"),
    "status_negative": (5, "interaction 1: the status code is -1, not a number from 200 to 999"),
    "tag_bool": (3, "not a valid value of the type bool"),
    "tag_bytesio_state": (3, "not a valid value of the type _io.BytesIO"),
    "tag_iter_bomb": (3, "it was cut off: its end, the key metadata.provenance, is missing"),
}


def read(content, path=PATH):
    return load_cassette(content if isinstance(content, bytes) else content.encode(), path)


def find_damage(content, path=PATH):
    with pytest.raises(CassetteCorrupt) as caught:
        read(content, path)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", REASONS)
def test_a_hostile_file_is_refused_with_its_line_and_the_reason(name):
    path = HOSTILE / f"{name}.yaml"
    line, reason = REASONS[name]
    error = find_damage(path.read_bytes(), path)
    assert error.reason.startswith(reason)
    assert error.line == line


def test_every_hostile_file_has_a_test():
    assert {path.stem for path in HOSTILE.glob("*.yaml")} == {*REASONS, "esc_in_tool_name"}


PLAN_TEXT = PLAN.read_text(encoding="utf-8")
STATUS = "status: {code: 200, message: OK}"
CHANGES = {
    "status 0": (STATUS, "status: {code: 0, message: OK}", "the status code is 0,"),
    "status 100": (STATUS, "status: {code: 100, message: OK}", "the status code is 100,"),
    "status 99999": (STATUS, "status: {code: 99999, message: OK}", "the status code is 99999,"),
    "status true": (STATUS, "status: {code: true, message: OK}", "the status code is True,"),
    "huge number": (STATUS, "status: {code: 0x" + "F" * 9000 + ", message: OK}", "the status code is a very large int"),
    "status key": (STATUS, "status: {code: 200, message: OK, x: 1}", "the status has an unknown key 'x'"),
    "repeated key in braces": (STATUS, "status: {code: 200, code: 201, message: OK}", "the key 'code' is repeated"),
    "method": ("method: POST", "method: ''", "the method is empty"),
    "uri": ("uri: https", "uri: 5 #", "the uri is 5, not text"),
    "bracket in host": ("uri: https://", "uri: https://[", "the uri is invalid"),
    "headers": ("headers: {content-type", "headers: [content-type", ""),
    "metadata": ("metadata:\n", "metadata: 5\nx:\n", "its metadata is not a mapping but 5"),
    "format": ("format: 1", "format: '1'", "it has format '1'"),
    "sdks": ("  sdks: {", "  sdks: [", ""),
    "time": ("recorded_at: ", "recorded_at: 5 #", "metadata.recorded_at is 5, not text"),
    "provenance": ("  provenance: standin\n", "  provenance: 5\n", ""),
    "merge key": (STATUS, "status: {<<: {code: 1}, code: 200, message: OK}", "it uses YAML merge keys"),
    "other key of the file": ("metadata:\n", "other: 1\nmetadata:\n", "the file has an unknown key 'other'"),
    "unknown metadata": ("  recorder: ", "  later: !!set {a}\n  recorder: ", "metadata.later contains a set"),
    "deep metadata": (
        "  recorder: ",
        f"  later: {'[' * 900 + ']' * 900}\n  recorder: ",
        "metadata.later is nested too",
    ),
    "deep yaml": ("  recorder: ", f"  later: {'[' * 50_000}\n  recorder: ", ""),
    "bytes in metadata": ("  recorder: ", "  later: !!binary gA==\n  recorder: ", "'utf-8' codec can't decode"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_cassette_is_refused_with_its_line_and_the_reason(change):
    old, new, reason = CHANGES[change]
    assert old in PLAN_TEXT
    error = find_damage(PLAN_TEXT.replace(old, new, 1))
    assert reason in error.reason
    assert error.line is not None or "format" in error.reason


@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["arrays", "objects"])
@pytest.mark.parametrize("place", ["arguments", "answer", "request"])
def test_json_that_is_nested_50_000_deep_is_refused(place, opening):
    nested = opening * 50_000 + "1" + {"[": "]"}.get(opening, "}") * 50_000
    call = {"id": "c", "type": "function", "function": {"name": "Save", "arguments": nested}}
    answer = {"object": "chat.completion", "choices": [{"index": 0, "message": {"tool_calls": [call]}}]}
    body = json.dumps(answer) if place == "arguments" else nested if place == "answer" else "{}"
    text = dump_with(request(nested if place == "request" else "{}"), body)
    assert "is nested too deeply" in find_damage(text).reason


def dump_with(sent, body):
    from multitrack.tape.exchange import Response
    from multitrack.tape.file.cassette import Cassette
    from multitrack.tape.interaction import Interaction

    return dump_cassette(Cassette((Interaction(sent, Response(200, "OK", JSON, body.encode())),), {"format": 1}))


def test_many_brackets_are_not_taken_for_deep_nesting():
    text = json.dumps({"list": [[{}]] * 5000, "text": "[" * 5000})
    assert read(dump_with(request("{}"), text)).interactions[0].response.body == text.encode()


# --- the end of the file ---


@pytest.mark.parametrize("path", [PLAN, STREAM], ids=["one interaction", "stream"])
def test_a_cassette_that_was_cut_off_anywhere_is_damaged(path):
    content = path.read_bytes()
    after_last_body = content.rindex(b"body:")
    for end in [*range(1, after_last_body, 97), *range(after_last_body, len(content) - 1, 3)]:
        error = find_damage(content[:end])
        assert error.line is not None or error.reason in ("it is empty", "it has no list of interactions")


def test_a_cassette_with_large_pieces_that_was_cut_off_is_damaged(recorded):
    recorded.put((request(json.dumps({"image": "QUJD" * 400, "other": "REVG" * 400})), "{}"))
    lines = recorded.text.splitlines(keepends=True)
    assert "blobs:" in recorded.text
    assert lines[-1] == "  provenance: live\n"
    for end in range(lines.index("metadata:\n"), len(lines)):
        find_damage("".join(lines[:end]))


def test_the_error_says_that_the_file_was_cut_off_and_where():
    lines = PLAN_TEXT.splitlines(keepends=True)
    cut = lines.index("metadata:\n")
    error = find_damage("".join(lines[:cut]))
    assert error.reason == "it was cut off: its end, the key metadata.provenance, is missing"
    assert error.line == cut


def test_a_cassette_without_its_last_line_break_is_complete():
    assert read(PLAN_TEXT.rstrip("\n")) == read(PLAN_TEXT)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: re.sub(r"(?m)^#.*\n", "", text),
        lambda text: text + "# a note\n",
        lambda text: yaml.safe_dump(yaml.load(text, Loader=Loader), sort_keys=True),
        lambda text: json.dumps(yaml.load(text, Loader=Loader)),
        lambda text: text.replace("Toronto", "Ottawa"),
    ],
    ids=["without comments", "with a note", "formatted by a tool", "as JSON", "other text"],
)
def test_a_cassette_that_was_edited_by_hand_is_read(edit):
    assert len(read(edit(PLAN_TEXT)).interactions) == 1


def test_the_conflict_markers_of_a_merge_are_named(tmp_path):
    start, end = PLAN_TEXT.split(f"    {STATUS}\n", 1)
    line = start.count("\n") + 1
    both = f"<<<<<<< HEAD\n    {STATUS}\n=======\n    status: {{code: 201, message: Created}}\n>>>>>>> other\n"
    error = find_damage(start + both + end)
    assert error.reason == "it contains the conflict markers of a merge"
    assert error.line == line
    assert "resolve the conflict" in str(error)


# --- other recorders ---

FOREIGN = """\
interactions:
- request: {body: null, headers: {}, method: GET, uri: 'http://x/'}
  response: {body: {string: '{}'}, headers: {}, status: {code: 200, message: OK}}
- request: {body: null, headers: {Accept: [a]}, method: GET, uri: 'http://x/'}
  response: {body: {string: '{}'}, headers: {Date: [x]}, status: {code: 200, message: OK}}
version: 1
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("headers: {Accept: [a]}", "headers: 5", 4, "interaction 2: the value of headers is 5, not a mapping"),
        ("Accept: [a]", "Accept: [{}]", 4, "interaction 2: a header is {}, not text"),
        (
            "uri: 'http://x/'}\n  response: {body: {string: '{}'}, headers: {D",
            "uri: []}\n  response: {headers: {D",
            4,
            "",
        ),
        (
            "{Date: [x]}, status: {code: 200",
            "{Date: [x]}, status: {code: 100",
            4,
            "interaction 2: the status code is 100",
        ),
        ("{Date: [x]}, status: {code: 200", "{Date: [x]}, status: {x: 200", 4, "interaction 2: it has no 'code'"),
        ("headers: {Accept", "body: 1, headers: {Accept", 4, "the key 'body' is repeated"),
        ("body: null, headers: {Accept", "body: !!python/object/apply:os.system [x], headers: {Accept", 4, ""),
        (
            "- request: {body: null, headers: {Accept: [a]}",
            "- request: {headers: {Accept: [a]}",
            4,
            "interaction 2: it has no 'body'",
        ),
        ("interactions:\n", "interactions:\n- 5\n", 2, "interaction 1: the interaction is 5, not a mapping"),
    ],
)
def test_a_damaged_cassette_of_another_recorder_is_refused_with_its_line(old, new, line, reason):
    assert old in FOREIGN
    error = find_damage(FOREIGN.replace(old, new, 1))
    assert error.line == line
    assert reason in error.reason


def test_a_file_of_another_recorder_that_was_cut_off_is_read_as_far_as_it_goes():
    assert len(read("".join(FOREIGN.splitlines(keepends=True)[:3])).interactions) == 1


# --- size and time ---


def alias_bomb():
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    return "\n".join([*lines, "interactions: [*a59]"])


def merge_bomb():
    lines = ["a0: &a0 {k: v}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: v}}" for n in range(1, 40))]
    return "\n".join([*lines, "interactions: [*a39]"])


@pytest.mark.parametrize(
    "content",
    [
        alias_bomb(),
        merge_bomb(),
        gzip.compress(b"a" * 200_000_000),
        "interactions: [" + "{a: " * 100_000,
        "- " * 200_000,
        "? " * 200_000,
        "interactions:\n" + "- {}\n" * 20_000,
        '{"interactions": ' + "[" * 500_000,
        "a: " + "'" * 500_001,
        "a: !!binary " + "=" * 500_000,
    ],
    ids=["aliases", "merges", "gzip", "braces", "lists", "keys", "empty items", "json", "quotes", "base64"],
)
def test_a_hostile_file_is_refused_in_bounded_time(content):
    content = content if isinstance(content, bytes) else content.encode()
    start = process_time()
    find_damage(content)
    assert process_time() - start < 2 + 0.1 * len(content) / 1e6


def compress_zeros(encoding, count):
    zeros = bytes(count)
    match encoding:
        case "deflate":
            return zlib.compress(zeros)
        case "br":
            return pytest.importorskip("brotli").compress(zeros, quality=1)
        case "zstd":
            return pytest.importorskip("zstandard").compress(zeros)
        case "gzip, gzip":
            return gzip.compress(gzip.compress(zeros))
    return gzip.compress(zeros)


def dump_foreign(message, encoding, content):
    """Return vcrpy's cassette with ``content`` as the body of the request or of the response."""
    headers = {"content-encoding": [encoding]}
    request = {"method": "POST", "uri": "https://a.example/", "headers": {}, "body": "{}"}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "{}"}}
    if message == "request":
        request |= {"headers": headers, "body": content}
    else:
        response |= {"headers": headers, "body": {"string": content}}
    return yaml.dump({"version": 1, "interactions": [{"request": request, "response": response}]})


@pytest.mark.parametrize(
    ("message", "encoding"),
    [("request", "gzip"), *(("response", encoding) for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"))],
)
def test_a_compressed_body_that_would_fill_the_memory_is_refused(message, encoding):
    name = encoding.rpartition(", ")[2]
    error = find_damage(dump_foreign(message, encoding, compress_zeros(encoding, 20_000_000)))
    assert error.reason == (
        f"interaction 1: the body of the {message}: "
        f"the {name} data is compressed so much that it cannot come from a real server"
    )
    assert error.path == PATH


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_compressed_body_of_a_usual_size_is_read(encoding):
    [interaction] = read(dump_foreign("response", encoding, compress_zeros(encoding, 1_000_000))).interactions
    assert len(interaction.response.body) == 1_000_000


# --- what is at the path ---


def make_pipe(path):
    os.mkfifo(path)


def make_link(path):
    path.symlink_to("nowhere.yaml")


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_device(path):
    path.symlink_to("/dev/zero")


KINDS = {
    "pipe": (make_pipe, "it is a named pipe"),
    "dangling link": (make_link, "it is a link to nowhere.yaml, which does not exist"),
    "socket": (make_socket, "it is a socket"),
    "device": (make_device, "it is a device"),
    "folder": (Path.mkdir, "it is a folder"),
}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", KINDS)
def test_only_files_are_read(tmp_path, monkeypatch, kind):
    make, reason = KINDS[kind]
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make(path := Path("cassette.yaml"))
    with pytest.raises(CassetteCorrupt) as caught:
        storage.read(path)
    assert caught.value.reason == reason
    assert not caught.value.is_damaged


@pytest.mark.skipif(os.name == "nt", reason="links require a privilege on Windows")
def test_a_cassette_that_is_a_link_stays_one(recorded, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "shared.yaml"
    recorded.path.symlink_to(target.relative_to(tmp_path))
    target.write_bytes(PLAN.read_bytes())
    recorded.put((request("{}"), "new"))
    assert recorded.path.is_symlink()
    assert "new" in target.read_text(encoding="utf-8")
    assert [path.name for path in target.parent.iterdir()] == ["shared.yaml"]


# --- systematic damage ---


def walk(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from walk(child, (*path, key))


VALUES = [None, True, -1, 10**20, 1.5, "", "x", [], {}, [None], {"x": 1}, b"\xff", "\ud800"]


def change_node(document, path, random):
    """Return ``document`` with the node at ``path`` deleted, repeated, or given a value of another type."""
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    kind = random.randrange(3)
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(path[-1], parent[path[-1]])
    else:
        parent[path[-1]] = random.choice(VALUES)
    return document


TAPES = ROOT / "tests" / "data" / "tapes"


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [PLAN, STREAM, TAPES / "vcrpy-4.1.1-httpx.yaml", TAPES / "cassetter-0.16.1-httpx.yaml"],
    ids=lambda path: path.stem,
)
def test_a_change_of_any_node_is_read_or_refused(path):
    random = Random(1)
    text = path.read_text(encoding="utf-8")
    outcomes = {"read": 0, "refused": 0}
    nodes = [node for node in walk(yaml.load(text, Loader=Loader)) if node]
    for node in random.sample(nodes, min(len(nodes), 30)):
        changed = change_node(yaml.load(text, Loader=Loader), node, random)
        # JSON can hold what YAML refuses, such as half of a surrogate pair
        for content in (
            json.dumps(changed, default=str).encode(),
            yaml.dump(changed, Dumper=yaml.SafeDumper, allow_unicode=True).encode(errors="replace"),
        ):
            outcomes[read_or_refuse(content)] += 1
    assert all(outcomes.values()), outcomes


@pytest.mark.slow
@pytest.mark.parametrize("path", [PLAN, STREAM], ids=lambda path: path.stem)
def test_a_change_of_any_line_is_read_or_refused(path):
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in list(enumerate(lines))[::2]:
        before, after = lines[:number], lines[number + 1 :]
        for changed in ([*before, *after], [*before, line, line, *after], [*before, b"x\n", *after], before):
            read_or_refuse(b"".join(changed))


def read_or_refuse(content):
    """Return whether ``content`` is read, and if it is, use it as a replay and the commands do."""
    try:
        cassette = read(content)
    except CassetteCorrupt:
        return "refused"
    # a cassette that is written again has the same content
    again = read(dump_cassette(cassette_in_our_format(cassette)))
    assert [one.response for one in again.interactions] == [one.response for one in cassette.interactions]
    return "read"


def cassette_in_our_format(cassette):
    from dataclasses import replace

    interactions = tuple(
        replace(one, response=replace(one.response, encoded_body=None)) for one in cassette.interactions
    )
    return replace(cassette, interactions=interactions, metadata={"format": 1, **cassette.metadata})
