"""Locks and temporary files: they are removed, also after a process was killed, and never while they are in use."""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from recorded_tape import request

from multitrack import atomic_file, file_lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="filelock implements the locks")


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(atomic_file, "_cleaned", set())
    return folder


def test_no_lock_is_left_after_a_recording(recorded, temporary_folder):
    recorded.put((request("{}"), "answer"))
    assert list(temporary_folder.iterdir()) == []
    assert [path.name for path in recorded.path.parent.iterdir() if path.is_file()] == ["tape.yaml"]


def test_only_one_thread_at_a_time_holds_a_lock():
    holders, most = [], []

    def hold():
        for _ in range(50):
            with file_lock.lock("a"):
                holders.append(1)
                most.append(len(holders))
                holders.pop()

    threads = [threading.Thread(target=hold) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 300
    assert max(most) == 1


COUNT = """
import sys, tempfile
from pathlib import Path
from multitrack import file_lock
tempfile.tempdir, counter = sys.argv[1], Path(sys.argv[2])
for _ in range(100):
    with file_lock.lock("a"):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


@pytest.mark.slow
def test_only_one_process_at_a_time_holds_a_lock(tmp_path, temporary_folder):
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", COUNT, str(temporary_folder), str(counter)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text() == "300"
    assert list(temporary_folder.iterdir()) == []


def test_a_lock_that_is_held_is_not_taken():
    with file_lock.lock("a"), file_lock.try_lock("a") as is_held:
        assert not is_held
    with file_lock.try_lock("a") as is_held:
        assert is_held


def test_the_temporary_file_of_a_killed_process_is_removed_by_the_next_writer(recorded):
    folder = recorded.path.parent
    killed = folder / f".other.yaml.{'0' * 32}.tmp"
    same = folder / f".tape.yaml.{file_lock.lock_name(recorded.path)}.tmp"
    earlier = folder / ".tape.yaml.abcd1234.tmp"
    for path in (killed, same, earlier):
        path.write_text("half a cassette")
    os.utime(earlier, (0, 0))
    recorded.put((request("{}"), "answer"))
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["tape.yaml"]


def test_a_temporary_file_that_is_still_written_stays(recorded):
    other = recorded.path.parent / f".other.yaml.{'0' * 32}.tmp"
    other.write_text("half a cassette")
    with file_lock.lock("0" * 32):
        recorded.put((request("{}"), "answer"))
    assert other.exists()


def test_the_lock_of_a_killed_process_is_removed(recorded, temporary_folder):
    recorded.put((request("{}"), "answer"))
    old = file_lock._find_lock("1" * 32)
    old.parent.mkdir()
    old.write_text("")
    os.utime(old, (0, 0))
    atomic_file._cleaned.clear()
    recorded.put((request("{}"), "other"))
    assert list(temporary_folder.iterdir()) == []


def test_a_link_in_place_of_the_temporary_file_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    path = tmp_path / "tape.yaml"
    (tmp_path / f".tape.yaml.{'2' * 32}.tmp").symlink_to(victim)
    atomic_file.replace_file(path, b"new", lock_name="2" * 32)
    assert victim.read_text() == "untouched"
    assert path.read_text() == "new"


def test_permissions_stay(tmp_path):
    path = tmp_path / "tape.yaml"
    path.write_text("old")
    path.chmod(0o640)
    atomic_file.replace_file(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_folder_of_locks_may_be_missing(temporary_folder):
    with file_lock.lock("a"):
        assert [path.name for path in Path(temporary_folder).rglob("*.lock")] == ["a.lock"]
