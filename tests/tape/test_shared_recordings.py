"""Many tests that record into one cassette: the time for each grows little, and the result is the same."""

import json
from datetime import UTC, datetime
from time import process_time

from recorded_tape import JSON, request

from multitrack.tape.file import cassette_reader, cassette_writer, storage
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.file.cassette_reader import load_cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.tape import Tape


def record(path, number, cache, answer="word " * 500):
    clock = datetime(2026, 1, 2, tzinfo=UTC)
    tape = Tape(path, mode="record", test=f"t.py::test[{number}]", shared=True, cache=cache, clock=lambda: clock)
    recording = tape.route(request(json.dumps({"n": number, "image": "QUJD" * 400})))
    recording.record_head(200, "OK", JSON)
    recording.record_chunk(json.dumps({"n": number, "answer": answer}).encode())
    recording.record_end()
    assert tape.save().state == "written"


def test_only_new_interactions_are_read_and_written(tmp_path, monkeypatch):
    path, cache = tmp_path / "shared.yaml", CassetteCache()
    for number in range(60):  # more than 100 kB
        record(path, number, cache)
    calls = []
    for module, name in ((cassette_reader, "read_interaction"), (cassette_writer, "_format_interaction")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, of=original, name=name: calls.append(name) or of(*args))
    record(path, 60, cache)
    record(path, 61, cache)
    # an interaction is formatted when it is recorded, and once more after it was read
    assert calls.count("_format_interaction") <= 6
    assert calls.count("read_interaction") <= 6


def test_the_cassette_is_the_same_as_without_a_cache(tmp_path):
    cache = CassetteCache()
    for number in [*range(55), 3, 54]:
        record(tmp_path / "one.yaml", number, cache)
        record(tmp_path / "other.yaml", number, CassetteCache())
    assert (tmp_path / "one.yaml").read_bytes() == (tmp_path / "other.yaml").read_bytes()


def test_a_change_by_another_process_is_kept(tmp_path):
    path, caches = tmp_path / "shared.yaml", (CassetteCache(), CassetteCache())
    for number in range(60):
        record(path, number, caches[number % 2])
    cassette = storage.read(path)
    assert {test for one in cassette.interactions for test in one.tests} == {f"t.py::test[{n}]" for n in range(60)}
    text = path.read_text(encoding="utf-8")
    assert dump_cassette(load_cassette(text.encode(), path)) == text


def test_the_time_of_a_recording_grows_little(tmp_path):
    path, cache = tmp_path / "shared.yaml", CassetteCache()
    times = []
    for start in range(0, 160, 40):
        begin = process_time()
        for number in range(start, start + 40):
            record(path, number, cache)
        times.append(process_time() - begin)
    # if each run read and formatted all earlier interactions, the time would grow sevenfold
    assert times[3] < times[0] * 3.5
