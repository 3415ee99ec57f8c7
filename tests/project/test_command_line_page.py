"""The tables of docs/command-line.md, which repeat the help of the commands.

``python tests/project/test_command_line_page.py`` writes the tables.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from multitrack import cli
from multitrack.standin import __main__ as standin

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
MARKS = re.compile(
    r"(<!-- (\w+): written by tests/project/test_command_line_page.py -->\n)(.*?)(<!-- end -->\n)", re.DOTALL
)


def pytest_options():
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "1000"}
    command = [sys.executable, "-m", "pytest", "--help", "-p", "no:cacheprovider"]
    shown = subprocess.run(command, cwd=os.sep, env=environment, capture_output=True, text=True, check=True).stdout
    section = shown.partition("(multitrack):\n")[2].partition("\n\n")[0]
    found = re.findall(r"^  (-\S.*?)(?:\n? {2,})(\S.*)$", section, re.MULTILINE)
    yield from table("option", ((f"`{names}`", text) for names, text in found))


def commands():
    for name, command in sorted(typer.main.get_command(cli.app).commands.items()):
        yield from ["", f"### multitrack {name}", "", command.help, ""]
        yield from table("argument or option", map(describe, command.params))


def standin_options():
    app = typer.Typer(add_completion=False)
    app.command()(standin.run)
    yield from table("option", map(describe, typer.main.get_command(app).params))


def describe(parameter):
    names = ", ".join(parameter.opts)
    if parameter.param_type_name == "argument":
        names = f"{parameter.name.upper()}{'...' if parameter.nargs == -1 else ''}"
    default = parameter.default if isinstance(parameter.default, int | os.PathLike) else None
    says_default = default is not None and not isinstance(default, bool)
    return f"`{names}`", f"{parameter.help}{f' (default: `{default}`)' if says_default else ''}"


def table(title, rows):
    yield f"| {title} | what it does |"
    yield "| --- | --- |"
    yield from (f"| {name} | {' '.join(text.split()).replace('|', '&#124;')} |" for name, text in rows)


TABLES = {"pytest": pytest_options, "commands": commands, "standin": standin_options}


def written(name):
    return "\n".join([*TABLES[name](), ""]).lstrip("\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_page_repeats_the_help(name):
    tables = {match[2]: match[3] for match in MARKS.finditer(PAGE.read_text(encoding="utf-8"))}
    assert tables[name] == written(name)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARKS.sub(lambda match: match[1] + written(match[2]) + match[4], page), encoding="utf-8")
