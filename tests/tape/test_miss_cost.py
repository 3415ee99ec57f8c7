"""The cost of a miss with large cassettes and large requests."""

import json
import random
import time

import pytest
from recorded_tape import request

from multitrack.errors import CassetteMiss
from multitrack.tape.matching.difference import ABSENT, find_differences
from multitrack.tape.miss import nearest_recording
from multitrack.tape.tape import Tape

WORDS = [f"{number:x}" for number in random.Random(3).sample(range(16**8), 500)]


def conversation(number, **changes):
    """Return a conversation of about 100 KB, a different one for each ``number``."""
    pick = random.Random(number)
    messages = [{"role": "user", "content": " ".join(pick.choices(WORDS, k=200))} for _ in range(55)]
    return request(json.dumps({"messages": messages, "model": "m", "temperature": 0, **changes}))


@pytest.mark.slow
def test_in_a_large_cassette_only_the_likely_recordings_are_compared(recorded, monkeypatch):
    recorded.put(*((conversation(number), "answer") for number in range(60)))
    compared = []
    monkeypatch.setattr(
        nearest_recording, "find_differences", lambda *args: compared.append(1) or find_differences(*args)
    )
    tape = Tape(recorded.path)
    for number in (0, 31, 59):
        with pytest.raises(CassetteMiss) as missed:
            tape.route(conversation(number, temperature=1))
        assert f"interaction {number + 1} of 60, differs in 1 place\n    $.temperature" in str(missed.value)
    assert 3 <= len(compared) <= 3 * 10


@pytest.mark.slow
def test_a_recording_larger_than_the_limit_is_still_compared(recorded):
    text = "x" * 1_500_000
    recorded.put((request(json.dumps({"a": 1, "text": text})), "answer"), (request(json.dumps({"a": text})), "answer"))
    with pytest.raises(CassetteMiss, match=r"the nearest recording, interaction 1 of 2, differs in 1 place\n    \$\.a"):
        recorded.play(request(json.dumps({"a": 2, "text": text})))


@pytest.mark.parametrize(
    ("recorded", "sent", "expected"),
    [
        ([0] * 9000, [*[0] * 5000, 1, *[0] * 3999], [(5000, 0, 1)]),
        ([0] * 9000, [*[0] * 5000, 1, *[0] * 4000], [(5000, ABSENT, 1)]),
        ([*range(9000)], [*range(100), *range(101, 9000)], [(100, 100, ABSENT)]),
        # too long to search for moved items
        ([0, 1] * 2000, [1, 1] * 2000, [(position, 0, 1) for position in range(0, 4000, 2)]),
    ],
    ids=["changed", "inserted", "removed", "all"],
)
def test_long_arrays_are_compared_quickly(recorded, sent, expected):
    start = time.perf_counter()
    differences = [
        (difference.path[0], difference.recorded, difference.sent) for difference in find_differences(recorded, sent)
    ]
    assert time.perf_counter() - start < 2  # a plain comparison took half a minute
    assert differences == expected
