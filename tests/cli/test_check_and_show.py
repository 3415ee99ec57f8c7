"""``multitrack check`` and ``multitrack show``, as a user runs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run_multitrack

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "cassettes" / "examples" / "test_openai" / "test_plan.yaml"
KEY = "sk-proj-0123456789abcdefghijklmn"


def run(*command, cwd, **environment):
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def multitrack(*arguments, cwd, **environment):
    program = "import sys; from multitrack.cli import main; sys.argv[0] = 'multitrack'; main()"
    return run(sys.executable, "-c", program, *arguments, cwd=cwd, **environment)


def told(finished):
    return finished.returncode, finished.stdout.splitlines(), finished.stderr


@pytest.fixture
def tapes(tmp_path):
    """A project with a tape for each of its tests."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-m fast'\nmarkers = ['fast']\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('n', ['1'])\ndef test_plan(n): raise SystemExit('it ran')\n"
    )
    folder = tmp_path / "cassettes"
    folder.mkdir()
    put(folder / "fine.yaml", "test_it.py::test_plan[1]")
    return folder


def put(path, test, text=None):
    text = text or PLAN.read_text(encoding="utf-8")
    start, rest = text.index("  tests: "), text[text.index("  tests: ") :]
    path.write_text(text[:start] + f"  tests: ['{test}']\n" + rest.partition("\n")[2], encoding="utf-8")


@pytest.mark.slow
def test_nothing_is_wrong(tapes):
    assert told(multitrack("check", "cassettes", cwd=tapes.parent)) == (0, ["1 cassette: no problems"], "")


@pytest.mark.slow
def test_each_kind_of_finding_has_a_line(tapes):
    (tapes / "damaged.yaml").write_text("version: 1\ninteractions: [\n")
    put(tapes / "orphan.yaml", "test_it.py::test_plan[2]")
    put(tapes / "waits.pending.yaml", "test_it.py::test_plan[2]")
    secret = PLAN.read_text(encoding="utf-8").replace('"content": "You must', f'"content": "{KEY} You must')
    put(tapes / "secret.yaml", "test_it.py::test_plan[1]", secret)
    line = secret[: secret.index(KEY)].count("\n") + 1
    (tapes / "theirs.yaml").write_text(
        "interactions:\n"
        "- request:\n"
        "    {body: null, headers: {Authorization: [Bearer abcdefgh12345678]}, method: GET, uri: 'https://x.example'}\n"
        "  response:\n"
        "    body: {string: x}\n"
        "    headers: {Date: ['Thu, 02 Jan 2020 10:00:00 GMT']}\n"
        "    status: {code: 200, message: OK}\n"
        "version: 1\n"
    )
    code, lines, _ = told(multitrack("check", "cassettes", "gone.yaml", "--max-age", "30", cwd=tapes.parent))
    assert code == 1
    [old] = [line for line in lines if ": old: " in line]
    assert old.startswith("cassettes/theirs.yaml: old: recorded ")
    assert old.endswith(" days ago; max_age is 30 days")
    assert [line for line in lines if ": old: " not in line] == [
        "cassettes/damaged.yaml:3: damaged: did not find expected node content",
        f"cassettes/secret.yaml:{line}: secret: a value that looks like a credential",
        "cassettes/theirs.yaml: secret: a credential in the headers or the URL of interaction 1",
        "gone.yaml: missing: there is no such cassette",
        "cassettes/orphan.yaml: orphan: there is no test test_it.py::test_plan[2] (interaction 1)",
    ]


@pytest.mark.slow
def test_a_secret_of_the_environment_is_found(tapes):
    text = PLAN.read_text(encoding="utf-8").replace('"content": "You must', '"content": "hush-hush-0123456789 You must')
    put(tapes / "fine.yaml", "test_it.py::test_plan[1]", text)
    code, [line], _ = told(multitrack("check", "cassettes", cwd=tapes.parent, THEIR_API_KEY="hush-hush-0123456789"))
    assert code == 1
    assert line.endswith(": secret: the value of a credential variable in the environment")


@pytest.mark.slow
def test_tests_that_cannot_be_collected_are_no_orphans(tapes):
    (tapes.parent / "test_bad.py").write_text("import nothing_of_this_name\n")
    code, [line], _ = told(multitrack("check", "cassettes", cwd=tapes.parent))
    assert code == 1
    assert line.startswith("orphans: not checked, because pytest could not collect the tests: ")


@pytest.mark.slow
def test_from_a_folder_below_only_its_own_tests_are_looked_for(tapes):
    below = tapes.parent / "below"
    below.mkdir()
    put(tapes / "other.yaml", "elsewhere/test_x.py::test_gone")
    put(tapes / "gone.yaml", "below/test_x.py::test_gone")
    code, lines, _ = told(multitrack("check", "../cassettes", cwd=below))
    assert (code, lines) == (
        1,
        ["../cassettes/gone.yaml: orphan: there is no test below/test_x.py::test_gone (interaction 1)"],
    )


@pytest.mark.slow
def test_the_age_that_the_project_allows(tapes):
    pyproject = tapes.parent / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "[tool.multitrack]\nmax_age = 30\n")
    text = PLAN.read_text(encoding="utf-8")
    start = text.index("recorded_at: '") + len("recorded_at: '")
    put(tapes / "fine.yaml", "test_it.py::test_plan[1]", text[:start] + "2020-01-01" + text[start + 10 :])
    code, [line], _ = told(multitrack("check", "cassettes", cwd=tapes.parent))
    assert code == 1
    assert line.startswith("cassettes/fine.yaml: old: recorded ")


def test_show_tells_text_and_refusals_too(tmp_path):
    tape = tmp_path / "tape.yaml"
    text = PLAN.read_text(encoding="utf-8")
    tape.write_text(text.replace('"content": null', '"content": "Looking\\ninto it"'), encoding="utf-8")
    assert told(run_multitrack("show", "tape.yaml", cwd=tmp_path)) == (
        0,
        [
            "1 · openai.chat gpt-4o-mini · 3 calls",
            "  Weather(location='Toronto', units='metric')",
            "  Weather(location='Dallas', units='imperial')",
            "  GoogleSearch(query='who won the super bowl')",
            "  text: Looking",
            "    into it",
            "provenance: standin",
        ],
        "",
    )


@pytest.mark.slow
def test_git_compares_tapes_by_their_calls(tmp_path):
    def git(*arguments):
        finished = run("git", *arguments, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    page = (ROOT / "docs" / "tapes.md").read_text(encoding="utf-8")
    attributes = next(line for line in page.splitlines() if line.endswith("diff=multitrack"))
    command = next(line for line in page.splitlines() if "diff.multitrack.textconv" in line).removeprefix("$ ")
    program = tmp_path / "multitrack"
    program.write_text(f"#!{sys.executable}\nfrom multitrack.cli import main\nmain()\n")
    program.chmod(0o755)
    git("init", "-q")
    git(*command.replace("multitrack show", f"{program} show").replace('"', "").split(maxsplit=3)[1:])
    (tmp_path / ".gitattributes").write_text(f"{attributes}\n")
    tape = tmp_path / "cassettes" / "test_it" / "test_plan.yaml"
    tape.parent.mkdir(parents=True)
    shutil.copy(PLAN, tape)
    git("add", "-A")
    tape.write_text(tape.read_text(encoding="utf-8").replace("Dallas", "Paris"), encoding="utf-8")

    def changed():
        return [line for line in git("diff").splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]

    assert changed() == [
        "-  Weather(location='Dallas', units='imperial')",
        "+  Weather(location='Paris', units='imperial')",
    ]
    # as a merge may leave it, beside what can be shown
    other = tape.with_name("torn.yaml")
    other.write_text("<<<<<<< ours\nversion: 1\n=======\n", encoding="utf-8")
    git("add", "-N", str(other))
    assert changed() == [
        "-  Weather(location='Dallas', units='imperial')",
        "+  Weather(location='Paris', units='imperial')",
        "+damaged: mapping values are not allowed in this context",
        "+<<<<<<< ours",
        "+version: 1",
        "+=======",
        "+",
    ]


REASONS = {
    "empty.yaml": (b"", "empty.yaml: damaged: it is empty"),
    "word.yaml": (b"hello", "word.yaml: damaged: it holds no list of interactions"),
    "latin.yaml": (b"version: 1\n\xff", "latin.yaml:2: damaged: it is no UTF-8 text"),
    "nul.yaml": (b"version: 1\n\0", "nul.yaml:2: damaged: U+0000 is not allowed"),
    "later.yaml": (
        b"version: 2\ninteractions: []\n",
        "later.yaml: damaged: it is of version 2 of vcrpy's format, and this Multitrack reads 1",
    ),
    "older.json": (
        b'[{"request": {}, "response": {}}]',
        "older.json: damaged: it is of vcrpy's format before 1: migrate it (python -m vcr.migration older.json)",
    ),
    "newer.yaml": (
        b"version: 1\ninteractions: []\nmetadata: {format: 99}\n",
        "newer.yaml: damaged: it is of format 99, and this Multitrack reads format 1: upgrade it",
    ),
    "folder": (None, "folder: missing: this folder has no cassettes"),
    "none.yaml/tape.yaml": (None, "none.yaml/tape.yaml: missing: there is no such cassette"),
}


def test_what_is_no_tape_is_told_by_name(tmp_path):
    for name, (content, _) in REASONS.items():
        path = tmp_path / name
        path.write_bytes(content) if content is not None else path.mkdir(parents=True)
    (tmp_path / "none.yaml" / "tape.yaml").rmdir()
    # a folder whose name is that of a tape holds tapes
    (tmp_path / "folder" / "empty.yaml").mkdir()
    expected = [line for _, line in REASONS.values()]
    assert told(run_multitrack("check", *REASONS, cwd=tmp_path)) == (1, expected, "")
    shown = run_multitrack("show", "folder", cwd=tmp_path)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("multitrack: folder: the cassette is damaged: it cannot be read: ")
    shown = run_multitrack("show", "--textconv", "none.yaml/tape.yaml", cwd=tmp_path)
    assert told(shown) == (1, [], "multitrack: none.yaml/tape.yaml: there is no such cassette\n")


@pytest.mark.parametrize("command", ["show", "check"])
def test_the_help_says_what_an_exit_code_means(tmp_path, command):
    shown = " ".join(run_multitrack(command, "--help", cwd=tmp_path).stdout.split())
    assert "Exit codes: 0 success, 1 problems found, 2 usage error." in shown
    assert run_multitrack(command, cwd=tmp_path).returncode == 2


@pytest.mark.slow
def test_show_writes_utf_8_whatever_the_locale(tmp_path):
    tape = tmp_path / "tape.yaml"
    tape.write_text(PLAN.read_text(encoding="utf-8").replace("Toronto", "Zürich 😀"), encoding="utf-8")
    shown = multitrack("show", "tape.yaml", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert "  Weather(location='Zürich 😀', units='metric')" in shown.stdout


@pytest.mark.slow
def test_show_is_plain_where_there_is_no_terminal(tmp_path):
    plain = multitrack("show", str(PLAN), cwd=tmp_path, TERM="xterm-256color").stdout
    assert "\x1b" not in plain
    pty = pytest.importorskip("pty")
    shown = bytearray()

    def read(descriptor):
        data = os.read(descriptor, 1024)
        shown.extend(data)
        return data

    program = "import sys; from multitrack.cli import main; sys.argv[0] = 'multitrack'; main()"
    pty.spawn([sys.executable, "-c", program, "show", str(PLAN)], read)
    assert b"\x1b[1m1 \xc2\xb7 openai.chat gpt-4o-mini \xc2\xb7 3 calls\x1b[0m" in shown
