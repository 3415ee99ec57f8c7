"""Runs of pytest without a key: which tests replay, which are skipped, and which errors the SDKs raise."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap

import pytest
from nested_runs import FEWER_PLUGINS
from warm_python import find_warm_python

from multitrack.standin import Rule, StandIn

pytest.importorskip("openai")
pytest.importorskip("google.genai")

APPLICATION = """
    import openai
    from google import genai

    openai_client = openai.OpenAI()
    azure_client = openai.AzureOpenAI()
    gemini_client = genai.Client()


    def ask_openai(client=openai_client):
        messages = [{"role": "user", "content": "Tell a tale"}]
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        return answer.choices[0].message.content


    def ask_azure():
        return ask_openai(azure_client)


    def ask_genai():
        return gemini_client.models.generate_content(model="gemini-2.5-flash", contents="Tell a tale").text
"""

TESTS = """
    import os

    import app
    import openai
    import pytest
    from google import genai
    from google.auth.exceptions import DefaultCredentialsError

    import google.auth

    WITHOUT_KEY = not os.environ.get("OPENAI_API_KEY")
    ASK = {"openai": app.ask_openai, "azure": app.ask_azure, "genai": app.ask_genai}


    @pytest.mark.cassette
    @pytest.mark.parametrize("sdk", ASK)
    def test_replay(sdk):
        assert ASK[sdk]() == "Once upon a time."


    @pytest.mark.skipif(WITHOUT_KEY, reason="needs a key")
    def test_live():
        app.ask_openai()


    @pytest.mark.cassette
    @pytest.mark.skipif("not os.environ.get('OPENAI_API_KEY')", reason="needs a key")
    def test_skipped_replay():
        app.ask_openai()


    @pytest.mark.parametrize("name", ["OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"])
    def test_missing_key(name):
        with pytest.raises(openai.OpenAIError):
            getattr(openai, name)()


    def test_missing_key_of_gemini():
        with pytest.raises(ValueError):
            genai.Client()


    def test_missing_credentials():
        with pytest.raises(DefaultCredentialsError):
            google.auth.default()


    @pytest.mark.parametrize("sdk", ASK)
    def test_used_without_a_cassette(sdk):
        with pytest.raises(ValueError if sdk == "genai" else openai.OpenAIError):
            ASK[sdk]()
"""
WITHOUT_CASSETTES = "\n".join(line for line in TESTS.splitlines() if "mark.cassette" not in line)


@pytest.fixture(scope="module")
def project(starts_server, tmp_path_factory):
    """An application that creates its clients on import, its tests, and their cassettes."""
    folder = tmp_path_factory.mktemp("project")
    for name, source in {"app": APPLICATION, "test_app": TESTS, "test_plain": WITHOUT_CASSETTES}.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source), "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    with StandIn([Rule(prompt="Tell a tale", text="Once upon a time.")]) as standin:
        place = {"AZURE_OPENAI_ENDPOINT": "https://a.openai.azure.com", "OPENAI_API_VERSION": "2024-10-21"}
        keys = {"GEMINI_API_KEY": "any", "AZURE_OPENAI_API_KEY": "any", **place, **standin.environment}
        recorded = run(folder, "--record", "-k", "test_replay", "test_app.py", **keys)
    assert recorded.returncode == 0, recorded.stdout
    return folder


def run(folder, *arguments, before=(), **environment):
    return subprocess.run(
        [*before, *find_warm_python(), "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "nowhere"),
            "NO_COLOR": "1",
            **FEWER_PLUGINS,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def read_cassettes(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.yaml")}


def test_cassettes_replay_and_all_other_tests_behave_as_without_multitrack(project):
    unshare = shutil.which("unshare")
    isolated = [unshare, "--map-root-user", "--net", "--"] if unshare else []
    if isolated and subprocess.run([*isolated, "true"], capture_output=True).returncode:
        isolated = []
    # some of these tests use Google's own search, which waits for a metadata server that does not exist
    # -v undoes -q, with which a run that only replays prints no summary
    deselected = ("--deselect", "test_plain.py::test_replay")
    result = run(project, "-v", "-rs", *deselected, before=isolated, NO_GCE_CHECK="true")
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert "multitrack: 4 tests used a cassette, 3 requests replayed" in result.stdout
    assert sum(line.endswith("needs a key") for line in lines) == 4
    assert lines[-1].strip("= ").startswith("21 passed, 4 skipped, 3 deselected in ")


def test_recording_names_the_missing_credential(project):
    before = read_cassettes(project)
    result = run(project, "--record", "test_app.py", NO_GCE_CHECK="true")
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert [line.partition(" - ")[0] for line in failed] == [
        f"FAILED test_app.py::test_replay[{sdk}]" for sdk in ("openai", "azure", "genai")
    ]
    for line, error in zip(failed, ("openai.OpenAIError", "openai.OpenAIError", "ValueError"), strict=True):
        assert error in line
    assert "9 passed, 2 skipped" in result.stdout.splitlines()[-1]
    assert read_cassettes(project) == before
