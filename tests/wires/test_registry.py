"""The registry of wire formats: what is known by name, what is loaded for it, and in which order formats are asked."""

import importlib
import subprocess
import sys

import pytest

from multitrack.wires import WIRES, decode, registry
from multitrack.wires.openai.chat_format import ChatFormat


def test_a_format_is_found_by_its_name_and_by_that_of_its_streams():
    assert registry.get_format("openai.chat") is registry.get_format("openai.chat.stream")
    assert registry.get_format("openai.chat").stream_name == "openai.chat.stream"


def test_every_format_has_both_names():
    assert set(WIRES) == {
        name for wire_format in registry.all_formats() for name in (wire_format.name, wire_format.stream_name)
    }


def test_the_last_formats_asked_are_those_that_share_their_documents_with_others():
    names = [wire_format.name for wire_format in registry.all_formats()]
    assert names[-2:] == ["openai.chat", "openai.responses"]


def test_a_name_belongs_to_one_format():
    class OtherFormat(ChatFormat):
        __slots__ = ()

    with pytest.raises(ValueError, match=r"^the wire format 'openai\.chat' is already registered by multitrack\.wires"):
        registry.register(OtherFormat())


def test_a_format_has_no_state():
    with pytest.raises(AttributeError):
        registry.get_format("gemini").precedence = 1


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


PROVIDERS = sorted({wire.partition(".")[0] for wire in WIRES})


@pytest.mark.slow
@pytest.mark.parametrize("wire", [wire for wire in WIRES if not wire.endswith(".stream")])
def test_a_client_loads_only_the_formats_of_its_own_provider(wire):
    code = f"import sys; from multitrack.wires import registry; registry.get_format({wire!r}); print(*sys.modules)"
    loaded = {name.split(".")[2] for name in run_python(code) if name.startswith("multitrack.wires.")}
    assert loaded.intersection(PROVIDERS) == {wire.partition(".")[0]}


@pytest.mark.slow
def test_formats_are_loaded_without_an_sdk_and_without_pydantic():
    # the start of Python may already have created the namespace package `google`
    code = (
        "import sys; before = {*sys.modules}; from multitrack.wires import registry; registry.all_formats(); "
        "print(*{*sys.modules} - before)"
    )
    packages = {name.partition(".")[0] for name in run_python(code)}
    assert not packages & {"pydantic", "openai", "anthropic", "google", "vertexai", "httpx", "boto3", "botocore"}


def test_a_format_whose_module_is_imported_again_is_replaced(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("multitrack.wires.gemini")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.import_module("multitrack.wires.gemini")
    assert decode({"candidates": [{"content": {"parts": [{"functionCall": {"name": "Weather"}}]}}]})
