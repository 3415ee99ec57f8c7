"""The public names of ``multitrack``, and what their access imports."""

import subprocess
import sys

import pytest

import multitrack
from multitrack import Mode, use_cassette


@pytest.mark.parametrize("name", multitrack.__all__)
def test_every_public_name_exists(name):
    assert getattr(multitrack, name) is not None
    assert name in dir(multitrack)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'multitrack' has no attribute 'from_nowhere'$"):
        multitrack.from_nowhere  # noqa: B018


def test_an_unsupported_mode_of_instructor_is_explained():
    with pytest.raises(AttributeError) as raised:
        Mode.TOOLS  # noqa: B018
    assert str(raised.value) == (
        "Mode.TOOLS does not exist, because Multitrack only supports parallel tool calls; use one of "
        "Mode.PARALLEL_TOOLS, Mode.RESPONSES_PARALLEL_TOOLS, Mode.VERTEXAI_PARALLEL_TOOLS, Mode.GENAI_PARALLEL_TOOLS, "
        "Mode.ANTHROPIC_PARALLEL_TOOLS, Mode.BEDROCK_PARALLEL_TOOLS"
    )


def test_an_open_cassette_is_a_tape(tmp_path):
    with use_cassette(tmp_path / "trip.yaml", mode="live") as tape:
        assert type(tape) is multitrack.Tape


def test_the_fixture_calls_snapshot_is_a_calls_snapshot(calls_snapshot):
    assert type(calls_snapshot) is multitrack.CallsSnapshot


def run_python(code):
    # Google's libraries warn about the Python versions that they will stop supporting
    command = [sys.executable, "-W", "ignore::FutureWarning", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def imported_by(code):
    """The heavy packages that ``code`` imports."""
    heavy = {
        "pytest",
        "syrupy",
        "vcr",
        "yaml",
        "pydantic",
        "grpc",
        "httpx",
        "httpx2",
        "openai",
        "vertexai",
        "anthropic",
        "botocore",
    }
    process = run_python(f"import sys\n{code}\nprint(*sorted({heavy} & set(sys.modules)))")
    assert process.stderr == ""
    return set(process.stdout.split())


@pytest.mark.slow
def test_importing_multitrack_imports_no_heavy_package():
    assert imported_by("import multitrack") == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Tape", "Sent", "Settings"])
def test_the_types_of_a_tape_are_imported_without_pytest(name):
    assert not {"pytest", "syrupy"} & imported_by(f"from multitrack import {name}")


@pytest.mark.slow
def test_clients_are_imported_without_their_sdks_and_without_test_libraries():
    imported = imported_by(
        "sys.modules['openai'] = sys.modules['vertexai'] = sys.modules['anthropic'] = sys.modules['botocore'] = None\n"
        "from multitrack import Mode, Toolset, decode, from_anthropic, from_bedrock, from_openai, from_vertexai, patch"
    )
    # without the packages that the code replaces with None
    assert imported - {"openai", "vertexai", "anthropic", "botocore"} == {"pydantic"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "sdk", "package"),
    [
        ("patch", "openai", "openai"),
        ("from_openai", "openai", "openai"),
        ("from_vertexai", "vertexai", "google-cloud-aiplatform"),
        ("from_anthropic", "anthropic", "anthropic"),
        ("from_bedrock", "bedrock", "boto3"),
    ],
)
def test_a_client_without_its_sdk_says_what_to_install(function, sdk, package):
    process = run_python(
        "import sys\n"
        "sys.modules['openai'] = sys.modules['vertexai'] = sys.modules['anthropic'] = sys.modules['botocore'] = None\n"
        f"from multitrack import {function}\n"
        f"try: {function}(None)\n"
        "except ImportError as error: print(error)\n"
    )
    assert process.stderr == ""
    assert process.stdout.startswith(f"{function} requires the {sdk} SDK (")
    assert f"): pip install '{package}" in process.stdout
