"""Whole runs without a key: what plays, what is skipped, and what the SDKs say themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from multitrack.standin import Rule, StandIn

pytest.importorskip("openai")
pytest.importorskip("google.genai")

APPLICATION = """
    import openai
    from google import genai

    openai_client = openai.OpenAI()
    azure_client = openai.AzureOpenAI()
    gemini_client = genai.Client()


    def by_openai(client=openai_client):
        asked = [{"role": "user", "content": "Tell a tale"}]
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=asked)
        return answer.choices[0].message.content


    def by_azure():
        return by_openai(azure_client)


    def by_genai():
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
    ASK = {"openai": app.by_openai, "azure": app.by_azure, "genai": app.by_genai}


    @pytest.mark.cassette
    @pytest.mark.parametrize("sdk", ASK)
    def test_on_tape(sdk):
        assert ASK[sdk]() == "Once upon a time."


    @pytest.mark.skipif(WITHOUT_KEY, reason="needs a key")
    def test_live():
        app.by_openai()


    @pytest.mark.cassette
    @pytest.mark.skipif("not os.environ.get('OPENAI_API_KEY')", reason="needs a key")
    def test_skipped_on_tape():
        app.by_openai()


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
    def test_used_without_a_tape(sdk):
        with pytest.raises(ValueError if sdk == "genai" else openai.OpenAIError):
            ASK[sdk]()
"""
WITHOUT_TAPES = "\n".join(line for line in TESTS.splitlines() if "mark.cassette" not in line)


@pytest.fixture(scope="module")
def project(starts_server, tmp_path_factory):
    """An application whose clients are made on import, its tests, and their tapes."""
    folder = tmp_path_factory.mktemp("project")
    for name, source in {"app": APPLICATION, "test_app": TESTS, "test_plain": WITHOUT_TAPES}.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source), "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    with StandIn([Rule(prompt="Tell a tale", text="Once upon a time.")]) as standin:
        place = {"AZURE_OPENAI_ENDPOINT": "https://a.openai.azure.com", "OPENAI_API_VERSION": "2024-10-21"}
        keys = {"GEMINI_API_KEY": "any", "AZURE_OPENAI_API_KEY": "any", **place, **standin.environment}
        recorded = run(folder, "--record", "-k", "test_on_tape", "test_app.py", **keys)
    assert recorded.returncode == 0, recorded.stdout
    return folder


def run(folder, *arguments, before=(), **environment):
    return subprocess.run(
        [*before, sys.executable, "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder / "nowhere"), "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def tapes(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.yaml")}


def test_tapes_play_and_all_else_is_as_without_us(project):
    unshare = shutil.which("unshare")
    alone = [unshare, "--map-root-user", "--net", "--"] if unshare else []
    if alone and subprocess.run([*alone, "true"], capture_output=True).returncode:
        alone = []
    # the look-up of a metadata server, which takes its time where there is none, is Google's own in these tests
    found = run(project, "-rs", "--deselect", "test_plain.py::test_on_tape", before=alone, NO_GCE_CHECK="true")
    assert found.returncode == 0, found.stdout
    lines = found.stdout.splitlines()
    assert "multitrack: 4 tests used a cassette, 3 requests replayed" in lines
    assert sum(line.endswith("needs a key") for line in lines) == 4
    assert lines[-1].startswith("21 passed, 4 skipped, 3 deselected in ")


def test_what_is_to_be_recorded_says_which_credential_is_missing(project):
    before = tapes(project)
    found = run(project, "--record", "test_app.py", NO_GCE_CHECK="true")
    failed = [line for line in found.stdout.splitlines() if line.startswith("FAILED")]
    assert [line.partition(" - ")[0] for line in failed] == [
        f"FAILED test_app.py::test_on_tape[{sdk}]" for sdk in ("openai", "azure", "genai")
    ]
    for line, error in zip(failed, ("openai.OpenAIError", "openai.OpenAIError", "ValueError"), strict=True):
        assert error in line
    assert "9 passed, 2 skipped" in found.stdout.splitlines()[-1]
    assert tapes(project) == before
