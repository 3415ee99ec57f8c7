"""The path of a test's cassette, invalid options, and damaged cassettes."""

import hashlib

import pytest

from multitrack.tape.file import storage

IDS = """
IDS = ["a/b", "a b", "é", "..", "%2F", "x" * 300, "x" * 299 + "y"]

@pytest.mark.cassette
@pytest.mark.parametrize("value", IDS, ids=IDS)
def test_id(value):
    ask(value)


class TestOuter:
    class TestInner:
        @pytest.mark.cassette
        def test_method(self):
            ask("method")
"""


def test_every_test_has_its_own_cassette(project):
    project.write(
        "pytest.ini", "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
    )
    project.write_test(IDS, name="below/test_ünit.py")
    project.write("below/conftest.py", f"import sys; sys.path.append({str(project.path)!r})")
    run = project.record()
    assert run.counts == {"passed": 8}

    def shorten(value):
        name = f"test_id[{value}]"
        return f"{name[:171]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    names = [
        "test_id[a%2Fb]",
        "test_id[a%20b]",
        "test_id[é]",
        "test_id[..]",
        "test_id[%252F]",
        shorten("x" * 300),
        shorten("x" * 299 + "y"),
        "TestOuter.TestInner.test_method",
    ]
    assert run.changed == {f"below/cassettes/test_ünit/{name}.yaml" for name in names}
    project.provider.stop()
    assert project.run().counts == {"passed": 8}


CITIES = """
import pytest

@pytest.mark.cassette{options}
@pytest.mark.parametrize("city", {cities})
def test_x(city):
    ask(city)
"""


def test_the_names_of_cassettes_are_readable_in_all_languages(project):
    # pytest escapes these ids
    cities = ["Zürich", "東京", "🚀", "Z\\xfcrich", "tab\t", "e\u0301"]
    project.write_test(CITIES.format(options="", cities=repr(cities)))
    run = project.record()
    assert run.counts == {"passed": 6}
    names = ["Zürich", "東京", "🚀", "Z%5C%5Cxfcrich", "tab%5Ct", "e%CC%81"]
    assert run.changed == {f"cassettes/test_it/test_x[{name}].yaml" for name in names}
    project.provider.stop()
    assert project.run().counts == {"passed": 6}


def test_a_long_name_is_cut_between_characters(project):
    cities = ["ü" * 300]
    project.write_test(CITIES.format(options="", cities=f"{cities}, ids={cities}"))
    run = project.record()
    assert run.counts == {"passed": 1}
    [path] = run.changed
    name = path.rpartition("/")[2].removesuffix(".yaml")
    assert name.startswith("test_x[üüü")
    assert len(name.encode()) <= 180
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


@pytest.mark.parametrize(
    ("options", "name", "earlier"),
    [
        ("", "test_it/test_x[Zürich]", "test_it/test_x[Z%5Cxfcrich]"),
        ("(name='größe/ä')", "größe/ä", "gr%C3%B6%C3%9Fe/%C3%A4"),
    ],
)
def test_a_cassette_with_its_earlier_name_is_found(project, options, name, earlier):
    project.write_test(CITIES.format(options=options, cities=["Zürich"]))
    assert project.record().changed == {f"cassettes/{name}.yaml"}
    old = project.cassette(earlier)
    old.parent.mkdir(exist_ok=True)
    project.cassette(name).rename(old)
    assert project.run().counts == {"passed": 1}
    assert project.record().changed <= {f"cassettes/{earlier}.yaml"}
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


def test_xdist_groups_do_not_change_the_name_of_a_test(project):
    project.use_httpx()
    project.write_test(
        """
        @pytest.mark.xdist_group("slow")
        @pytest.mark.cassette
        def test_ask():
            ask("x")
            assert {passing}
        """
    )
    path = project.path / "test_it.py"
    text = path.read_text()
    pending = "cassettes/test_it/test_ask.pending.yaml"
    path.write_text(text.format(passing=False))
    run = project.record("--record", "-n", "1", "--dist", "loadgroup")
    assert run.changed == {pending}
    assert "  pytest test_it.py::test_ask" in run.lines
    path.write_text(text.format(passing=True))
    for flags in (("-n", "1", "--dist", "loadgroup"), ()):
        run = project.record("--record", *flags)
        assert run.counts == {"passed": 1}
        [interaction] = storage.read(project.cassette("test_it/test_ask")).interactions
        assert interaction.tests == ("test_it.py::test_ask",)
    assert not (project.path / pending).exists()


def test_a_fixture_named_pending_is_not_a_pending_recording(project):
    project.write_test(
        """
        class TestOrders:
            @pytest.fixture(scope="class")
            def pending(self):
                ask("pending")

            @pytest.mark.cassette
            def test_ask(self, pending): pass
        """
    )
    assert project.record().changed == {"cassettes/test_it/TestOrders%2Epending.yaml"}
    project.provider.stop()
    assert project.run("--cassettes-strict").counts == {"passed": 1}


def test_names_that_differ_only_in_case_are_a_usage_error(project):
    project.write_test(
        """
        @pytest.mark.cassette
        @pytest.mark.parametrize("city", ["Rome", "rome"])
        def test_city(city):
            ask(city)
        """
    )
    run = project.record()
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert run.changed == set()
    assert (
        "ERROR: the cassette paths of test_it.py::test_city[Rome] and test_it.py::test_city[rome] differ only in "
        "case, which some file systems ignore: rename one test, or give it "
        "@pytest.mark.cassette(name=...)"
    ) in run.err.replace("\n", "")
    project.write_test(
        """
        @pytest.mark.parametrize("city", [
            pytest.param("Rome", marks=pytest.mark.cassette(name="capital")),
            pytest.param("rome", marks=pytest.mark.cassette),
        ])
        def test_city(city):
            ask(city)
        """
    )
    assert project.record().counts == {"passed": 2}
    assert project.run().counts == {"passed": 2}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../outside", "the cassette name '../outside' leads outside the folder "),
        ("/etc/outside", "the cassette name '/etc/outside' leads outside the folder "),
        ("a\\b", "the cassette name 'a\\\\b' leads outside the folder "),
        ("", "the cassette name '' leads outside the folder "),
        ("a//b", "the cassette name 'a//b' leads outside the folder "),
        ("x.pending", "the cassette name 'x.pending' is reserved for pending recordings"),
        (3, "the cassette name 3 is not a string"),
    ],
)
def test_an_invalid_cassette_name_is_an_error(project, name, message):
    project.write_test(
        f"""
        @pytest.mark.cassette(name={name!r})
        def test_outside(): ask("x")

        @pytest.mark.cassette
        def test_inside(): ask("x")
        """
    )
    run = project.record()
    assert run.counts == {"passed": 1, "errors": 1}
    assert run.code == 1
    assert run.changed == {"cassettes/test_it/test_inside.yaml"}
    assert any(line.startswith(message) for line in run.lines)
    assert len(project.provider.requests) == 1


def test_the_closest_name_is_used(project):
    project.write_test(
        """
        pytestmark = pytest.mark.cassette(name="module")

        def test_module(): ask("x")

        @pytest.mark.cassette(name="own")
        def test_own(): ask("x")
        """
    )
    assert project.record().changed == {"cassettes/module.yaml", "cassettes/own.yaml"}


@pytest.mark.parametrize("source", ["flag", "project"])
def test_cassettes_dir(project, source):
    project.write_test('@pytest.mark.cassette\ndef test_ask(): ask("x")', name="below/test_deep.py")
    project.write("conftest.py", f"import sys; sys.path.append({str(project.path)!r})")
    flags = ("--cassettes-dir=tapes",) if source == "flag" else ()
    settings = '[tool.multitrack]\ncassettes_dir = "tapes"\n' if source == "project" else ""
    project.write("pyproject.toml", "[tool.pytest.ini_options]\n" + settings)
    run = project.record("--record", *flags)
    assert run.counts == {"passed": 1}
    assert run.changed == {"tapes/below/test_deep/test_ask.yaml"}
    project.provider.stop()
    assert project.run(*flags).counts == {"passed": 1}


KNOWN = (
    "known options: allow_hosts, allow_repeats, allow_secrets, drop_hosts, ignore, ignore_hosts, keep_errors, "
    "keep_headers, match_on, max_age, on_expiry, pace, placeholders, redact, strict, "
    "vcr_compatible_matching"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("wrong=1", f"@pytest.mark.cassette on test_it.py::test_ask: unknown option 'wrong'; {KNOWN}"),
        (
            "ignore_hosts='x'",
            "@pytest.mark.cassette on test_it.py::test_ask: ignore_hosts must be a list of strings, not 'x'",
        ),
        (
            "ignore_hosts=3",
            "@pytest.mark.cassette on test_it.py::test_ask: ignore_hosts must be a list of strings, not 3",
        ),
        (
            "keep_errors='yes'",
            "@pytest.mark.cassette on test_it.py::test_ask: keep_errors must be true or false, not 'yes'",
        ),
        (
            "keep_headers=['Authorization']",
            "@pytest.mark.cassette on test_it.py::test_ask: keep_headers refuses 'Authorization': "
            "credentials are never stored in a cassette",
        ),
        (
            "'weather'",
            "@pytest.mark.cassette on test_it.py::test_ask: pass keyword arguments such as name=..., not ('weather',)",
        ),
    ],
)
def test_an_invalid_marker_option_fails_its_test(project, options, message):
    project.write_test(f"@pytest.mark.cassette({options})\ndef test_ask(): ask('x')\n\ndef test_other(): pass")
    run = project.record()
    assert run.counts == {"passed": 1, "errors": 1}
    assert run.code == 1
    assert run.changed == set()
    assert message in run.lines
    assert project.provider.requests == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[tool.multitrack]\nwrong = 1", f"pyproject.toml: [tool.multitrack]: unknown option 'wrong'; {KNOWN}"),
        (
            "[tool.multitrack]\ncassettes_dir = 3",
            "pyproject.toml: [tool.multitrack] cassettes_dir must be a path, not 3",
        ),
        (
            "[tool.multitrack]\nallow_hosts = 'x'",
            "pyproject.toml: [tool.multitrack]: allow_hosts must be a list of strings, not 'x'",
        ),
        ("[tool]\nmultitrack = 3", "pyproject.toml: [tool.multitrack] must be a table, not 3"),
    ],
)
def test_an_invalid_project_setting_is_a_usage_error(project, settings, message):
    project.write("pyproject.toml", f"{settings}\n[tool.pytest.ini_options]\n")
    project.write_test("@pytest.mark.cassette\ndef test_ask(): ask('x')")
    run = project.record()
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert run.changed == set()
    assert f"ERROR: {project.path / message}" in run.err


def test_requests_to_ignored_hosts_go_live_and_are_not_recorded(project):
    port = project.provider.url.rpartition(":")[2]
    project.write_test(f"@pytest.mark.cassette(ignore_hosts=['127.0.0.1:{port}'])\ndef test_ask(): ask('x')")
    run = project.record("-q")
    assert run.counts == {"passed": 1}
    assert run.changed == set()
    assert len(project.provider.requests) == 1


DAMAGED = {
    "it is empty": b"",
    "did not find expected node content": b"version: 1\ninteractions: [\n",
    "it has no list of interactions": b"version: 1\n",
    "it is not UTF-8 text": b"version: 1\ninteractions: []\nmetadata: {format: 1, who: '\xff'}\n",
    "it uses YAML aliases, which Multitrack does not write": (
        b"a: &a [x]\ninteractions: [*a, *a]\nmetadata: {format: 1, provenance: live}\n"
    ),
    "its metadata is not a mapping but 'x'": b"version: 1\ninteractions: []\nmetadata: x\n",
    "interaction 2: the interaction is None, not a mapping": (
        b"version: 1\ninteractions:\n- request: {method: GET, uri: http://x, headers: {}, body: ''}\n"
        b"  response: {status: {code: 200, message: OK}, headers: {}, body: {string: ''}}\n-\n"
        b"metadata: {format: 1, provenance: live}\n"
    ),
    "interaction 1: it has no 'response'": b"interactions:\n- request: {}\nmetadata: {format: 1, provenance: live}\n",
    "interaction 1: the body is 7, not text": (
        b"metadata: {format: 1, provenance: live}\ninteractions:\n"
        b"- request: {method: GET, uri: http://x, headers: {}, body: 7}\n"
        b"  response: {status: {code: 200, message: OK}, headers: {}, body: {string: ''}}\n"
    ),
    "not a valid value of the type int": b"interactions: []\nmetadata: {format: 1, recorded_at: !!int x}\n",
}
LINES = {
    "did not find expected node content": 3,
    "it is not UTF-8 text": 3,
    "it uses YAML aliases, which Multitrack does not write": 2,
    "interaction 2: the interaction is None, not a mapping": 5,
    "interaction 1: it has no 'response'": 2,
    "interaction 1: the body is 7, not text": 3,
    "its metadata is not a mapping but 'x'": 3,
    "not a valid value of the type int": 2,
}


@pytest.mark.parametrize("flag", ["--record", "--record-missing", "-q"])
def test_a_damaged_cassette_is_an_error_and_never_overwritten(project, flag):
    reasons = list(DAMAGED)
    project.write_test(
        f"""
        @pytest.mark.cassette
        @pytest.mark.parametrize("number", range({len(reasons)}))
        def test_ask(number):
            ask("x")
        """
    )
    for number, reason in enumerate(reasons):
        project.write(f"cassettes/test_it/test_ask[{number}].yaml", "").write_bytes(DAMAGED[reason])
    run = project.record(flag)
    assert run.counts == {"errors": len(reasons)}
    assert run.code == 1
    assert run.changed == set()
    assert project.provider.requests == []
    for number, reason in enumerate(reasons):
        path = project.path / f"cassettes/test_it/test_ask[{number}].yaml"
        test = f"'test_it.py::test_ask[{number}]'"
        where = f"{path}, line {LINES[reason]}" if reason in LINES else str(path)
        assert run.has_lines(
            f"""
            {where}: the cassette is damaged: {reason}
              restore it from version control, or delete it and record it again: pytest --record {test}
            """
        ), reason


OURS = b"""version: 1
interactions:
- request: {method: GET, uri: http://x, headers: {}, body: ''}
  response: {status: {code: 200, message: OK}, headers: {}, body: {string: ''}}
metadata: {format: 1, provenance: live}
"""
NEWER = {
    "it has version 99 of vcrpy's format, but this Multitrack reads version 1": b"version: 99\ninteractions: []\n",
    "it has version 99 of vcrpy's format, but this Multitrack reads version 1 ": OURS.replace(b": 1\n", b": 99\n", 1),
    "it has format 2, but this Multitrack reads format 1": OURS.replace(b"format: 1", b"format: 2"),
    "it has format '1.1', but this Multitrack reads format 1": b"version: 1\nmetadata: {format: '1.1'}\nentries: []\n",
    "interaction 1: the interaction has an unknown key 'cost'": OURS.replace(b"metadata", b"  cost: 1\nmetadata"),
    "interaction 1: the request has an unknown key 'via'": OURS.replace(b"method", b"via: proxy, method"),
    "interaction 1: the response has an unknown key 'via'": OURS.replace(b"status", b"via: proxy, status"),
    "interaction 1: unknown ending 'paused' or provenance 'live'": OURS.replace(b"status", b"ending: paused, status"),
    "interaction 1: unknown ending 'complete' or provenance 'edge'": OURS.replace(b"meta", b"  provenance: edge\nmeta"),
    "interaction 1: the 'by' key must be 'event' or 'item', not 'byte'": OURS.replace(
        b"status", b"chunks: {by: byte}, status"
    ),
}


@pytest.mark.parametrize("flag", ["--record", "-q"])
def test_a_cassette_of_a_later_version_requires_an_upgrade(project, flag):
    project.write_test(
        f"""
        @pytest.mark.cassette
        @pytest.mark.parametrize("number", range({len(NEWER)}))
        def test_ask(number):
            ask("x")
        """
    )
    for number, content in enumerate(NEWER.values()):
        project.write(f"cassettes/test_it/test_ask[{number}].yaml", "").write_bytes(content)
    run = project.record(flag)
    assert run.counts == {"errors": len(NEWER)}
    assert run.changed == set()
    lines = "\n".join(run.lines)
    for reason in map(str.strip, NEWER):
        _, found, advice = lines.partition(f"the cassette cannot be read: {reason}\n")
        assert found, reason
        assert advice.splitlines()[0].startswith("  upgrade Multitrack"), reason
    assert "delete it" not in lines
    assert "version control" not in lines


def test_a_project_without_cassettes_imports_and_patches_nothing(project):
    project.write(
        "test_plain.py",
        """
        import os, sys

        HEAVY = {"yaml", "vcr", "pydantic", "multitrack.tape.tape", "openai", "httpx", "requests", "grpc", "filelock"}

        def test_imports():
            assert not HEAVY & sys.modules.keys()

        def test_classes_are_not_patched():
            import http.client, socket
            import httpx, httpx2, multitrack, openai

            folder = os.path.dirname(multitrack.__file__)
            for function in (
                openai.OpenAI.__init__,
                openai.AsyncOpenAI.__init__,
                httpx.HTTPTransport.handle_request,
                httpx.AsyncHTTPTransport.handle_async_request,
                httpx2.HTTPTransport.handle_request,
                http.client.HTTPConnection.request,
                http.client.HTTPConnection.connect,
                socket.getaddrinfo,
            ):
                assert not function.__code__.co_filename.startswith(folder)
            assert "connect" not in vars(socket.socket)
            assert not [finder for finder in sys.meta_path if "multitrack" in type(finder).__module__]
        """,
    )
    # the plugin of inline-snapshot imports pydantic itself
    run = project.run("-p", "no:inline_snapshot", subprocess=True)
    assert run.counts == {"passed": 2}
    assert run.changed == set()


def test_classes_are_restored_after_a_test_with_a_cassette(project):
    project.write_test(
        """
        import _thread, httpx2, multitrack, openai, os, sys, threading

        def is_patched():
            folder = os.path.dirname(multitrack.__file__)
            functions = openai.OpenAI.__init__, httpx2.HTTPTransport.handle_request
            return [function.__code__.co_filename.startswith(folder) for function in functions]

        def test_before():
            assert is_patched() == [False, False]

        @pytest.mark.cassette
        def test_during():
            assert is_patched() == [True, True]
            # like a thread of gRPC's core, which Python did not start, and may list as alive after its end
            registered = threading.Event()
            _thread.start_new_thread(lambda: (threading.current_thread(), registered.set()), ())
            assert registered.wait(5)

        def test_after():
            assert is_patched() == [False, False]
            assert not [finder for finder in sys.meta_path if "multitrack" in type(finder).__module__]
        """
    )
    # in a process of its own: if another test had patched the same class, our patch would stay below the other patch
    assert project.run(subprocess=True).counts == {"passed": 3}
