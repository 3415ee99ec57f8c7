"""The diagnoses of failed tests. Each diagnosis has a stable id for programs, and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

DiagnosisId = Literal[
    "miss-changed",
    "miss-already-replayed",
    "miss-no-similar",
    "miss-no-cassette",
    "miss-other-file",
    "miss-rejected",
    "miss-diverged",
    "miss-unexplained",
    "live-call",
    "routing-error",
    "request-failed",
    "request-changed",
    "requests-added",
    "requests-removed",
    "reply-changed",
    "reply-drifted",
    "models-changed",
    "models-or-test-changed",
    "reply-or-test-changed",
    "test-changed",
    "cause-unknown",
    "no-snapshot",
]

TITLES: Mapping[DiagnosisId, str] = {
    "miss-changed": "The request changed",
    "miss-already-replayed": "The request was sent more often than it was recorded",
    "miss-no-similar": "No recording is similar to the request",
    "miss-no-cassette": "The test was never recorded",
    "miss-other-file": "The recording is in another file",
    "miss-rejected": "The recording was rejected",
    "miss-diverged": "The conversation stopped matching",
    "miss-unexplained": "No recording matches",
    "live-call": "A request would have gone live",
    "routing-error": "A request could not be handled",
    "request-failed": "A live request failed",
    "request-changed": "The request changed and was recorded again",
    "requests-added": "More requests than before",
    "requests-removed": "Fewer requests than before",
    "reply-changed": "The reply changed when it was recorded again",
    "reply-drifted": "The provider replies differently",
    "models-changed": "The models or validators changed",
    "models-or-test-changed": "The models or the test changed",
    "reply-or-test-changed": "The reply or the test changed",
    "test-changed": "The test changed",
    "cause-unknown": "The cause is unknown",
    "no-snapshot": "There is no snapshot yet",
}
"""A short title of each diagnosis, in the order in which reports show them."""

assert tuple(TITLES) == get_args(DiagnosisId)


class Diagnosis(NamedTuple):
    """The reason why a test failed: an ``id`` that programs can rely on, and a sentence for people."""

    id: DiagnosisId
    text: str
