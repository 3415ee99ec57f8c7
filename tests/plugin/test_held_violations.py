"""No miss is lost: a violation fails its test whatever the code under test does with it."""

import textwrap

import pytest
from nested_runs import FEWER_PLUGINS

pytestmark = pytest.mark.slow

SEND = """
import threading
import urllib.request

import pytest

from multitrack import use_cassette


def send(url="http://example.test/x"):
    return urllib.request.urlopen(url).read()
"""

LOST = {
    "a block in a test without a marker": """
        def test_it():
            try:
                with use_cassette("one.yaml"):
                    send()
            except BaseException:
                pass
    """,
    "a block in a thread": """
        def test_it():
            def run():
                with use_cassette("one.yaml"):
                    send()

            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    """,
    "a block whose miss is swallowed inside": """
        def test_it():
            with pytest.raises(BaseException):
                with use_cassette("one.yaml"):
                    try:
                        send()
                    except BaseException:
                        pass
    """,
    "an executor whose future is never read": """
        @pytest.mark.cassette
        def test_it():
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(1) as pool:
                pool.submit(send)
    """,
    "gather with return_exceptions": """
        @pytest.mark.cassette
        def test_it():
            import asyncio

            async def ask():
                await asyncio.gather(asyncio.to_thread(send), return_exceptions=True)

            try:
                asyncio.run(ask())
            except BaseException:
                pass
    """,
    "a fixture": """
        @pytest.fixture
        def answer():
            try:
                return send()
            except BaseException:
                return None

        @pytest.mark.cassette
        def test_it(answer):
            pass
    """,
    "xfail": """
        @pytest.mark.xfail
        def test_it():
            try:
                with use_cassette("one.yaml"):
                    send()
            except BaseException:
                pass
            assert False
    """,
}


@pytest.fixture
def write(pytester, monkeypatch):
    for name, value in FEWER_PLUGINS.items():
        monkeypatch.setenv(name, value)
    # the warning of the thread is pytest's, not ours
    pytester.makeini("[pytest]\nfilterwarnings = ignore::pytest.PytestUnhandledThreadExceptionWarning")

    def write(**files):
        for name, text in files.items():
            pytester.path.joinpath(f"{name}.py").write_text(SEND + textwrap.dedent(text))
        return lambda *args: pytester.runpytest_inprocess("-p", "no:cacheprovider", *args)

    return write


@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
def test_a_swallowed_miss_fails_the_test(write, code):
    result = write(test_it=code)()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["CassetteMiss: GET http://example.test/x has no recording"])


def test_a_miss_that_the_block_expects_is_forgiven(write):
    result = write(
        test_it="""
        def test_it():
            with use_cassette("one.yaml") as tape, tape.expect_misses() as misses:
                with pytest.raises(BaseException):
                    send()
            assert len(misses) == 1
        """
    )()
    result.assert_outcomes(passed=1)


def test_the_miss_of_a_doctest_fails_it(pytester):
    pytester.path.joinpath("page.txt").write_text(
        ">>> from multitrack import use_cassette\n"
        ">>> import urllib.request\n"
        ">>> def ask():\n"
        "...     try:\n"
        "...         with use_cassette('one.yaml'):\n"
        "...             urllib.request.urlopen('http://example.test/x')\n"
        "...     except BaseException:\n"
        "...         pass\n"
        ">>> ask()\n"
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "page.txt", "--doctest-glob=*.txt")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["CassetteMiss: GET http://example.test/x has no recording"])


HOOKS = {
    "a matcher of vcr_config": """
        @pytest.fixture
        def vcr_config():
            def fail(request):
                raise OSError("no such table")

            return {"before_record_request": fail}

        @pytest.mark.vcr
    """,
    "the explanation of a miss": """
        @pytest.fixture(autouse=True)
        def broken(monkeypatch):
            def fail(*args, **options):
                raise OSError("no such table")

            import multitrack.tape.miss

            monkeypatch.setattr(multitrack.tape.miss, "build_miss", fail)

        @pytest.mark.cassette
    """,
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_an_error_while_routing_fails_the_test_although_its_code_swallows_it(write, hook):
    body = """
def test_it():
    try:
        send()
    except Exception:
        pass
"""
    result = write(test_it=textwrap.dedent(hook).rstrip() + body)()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*OSError: no such table*"])


LATE = """
started = threading.Event()
go = threading.Event()
done = threading.Event()


@pytest.mark.cassette
def test_starts_a_thread():
    def work():
        started.set()
        go.wait(10)
        try:
            send()
        except BaseException:
            pass
        done.set()

    threading.Thread(target=work, name="worker").start()
    started.wait(10)


{marker}
def test_is_innocent():
    go.set()
    assert done.wait(10)
"""


@pytest.mark.parametrize("marker", ["", "@pytest.mark.cassette"], ids=["without a tape", "with a tape"])
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_a_thread_that_outlives_its_test_is_blocked_and_reported_for_it(write, marker, workers):
    result = write(test_it=LATE.replace("{marker}", marker))(*workers)
    result.assert_outcomes(passed=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "multitrack: test_it.py::test_starts_a_thread: GET http://example.test/x was blocked: "
            "test_it.py::test_starts_a_thread started the thread 'worker', which sent this request while "
            "test_it.py::test_is_innocent was running",
            "  end the thread before its test ends, for example with thread.join()",
        ]
    )


@pytest.mark.parametrize("option", [(), ("--record",)], ids=["replay", "record"])
def test_a_thread_that_outlives_its_test_may_send_telemetry(write, option):
    late = LATE.replace("{marker}", "@pytest.mark.cassette").replace("send()", "send('http://app.posthog.com/x')")
    result = write(test_it=late)(*option)
    result.assert_outcomes(passed=2)
    assert result.ret == 0


def test_a_pool_that_several_tests_share_belongs_to_the_running_test(write):
    result = write(
        test_it="""
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(1)

        @pytest.mark.cassette
        def test_one():
            pool.submit(int).result()

        @pytest.mark.cassette
        def test_two():
            pool.submit(send).exception()
        """
    )()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_two*"])


def test_a_thread_of_a_module_fixture_may_outlive_the_test_that_set_it_up(write):
    result = write(
        test_it="""
        @pytest.fixture(scope="module")
        def server():
            requests = []
            go = threading.Event()

            def work():
                go.wait(10)
                try:
                    send()
                except BaseException as error:
                    requests.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            yield go, thread
            thread.join()

        @pytest.mark.cassette
        def test_one(server):
            pass

        @pytest.mark.cassette
        def test_two(server):
            go, thread = server
            go.set()
            thread.join()
        """
    )()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_two*"])


def test_a_passing_rerun_names_the_miss_of_the_earlier_attempt(write):
    result = write(
        test_it="""
        attempts = []

        @pytest.mark.cassette
        def test_it():
            attempts.append(1)
            if len(attempts) == 1:
                send()
        """
    )("--reruns", "1")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "multitrack: test_it.py::test_it: an earlier attempt failed: "
            "CassetteMiss: GET http://example.test/x has no recording"
        ]
    )
