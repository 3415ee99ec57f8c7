"""Control characters in cassettes, names and messages reach no terminal."""

import shutil
from pathlib import Path

import pytest
from command_line import run_multitrack

from multitrack.printable import escape_coloured, escape_controls, escape_line

HOSTILE = Path(__file__).parents[1] / "data" / "hostile"
ESCAPED = r"\x1b[2J\x1b]0;pwned\x07Save"


def find_controls(text):
    return {char for char in text if not char.isprintable() and char != "\n"}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["show", "show --request", "check", "revalidate", "revalidate --json", "accept"])
def test_no_command_prints_control_characters(tmp_path, command):
    name = "a.pending.yaml" if command == "accept" else "a.yaml"
    shutil.copy(HOSTILE / "esc_in_tool_name.yaml", tmp_path / name)
    done = run_multitrack(*command.split(), name, cwd=tmp_path)
    assert find_controls(done.stdout) == set()
    assert find_controls(done.stderr) == set()


def test_show_prints_escapes(tmp_path):
    shutil.copy(HOSTILE / "esc_in_tool_name.yaml", tmp_path / "a.yaml")
    done = run_multitrack("show", "a.yaml", cwd=tmp_path)
    assert done.stdout.splitlines()[1].startswith(f"  {ESCAPED}(")


@pytest.mark.parametrize("command", ["show", "check", "revalidate", "accept"])
@pytest.mark.parametrize("name", ["bad_port", "duplicate_response", "tag_iter_bomb", "foreign_method_list"])
def test_every_command_reports_a_damaged_file(tmp_path, command, name):
    file = f"{name}.pending.yaml" if command == "accept" else f"{name}.yaml"
    shutil.copy(HOSTILE / f"{name}.yaml", tmp_path / file)
    done = run_multitrack(command, file, cwd=tmp_path)
    assert done.returncode == 1
    assert file in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_text_of_a_damaged_file_is_escaped(tmp_path):
    (tmp_path / "a.yaml").write_text('interactions: []\nmetadata: {format: "\\e[2J"}\n')
    done = run_multitrack("show", "a.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert find_controls(done.stderr) == set()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("\x9b2J\r\x00\x7f", r"\x9b2J\r\x00\x7f"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("half \ud800", r"half \ud800"),
        ("two\nlines\tand é 東京 👩‍💻", "two\nlines\tand é 東京 👩‍💻"),
    ],
)
def test_controls_are_shown_as_escapes(text, escaped):
    assert escape_controls(text) == escaped
    assert escape_controls(escaped) == escaped


def test_a_line_stays_one_line():
    assert escape_line("a\nprovenance: live") == r"a\nprovenance: live"


def test_colours_of_other_programs_stay():
    assert escape_coloured("\x1b[31mred\x1b[0m \x1b]0;x\x07") == "\x1b[31mred\x1b[0m \\x1b]0;x\\x07"
