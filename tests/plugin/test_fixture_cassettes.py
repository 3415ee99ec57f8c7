"""Fixtures of wider scope than a test: their requests are recorded in cassettes of their own."""

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


def read_prompts(path):
    import json

    from multitrack.tape.file import storage

    return [json.loads(one.request.body)["messages"][0]["content"] for one in storage.read(path).interactions]


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("class", "test_it/TestClass.account"),
        ("module", "test_it/account"),
        ("session", "test_it/account"),
    ],
)
def test_a_fixture_of_wider_scope_has_its_own_cassette(project, scope, name):
    project.write_test(WIDE.format(scope=scope))
    run = project.record()
    assert run.counts == {"passed": 3}
    tests = {f"cassettes/test_it/TestClass.test_{which}.yaml" for which in ("first", "second")}
    assert run.changed == {*tests, f"cassettes/{name}.yaml"}
    assert read_prompts(project.cassette(name)) == ["open", "close"]
    assert read_prompts(project.cassette("test_it/TestClass.test_first")) == ["first"]
    project.provider.stop()
    for selection in ([], ["-k", "second"], ["-p", "no:randomly", "--cassettes-strict", "--cassettes-unused"]):
        run = project.run(*selection)
        assert run.code == 0, run.out
        assert run.changed == set(), run.out
    assert "multitrack: this run used every recording" in run.lines


def test_recording_one_test_does_not_change_other_cassettes(project):
    project.write_test(WIDE.format(scope="module"))
    project.record()
    before = project.cassette("test_it/account").read_bytes()
    run = project.record("--record", "test_it.py::TestClass::test_second")
    assert run.counts == {"passed": 1}
    # only the time of the recording may differ
    assert run.changed <= {"cassettes/test_it/TestClass.test_second.yaml", "cassettes/test_it/account.yaml"}
    assert read_prompts(project.cassette("test_it/account")) == ["open", "close"]
    assert (
        before.partition(b"metadata:")[0] == project.cassette("test_it/account").read_bytes().partition(b"metadata:")[0]
    )


def test_the_cassette_of_a_session_fixture_is_next_to_its_conftest(project):
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
    project.write_test("@pytest.mark.cassette\ndef test_ask(account): pass")
    run = project.record()
    assert run.counts == {"passed": 2}
    assert run.changed == {"cassettes/conftest/account[a].yaml", "cassettes/conftest/account[b].yaml"}
    project.provider.stop()
    assert project.run().counts == {"passed": 2}


@pytest.mark.parametrize("swallowed", [False, True])
def test_a_miss_in_a_fixture_fails_the_test_that_uses_it(project, swallowed):
    project.write_test(
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
    assert run.counts == ({"failed": 1} if swallowed else {"errors": 1})
    assert "  cassette: cassettes/test_it/account.yaml" in run.lines
    assert "  to record it: pytest --record test_it.py::test_ask" in run.lines


def test_a_miss_after_the_last_test_fails_the_run(project):
    project.write_test(
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
    assert run.counts == {"passed": 2, "errors": 1}
    assert run.code == 1
    assert "CassetteMiss: POST" in run.out
    assert "  cassette: cassettes/test_it/account.yaml" in run.out


def test_the_recording_of_a_failed_fixture_is_pending(project):
    text = """
        @pytest.fixture(scope="module")
        def account():
            ask("{word}")
            {failing}

        @pytest.mark.cassette
        def test_ask(account): pass
        """
    project.write_test(text.format(word="old", failing=""))
    project.record()
    project.write_test(text.format(word="new", failing="raise RuntimeError"))
    run = project.record()
    assert run.counts == {"errors": 1}
    assert run.changed == {"cassettes/test_it/account.pending.yaml"}


def test_the_recording_of_a_fixture_is_pending_if_its_teardown_fails(project):
    text = """
        @pytest.fixture(scope="module")
        def account(request):
            request.addfinalizer(lambda: ask("at last"))
            ask("open {word}")
            yield
            ask("close {word}")
            {failing}

        @pytest.mark.cassette
        def test_ask(account): ask("{word}")

        @pytest.mark.cassette
        def test_last(account): ask("last {word}")
        """
    project.write_test(text.format(word="old", failing=""))
    project.record()
    assert read_prompts(project.cassette("test_it/account")) == ["open old", "close old", "at last"]
    project.write_test(text.format(word="new", failing="raise RuntimeError"))
    run = project.record("--record", "-p", "no:randomly")
    account, last = "cassettes/test_it/account.pending.yaml", "cassettes/test_it/test_last.pending.yaml"
    assert run.counts == {"passed": 2, "errors": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml", account, last}
    assert read_prompts(project.path / account) == ["open new", "close new", "at last"]
    assert run.has_lines(
        f"""
        The cassettes are unchanged. If the new recording is right:
          multitrack accept {account} {last}
          pytest test_it.py::test_last
        """
    )
    assert run.has_lines(
        f"""
        multitrack: 2 tests used a cassette, 1 request recorded in 1 cassette
        multitrack: pending: {account}: the fixture raised RuntimeError
          to accept it: multitrack accept {account}
        multitrack: pending: {last}: teardown failed: RuntimeError
          to accept it: multitrack accept {last}
        """
    )


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_unplayed_interactions_of_a_fixture_are_listed_and_fail_with_strict(project, workers):
    project.use_httpx()
    text = """
        @pytest.fixture(scope="module")
        def account():
            ask("open")
            yield
            {closing}

        @pytest.mark.cassette
        def test_ask(account): ask("x")
        """
    project.write_test(text.format(closing="ask('close')"))
    project.record()
    project.write_test(text.format(closing=""))
    project.provider.stop()
    run = project.run(*workers)
    assert run.counts == {"passed": 1}
    assert run.code == 0
    tape = "cassettes/test_it/account.yaml"
    assert f"multitrack: not replayed: {tape}: interaction 2 (fixture account of test_it)" in run.lines
    run = project.run("--cassettes-strict", *workers)
    assert run.counts == {"passed": 1, "errors": 1}
    assert run.code == 1
    assert run.changed == set()
    assert run.has_lines(
        f"""
        1 interaction was not replayed
          cassette: {tape}
          2 · openai.chat gpt-4o-mini · 0 calls
          to record only the requests that are still sent: pytest --record test_it.py::test_ask
        """
    )


@pytest.mark.parametrize("scope", ["function", "module"])
@pytest.mark.parametrize("how", ["@pytest.mark.cassette", "use_cassette"])
def test_a_miss_in_a_fixture_fails_every_test_that_uses_it(project, scope, how):
    block = "with use_cassette('cassettes/own.yaml'): " if how == "use_cassette" else ""
    project.write_test(
        f"""
        from multitrack import use_cassette

        @pytest.fixture(scope="{scope}")
        def account():
            {block}ask("open")

        {how if not block else ""}
        @pytest.mark.parametrize("number", [1, 2, 3])
        def test_ask(account, number): pass
        """
    )
    run = project.run()
    assert run.counts == {"errors": 3}
    assert run.out.count("CassetteMiss: POST") >= 3
    assert "AssertionError" not in run.out


ASYNC = """
pytestmark = pytest.mark.anyio

@pytest.fixture(scope="module")
def anyio_backend(): return "asyncio"

@pytest.fixture(scope="module")
async def account(anyio_backend):
    yield await ask_async("open")
    await ask_async("close")

@pytest.mark.cassette
async def test_first(account):
    assert account == "echo: open"
    await ask_async("first")

@pytest.mark.cassette
async def test_second(account):
    await ask_async("second")
"""


def test_an_async_fixture_has_its_own_cassette(project):
    project.write_test(ASYNC)
    run = project.record()
    names = ("account", "test_first", "test_second")
    assert run.counts == {"passed": 2}
    assert run.changed == {f"cassettes/test_it/{name}.yaml" for name in names}
    assert [read_prompts(project.cassette(f"test_it/{name}")) for name in names] == [
        ["open", "close"],
        ["first"],
        ["second"],
    ]
    project.provider.stop()
    assert project.run("--cassettes-strict").counts == {"passed": 2}


@pytest.mark.parametrize("dist", ["load", "loadfile"])
def test_modules_and_workers_share_the_cassette_of_a_session_fixture(project, dist):
    project.use_httpx()
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def account():
            from app import ask
            yield ask("open")
            ask("close")
        """,
    )
    for name in ("one", "two", "three"):
        project.write_test(
            f"""
            @pytest.mark.cassette
            def test_first(account): ask("{name} first")

            @pytest.mark.cassette
            def test_second(account): ask("{name} second")
            """,
            name=f"test_{name}.py",
        )
    run = project.record("--record", "-n", "2", "--dist", dist)
    assert run.counts == {"passed": 6}
    assert len(run.changed) == 7
    assert read_prompts(project.cassette("conftest/account")) == ["open", "close"]
    assert "multitrack: 6 tests used a cassette, 8 requests recorded in 7 cassettes" in run.lines
    project.provider.stop()
    for flags in ((), ("-n", "2", "--dist", dist)):
        run = project.run("--cassettes-strict", "--cassettes-unused", *flags)
        assert run.counts == {"passed": 6}
        assert run.changed == set()
        assert "multitrack: this run used every recording" in run.lines


def test_a_fixture_has_a_cassette_for_each_parameter_in_any_order(project):
    project.write_test(
        """
        class Town: pass

        @pytest.fixture(scope="module", params=["a", 2, Town, object()], ids=["first", "second", "third", "last"])
        def account(request):
            ask(f"open {request.param}".partition(" at 0x")[0])

        @pytest.mark.cassette
        def test_all(account): pass

        @pytest.mark.cassette
        @pytest.mark.parametrize("account", ["b", "a"], indirect=True)
        def test_some(account): pass
        """
    )
    run = project.record()
    names = {path.stem for path in (project.path / "cassettes/test_it").iterdir()}
    assert run.counts == {"passed": 6}
    assert names == {"account[a]", "account[2]", "account[Town]", "account[3]", "account[b]"}
    project.provider.stop()
    assert project.run("--cassettes-strict").counts == {"passed": 6}


def test_a_fixture_that_overrides_another_shares_its_cassette(project):
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="module")
        def account():
            from app import ask
            yield ask("open")
            ask("close")
        """,
    )
    project.write_test(
        """
        @pytest.fixture(scope="module")
        def account(account):
            yield ask("open more")
            ask("close more")

        @pytest.mark.cassette
        def test_ask(account): assert account == "echo: open more"
        """
    )
    for _ in range(2):
        run = project.record()
        assert run.counts == {"passed": 1}
        assert run.changed - {"cassettes/test_it/account.yaml"} == set()
        assert sorted(read_prompts(project.cassette("test_it/account"))) == ["close", "close more", "open", "open more"]
    project.provider.stop()
    run = project.run("--cassettes-strict", "--cassettes-unused")
    assert run.counts == {"passed": 1}
    assert "multitrack: this run used every recording" in run.lines


def test_fixture_cassettes_that_differ_only_in_case_are_an_error(project):
    project.write_test(
        """
        @pytest.fixture(scope="module")
        def account(): ask("one")

        @pytest.fixture(scope="module")
        def Account(): ask("two")

        @pytest.mark.cassette
        def test_ask(account, Account): pass
        """
    )
    run = project.record()
    assert run.counts == {"errors": 1}
    assert len(project.provider.requests) == 1
    assert (
        "the cassette paths of fixture account of test_it and fixture Account of test_it differ only in case, which "
        "some file systems ignore: rename one fixture"
    ) in run.lines
