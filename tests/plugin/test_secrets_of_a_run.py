"""No secret is in the files that a run leaves, in what commands print about them, or in messages about damaged files.

After the first run, secrets are put into the cassettes, as if they had been edited by hand.
"""

import json
import os
import random
import shutil
import string
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from command_line import run_multitrack
from leaked_secrets import find_leaks
from nested_runs import FEWER_PLUGINS

from multitrack.commands.review_items import FieldDifference, ReviewItem
from multitrack.commands.review_terminal import print_side_by_side
from multitrack.tape.redaction.word_boundaries import REDACTED

pytestmark = pytest.mark.slow

PLACES = Path(__file__).parent / "printed_secrets" / "run_places.py"
_LETTERS = string.ascii_letters + string.digits
_DRAW = random.Random(11).choices
VALUE, SHAPE = "".join(_DRAW(_LETTERS, k=28)), f"sk-proj-{''.join(_DRAW(_LETTERS, k=48))}"
SECRETS = {"value": VALUE, "shape": SHAPE}
ENVIRONMENT = {"THEIR_SECRET": VALUE, "COLUMNS": "200"}
REPORTS = ("report.md", "report.json", "report.html")
RUN = ("-rA", "-vv", "--doctest-modules", "--junit-xml=junit.xml", *(f"--calls-report={name}" for name in REPORTS))

CONFTEST = """
import os, pytest
if "BROKEN" in os.environ:
    raise ValueError(os.environ["BROKEN"])

def pytest_configure():
    raise pytest.UsageError(os.environ["USAGE"])
"""

FOREIGN = {
    "request": {
        "method": "POST",
        "uri": f"https://user:{VALUE}@api.openai.com/v1/chat/completions?key={SHAPE}",
        "body": json.dumps({"model": VALUE, "messages": [{"role": "user", "content": f"of {SHAPE}"}]}),
        "headers": {"authorization": [f"Bearer {SHAPE}"], "content-type": ["application/json"]},
    },
    "response": {
        "status": {"code": 200, "message": f"OK {VALUE}"},
        "headers": {"content-type": ["application/json"], "set-cookie": [f"session={VALUE}"]},
        "body": {"string": json.dumps({"id": VALUE, "object": "chat.completion", "note": SHAPE})},
    },
}
VALID = yaml.safe_dump({"interactions": [FOREIGN], "version": 1}, width=1000)
DAMAGE = {
    "a tab": ("method: POST", f"method: POST\n\t{VALUE}: {SHAPE}"),
    "a repeated key": ("method: POST", f"method: POST\n    {VALUE}: 1\n    {VALUE}: 2"),
    "a key with the shape of a secret": ("method: POST", f"method: POST\n    ? {SHAPE}\n    ? {SHAPE}"),
    "a list of strings": ("method: POST", f"method: [{VALUE}, {SHAPE}]"),
    "a status": ("code: 200", f"code: {SHAPE}"),
    "a port": ("api.openai.com", f"api.openai.com:{VALUE}"),
    "a host": ("https://user", f"http://[{VALUE}"),
    "a tag": ("method: POST", f"method: !{VALUE} {SHAPE}"),
    "an alias": ("method: POST", f"method: *{VALUE}"),
    "two colons": ("method: POST", f"method: POST: {VALUE}: {SHAPE}"),
    "an open quote": ("method: POST", f'method: "{SHAPE}'),
    "an unknown escape": ("method: POST", f'method: "\\q{VALUE}"'),
    "a header": ("- application/json", f"- {{{VALUE}: {SHAPE}}}"),
    "a long header": ("- application/json", f"- !!binary {'A' * 80}{VALUE}"),
    "conflict markers": ("interactions:", f"<<<<<<< {VALUE}\ninteractions:"),
    "a version": ("version: 1", f"version: {VALUE}"),
    "no mapping": (VALID, f"- {VALUE}\n- {SHAPE}\n"),
}
"""What is replaced in a valid cassette, and the replacement."""


QUOTES_NOTHING = {
    "multitrack rebind",
    "multitrack rebind --json",
    "multitrack show: a tab",
    "multitrack show: a list of strings",
    "multitrack show: a port",
    "multitrack show: a host",
    "multitrack show: an alias",
    "multitrack show: two colons",
    "multitrack show: an open quote",
    "multitrack show: an unknown escape",
    "multitrack show: a header",
    "multitrack show: conflict markers",
    "multitrack show: no mapping",
}
"""The places whose text names the secret's place and quotes nothing."""


class _Provider(BaseHTTPRequestHandler):
    """Returns the secrets in all parts of the response."""

    drifts = False

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = request["messages"][-1]["content"]
        arguments = {"said": prompt, VALUE: 1, "n": 2 if self.drifts else 1}
        function = {"name": request["tools"][0]["function"]["name"], "arguments": json.dumps(arguments)}
        message = {"role": "assistant", "content": prompt, "tool_calls": [{"id": VALUE, "function": function}]}
        choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
        answer = {"id": VALUE, "object": "chat.completion", "model": f"model-{VALUE}", "choices": [choice]}
        self.send_response(500 if "refuse" in prompt else 200, f"Reason {VALUE} {SHAPE}")
        self.send_header("content-type", "application/json")
        self.send_header("content-disposition", f'attachment; filename="{VALUE}.txt"')
        self.send_header("set-cookie", f"session={VALUE}; path=/{SHAPE}")
        self.send_header(f"x-{VALUE}", SHAPE)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


class _Project:
    """A project whose texts are collected in ``texts``, by the name of their place."""

    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        self.texts = {}

    def run_pytest(self, name, *arguments, **environment):
        variables = {"PATH": os.environ["PATH"], **FEWER_PLUGINS, **ENVIRONMENT, "PROVIDER": self.url, **environment}
        command = [sys.executable, "-m", "pytest", "run_places.py", *arguments]
        run = subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=120, check=False
        )
        self.texts[f"output of pytest: {name}"] = run.stdout + run.stderr

    def run_command(self, name, *arguments):
        done = run_multitrack(*arguments, cwd=self.folder, **ENVIRONMENT)
        self.texts[f"multitrack {name}"] = done.stdout + done.stderr

    def read(self, name, pattern):
        self.texts[name] = "\n".join(path.read_text(encoding="utf-8") for path in sorted(self.folder.glob(pattern)))

    def put_secrets(self):
        """Put secrets into all cassettes and snapshots, in place of those that were redacted."""
        for path in [*self.folder.rglob("cassettes/**/*.yaml"), *self.folder.rglob("*.calls")]:
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f"{REDACTED} {REDACTED}", f"{VALUE} {SHAPE}"), encoding="utf-8")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """All texts that a project's runs and commands write or print, by the name of their place."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copy(PLACES, folder)
    (folder / "shape.txt").write_text(SHAPE, encoding="utf-8")
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ""\n', encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Provider) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        project = _Project(folder, f"http://127.0.0.1:{server.server_port}")
        _record(project)
        _replay(project)
        server.shutdown()
    _run_commands(project)
    return project.texts


def _record(project):
    project.run_pytest("recording, with --setup-show", "--record", "--snapshot-update", "--setup-show", *RUN)
    cassettes = "cassettes/run_places"
    project.read("a cassette", f"{cassettes}/test_asks.yaml")
    project.read("a pending recording", f"{cassettes}/test_stays_pending.pending.yaml")
    project.read("a pending recording of an error", f"{cassettes}/test_is_refused.pending.yaml")
    project.read("a snapshot", "__snapshots__/*.calls")
    names = [str(path.relative_to(project.folder)) for path in project.folder.rglob("*")]
    project.texts["names of files"] = "\n".join([*names, REDACTED])
    project.read("pytest's cache", ".pytest_cache/v/cache/*")
    project.texts["pytest's cache"] += REDACTED


def _replay(project):
    project.put_secrets()
    _Provider.drifts = True
    project.run_pytest("drift", "--calls-drift", *RUN)
    project.read("the facts about a run that found drift", ".pytest_cache/v/multitrack/run")
    _Provider.drifts = False
    project.run_pytest("misses", *RUN, WORDING="reworded")
    project.read("the facts about a run with misses", ".pytest_cache/v/multitrack/run")
    for name in (*REPORTS, "junit.xml"):
        project.read(name, name)
    (project.folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    project.run_pytest("an error in a conftest", BROKEN=f"{VALUE} {SHAPE}")
    project.run_pytest("a usage error", USAGE=f"{VALUE} {SHAPE}")
    (project.folder / "conftest.py").unlink()


def _run_commands(project):
    project.run_command("rebind", "rebind", "--dry-run")
    project.run_command("rebind --json", "rebind", "--dry-run", "--json")
    project.run_command("review", "review")
    project.run_command("review --json", "review", "--json")
    project.run_command("show", "show", "cassettes")
    project.run_command("show --request", "show", "--request", "cassettes")
    project.run_command("show --json", "show", "--json", "--request", "cassettes")
    project.run_command("revalidate", "revalidate")
    project.run_command("revalidate --json", "revalidate", "--json")
    foreign = project.folder / "foreign"
    foreign.mkdir()
    (foreign / "valid.yaml").write_text(VALID, encoding="utf-8")
    damaged = project.folder / "damaged"
    damaged.mkdir()
    for name, (old, new) in DAMAGE.items():
        assert old in VALID
        (damaged / f"{name}.yaml").write_text(VALID.replace(old, new), encoding="utf-8")
        project.run_command(f"show: {name}", "show", f"damaged/{name}.yaml")
    project.run_command("show --textconv, of a damaged file", "show", "--textconv", "damaged/a tab.yaml")
    project.run_command("check", "check", "damaged")
    project.run_command("check --json", "check", "--json", "damaged")
    project.run_command("show, of another recorder's cassette", "show", "--request", "foreign")
    cassettes = ("cassettes/run_places/test_asks.yaml", "cassettes/run_places/test_calls.yaml")
    for option in ([], ["--json"], ["--markdown"]):
        project.run_command(f"diff {' '.join(option)}".strip(), "diff", *cassettes, *option)
    project.run_command("diff, of a damaged file", "diff", "damaged/a status.yaml", "foreign/valid.yaml")
    project.run_command("convert", "convert", "damaged", "foreign")
    project.read("a converted cassette", "foreign/valid.yaml")


def test_no_secret_is_written_or_printed(texts):
    assert [leak for name, text in texts.items() for leak in find_leaks(SECRETS, name, text)] == []


def test_no_file_contains_a_secret_while_tests_run(texts):
    assert "PASSED run_places.py::test_files_during_the_run" in texts["output of pytest: recording, with --setup-show"]


def test_every_place_would_contain_a_secret(texts):
    redacted = {name for name, text in texts.items() if REDACTED in text.replace("\\", "")}
    assert texts.keys() - redacted == QUOTES_NOTHING


def test_there_are_as_many_places_as_the_documentation_says(texts):
    page = (Path(__file__).parents[2] / "docs/security.md").read_text(encoding="utf-8")
    assert f"{len(texts)} places" in " ".join(
        page.partition("test_secrets_of_a_run.py")[2].partition("\n\n")[0].split()
    )


def test_an_item_is_printed_without_secrets_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("THEIR_SECRET", VALUE)
    change = FieldDifference(f"tool.{VALUE}", SHAPE, f"{VALUE} {SHAPE}")
    print_side_by_side(ReviewItem("s-1", "changed snapshot", (SHAPE,), "", "", (), (change,)))
    printed = capsys.readouterr().out
    assert REDACTED in printed
    assert list(find_leaks(SECRETS, "item", printed)) == []
