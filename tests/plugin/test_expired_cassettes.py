"""The option ``on_expiry``: what happens to a cassette that is older than ``max_age``."""

from __future__ import annotations

import re

import pytest

TEST = """
@pytest.mark.cassette(name="shared")
@pytest.mark.parametrize("word", ["a", "b"])
def test_ask(word):
    ask(word)
"""
CASSETTE = "cassettes/shared.yaml"


@pytest.fixture
def expired(project):
    """A cassette of two tests that was recorded in 2020, and a function that runs them with ``on_expiry``."""
    project.write_test(TEST)
    project.record()
    path = project.path / CASSETTE
    path.write_text(re.sub("recorded_at: '?[0-9]{4}", "recorded_at: '2020", path.read_text()))
    options = ("--cassettes-option=max_age=90", "--cassettes-option=on_expiry={}")

    def run(on_expiry, *flags):
        return project.record(*flags, *(option.format(on_expiry) for option in options))

    project.run_expired = run
    return project


@pytest.mark.slow
def test_without_a_flag_nothing_is_recorded(expired):
    for on_expiry in ("tell", "record"):
        run = expired.run_expired(on_expiry)
        assert run.counts == {"passed": 2}
        assert re.search(rf"^multitrack: old: {CASSETTE}: recorded \d+ days ago$", run.out, re.M)
        assert not run.changed
    run = expired.run_expired("fail")
    assert run.counts == {"passed": 2, "errors": 2}
    assert re.search(r"^the cassette was recorded \d+ days ago; max_age is 90 days$", run.out, re.M)
    assert f"  cassette: {CASSETTE}" in run.lines
    assert any(line.startswith("  to record it again: pytest --record") for line in run.lines)
    assert len(expired.provider.requests) == 2


@pytest.mark.slow
def test_record_missing_records_an_expired_cassette_again(expired):
    before = (expired.path / CASSETTE).read_text()
    assert not expired.run_expired("tell", "--record-missing").changed
    run = expired.run_expired("record", "--record-missing")
    assert "multitrack: 2 tests used a cassette, 2 requests recorded in 1 cassette" in run.lines
    assert "multitrack: old:" not in run.out
    after = (expired.path / CASSETTE).read_text()
    assert after.count("- request:") == before.count("- request:") == 2
    assert "recorded_at: '2020" not in after
    # only once
    assert not expired.run_expired("record", "--record-missing").changed
    assert len(expired.provider.requests) == 4


@pytest.mark.slow
def test_an_unknown_value_is_an_error(project):
    project.write_test(TEST)
    run = project.run("--cassettes-option=on_expiry=never")
    assert "on_expiry must be one of tell, fail, record, not 'never'" in run.err
    assert run.code == 4
