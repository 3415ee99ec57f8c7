"""The fixture ``project``: a folder with tests that an inner run of pytest executes against the local provider."""

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
import openai.resources.chat.completions
import pytest
from nested_runs import FEWER_PLUGINS

import multitrack.diagnosis.failed_assertion
import multitrack.tape.file.foreign
import multitrack.tape.use_cassette

# pytester removes the modules that an inner run imports first, so that the next run would import them again, and an
# Extraction from an earlier run would belong to a different class
IMPORTED = (
    httpcore,
    httpcore2,
    httpx,
    openai.resources.chat.completions,
    multitrack.diagnosis.failed_assertion,
    multitrack.tape.file.foreign,
    multitrack.tape.use_cassette,
)

KEY = "sk-proj-inner0123456789abcdefghij"

APPLICATION = """
import openai

# a kept-alive connection would outlive the inner run, which shares its process with many others
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

HTTPX_APPLICATION = """
import httpx

client = httpx.Client(base_url="{url}/v1", headers=dict(connection="close"), timeout=60)


def ask(prompt, **options):
    messages = [dict(role="user", content=prompt)]
    answer = client.post("/chat/completions", json=dict(model="gpt-4o-mini", messages=messages, **options))
    return answer.raise_for_status().json()["choices"][0]["message"]["content"]
"""


class InnerRun:
    """The result of an inner run: its outcomes, exit code, output and the files that it changed."""

    def __init__(self, result, before, after):
        self.outcomes = result.parseoutcomes() if " in " in result.stdout.str() else {}
        self.code = int(result.ret)
        self.out = result.stdout.str()
        self.err = result.stderr.str()
        self.lines = [line.rstrip() for line in result.outlines]
        self.changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

    @property
    def counts(self):
        """The number of tests by outcome, without warnings and deselected tests."""
        return {name: count for name, count in self.outcomes.items() if name not in ("warnings", "deselected")}

    def has_lines(self, *lines):
        """Return whether the output contains ``lines``, one directly after another."""
        lines = [line.rstrip() for text in lines for line in textwrap.dedent(text).strip("\n").split("\n")]
        return any(self.lines[start : start + len(lines)] == lines for start in range(len(self.lines)))


class Project:
    def __init__(self, pytester, provider, monkeypatch):
        self.pytester = pytester
        self.path: Path = pytester.path
        self.provider = provider
        self._monkeypatch = monkeypatch
        self._imported = "ask, ask_async, client, async_client"
        self.write("app.py", APPLICATION.format(url=provider.url))

    def use_httpx(self):
        """Let the application use httpx instead of openai, whose import takes each new process a second of CPU time.

        For runs with ``-n`` or in a separate process. Tests can then use only ``ask``.
        """
        self._imported = "ask"
        self.write("app.py", HTTPX_APPLICATION.format(url=self.provider.url))

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def write_test(self, text, name="test_it.py"):
        """Write a test file that starts with the imports that all test files share."""
        return self.write(name, f"import pytest\nfrom app import {self._imported}\n" + textwrap.dedent(text))

    def cassette(self, name):
        return self.path / "cassettes" / f"{name}.yaml"

    def read_files(self):
        # files without a suffix are those of pytester
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file() and not {"__pycache__", ".pytest_cache"} & set(path.parts) and path.suffix
        }

    def run(self, *args, subprocess=False):
        before = self.read_files()
        run = self.pytester.runpytest_subprocess if subprocess else self.pytester.runpytest_inprocess
        result = run("-p", "no:cacheprovider", *args)
        # the application never closes its async client, as most applications do not; collect it here, so that its
        # warning does not appear in an arbitrary later test
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        # the next collection examines only what the next run creates
        gc.freeze()
        return InnerRun(result, before, self.read_files())

    def record(self, *args, **options):
        """Run with an API key, and with ``--record`` unless there are other arguments."""
        with self._monkeypatch.context() as patch:
            patch.setenv("OPENAI_API_KEY", KEY)
            return self.run(*(args or ("--record",)), **options)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in os.environ:
        if name.startswith(("OPENAI_", "GOOGLE_", "COLUMNS")) or name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name)
    # pytest cuts the lines of its summary at the width of the terminal
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def project(pytester, provider, monkeypatch):
    # after `pytester`, which deletes it
    for name, value in FEWER_PLUGINS.items():
        monkeypatch.setenv(name, value)
    return Project(pytester, provider, monkeypatch)
