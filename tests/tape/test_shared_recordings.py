"""Many tests that record into one cassette: the time for each stays the same, and so does the resulting cassette."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import process_time

import pytest
from command_line import run_multitrack
from recorded_tape import JSON, request

from multitrack.errors import CassetteCorrupt, CassetteNotWritten
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import cassette_reader, cassette_writer, journal, paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.file.cassette_reader import load_cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.file.recordings import Recording, apply_recordings
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.tape import Tape

CLOCK = datetime(2026, 1, 2, tzinfo=UTC)


def make_request(number):
    return request(json.dumps({"n": number, "image": "QUJD" * 400}))


def record(path, number, cache, answer="word " * 500, *, mode="record", failure=None, appends=False):
    tape = Tape(
        path,
        mode=mode,
        test=f"t.py::test[{number}]",
        shared=True,
        cache=cache,
        clock=lambda: CLOCK,
        appends=appends,
    )
    recording = tape.route(make_request(number))
    recording.record_head(200, "OK", JSON)
    recording.record_chunk(json.dumps({"n": number, "answer": answer}).encode())
    recording.record_end()
    assert tape.save(failure=failure).state == ("pending" if failure else "written")


def run_cache():
    """Return a cache like that of a pytest run."""
    return CassetteCache(uses_journals=True)


def list_tests(cassette):
    return [test for one in cassette.interactions for test in one.tests]


def name_tests(numbers):
    return [f"t.py::test[{number}]" for number in numbers]


@pytest.fixture
def waiting(tmp_path):
    """A cassette with a large and some short recordings. At least three of the short ones are only in its journal."""
    path, cache = tmp_path / "shared.yaml", run_cache()
    record(path, 0, cache, "word " * 50_000)
    for number in range(1, 7):
        record(path, number, cache, "short")
    assert len(journal.read_entries(path, None)) >= 3
    return path


def test_only_new_interactions_are_read_and_written(tmp_path, monkeypatch):
    path, cache = tmp_path / "shared.yaml", CassetteCache()
    for number in range(5):
        record(path, number, cache, "word " * (100 if number else 30_000))
    calls = []
    for module, name in ((cassette_reader, "read_interaction"), (cassette_writer, "_format_interaction")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, of=original, name=name: calls.append(name) or of(*args))
    record(path, 5, cache, "short")
    record(path, 6, cache, "short")
    assert calls.count("_format_interaction") == 2
    # the interaction before the first of these recordings is read, too
    assert calls.count("read_interaction") <= 3


@pytest.mark.parametrize("make_cache", [CassetteCache, run_cache], ids=["one process", "a pytest run"])
def test_the_cassette_is_the_same_as_without_a_cache(tmp_path, make_cache):
    cache = make_cache()
    for number in [0, *range(10), 3, 9, 3, *range(10, 14), 12]:
        answer = "word " * (30_000 if number == 0 else 100)
        record(tmp_path / "one.yaml", number, cache, answer)
        record(tmp_path / "other.yaml", number, CassetteCache(), answer)
    storage.merge_journal(tmp_path / "one.yaml", cache)
    assert (tmp_path / "one.yaml").read_bytes() == (tmp_path / "other.yaml").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.yaml", "other.yaml"]


def test_only_new_interactions_get_a_matching_key(tmp_path, monkeypatch):
    path, cache = tmp_path / "shared.yaml", run_cache()
    for number in range(5):
        record(path, number, cache, mode="record-missing")
    computed, original = [], MatchingRules.make_key
    monkeypatch.setattr(MatchingRules, "make_key", lambda *args: computed.append(args) or original(*args))
    record(path, 5, cache, mode="record-missing")
    # the keys of the last recording and of the new request
    assert len(computed) == 2
    tape = Tape(path, test="t.py::test[3]", shared=True, cache=cache)
    assert json.loads(tape.route(make_request(3)).response.body)["n"] == 3


def test_a_change_by_another_process_is_kept(tmp_path):
    path, caches = tmp_path / "shared.yaml", (run_cache(), run_cache())
    for number in range(30):
        record(path, number, caches[number % 2], "word " * (200 if number else 30_000))
    assert list_tests(storage.read(path)) == name_tests(range(30))
    text = path.read_text(encoding="utf-8")
    assert dump_cassette(load_cassette(text.encode(), path)) == text


def measure_recordings(path, cache):
    begin = process_time()
    for number in range(1, 21):
        record(path, number, cache, "short")
    return process_time() - begin


@pytest.mark.slow
def test_the_time_of_a_recording_does_not_depend_on_the_size_of_the_cassette(tmp_path):
    cache = run_cache()
    record(tmp_path / "large.yaml", 0, cache, "word " * 800_000)
    small, large = (measure_recordings(tmp_path / name, cache) for name in ("small.yaml", "large.yaml"))
    # if each recording wrote the whole cassette, the time would be ten times as long
    assert large < small * 3


def test_recordings_are_merged_at_once_as_one_after_the_other(tmp_path):
    random = Random(1)
    metadata = [{"format": 1, "recorded_at": str(number), "placeholders": [f"p{number}"]} for number in range(60)]

    def make_recording(number):
        test = random.choice([None, *name_tests(range(8))])
        interactions = [
            Interaction(
                Request("POST", "https://p.test", JSON, b"%d" % random.randrange(6)),
                Response(200, "OK", JSON, b"%d" % number),
                () if test is None else (test,),
            )
            for _ in range(random.randrange(1, 4))
        ]
        return Recording(tuple(interactions), test, metadata[number], appends=random.random() < 0.2)

    shared = Interaction(
        Request("POST", "https://p.test", JSON, b"1"), Response(200, "OK", JSON, b""), (*name_tests([1, 2]),)
    )
    recordings = [make_recording(number) for number in range(60)]
    for path in (tmp_path / "shared.yaml", tmp_path / "t" / "test.yaml"):
        expected = Cassette((shared, shared), metadata[0])
        for recording in recordings:
            expected = apply_recordings([recording], expected, path)
        assert apply_recordings(recordings, Cassette((shared, shared), metadata[0]), path) == expected


# the journal


def test_a_small_cassette_has_no_journal(tmp_path):
    path, cache = tmp_path / "shared.yaml", run_cache()
    for number in range(5):
        record(path, number, cache)
        assert not journal.exists(path)
    assert list_tests(storage.read(path)) == name_tests(range(5))


def test_a_large_recording_is_not_appended_to_the_journal(waiting):
    record(waiting, 7, run_cache(), "word " * 10_000)
    assert not journal.exists(waiting)
    assert list_tests(storage.read(waiting)) == name_tests(range(8))


def test_a_recording_outside_of_a_run_has_no_journal(tmp_path):
    path, cache = tmp_path / "shared.yaml", CassetteCache()
    for number in range(3):
        record(path, number, cache, "word " * 50_000)
        assert not journal.exists(path)


def test_a_reader_sees_the_recordings_in_the_journal(waiting):
    assert list_tests(storage.read(waiting)) == name_tests(range(7))
    assert not journal.exists(waiting)


def test_a_tape_replays_the_recordings_in_the_journal(waiting):
    tape = Tape(waiting, test="t.py::test[6]", shared=True, cache=run_cache())
    answer = tape.route(make_request(6))
    assert json.loads(answer.response.body) == {"n": 6, "answer": "short"}


def test_a_tape_that_records_knows_the_earlier_recordings(waiting):
    tape = Tape(waiting, mode="record", test="t.py::test[6]", shared=True, cache=run_cache())
    assert [one.tests for one in tape.previous_interactions] == [("t.py::test[6]",)]


def test_a_link_to_the_cassette_has_the_same_journal(waiting):
    link = waiting.with_name("link.yaml")
    link.symlink_to(waiting)
    assert list_tests(storage.read(link)) == name_tests(range(7))
    assert not journal.exists(waiting)
    assert link.is_symlink()


@pytest.mark.parametrize(
    "torn", [b"\n# jour", b"\n# journal entry: 9999999 bytes, crc32 00000000\n# 1 \xc2\xb7 openai"]
)
def test_an_incomplete_entry_is_left_out(waiting, torn):
    with Path(paths.journal_path(waiting)).open("ab") as file:
        file.write(torn)
    record(waiting, 7, cache := run_cache(), "short")
    assert list_tests(storage.read(waiting)) == name_tests(range(8))
    record(waiting, 8, cache, "short")
    with Path(paths.journal_path(waiting)).open("ab") as file:
        file.write(torn)
    record(waiting, 9, cache, "short")
    assert list_tests(storage.read(waiting)) == name_tests(range(10))


def test_a_journal_that_was_not_removed_is_not_merged_again(waiting, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(journal, "remove", lambda _: None)
        storage.merge_journal(waiting)
    merged = waiting.read_bytes()
    assert journal.read_entries(waiting, None)
    assert journal.read_entries(waiting, merged) == []
    record(waiting, 7, run_cache(), "short")
    assert list_tests(storage.read(waiting)) == name_tests(range(8))


def test_a_journal_without_its_cassette_is_merged(waiting):
    waiting.unlink()
    assert list_tests(storage.read(waiting)) == name_tests(range(1, 7))


def test_appended_recordings_follow_those_in_the_journal(waiting):
    record(waiting, 2, run_cache(), "short", appends=True)
    assert list_tests(storage.read(waiting)) == name_tests([*range(7), 2])


def test_accepting_a_pending_recording_keeps_the_journal(waiting):
    cache = run_cache()
    record(waiting, 7, cache, "short", failure="the test failed")
    record(waiting, 8, cache, "short")
    accepted = storage.accept_pending(paths.pending_path(waiting), lambda cassette: cassette)
    assert accepted.accepted == 1
    assert list_tests(storage.read(waiting)) == name_tests([*range(7), 8, 7])
    assert [file.name for file in waiting.parent.iterdir()] == ["shared.yaml"]


def test_a_recording_in_the_journal_replaces_a_pending_one(waiting):
    cache = run_cache()
    record(waiting, 7, cache, "short", failure="the test failed")
    record(waiting, 7, cache, "short")
    assert not paths.pending_path(waiting).exists()
    assert list_tests(storage.read(waiting)) == name_tests(range(8))


def test_a_damaged_cassette_keeps_its_journal(waiting):
    content = waiting.read_bytes()
    waiting.write_bytes(content[: len(content) // 2])
    with pytest.raises(CassetteCorrupt, match="cut off"):
        storage.read(waiting)
    waiting.write_bytes(content)
    assert list_tests(storage.read(waiting)) == name_tests(range(7))


def test_a_journal_that_cannot_be_merged_is_kept(waiting, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "replace_file", refuse)
        with pytest.raises(CassetteNotWritten, match="Permission denied"):
            storage.read(waiting)
    assert list_tests(storage.read(waiting)) == name_tests(range(7))


@pytest.mark.skipif(sys.platform == "win32", reason="not every user may create links")
@pytest.mark.parametrize("create", [os.mkfifo, os.mkdir, lambda file: file.symlink_to("other")])
def test_a_file_that_is_not_a_journal_is_refused(waiting, create):
    storage.merge_journal(waiting)
    create(Path(paths.journal_path(waiting)))
    with pytest.raises(CassetteNotWritten):
        record(waiting, 7, run_cache(), "short")
    assert list_tests(storage.read(waiting)) == name_tests(range(7))
    assert not waiting.with_name("other").exists()


def test_another_recorders_cassette_is_only_merged_by_a_tape(waiting):
    waiting.write_text(
        "interactions:\n- request: {method: GET, uri: 'https://p.test/', headers: {}, body: null}\n"
        "  response: {status: {code: 200, message: OK}, headers: {}, body: {string: hi}}\nversion: 1\n"
    )
    assert storage.read(waiting).is_foreign
    assert journal.exists(waiting)
    record(waiting, 7, run_cache(), "short")
    assert list_tests(storage.read(waiting)) == name_tests(range(1, 8))
    assert not journal.exists(waiting)


@pytest.mark.parametrize(
    "command",
    [
        ("diff", "shared.yaml", "shared.yaml"),
        ("mv", "t.py::test", "t.py::renamed"),
        ("revalidate", "shared.yaml"),
        ("show", "shared.yaml"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_merges_the_journal(waiting, command):
    folder = waiting.parent
    (folder / "pyproject.toml").write_text('[tool.multitrack]\ncassettes_dir = "."\n')
    run_multitrack(*command, cwd=folder)
    assert not journal.exists(waiting)
    assert len(list_tests(load_cassette(waiting.read_bytes(), waiting))) == 7


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_shared_recordings import record, run_cache
path, cache = Path(sys.argv[1]), run_cache()
record(path, 0, cache, "word " * 50_000)
for number in range(1, 10_000):
    record(path, number, cache, "word " * 200)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_finished_recording(tmp_path):
    path = tmp_path / "shared.yaml"
    folder = Path(__file__).parent
    command = [sys.executable, "-c", KILLED, str(path), str(folder), str(folder.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        recorded = [int(process.stdout.readline()) for _ in range(60)]
        process.kill()
        recorded += map(int, process.stdout.read().split())
    assert load_cassette(path.read_bytes(), path).interactions
    found = list_tests(storage.read(path))
    # the process may have been killed between a recording and its line
    assert found[: len(recorded) + 1] == name_tests([0, *recorded])
    assert len(found) <= len(recorded) + 2
    record(path, 10_000, CassetteCache())
    assert {file.name for file in tmp_path.iterdir()} == {"shared.yaml"}


def stop_at(monkeypatch, module, name, when):
    """Let the function ``name`` of ``module`` raise ``KeyboardInterrupt`` when it is called for the ``when``th time."""
    calls, original = [], getattr(module, name)

    def stop(*args, **options):
        calls.append(args)
        if len(calls) == when:
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(module, name, stop)


@pytest.mark.parametrize(
    ("module", "name"), [(journal, "append"), (storage, "replace_file"), (journal, "remove"), (journal, "is_full")]
)
@pytest.mark.parametrize("when", [1, 4])
def test_an_interruption_at_any_step_loses_no_finished_recording(tmp_path, monkeypatch, module, name, when):
    path, cache, finished = tmp_path / "shared.yaml", run_cache(), [0]
    record(path, 0, cache, "word " * 50_000)
    record(path, 0, cache, "word " * 50_000)
    with monkeypatch.context() as patch:
        stop_at(patch, module, name, when)
        with suppress(KeyboardInterrupt):
            for number in range(1, 100):
                record(path, number, cache, "word " * 200)
                finished.append(number)
    assert len(finished) < 100
    found = list_tests(storage.read(path))
    assert found[: len(finished)] == name_tests(finished)
    assert len(found) <= len(finished) + 1
