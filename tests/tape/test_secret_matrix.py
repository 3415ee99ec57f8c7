"""Each kind of secret in each place: nothing of it is written to a cassette or printed."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from secret_kinds import KNOWN, SHAPED, Kind
from secret_places import AWS_EVENTS, PLACES, TEXTS, Place

from multitrack.tape import event_framing
from multitrack.tape.file import storage
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]+")
_ESCAPES = re.compile(r"\\+(?:u[0-9a-f]{4}|x[0-9a-f]{2}|[nrt])|&#?\w+;")


def letters(text: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", text)


def spell(secret: str) -> set[str]:
    """Return letters and digits that a string with the secret contains, in any spelling."""
    data = secret.encode()
    found = {letters(_ESCAPES.sub("", secret)), letters(secret)}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode()
        found.add(letters(encoded[4 if offset else 0 : -4]))
    return {spelling for spelling in found if len(spelling) >= 8}


def leaks(text: str, secret: str) -> bool:
    forms = [letters(text), letters(_ESCAPES.sub("", text)), letters(unquote_plus(unquote_plus(text)))]
    return any(spelling in form for spelling in spell(secret) for form in forms)


def join_fragments(body: str) -> str:
    """Return the strings of all events of a stream, joined."""
    found: list[str] = []

    def collect(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list) and value and all(isinstance(item, int) for item in value):
            found.append(bytes(value).decode("utf-8", "replace"))
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                collect(item)

    for line in [body, *body.splitlines()]:
        text = line.removeprefix("data:").strip()
        try:
            collect(json.loads(text))
        except ValueError:
            found.append(text)
    found += [decode_base64(text) for text in found]
    return "".join(text for text in found if text not in ("c-1", "x", "m", "user"))


def decode_base64(text: str) -> str:
    """Return the characters in base64. Empty if ``text`` is anything else."""
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


def record(kind: Kind, places: list[Place], path) -> list[tuple[str, str]]:
    """Record the secret in all ``places``, and return the text that the cassette holds for each."""
    tape = Tape(path, mode="record", test="t.py::test", settings=Settings(keep_errors=True))
    for place in places:
        sent, (status, headers, chunks, *reason) = place.exchange(kind.secret)
        recording = tape.route(sent)
        recording.record_head(status, *(reason or ["OK"]), headers)
        for chunk in chunks:
            recording.record_chunk(chunk)
        recording.record_end()
    saved = tape.save()
    assert saved.state == "written", saved.reason
    texts = []
    for place, interaction in zip(places, storage.read(path).interactions, strict=True):
        bodies = [message.body.decode("utf-8", "replace") for message in (interaction.request, interaction.response)]
        headers = [value for _, value in interaction.response.headers]
        headers += (interaction.response.reason, *map(decode_base64, headers))
        parts = [interaction.request.url, *headers, *bodies, *map(join_fragments, bodies)]
        texts.append((place.name, "\0".join(parts)))
    return [*texts, ("file", path.read_text())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(autouse=True)
def _only_secrets_of_the_test(monkeypatch):
    for name in os.environ:
        if name.endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_DSN", "_PROJECT")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: kind.name)
def test_a_secret_of_the_environment_is_removed_in_all_places(kind, monkeypatch, folder):
    for variable, value in kind.environment.items():
        monkeypatch.setenv(variable, value)
    recorded = record(kind, PLACES, folder / f"{KNOWN.index(kind)}.yaml")
    assert [name for name, text in recorded if leaks(text, kind.secret)] == []
    redactor = Redactor(os.environ)
    printed = {name: redactor.redact_text(write(kind.secret)) for name, write in TEXTS.items()}
    assert [name for name, text in printed.items() if leaks(text, kind.secret)] == []


@pytest.mark.parametrize("kind", SHAPED, ids=lambda kind: kind.name)
def test_a_secret_that_is_known_by_its_shape_is_removed_where_it_is_not_encoded(kind, folder):
    places = [place for place in PLACES if not place.encodes]
    recorded = record(kind, places, folder / f"shape-{SHAPED.index(kind)}.yaml")
    assert [name for name, text in recorded if leaks(text, kind.secret)] == []


def test_the_matrix_is_as_large_as_the_documentation_says():
    page = (Path(__file__).parents[2] / "docs/security.md").read_text(encoding="utf-8")
    sentence = " ".join(page.partition("`tests/tape/test_secret_matrix.py` ")[2].partition("\n- ")[0].split())
    numbers = [int(number) for number in re.findall(r"\d+", sentence)]
    plain = sum(not place.encodes for place in PLACES)
    assert numbers == [len(KNOWN) + len(SHAPED), len(TEXTS), len(KNOWN), len(PLACES), len(SHAPED), plain]


def test_the_matrix_has_at_least_100_kinds_and_40_places():
    assert len(KNOWN) + len(SHAPED) >= 100
    assert len(PLACES) >= 40


def test_the_check_itself_finds_a_secret_in_all_places():
    secret = KNOWN[0].secret
    for place in PLACES:
        sent, (_, headers, chunks, *reason) = place.exchange(secret)
        if headers == AWS_EVENTS:
            chunks, _ = event_framing.decode_events(chunks, is_complete=True)
        bodies = [sent.body.decode("utf-8", "replace"), b"".join(chunks).decode("utf-8", "replace")]
        values = [*reason, *(value for _, value in headers)]
        texts = [sent.url, *values, *map(decode_base64, values), *bodies, *map(join_fragments, bodies)]
        assert any(leaks(text, secret) for text in texts), place.name
