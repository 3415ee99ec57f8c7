"""Inner projects: a pytest run of its own in a folder of its own, against the local provider."""

from __future__ import annotations

import gc
import os
import textwrap
import warnings
from pathlib import Path

import httpcore
import httpcore2
import httpx
import openai
import pytest

import multitrack.tape.file.foreign
import multitrack.tape.use_cassette

# what an inner run is the first to import, pytester forgets after it, and the next one gets it anew
IMPORTED = (httpcore, httpcore2, httpx, openai, multitrack.tape.file.foreign, multitrack.tape.use_cassette)

KEY = "sk-proj-inner0123456789abcdefghij"

APPLICATION = """
import openai

# a connection that is kept would outlive the inner run, which is one of many in a process
options = dict(base_url="{url}/v1", max_retries=2, default_headers=dict(connection="close"))
client = openai.OpenAI(**options)
async_client = openai.AsyncOpenAI(**options)


def ask(prompt, **options):
    messages = [dict(role="user", content=prompt)]
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, **options)
    return answer.choices[0].message.content


async def ask_async(prompt, **options):
    messages = [dict(role="user", content=prompt)]
    answer = await async_client.chat.completions.create(model="gpt-4o-mini", messages=messages, **options)
    return answer.choices[0].message.content
"""


class Run:
    """What an inner run came to: ``outcomes``, exit ``code``, output and the files that it changed."""

    def __init__(self, result, before, after):
        self.outcomes = result.parseoutcomes() if " in " in result.stdout.str() else {}
        self.code = int(result.ret)
        self.out = result.stdout.str()
        self.err = result.stderr.str()
        self.lines = [line.rstrip() for line in result.outlines]
        self.changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

    @property
    def counts(self):
        """The outcomes without what does not matter here."""
        return {name: count for name, count in self.outcomes.items() if name not in ("warnings", "deselected")}

    def holds(self, *lines):
        """Whether ``lines`` stand in the output, one behind the other."""
        lines = [line.rstrip() for text in lines for line in textwrap.dedent(text).strip("\n").split("\n")]
        return any(self.lines[start : start + len(lines)] == lines for start in range(len(self.lines)))


class Project:
    def __init__(self, pytester, provider, monkeypatch):
        self.pytester = pytester
        self.path: Path = pytester.path
        self.provider = provider
        self._monkeypatch = monkeypatch
        self.write("app.py", APPLICATION.format(url=provider.url))

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def test(self, text, name="test_it.py"):
        """Write a test file, with what all of them import."""
        return self.write(
            name, "import pytest\nfrom app import ask, ask_async, client, async_client\n" + textwrap.dedent(text)
        )

    def tape(self, name):
        return self.path / "cassettes" / f"{name}.yaml"

    def files(self):
        # pytester's own files have no ending
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix
        }

    def run(self, *args, subprocess=False):
        # an edit within one second of the last is not seen by the cache of compiled modules
        for cache in self.path.rglob("__pycache__"):
            for compiled in cache.iterdir():
                compiled.unlink()
        before = self.files()
        run = self.pytester.runpytest_subprocess if subprocess else self.pytester.runpytest_inprocess
        result = run("-p", "no:cacheprovider", *args)
        # the application never closes its async client, as most do not: what that warns of, it warns of here and not
        # in whichever test the collector comes by
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        return Run(result, before, self.files())

    def record(self, *args, **options):
        """Run with a key and ``--record``."""
        with self._monkeypatch.context() as patch:
            patch.setenv("OPENAI_API_KEY", KEY)
            return self.run(*(args or ("--record",)), **options)


# these play no part here, and half the time in which a run starts is theirs
OTHERS = "-p no:inline_snapshot -p no:hypothesispytest"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in os.environ:
        if name.startswith(("OPENAI_", "GOOGLE_", "COLUMNS")) or name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name)
    # pytest cuts the lines of its summary at the width of the terminal
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def project(pytester, provider, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", OTHERS)
    return Project(pytester, provider, monkeypatch)
