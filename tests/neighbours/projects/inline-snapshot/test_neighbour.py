"""An inline snapshot next to a snapshot of tool calls."""

import pytest
from app import ask
from inline_snapshot import snapshot

from multitrack import decode


@pytest.mark.cassette
def test_both_snapshots(calls_snapshot):
    calls = decode(ask())
    assert calls == calls_snapshot
    assert [(call.name, call.arguments) for call in calls] == snapshot([("weather", '{"place": "Toronto"}')])
