"""The diagnosis is the first line of any kind of failure, and considers all tapes of the test."""

import pytest
from test_diagnosis import METRIC, NO_IMPERIAL, SHOUTED, first_line, reply_with, trip, with_validator

from multitrack.tape.file import paths, storage

__all__ = ["trip"]  # a fixture

THE_TEST = "the test changed; same request, reply and models as when the cassette was recorded"

CASE = """
import unittest
import trip

class TestTrip(unittest.TestCase):
    @pytest.mark.cassette
    def test_plan(self):
        self.assertEqual(trip.plan()[1].location, "Dallas")
"""

RAISES = """
import trip

@pytest.mark.cassette
def test_plan():
    with pytest.raises(ValueError, match="Dallas"):
        raise ValueError(trip.plan()[1].location)
"""

GROUP = """
import trip

@pytest.mark.cassette
def test_plan():
    failures = []
    for weather, place in zip(trip.plan(), ["Toronto", "Dallas"]):
        try:
            assert weather.location == place
        except AssertionError as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("wrong", failures)
"""

RERUN = """
import trip

@pytest.mark.flaky(reruns=1)
@pytest.mark.cassette
def test_plan():
    assert trip.plan()[1].location == "Dallas"
"""

PLAINLY = """
import trip

@pytest.mark.cassette
def test_plan():
    if trip.plan()[1].location != "Dallas":
        pytest.fail("no Dallas", pytrace=False)
"""


def run_failing(trip, test, *options):
    """Record a test that passes, then make it fail by changing the place that it expects."""
    trip.write_test(test)
    recorded = trip.record()
    assert "passed" in recorded.counts, recorded.out
    trip.change("test_it.py", "Dallas", "Austin")
    return trip.run("--junit-xml=report.xml", *options)


@pytest.mark.parametrize(
    "test", [CASE, RAISES, GROUP, RERUN, PLAINLY], ids=["TestCase", "raises", "group", "rerun", "fail"]
)
def test_every_kind_of_failure_starts_with_the_diagnosis(trip, test):
    run = run_failing(trip, test, "-q")
    assert first_line(run) == THE_TEST
    assert any(line.startswith("FAILED test_it.py") and line.endswith(f" - {THE_TEST}") for line in run.lines)
    assert f'message="{THE_TEST}' in (trip.path / "report.xml").read_text()


SUBTESTS = """
import trip

@pytest.mark.cassette
def test_plan(subtests):
    for place in ["Toronto", "Dallas"]:
        with subtests.test(place):
            try:
                found = trip.plan(place)
            except BaseException:
                found = []
            assert found
    with subtests.test("not swallowed"):
        trip.plan(f"{place} again")
"""


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="subtests were added in pytest 9")
def test_a_subtest_that_fails_because_of_a_miss_starts_with_the_miss(trip):
    run = run_failing(trip, SUBTESTS)
    miss = (
        f"CassetteMiss: POST {trip.provider.url}/v1/chat/completions "
        "(gpt-4o-mini; tools Weather, GoogleSearch) has no recording"
    )
    assert run.lines.count(miss) == 3
    for test in ("SUBFAILED[Austin]", "SUBFAILED[not swallowed]", "FAILED"):
        assert f"{test} test_it.py::test_plan - {miss}" in run.lines


BLOCK = """
import trip
from multitrack import use_cassette

def test_plan(calls_snapshot):
    with use_cassette("trip.yaml"):
        found = trip.plan()
    assert found == calls_snapshot
"""

NESTED = """
import trip
from multitrack import use_cassette

@pytest.mark.cassette
def test_plan(calls_snapshot):
    trip.plan("first")
    with use_cassette("trip.yaml"):
        found = trip.plan()
    assert found == calls_snapshot
"""

FIXTURE = """
import trip

@pytest.fixture(scope="module")
def plan():
    return trip.plan()

@pytest.mark.cassette
def test_before(plan):
    pass

@pytest.mark.cassette
def test_plan(request, calls_snapshot):
    found = request.getfixturevalue("plan")
    assert found == calls_snapshot
"""


@pytest.mark.parametrize(
    ("test", "pending", "several"),
    [
        (BLOCK, ["trip.yaml"], False),
        (NESTED, ["cassettes/test_it/test_plan.yaml", "trip.yaml"], True),
        (FIXTURE, [], False),  # the fixture passed
    ],
    ids=["a block alone", "a nested block", "a fixture"],
)
def test_the_diagnosis_considers_all_tapes_of_a_test(trip, test, pending, several):
    trip.write_test(test)
    recorded = trip.record("--record", "--snapshot-update")
    assert set(recorded.counts) <= {"passed", "snapshots"}, recorded.out
    assert trip.run().code == 0
    same = "same 2 requests{}" if several else "same request{}"
    replies = "replies" if several else "reply"

    trip.change("test_it.py", "assert found ==", "assert found[1:] ==")
    known = f", {replies} and models" if several else ", reply and models"
    assert first_line(trip.run()) == f"the test changed; {same.format(known)} as when the snapshot was taken"
    trip.change("test_it.py", "assert found[1:] ==", "assert found ==")

    source = (trip.path / "trip.py").read_text()
    with_validator(trip, SHOUTED)
    assert first_line(trip.run()) == (
        f"the models or validators changed: Weather.location; {same.format(f' and {replies}')} "
        "as when the snapshot was taken"
    )
    trip.write("trip.py", source)

    trip.provider.reply = reply_with(*METRIC)
    trip.record()
    found = storage.find_pending(trip.path)
    assert [str(paths.cassette_path(path).relative_to(trip.path)) for path in found] == pending
    for path in found:
        storage.accept_pending(path, lambda cassette: cassette)
    assert first_line(trip.run()) == (
        "the reply changed: it was recorded again after the snapshot was taken: 1 call changed (Weather)"
    )


def test_the_cassette_of_a_block_is_enough_without_a_snapshot(trip):
    trip.write_test(BLOCK.replace("(calls_snapshot)", "()").replace("found == calls_snapshot", "len(found) == 3"))
    assert trip.record().counts == {"passed": 1}
    trip.change("test_it.py", "== 3", "== 4")
    assert first_line(trip.run()) == THE_TEST
    with_validator(trip, NO_IMPERIAL)
    run = trip.run()
    assert first_line(run).startswith("the models or validators changed: Weather.units: Value error, nobody uses it; ")


def test_a_caught_miss_in_a_block_is_printed_first(trip):
    trip.write_test(BLOCK.replace("found = trip.plan()", "found = trip.plan('Dallas')"))
    trip.record("--record", "--snapshot-update")
    trip.write_test(
        """
        import trip
        from multitrack import use_cassette

        def test_plan(calls_snapshot):
            try:
                with use_cassette("trip.yaml"):
                    found = trip.plan("Austin")
            except BaseException:
                found = []
            assert found == calls_snapshot
        """
    )
    assert first_line(trip.run()).startswith(f"CassetteMiss: POST {trip.provider.url}/v1/chat/completions ")
