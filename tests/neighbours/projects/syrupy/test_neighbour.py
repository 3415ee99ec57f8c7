"""A snapshot of syrupy next to a snapshot of tool calls."""

import json

import pytest
from app import ask

from multitrack import decode


@pytest.mark.cassette
def test_both_snapshots(snapshot, calls_snapshot):
    answer = ask()
    assert json.loads(answer)["choices"] == snapshot
    assert decode(answer) == calls_snapshot


def test_snapshot_without_a_cassette(snapshot):
    assert snapshot == {"place": "Toronto"}
