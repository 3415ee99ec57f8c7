"""Multitrack records, replays and reports misses beside each neighbour: a plugin or library that users also have.

The folder ``projects/scenario`` holds the tests of a user. Each other folder in ``projects`` has the name of a
neighbour on the package index, and tests that use it. Both are recorded from a local provider, and replayed without it.
``nox --session neighbours`` installs the current release of each neighbour, and names it in the ``NEIGHBOUR`` variable.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_provider import LocalProvider, ProviderAnswer, completion

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "projects"
NAME = os.environ["NEIGHBOUR"]


@dataclass(frozen=True)
class Flags:
    """The flags of the runs with a neighbour.

    Args:
        record: The flags of the recording run.
        replays: The flags of each replay.
        misses: The flags of the run with misses.
    """

    record: tuple[str, ...] = ("--record",)
    replays: tuple[tuple[str, ...], ...] = ((),)
    misses: tuple[str, ...] = ()


FLAGS = {
    "cassetter": Flags(record=("--record", "--record-mode=once")),
    "pytest-recording": Flags(record=("--record", "--record-mode=once")),
    "pytest-vcr": Flags(record=("--record", "--vcr-record=once"), replays=(("--vcr-record=none",),)),
    "syrupy": Flags(record=("--record", "--snapshot-update")),
    "pytest-socket": Flags(replays=(("--disable-socket",), ("--allow-hosts=127.0.0.1",))),
    "pytest-xdist": Flags(replays=(("-n", "2"), ("-n", "2", "--dist", "loadfile")), misses=("-n", "2")),
    "pytest-asyncio": Flags(
        replays=tuple(
            ("-o", f"asyncio_mode={mode}", "-o", f"asyncio_default_test_loop_scope={scope}")
            for mode in ("auto", "strict")
            for scope in ("function", "session")
        )
    ),
    "pytest-randomly": Flags(
        record=("--record", "-p", "no:randomly"), replays=(("-p", "randomly", "-p", "no:cacheprovider"),) * 2
    ),
    "pytest-repeat": Flags(replays=(("--count=2",), ("--count=2", "--repeat-scope=session"))),
    "pytest-rerunfailures": Flags(replays=(("--reruns=1",),), misses=("--reruns=1",)),
    "pytest-timeout": Flags(replays=(("--timeout=60",), ("--timeout=60", "--timeout-method=thread"))),
    "typeguard": Flags(replays=(("--typeguard-packages=app",),), misses=("--typeguard-packages=app",)),
}


def call_weather(request):
    call = {"name": "weather", "arguments": '{"place": "Toronto"}'}
    return ProviderAnswer(completion(None, tool_calls=[{"id": "call_1", "type": "function", "function": call}]))


def run(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def count_questions(provider):
    return sum(request.method == "POST" for request in provider.requests)


def read_files(folder):
    kept = (".yaml", ".calls", ".ambr")
    return {path: path.read_bytes() for path in folder.rglob("*") if path.suffix in kept}


@pytest.fixture(scope="module")
def provider(starts_server):
    provider = LocalProvider()
    provider.reply = call_weather
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def flags():
    return FLAGS.get(NAME, Flags())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, flags, provider):
    """The folder of a recorded project that uses the neighbour."""
    folder = tmp_path_factory.mktemp(NAME)
    for source in (FOLDER / "scenario", FOLDER / NAME):
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    recording = run(folder, *flags.record, PROVIDER_URL=provider.url)
    assert recording.returncode == 0, recording.stdout + recording.stderr
    return folder


def test_replay(folder, flags, provider):
    before, sent = read_files(folder), count_questions(provider)
    for replay_flags in flags.replays:
        # the same address: pytest-recording compares it
        replay = run(folder, *replay_flags, PROVIDER_URL=provider.url)
        assert replay.returncode == 0, replay.stdout + replay.stderr
        assert "not played" not in replay.stdout, replay.stdout
        assert read_files(folder) == before
    assert count_questions(provider) == sent


def test_miss(folder, flags, provider):
    sent = count_questions(provider)
    missed = run(folder, *flags.misses, "test_scenario.py", PLACE="Nowhere", PROVIDER_URL=provider.url)
    assert missed.returncode == 1, missed.stdout + missed.stderr
    assert re.search(r"\b5 failed, 1 passed", missed.stdout), missed.stdout
    assert "Weather in Nowhere" in missed.stdout
    assert count_questions(provider) == sent
