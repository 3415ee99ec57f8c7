"""Pages of the documentation, and projects that run their examples.

On a page, a block with a title is a file of the example project. Blocks of Python, TOML and INI, and workflows, are
written to the project; other blocks are compared with the file that a command before them has written. In a block of
the language ``console``, lines that begin with ``$`` are commands, followed by their output. ``...`` on a line of its
own matches any lines. Blocks of the language ``shell`` are not run.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nested_runs import FEWER_PLUGINS
from warm_python import find_programs

ROOT = Path(__file__).parents[1]

_BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WRITTEN = frozenset({"python", "toml", "ini"})
_LIVE = re.compile(r"--record\b|--record-missing|--live|--calls-drift|^python ")
_FAILED = re.compile(r"^=+ FAILURES =+$|not match the current models|: (damaged|old|orphan|secret): ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block. ``title`` is the path of a file, empty if the block is not a file."""

    language: str
    title: str
    text: str

    @property
    def is_written(self):
        """True if the block is a file that the reader writes, and not one that a command writes."""
        return bool(self.title) and (self.language in _WRITTEN or self.title.startswith(".github"))

    @property
    def commands(self):
        """The pairs of a command and its output."""
        if self.language != "console":
            return []
        sessions = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(command, output) for command, _, output in (session.partition("\n") for session in sessions)]


def read_blocks(path, heading=None):
    """Return the blocks of the page at ``path``, seen from the root of the repository.

    With ``heading``, a heading of level 2, return only the blocks of that section and of the introduction of the page.
    """
    text = (ROOT / path).read_text(encoding="utf-8")
    if heading is not None:
        introduction, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
        [section] = [section for section in sections if section.startswith(f"{heading}\n")]
        text = introduction + section
    return [Block(*match) for match in _BLOCK.findall(text)]


def matches(shown, output):
    """Return whether ``output`` is what a page shows.

    Durations may differ, and so may fingerprints, because the versions of the SDKs change requests.
    """
    lines = [r"(?:.*\n)*?" if line == "...\n" else re.escape(line) for line in _normalize(shown).splitlines(True)]
    return re.fullmatch("".join(lines), _normalize(output)) is not None


def _normalize(text):
    text = re.sub(r"in \d+\.\d+s", "in 0.00s", text)
    return re.sub(r"(request|reply|models) [0-9a-f]{8}\b", r"\1 00000000", text)


class ExampleProject:
    """A folder with the files of a page.

    Commands that send requests run with the variables in ``live``; all others have no key and no provider. Unless
    ``may_log`` is true, a command must not write to standard error.
    """

    def __init__(self, folder, live=(), *, may_log=False):
        self.may_log = may_log
        self.folder = folder / "project"
        self._live = dict(live)
        self.folder.mkdir(parents=True)

    def follow(self, blocks):
        """Do what the blocks of a page say, and compare the results with the page."""
        for block in blocks:
            if block.is_written:
                self.write(block)
            elif block.title:
                written = (self.folder / block.title).read_text(encoding="utf-8")
                assert matches(block.text, written), f"{block.title}:\n{written}"
            for command, shown in block.commands:
                self.check(command, shown)

    def write(self, block):
        file = self.folder / block.title
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, encoding="utf-8")

    def check(self, command, shown, before=()):
        finished = self.run(command, before)
        assert matches(shown, finished.stdout), f"$ {command}\n{finished.stdout}{finished.stderr}"
        assert self.may_log or finished.stderr == "", command
        assert finished.returncode == bool(_FAILED.search(shown)), command

    def run(self, command, before=(), **environment):
        bare = {
            "PATH": f"{find_programs()}:{os.environ['PATH']}",
            # without it, google-auth looks for gcloud's credentials in the user's real home directory
            "HOME": str(self.folder.parent / "no-home"),
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **FEWER_PLUGINS,
            # otherwise, from a certain date on, the output ends with warnings of Google's libraries
            "PYTHONWARNINGS": "ignore::FutureWarning",
        }
        return subprocess.run(
            [*before, "sh", "-c", command],
            cwd=self.folder,
            env=bare | (self._live if _LIVE.search(command) else {}) | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
