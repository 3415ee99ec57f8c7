"""``multitrack check`` and ``multitrack show`` in a process, as users run them."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run_multitrack
from warm_python import find_warm_python

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


def multitrack(*arguments, cwd, python=None, **environment):
    program = "import sys; from multitrack.cli import main; sys.argv[0] = 'multitrack'; main()"
    return run(*(python or find_warm_python()), "-c", program, *arguments, cwd=cwd, **environment)


def assert_finished(finished, code, lines, stderr=""):
    assert finished.stderr == stderr
    assert finished.stdout.splitlines() == lines
    assert finished.returncode == code


@pytest.fixture
def cassettes(tmp_path):
    """A project with one test and its cassette."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-m fast'\nmarkers = ['fast']\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('n', ['1'])\ndef test_plan(n): raise SystemExit('the test ran')\n"
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
def test_a_sound_cassette_has_no_problems(cassettes):
    assert_finished(multitrack("check", "cassettes", cwd=cassettes.parent), 0, ["1 cassette: no problems"])


@pytest.mark.slow
def test_each_kind_of_problem_has_a_line(cassettes):
    (cassettes / "damaged.yaml").write_text("version: 1\ninteractions: [\n")
    put(cassettes / "orphan.yaml", "test_it.py::test_plan[2]")
    put(cassettes / "waits.pending.yaml", "test_it.py::test_plan[2]")
    secret = PLAN.read_text(encoding="utf-8").replace('"content": "You must', f'"content": "{KEY} You must')
    put(cassettes / "secret.yaml", "test_it.py::test_plan[1]", secret)
    line = secret[: secret.index(KEY)].count("\n") + 1
    (cassettes / "theirs.yaml").write_text(
        "interactions:\n"
        "- request:\n"
        "    {body: null, headers: {Authorization: [Bearer abcdefgh12345678]}, method: GET, uri: 'https://x.example'}\n"
        "  response:\n"
        "    body: {string: x}\n"
        "    headers: {Date: ['Thu, 02 Jan 2020 10:00:00 GMT']}\n"
        "    status: {code: 200, message: OK}\n"
        "version: 1\n"
    )
    finished = multitrack("check", "cassettes", "gone.yaml", "--max-age", "30", cwd=cassettes.parent)
    lines = finished.stdout.splitlines()
    assert finished.returncode == 1
    [old] = [line for line in lines if ": old: " in line]
    assert old.startswith("cassettes/theirs.yaml: old: recorded ")
    assert old.endswith(" days ago; max_age is 30 days")
    assert [line for line in lines if ": old: " not in line] == [
        "cassettes/damaged.yaml:3: damaged: did not find expected node content",
        f"cassettes/secret.yaml:{line}: secret: a value that looks like a credential",
        "cassettes/theirs.yaml: secret: a credential in the headers or the URL of interaction 1",
        "gone.yaml: missing: there is no such cassette",
        "cassettes/orphan.yaml: orphan: there is no test test_it.py::test_plan[2] (interaction 1): "
        "if the test was renamed, run the tests, and then: multitrack mv --find; otherwise delete the file",
        "not checked: 1 file with pending recordings (multitrack accept moves them into the cassettes)",
    ]


@pytest.mark.slow
def test_the_value_of_a_credential_variable_is_a_secret(cassettes):
    text = PLAN.read_text(encoding="utf-8").replace('"content": "You must', '"content": "hush-hush-0123456789 You must')
    put(cassettes / "fine.yaml", "test_it.py::test_plan[1]", text)
    finished = multitrack("check", "cassettes", cwd=cassettes.parent, THEIR_API_KEY="hush-hush-0123456789")
    [line] = finished.stdout.splitlines()
    assert finished.returncode == 1
    assert line.endswith(": secret: the value of a credential variable in the environment")


@pytest.mark.slow
def test_a_secret_in_an_array_of_bytes_is_reported_with_its_line(cassettes):
    line_break = f"\n{' ' * 12}"  # the array has a line for each number
    array = f"[{line_break}{f',{line_break}'.join(map(str, KEY.encode()))}]"
    text = PLAN.read_text(encoding="utf-8").replace('"content": "You must', f'"bytes": {array}, "content": "You must')
    put(cassettes / "fine.yaml", "test_it.py::test_plan[1]", text)
    finished = multitrack("check", "cassettes", cwd=cassettes.parent)
    line = text[: text.index(array)].count("\n") + 1
    expected = f"cassettes/fine.yaml:{line}: secret: an array of bytes that spells a credential"
    assert finished.stdout.splitlines() == [expected]


@pytest.mark.slow
def test_no_orphans_are_reported_if_pytest_cannot_collect_the_tests(cassettes):
    (cassettes.parent / "test_bad.py").write_text("import nothing_of_this_name\n")
    finished = multitrack("check", "cassettes", cwd=cassettes.parent)
    [line] = finished.stdout.splitlines()
    assert finished.returncode == 1
    assert line.startswith("orphans: not checked, because pytest could not collect the tests: ")


@pytest.mark.slow
def test_in_a_subfolder_only_its_own_tests_can_be_missing(cassettes):
    below = cassettes.parent / "below"
    below.mkdir()
    put(cassettes / "other.yaml", "elsewhere/test_x.py::test_gone")
    put(cassettes / "gone.yaml", "below/test_x.py::test_gone")
    finished = multitrack("check", "../cassettes", cwd=below)
    assert finished.stdout.splitlines() == [
        "../cassettes/gone.yaml: orphan: there is no test below/test_x.py::test_gone (interaction 1): "
        "if the test was renamed, run the tests, and then: multitrack mv --find; otherwise delete the file"
    ]
    assert finished.returncode == 1


@pytest.mark.slow
def test_the_project_sets_the_allowed_age(cassettes):
    pyproject = cassettes.parent / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "[tool.multitrack]\nmax_age = 30\n")
    text = PLAN.read_text(encoding="utf-8")
    start = text.index("recorded_at: '") + len("recorded_at: '")
    put(cassettes / "fine.yaml", "test_it.py::test_plan[1]", text[:start] + "2020-01-01" + text[start + 10 :])
    finished = multitrack("check", "cassettes", cwd=cassettes.parent)
    [line] = finished.stdout.splitlines()
    assert finished.returncode == 1
    assert line.startswith("cassettes/fine.yaml: old: recorded ")


def test_show_prints_the_text_of_a_response(tmp_path):
    cassette = tmp_path / "cassette.yaml"
    text = PLAN.read_text(encoding="utf-8")
    cassette.write_text(text.replace('"content": null', '"content": "Looking\\ninto it"'), encoding="utf-8")
    assert_finished(
        run_multitrack("show", "cassette.yaml", cwd=tmp_path),
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
    )


@pytest.mark.slow
def test_git_diff_shows_the_calls_of_a_cassette(tmp_path):
    def git(*arguments):
        finished = run("git", *arguments, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    page = (ROOT / "docs" / "recording.md").read_text(encoding="utf-8")
    attributes = next(line for line in page.splitlines() if line.endswith("diff=multitrack"))
    command = next(line for line in page.splitlines() if "diff.multitrack.textconv" in line).removeprefix("$ ")
    program = tmp_path / "multitrack"
    program.write_text(f"#!{sys.executable}\nfrom multitrack.cli import main\nmain()\n")
    program.chmod(0o755)
    git("init", "-q")
    git(*command.replace("multitrack show", f"{program} show").replace('"', "").split(maxsplit=3)[1:])
    (tmp_path / ".gitattributes").write_text(f"{attributes}\n")
    cassette = tmp_path / "cassettes" / "test_it" / "test_plan.yaml"
    cassette.parent.mkdir(parents=True)
    shutil.copy(PLAN, cassette)
    git("add", "-A")
    cassette.write_text(cassette.read_text(encoding="utf-8").replace("Dallas", "Paris"), encoding="utf-8")

    def changed():
        return [line for line in git("diff").splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]

    assert changed() == [
        "-  Weather(location='Dallas', units='imperial')",
        "+  Weather(location='Paris', units='imperial')",
    ]
    # a merge conflict, next to a cassette that can be shown
    torn = cassette.with_name("torn.yaml")
    torn.write_text("<<<<<<< ours\nversion: 1\n=======\n", encoding="utf-8")
    git("add", "-N", str(torn))
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
    "word.yaml": (b"hello", "word.yaml: damaged: it has no list of interactions"),
    "latin.yaml": (b"version: 1\n\xff", "latin.yaml:2: damaged: it is not UTF-8 text"),
    "nul.yaml": (b"version: 1\n\0", "nul.yaml:2: damaged: U+0000 is not allowed"),
    "later.yaml": (
        b"version: 2\ninteractions: []\n",
        "later.yaml: unreadable: it has version 2 of vcrpy's format, but this Multitrack reads version 1: "
        "upgrade Multitrack, or use the recorder that wrote the file",
    ),
    "older.json": (
        b'[{"request": {}, "response": {}}]',
        "older.json: unreadable: it is in vcrpy's old format, from before format version 1: to migrate it: "
        "python -m vcr.migration older.json",
    ),
    "newer.yaml": (
        b"version: 1\ninteractions: []\nmetadata: {format: 99}\n",
        "newer.yaml: unreadable: it has format 99, but this Multitrack reads format 1: "
        "upgrade Multitrack, or use the recorder that wrote the file",
    ),
    "folder": (None, "folder: no cassettes in this folder"),
    "none.yaml/cassette.yaml": (None, "none.yaml/cassette.yaml: missing: there is no such cassette"),
}


def test_check_says_why_a_file_is_not_a_cassette(tmp_path):
    for name, (content, _) in REASONS.items():
        path = tmp_path / name
        path.write_bytes(content) if content is not None else path.mkdir(parents=True)
    (tmp_path / "none.yaml" / "cassette.yaml").rmdir()
    # a folder with the name of a cassette
    (tmp_path / "folder" / "empty.yaml").mkdir()
    expected = [line for _, line in REASONS.values()]
    assert_finished(run_multitrack("check", *REASONS, cwd=tmp_path), 1, expected)
    shown = run_multitrack("show", "--textconv", "none.yaml/cassette.yaml", cwd=tmp_path)
    assert shown.stdout == ""
    assert shown.stderr.startswith("multitrack: none.yaml/cassette.yaml: there is no such cassette\n")
    assert shown.returncode == 1


@pytest.mark.parametrize("command", ["show", "check"])
def test_the_help_lists_the_exit_codes(tmp_path, command):
    shown = " ".join(run_multitrack(command, "--help", cwd=tmp_path).stdout.split())
    assert "Exit codes: 0 success, 1 problems found, 2 usage error." in shown
    assert run_multitrack(command, "--unknown", cwd=tmp_path).returncode == 2


@pytest.mark.slow
def test_show_prints_utf_8_in_any_locale(tmp_path):
    cassette = tmp_path / "cassette.yaml"
    cassette.write_text(PLAN.read_text(encoding="utf-8").replace("Toronto", "Zürich 😀"), encoding="utf-8")
    # Python reads the variable when it starts
    shown = multitrack("show", "cassette.yaml", cwd=tmp_path, python=[sys.executable], PYTHONIOENCODING="ascii")
    assert "  Weather(location='Zürich 😀', units='metric')" in shown.stdout


@pytest.mark.slow
def test_show_only_uses_styles_in_a_terminal(tmp_path):
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


COMPRESSED = """\
version: 1
interactions:
- request: {{method: POST, uri: 'https://api.openai.com/v1/chat/completions', headers: {{}}, body: '{{}}'}}
  response:
    status: {{code: 200, message: OK}}
    headers: {{}}
    body: {{string: '{{"choices": [{{"message": {{"content": "{text}"}}}}]}}'}}
"""


@pytest.fixture
def compressed(tmp_path):
    """A project with a compressed cassette of another recorder, which contains a secret."""
    path = tmp_path / "cassettes" / "test_it.yaml.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(COMPRESSED.format(text=f"Hi {KEY}").encode()))
    return tmp_path


@pytest.mark.parametrize("target", ["cassettes", "cassettes/test_it.yaml.gz"])
def test_every_command_reads_a_compressed_cassette(compressed, target):
    checked = run_multitrack("check", target, cwd=compressed)
    assert_finished(checked, 1, ["cassettes/test_it.yaml.gz:7: secret: a value that looks like a credential"])
    assert "  text: Hi __redacted__" in run_multitrack("show", target, cwd=compressed).stdout.splitlines()
    revalidated = run_multitrack("revalidate", target, cwd=compressed)
    assert revalidated.stdout == "0 calls in 1 cassette match the current models\n"
    assert run_multitrack("diff", target, target, cwd=compressed).stdout == "no differences\n"


def test_a_compressed_cassette_that_was_cut_off_is_damaged(compressed):
    path = compressed / "cassettes" / "test_it.yaml.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert_finished(
        run_multitrack("check", "cassettes", cwd=compressed),
        1,
        ["cassettes/test_it.yaml.gz: damaged: it is damaged gzip data: it ends too early"],
    )
