"""What a run keeps of closed tapes, and what it prints of hostile answers."""

import re

COUNT_TAPES = """
import gc

# each tape must be freed without the garbage collector, which takes longer the more objects it must look at
gc.disable()

def pytest_sessionfinish():
    from multitrack.tape.tape import Tape

    print(f"tapes: {sum(isinstance(each, Tape) for each in gc.get_objects())}")
"""
TESTS = """
@pytest.mark.cassette(name="shared")
@pytest.mark.parametrize("n", range(12))
def test_ask(n):
    assert ask("x") == "echo: x"

@pytest.mark.cassette(name="shared")
def test_fails():
    raise ValueError("\\x1b]0;pwned\\x07 \\u202e " + ask("x"))

@pytest.mark.cassette(name="shared")
def test_misses():
    ask("\\x1b[2J \\u202e")
"""


def test_closed_tapes_are_dropped_and_control_characters_are_escaped(project):
    project.use_httpx()
    project.write_test('@pytest.mark.cassette(name="shared")\ndef test_ask():\n    assert ask("x") == "echo: x"\n')
    project.record()
    project.provider.stop()
    project.write("conftest.py", COUNT_TAPES)
    project.write_test(TESTS)
    run = project.run("-s", "--cassettes-option=allow_repeats=true")
    kept = int(re.search(r"tapes: (\d+)", run.out)[1])
    # the tape of the last test, and the tapes of failed tests if pytest keeps their tracebacks
    assert kept <= 3
    assert "\x1b]" not in run.out
    assert "\u202e" not in run.out
    assert "\x1b[2J" not in run.out
    assert run.counts == {"passed": 12, "failed": 2}
