"""The targets of the fuzzer accept the inputs on which they once failed, and a few hundred new inputs.

``make fuzz`` runs the fuzzer for ten minutes, guided by coverage.
"""

import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from fuzz.failing_inputs import keep_inputs, read_current_input
from fuzz.mutations import mutate
from fuzz.seeds import find_seeds, list_findings
from fuzz.targets import TARGETS
from fuzz.time_limit import SECONDS_PER_INPUT, TookTooLong, run_limited

FINDINGS = [(name, path) for name in TARGETS for path in list_findings(name)]


@pytest.mark.parametrize(("name", "path"), FINDINGS, ids=lambda value: getattr(value, "name", value))
def test_an_input_that_once_failed_is_handled(name, path):
    run_limited(TARGETS[name], path.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_are_handled(name):
    seeds = sorted(set(find_seeds(name)), key=len)[:40]

    @given(st.sampled_from(seeds), st.integers(0, 2**32))
    @settings(max_examples=40, deadline=None, derandomize=True)
    def check(seed, number):
        run_limited(TARGETS[name], mutate(seed, Random(number), seeds))

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_seeds(name):
    assert any(find_seeds(name))


def test_an_input_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr("fuzz.time_limit.SECONDS_PER_INPUT", 0.05)

    def loop(_):
        while True:
            pass

    with pytest.raises(TookTooLong):
        run_limited(loop, b"")
    assert SECONDS_PER_INPUT == 5


def fail_on_x(data):
    if b"x" in data:
        raise TypeError("a wrong type")


def test_an_input_that_fails_is_written_before_its_error_is_raised(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fuzz.failing_inputs.FINDINGS", tmp_path)
    target = keep_inputs("wires", fail_on_x, tmp_path / "current")
    target(b"fine")
    with pytest.raises(TypeError):
        target(b"xyz")
    [path] = (tmp_path / "wires").iterdir()
    assert path.read_bytes() == b"xyz"
    assert f"try again: python -m fuzz wires --input {path}" in capsys.readouterr().out


def test_the_input_of_a_killed_process_is_known(tmp_path):
    target = keep_inputs("wires", lambda _: None, tmp_path / "current")
    target(b"a long input")
    target(b"short")
    assert read_current_input(tmp_path / "current") == b"short"
