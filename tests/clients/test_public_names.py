"""The names that `multitrack` gives, and what asking for them imports."""

import subprocess
import sys

import pytest

import multitrack
from multitrack import Mode


def test_every_public_name_is_there():
    for name in multitrack.__all__:
        assert getattr(multitrack, name) is not None
        assert name in dir(multitrack)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match=r"^module 'multitrack' has no attribute 'Instructor'$"):
        multitrack.Instructor  # noqa: B018


def test_a_mode_of_instructors_that_is_not_here():
    with pytest.raises(AttributeError) as raised:
        Mode.TOOLS  # noqa: B018
    assert str(raised.value) == (
        "Mode.TOOLS does not exist, because Multitrack only supports parallel tool calls; use one of "
        "Mode.PARALLEL_TOOLS, Mode.RESPONSES_PARALLEL_TOOLS, Mode.VERTEXAI_PARALLEL_TOOLS, Mode.GENAI_PARALLEL_TOOLS"
    )


def run(code):
    # Google's libraries say which versions they will drop
    command = [sys.executable, "-W", "ignore::FutureWarning", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_clients_are_imported_without_their_sdks():
    done = run(
        "import sys\n"
        "sys.modules['openai'] = sys.modules['vertexai'] = None\n"
        "from multitrack import Mode, Toolset, decode, from_openai, from_vertexai, patch\n"
        "heavy = {'pytest', 'vcr', 'yaml', 'grpc', 'httpx', 'httpx2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "for give in (patch, from_openai, from_vertexai):\n"
        "    try: give(None)\n"
        "    except ImportError as error: print(error)\n"
    )
    assert done.stderr == ""
    names = [
        (line.partition(" requires the ")[0], line.partition(": pip install ")[2]) for line in done.stdout.splitlines()
    ]
    assert names == [
        ("patch", "'multitrack[openai]'"),
        ("from_openai", "'multitrack[openai]'"),
        ("from_vertexai", "'multitrack[vertexai]'"),
    ]
