"""Fixtures of wider scope: what they send is on tapes of their own."""

import pytest

WIDE = """
@pytest.fixture(scope="{scope}")
def account():
    answer = ask("open")
    yield answer
    ask("close")


class TestClass:
    @pytest.mark.cassette
    def test_first(self, account):
        assert account == "echo: open"
        ask("first")

    @pytest.mark.cassette
    def test_second(self, account):
        ask("second")


def test_plain(): pass
"""


def questions(path):
    import json

    from multitrack.tape import storage

    return [json.loads(one.request.body)["messages"][0]["content"] for one in storage.read(path).interactions]


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("class", "test_it/TestClass.account"),
        ("module", "test_it/account"),
        ("session", "test_it/account"),
    ],
)
def test_a_fixture_of_wider_scope_has_a_tape_of_its_own(project, scope, name):
    project.test(WIDE.format(scope=scope))
    run = project.record()
    assert run.counts == {"passed": 3}
    tests = {f"cassettes/test_it/TestClass.test_{which}.yaml" for which in ("first", "second")}
    assert run.changed == {*tests, f"cassettes/{name}.yaml"}
    assert questions(project.tape(name)) == ["open", "close"]
    assert questions(project.tape("test_it/TestClass.test_first")) == ["first"]
    project.provider.stop()
    for selection in ([], ["-k", "second"], ["-p", "no:randomly", "--cassettes-strict", "--cassettes-unused"]):
        run = project.run(*selection)
        assert (run.code, run.changed) == (0, set()), run.out
    assert "multitrack: this run used all that is on the tapes" in run.lines


def test_recording_one_test_leaves_the_tapes_of_the_others_alone(project):
    project.test(WIDE.format(scope="module"))
    project.record()
    before = project.tape("test_it/account").read_bytes()
    run = project.record("--record", "test_it.py::TestClass::test_second")
    assert run.counts == {"passed": 1}
    # what was sent and answered is the same; only the time of the recording may be another
    assert run.changed <= {"cassettes/test_it/TestClass.test_second.yaml", "cassettes/test_it/account.yaml"}
    assert questions(project.tape("test_it/account")) == ["open", "close"]
    assert before.partition(b"metadata:")[0] == project.tape("test_it/account").read_bytes().partition(b"metadata:")[0]


def test_a_fixture_of_the_session_lies_where_it_is_defined(project):
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="session", params=["a", "b"])
        def account(request):
            from app import ask
            return ask(request.param)
        """,
    )
    project.test("@pytest.mark.cassette\ndef test_ask(account): pass")
    run = project.record()
    assert (run.counts, run.changed) == (
        {"passed": 2},
        {"cassettes/conftest/account[0].yaml", "cassettes/conftest/account[1].yaml"},
    )
    project.provider.stop()
    assert project.run().counts == {"passed": 2}


@pytest.mark.parametrize("swallowed", [False, True])
def test_a_miss_of_a_wider_fixture_fails_its_test(project, swallowed):
    project.test(
        f"""
        @pytest.fixture(scope="module")
        def account():
            try:
                ask("open")
            except BaseException:
                if not {swallowed}: raise

        @pytest.mark.cassette
        def test_ask(account): pass
        """
    )
    run = project.run()
    assert run.counts == {"failed": 1} if swallowed else {"errors": 1}
    assert "  tape: cassettes/test_it/account.yaml" in run.lines
    assert "  to record it: pytest --record test_it.py::test_ask" in run.lines


def test_a_miss_behind_the_last_test_fails_the_run(project):
    project.test(
        """
        @pytest.fixture(scope="module")
        def account():
            yield
            try:
                ask("close")
            except BaseException:
                pass

        @pytest.mark.cassette
        def test_ask(account): pass

        def test_plain(): pass
        """
    )
    run = project.run()
    assert (run.counts, run.code) == ({"passed": 2, "errors": 1}, 1)
    assert "CassetteMiss: POST" in run.out
    assert "  tape: cassettes/test_it/account.yaml" in run.out


def test_a_fixture_that_fails_leaves_its_tape(project):
    text = """
        @pytest.fixture(scope="module")
        def account():
            ask("{word}")
            {failing}

        @pytest.mark.cassette
        def test_ask(account): pass
        """
    project.test(text.format(word="old", failing=""))
    project.record()
    project.test(text.format(word="new", failing="raise RuntimeError"))
    run = project.record()
    assert (run.counts, run.changed) == ({"errors": 1}, {"cassettes/test_it/account.pending.yaml"})
