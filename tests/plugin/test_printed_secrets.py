"""No secret appears in anything that pytest prints or that a report contains, in whatever form pytest writes it."""

import json
import os
import random
import re
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pytest
from leaked_secrets import find_leaks

from multitrack.tape.redaction.word_boundaries import REDACTED

pytestmark = pytest.mark.slow

PLACES = Path(__file__).parent / "printed_secrets" / "places.py"


def make_secrets():
    """Return secrets of every kind. They are made up here, so that no file of the repository looks like a leak."""
    generator = random.Random(7)

    def letters(count, alphabet=string.ascii_letters + string.digits):
        return "".join(generator.choices(alphabet, k=count))

    def key_file(name):
        lines = "\n".join(letters(64, f"{string.ascii_letters}{string.digits}+/") for _ in range(5))
        return f"-----BEGIN {name}PRIVATE KEY-----\n{lines}\n{letters(20)}==\n-----END {name}PRIVATE KEY-----\n"

    return {
        "variable": letters(28),
        "quotes": f"{letters(6)}'{letters(6)}\"{letters(6)}\\{letters(7)}%{letters(4)}!",
        "key file in a variable": key_file(""),
        "shape": f"sk-proj-{letters(48)}",
        "key file by shape": key_file("RSA "),
        "long": letters(300),
    }, {"sent": letters(24), "temporary variable": letters(24)}


EVERYWHERE, ONCE = make_secrets()
SECRETS = {**EVERYWHERE, **ONCE}
VARIABLES = {
    "THEIR_SECRET": SECRETS["variable"],
    "QUOTED_PASSWORD": SECRETS["quotes"],
    "SIGNING_KEY": SECRETS["key file in a variable"],
    "LONG_TOKEN": SECRETS["long"],
}
REPORTS = ("report.md", "report.json", "report.html")


@pytest.fixture(
    scope="module",
    # one worker: a process knows only the credentials that its own tests have sent
    params=[("--showlocals", "-rA"), ("--tb=native", "-ra", "-n", "1")],
    ids=["long", "native"],
)
def folder(request, tmp_path_factory, starts_server):
    """The folder of a run, with its output in the file ``output.txt``."""
    folder = tmp_path_factory.mktemp("printed")
    shutil.copy(PLACES, folder / "test_places.py")
    (folder / "secrets.txt").write_text(json.dumps(SECRETS), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\njunit_logging = all\n", encoding="utf-8")
    reports = (f"--calls-report={name}" for name in REPORTS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junit-xml=junit.xml", *reports, *request.param],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "SECRETS_FILE": str(folder / "secrets.txt"), **VARIABLES},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (folder / "secrets.txt").unlink()
    (folder / "output.txt").write_text(run.stdout + run.stderr, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["output.txt", "junit.xml", *REPORTS])
def test_no_secret_is_printed(folder, name):
    text = (folder / name).read_text(encoding="utf-8")
    assert REDACTED in text.replace("\\", "")
    assert list(find_leaks(SECRETS, name, text)) == []


def test_no_secret_is_in_the_name_of_a_file(folder):
    names = "\n".join(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert list(find_leaks(SECRETS, "names", names)) == []


def test_all_tests_ran(folder):
    summary = (folder / "output.txt").read_text(encoding="utf-8")
    assert re.search(r"\d+ failed, \d+ passed, \d+ skipped, \d+ xfailed, \d+ warnings, \d+ errors", summary)


def test_equal_looking_values_are_explained(folder):
    lines = (folder / "output.txt").read_text(encoding="utf-8")
    assert "the two values differ, but look equal, because the secrets in them were redacted" in lines
