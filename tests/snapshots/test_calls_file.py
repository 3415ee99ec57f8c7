"""The snapshot file: its layout, damaged files, and processes that write it at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from multitrack.snapshots.calls_file import (
    DamagedCallsFile,
    format_entry,
    merge_entries,
    read_entries,
    remove_entries,
)
from multitrack.snapshots.parsing import parse_calls


def test_entries_are_written_and_read(tmp_path):
    path = tmp_path / "__snapshots__" / "test_trip.calls"
    entries = {"test_plan": "g(x=1)\nf(\n    y=2,\n)", "test_none": "# no calls"}
    merge_entries(path, entries)
    assert path.read_bytes() == (
        b"# serializer version: 1\n"
        b"# name: test_none\n  # no calls\n# ---\n"
        b"# name: test_plan\n  g(x=1)\n  f(\n      y=2,\n  )\n# ---\n"
    )
    assert read_entries(path) == entries
    assert [item.name for item in path.parent.iterdir()] == ["test_trip.calls"]


def test_merging_keeps_other_entries_and_removing_the_last_entry_removes_the_file(tmp_path):
    path = tmp_path / "a.calls"
    merge_entries(path, {"a": "f()", "b": "g()"})
    merge_entries(path, {"b": "h()"})
    assert read_entries(path) == {"a": "f()", "b": "h()"}
    remove_entries(path, {"a", "never there"})
    assert read_entries(path) == {"b": "h()"}
    remove_entries(path, {"b"})
    assert not path.exists()
    assert read_entries(path) == {}


def test_a_file_with_windows_line_endings_is_read(tmp_path):
    path = tmp_path / "a.calls"
    merge_entries(path, {"a": "f(\n    x=1,\n)"})
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_entries(path) == {"a": "f(\n    x=1,\n)"}


def test_calls_are_sorted_by_tool_and_arguments_unless_they_are_ordered():
    calls = parse_calls("g(x=2)\nf(b=2, a=1)\ng(x=1)\nf(a=1, b=1)")
    assert format_entry(calls) == "f(a=1, b=1)\nf(b=2, a=1)\ng(x=1)\ng(x=2)"
    assert format_entry(calls, ordered=True) == "g(x=2)\nf(b=2, a=1)\ng(x=1)\nf(a=1, b=1)"
    assert format_entry(()) == "# no calls"


def test_lines_are_wrapped_at_the_width_including_their_indent():
    calls = parse_calls(f"f(x='{'x' * 91}')\nf(x='{'x' * 92}')")
    assert [len(line) for line in format_entry(calls).split("\n")] == [98, 2, 101, 1]


HEAD = "# serializer version: 1\n"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "expected '# serializer version: 1'"),
        ("# serializer version: 2\n", 1, "expected '# serializer version: 1'"),
        (f"{HEAD}# name: a\n  f()\n", 4, "the entry 'a' has no end"),
        (f"{HEAD}  f()\n# ---\n", 2, "unexpected '  f()'"),
        (f"{HEAD}# name: a\nf()\n# ---\n", 3, "unexpected 'f()'"),
        (f"{HEAD}# name: a\n# ---\n# name: a\n# ---\n", 4, "unexpected '# name: a'"),
        (f"{HEAD}# name: a\n<<<<<<< HEAD\n  f()\n# ---\n", 3, "unexpected '<<<<<<< HEAD'"),
    ],
)
def test_a_damaged_file_is_rejected_with_its_line_and_never_overwritten(tmp_path, text, line, reason):
    path = tmp_path / "a.calls"
    path.write_text(text, encoding="utf-8")
    for attempt in (read_entries, lambda p: merge_entries(p, {"b": "f()"}), lambda p: remove_entries(p, {"a"})):
        with pytest.raises(DamagedCallsFile) as damage:
            attempt(path)
        assert str(damage.value) == (
            f"{path}, line {line}: the snapshot file is damaged: {reason}\n"
            "  restore it from version control, or delete it and write it again: pytest --snapshot-update"
        )
    assert path.read_text(encoding="utf-8") == text


def test_a_file_that_is_not_valid_utf_8_is_damaged(tmp_path):
    path = tmp_path / "a.calls"
    path.write_bytes(f"{HEAD}# name: a\n  f('".encode() + b"\xff')\n# ---\n")
    with pytest.raises(DamagedCallsFile, match=r"line 3: the snapshot file is damaged: it is not valid UTF-8"):
        read_entries(path)


def test_a_name_of_two_lines_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="the name of a snapshot must be one line"):
        merge_entries(tmp_path / "a.calls", {"a\nb": "f()"})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_only_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.calls"
    merge_entries(path, {"a": "f()"})

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        merge_entries(path, {"b": "f()"})
    assert read_entries(path) == {"a": "f()"}
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_of_the_file_is_kept(tmp_path):
    path = tmp_path / "a.calls"
    merge_entries(path, {"a": "f()"})
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    merge_entries(path, {"b": "f()"})
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.slow
def test_processes_that_write_at_the_same_time_lose_no_entries(tmp_path):
    path = tmp_path / "a.calls"
    script = (
        "import sys; from pathlib import Path; from multitrack.snapshots.calls_file import merge_entries\n"
        "for n in range(15): merge_entries(Path(sys.argv[1]), {f'{sys.argv[2]}.{n}': 'f()'})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), str(n)]) for n in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert len(read_entries(path)) == 45
    assert [item.name for item in Path(tmp_path).iterdir()] == ["a.calls"]
