"""A miss shows differences that are easy to overlook: characters that look the same, and the format of the body."""

import httpx
import pytest

from multitrack import use_cassette

pytestmark = pytest.mark.slow


def find_miss(path, url, recorded, sent):
    """Return the lines of the miss for the request ``sent``, without those for the cassette and the command."""
    with use_cassette(path, mode="record"):
        httpx.request(**{"method": "POST", "url": url, **recorded})
    with use_cassette(path) as tape, tape.expect_misses() as misses, pytest.raises(BaseException, match="recording"):
        httpx.request(**{"method": "POST", "url": url, **sent})
    (miss,) = misses
    ours = ("  cassette: ", "  sent from: ", "  to record it: ")
    return [line for line in str(miss).splitlines()[1:] if not line.startswith(ours)]


LOOKALIKES = {
    "Cyrillic": ("Pay", "P\u0430y", '"Pay"', r'"P\u0430y"'),
    "both": ("P\u0430y it", "Pay it", r'"P\u0430y it"', '"Pay it"'),
    "composed": ("caf\u00e9", "cafe\u0301", r'"caf\u00e9"', r'"cafe\u0301"'),
    "space": ("a b", "a\u00a0b", '"a b"', r'"a\u00a0b"'),
    "no width": ("ab", "a\u200bb", '"ab"', r'"a\u200bb"'),
    "variation": ("ok \u2714", "ok \u2714\ufe0f", '"ok \u2714"', '"ok \u2714\\ufe0f"'),
    "quote": ("it's", "it\u2019s", '"it\'s"', r'"it\u2019s"'),
    "dash": ("1-2", "1\u20132", '"1-2"', r'"1\u20132"'),
    "full width": ("A1", "\uff211", '"A1"', r'"\uff211"'),
    "other letters": ("Zürich \u6771", "Zürich \u4eac", '"Zürich \u6771"', '"Zürich \u4eac"'),
    "seen": ("caf\u00e9 a", "caf\u00e9 b", '"caf\u00e9 a"', '"caf\u00e9 b"'),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_characters_that_look_the_same_are_escaped(tmp_path, provider, name):
    recorded, sent, shown_recorded, shown_sent = LOOKALIKES[name]
    lines = find_miss(tmp_path / "c.yaml", provider.url, {"json": {"a": recorded}}, {"json": {"a": sent}})
    assert lines[2:] == [f"      recorded: {shown_recorded}", f"      sent: {shown_sent}"]


def test_characters_that_look_the_same_are_escaped_in_an_excerpt(tmp_path, provider):
    then, now = ({"json": {"a": f"{'some words ' * 20}{text} it now, and more"}} for text in ("Pay", "P\u0430y"))
    lines = find_miss(tmp_path / "c.yaml", provider.url, then, now)
    (recorded,) = [line for line in lines if line.lstrip().startswith("recorded:")]
    (sent,) = [line for line in lines if line.lstrip().startswith("sent:")]
    assert " Pay it" in recorded
    assert r" P\u0430y it" in sent


@pytest.mark.parametrize(
    ("recorded", "sent", "names"),
    [
        ({"json": {"a": "1"}}, {"data": {"a": "1"}}, ("JSON", "a form")),
        ({"data": {"a": "1"}}, {"json": {"a": "1"}}, ("a form", "JSON")),
        ({"content": b'{"a": 1}\n{"a": 2}'}, {"json": [{"a": 1}, {"a": 2}]}, ("JSON lines", "JSON")),
    ],
)
def test_the_format_of_the_body_is_shown_if_only_that_differs(tmp_path, provider, recorded, sent, names):
    assert find_miss(tmp_path / "c.yaml", provider.url, recorded, sent) == [
        "  reason: changed: the nearest recording, interaction 1 of 1, differs in 1 place",
        "    body",
        f"      recorded: {names[0]}",
        f"      sent: {names[1]}",
    ]


@pytest.mark.parametrize("sent", [{"method": "PUT"}, {"path": "/v2/other"}])
def test_the_recorded_addresses_are_listed_if_no_recording_is_similar(tmp_path, provider, sent):
    url = f"{provider.url}/v1/chat"
    now = {**sent, "json": {}, "url": provider.url + sent.pop("path", "/v1/chat")}
    now.pop("path", None)
    assert find_miss(tmp_path / "c.yaml", url, {"json": {}}, now) == [
        "  reason: no similar request among the 1 recorded interaction",
        f"    recorded: POST {url}",
    ]
