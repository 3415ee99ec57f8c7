"""Large cassettes that stay in memory between tests, and are read again only if the file has changed."""

import os
import time
from pathlib import Path

import pytest

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import cassette_cache, cassette_reader, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.file.interaction_reader import read_interaction
from multitrack.tape.file.recordings import Recording
from multitrack.tape.interaction import Interaction
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

REQUEST = Request("GET", "https://example.com/", (), b"")


def write(path, text):
    interaction = Interaction(REQUEST, Response(200, "OK", (), text.encode()))
    storage.write(path, Cassette((interaction,), {"format": 1}))


def read(cache, path):
    [interaction] = cache.read(path).interactions
    return interaction.response.body.decode()[0]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "large.yaml"
    write(path, "a" * 200_000)
    return path


@pytest.fixture
def has_settled(monkeypatch):
    """Act as if the last change of every file was long ago."""
    monkeypatch.setattr(cassette_cache, "_SETTLED", -1)


@pytest.mark.usefixtures("has_settled")
def test_an_unchanged_file_is_not_read_again(path, monkeypatch):
    cache = CassetteCache()
    assert read(cache, path) == "a"
    monkeypatch.setattr(storage, "read_file", lambda _: pytest.fail("the file was read again"))
    assert read(cache, path) == "a"


@pytest.mark.usefixtures("has_settled")
def test_a_change_that_keeps_the_size_and_the_modification_time_is_noticed(path):
    cache = CassetteCache()
    assert read(cache, path) == "a"
    before = path.stat()
    time.sleep(0.02)  # more than the resolution of the file system's clock
    path.write_text(path.read_text().replace("a" * 200_000, "b" * 200_000))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert read(cache, path) == "b"


def test_a_file_that_has_just_changed_is_read_again(path):
    # the file system may give two changes the same time
    cache = CassetteCache()
    assert read(cache, path) == "a"
    for letter in "bc":
        path.write_text(path.read_text().replace(read(cache, path) * 200_000, letter * 200_000))
        assert read(cache, path) == letter


@pytest.mark.usefixtures("has_settled")
def test_a_file_that_was_removed_is_missing(path):
    cache = CassetteCache()
    assert read(cache, path) == "a"
    path.unlink()
    assert cache.read(path) is None


def test_a_relative_path_is_another_cassette_in_another_folder(tmp_path, monkeypatch):
    cache, path = CassetteCache(), Path("large.yaml")
    for name, letter in ("first", "a"), ("second", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write(path, letter)
        assert not cache.has_read(path)
        assert read(cache, path) == letter
        assert cache.has_read(path)


def test_a_tape_that_records_reads_its_cassette_where_it_was_opened(tmp_path, monkeypatch):
    cache, path = CassetteCache(), Path("large.yaml")
    monkeypatch.chdir(tmp_path)
    write(path, "a")
    assert read(cache, path) == "a"
    tape = Tape(path, mode="record", cache=cache)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert len(tape.previous_interactions) == 1


def test_a_cassette_is_read_while_a_test_mocks_the_time(path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the mock of the test was called"))
    assert read(CassetteCache(), path) == "a"


def index_of(path, cache, **options):
    return Tape(path, cache=cache, settings=Settings(**options)).replay_lookup.index


@pytest.mark.usefixtures("has_settled")
def test_the_index_of_an_unchanged_file_is_built_once(path):
    cache = CassetteCache()
    assert index_of(path, cache) is index_of(path, cache)
    time.sleep(0.02)  # more than the resolution of the file system's clock
    previous = index_of(path, cache)
    write(path, "b" * 200_000)
    assert index_of(path, cache) is not previous


@pytest.mark.usefixtures("has_settled")
def test_tapes_with_other_rules_have_another_index(path):
    cache = CassetteCache()
    default = index_of(path, cache)
    assert index_of(path, cache, match_on=("method", "uri")) is not default
    assert index_of(path, cache) is default


@pytest.mark.usefixtures("has_settled")
def test_the_indexes_of_only_a_few_rules_are_kept(path):
    cache = CassetteCache()
    default = index_of(path, cache)
    for number in range(40):
        index_of(path, cache, ignore=(f"$.field{number}",))
    assert index_of(path, cache) is not default


@pytest.mark.usefixtures("has_settled")
def test_tapes_that_share_an_index_replay_independently(path):
    cache = CassetteCache()
    one, other = Tape(path, cache=cache), Tape(path, cache=cache)
    for tape in one, other:
        assert tape.played_positions == []
        tape.route(REQUEST)
        assert tape.played_positions == [1]
        with pytest.raises(CassetteMiss, match="already replayed"):
            tape.route(REQUEST)
    one.rewind()
    one.route(REQUEST)
    with pytest.raises(CassetteMiss, match="already replayed"):
        other.route(REQUEST)


def save_pending(folder, cache, tests):
    for test in tests:
        interaction = Interaction(REQUEST, Response(200, "OK", (), test.encode()), (test,))
        path = storage.save_pending(folder / "shared.yaml", Recording((interaction,), test, {"format": 1}), cache=cache)
    return path.read_text()


def test_earlier_pending_recordings_are_not_read_again(tmp_path, monkeypatch):
    tests, cache = ("t.py::one", "t.py::two", "t.py::three", "t.py::one"), CassetteCache()
    read = []
    monkeypatch.setattr(
        cassette_reader, "read_interaction", lambda *values: read.append(values) or read_interaction(*values)
    )
    text = save_pending(tmp_path / "a", cache, tests)
    assert len(read) == 3
    for test in tests:
        without_cache = save_pending(tmp_path / "b", CassetteCache(), [test])
    assert text == without_cache
