"""Lists in pyproject.toml are extended without any other change."""

import tomllib
from pathlib import Path

import pytest

from multitrack.commands.toml_lists import add_to_list
from multitrack.errors import MultitrackError

FILE = Path("pyproject.toml")
LAYOUTS = {
    "no file": ("", '[tool.multitrack]\npaths = ["new"]\n'),
    "no table": ("[project]\nname = 'x'\n", "[project]\nname = 'x'\n\n[tool.multitrack]\npaths = [\"new\"]\n"),
    "no list": (
        "[tool.multitrack]\nmax_age = 9 # days\n\n# other\n[tool.ruff]\n",
        '[tool.multitrack]\nmax_age = 9 # days\npaths = ["new"]\n\n# other\n[tool.ruff]\n',
    ),
    "no last line end": ("[tool.multitrack]\nmax_age = 9", '[tool.multitrack]\nmax_age = 9\npaths = ["new"]\n'),
    "only a table below": (
        "[tool.multitrack.models]\npackages = ['a']\n",
        "[tool.multitrack]\npaths = [\"new\"]\n\n[tool.multitrack.models]\npackages = ['a']\n",
    ),
    "empty list": ("[tool.multitrack]\npaths = []\n", '[tool.multitrack]\npaths = ["new"]\n'),
    "one line": ("[tool.multitrack]\npaths = ['a'] # b\n", "[tool.multitrack]\npaths = ['a', \"new\"] # b\n"),
    "comma at the end": ("[tool.multitrack]\npaths = ['a',]\n", "[tool.multitrack]\npaths = ['a', \"new\"]\n"),
    "several lines": (
        "[tool.multitrack]\npaths = [\n  'a]', # ids]\n  'b' # days\n]\nmax_age = 9\n",
        "[tool.multitrack]\npaths = [\n  'a]', # ids]\n  'b', # days\n  \"new\"\n]\nmax_age = 9\n",
    ),
    "Windows": ("[tool.multitrack]\r\nmax_age = 9\r\n", '[tool.multitrack]\r\nmax_age = 9\r\npaths = ["new"]\r\n'),
    "already in the list": ("[tool.multitrack]\npaths = ['new']\n", "[tool.multitrack]\npaths = ['new']\n"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_stays(layout):
    before, after = LAYOUTS[layout]
    assert add_to_list(FILE, before, "paths", ["new"]) == after


def test_any_string_can_be_added():
    values = ["prices['per night']", 'a"b', "é\x7f\t", "東京"]
    text = add_to_list(FILE, "", "paths", values)
    assert tomllib.loads(text)["tool"]["multitrack"]["paths"] == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool]\nmultitrack = {max_age = 9}\n", 'add it to \\[tool.multitrack\\] by hand: paths = \\["new"\\]'),
        ("[tool", "not changed, because it is not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_changed_is_refused(text, message):
    with pytest.raises(MultitrackError, match=message):
        add_to_list(FILE, text, "paths", ["new"])
