"""A value that still looks like a secret after all functions of a project is never written."""

from __future__ import annotations

import json

import pytest
from recorded_tape import JSON, request

from multitrack.tape.file import storage
from multitrack.tape.redaction.word_boundaries import REDACTED
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

KEY = "sk_" + "live_" + "a1B2c3D4" * 4


class _Filters:
    """Functions of a project that put a secret into a response after redaction."""

    def filter_request(self, request):
        return request

    def filter_response(self, response):
        from dataclasses import replace

        return replace(response, body=response.body.replace(b"{}", json.dumps({"a": [{"b": f"of {KEY}"}]}).encode()))


@pytest.fixture
def save(recorded):
    def save(**options):
        tape = Tape(recorded.path, mode="record", test="t.py::test", filters=_Filters(), **options)
        recording = tape.route(request("[]"))
        recording.record_head(200, "OK", JSON)
        recording.record_chunk(b"{}")
        recording.record_end()
        return tape.save()

    return save


def test_the_recording_stays_pending(save, recorded):
    saved = save()
    assert saved.state == "pending"
    assert not recorded.path.exists()


def test_the_pending_recording_does_not_contain_the_secret(save):
    path = save().path
    assert KEY not in path.read_text()
    assert storage.read(path).interactions[0].response.body == json.dumps({"a": [{"b": f"of {REDACTED}"}]}).encode()


def test_the_message_has_the_json_path_and_not_the_secret(save):
    reason = save().reason
    assert "interaction 1, response body $.a[0].b" in reason
    assert "add it to allow_secrets and record again" in reason
    assert KEY not in reason


def test_the_advice_works(save):
    saved = save(settings=Settings(allow_secrets=(KEY,)))
    assert saved.state == "written", saved.reason
