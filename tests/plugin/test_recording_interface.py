"""The interface of pytest-recording, where that plugin is not installed: hook, fixtures, markers and options."""

import gzip
import json

import pytest
import yaml

INTERACTION = """
- request: {{body: {body}, headers: {{x-run: [one], Accept: ['*/*']}}, method: {method}, uri: "{url}"}}
  response: {{body: {{string: '{answer}'}}, headers: {{X-Kind: [test]}}, status: {{code: 200, message: OK}}}}
"""


def write_cassette(project, name, *interactions):
    """Write a cassette of vcrpy. Each of ``interactions`` is a dictionary."""
    defaults = {"body": "null", "method": "GET", "url": "http://example.test/x", "answer": "ok"}
    text = "".join(INTERACTION.format(**defaults | one).lstrip("\n") for one in interactions)
    return project.write(f"cassettes/{name}", f"interactions:\n{text}version: 1\n")


FIXTURES = """
    import json

    import httpx
    import pytest
    import vcr as vcrpy

    def get(path="/x", **options):
        return httpx.get(f"http://example.test{path}", **options).text

    def upper(response):
        return {**response, "body": {"string": response["body"]["string"].upper()}}

    def test_without_marker(vcr, record_mode, disable_recording, allowed_hosts, block_network, vcr_markers):
        assert vcr is None
        assert record_mode == "none"
        assert disable_recording is False
        assert allowed_hosts is None
        assert vcr_markers == []

    def test_defaults(vcr_config, vcr_cassette_dir, default_cassette_name, request):
        assert vcr_config == {}
        assert vcr_cassette_dir == str(request.path.parent / "cassettes" / "test_fixtures")
        assert default_cassette_name == "test_defaults"

    @pytest.mark.default_cassette("named.yaml")
    @pytest.mark.parametrize("value", ["a/b"])
    def test_default_cassette(default_cassette_name, value):
        assert default_cassette_name == "named.yaml"

    class TestClass:
        @pytest.mark.parametrize("value", ["a/b:c"])
        def test_name(self, default_cassette_name, value):
            assert default_cassette_name == "TestClass.test_name[a-b-c]"

    @pytest.mark.vcr
    @pytest.mark.default_cassette("two.yaml")
    def test_vcr(vcr, vcr_markers):
        assert isinstance(vcr, vcrpy.cassette.Cassette)
        assert len(vcr_markers) == 1
        assert vcr._path.endswith("/cassettes/test_fixtures/two.yaml")
        assert vcr.record_mode == "none"
        assert len(vcr) == len(vcr.data) == 2
        assert (vcr.play_count, vcr.all_played, vcr.rewound) == (0, False, True)
        assert get() == "first"
        assert (vcr.play_count, dict(vcr.play_counts)) == (1, {0: 1})
        assert httpx.post("http://example.test/y", json={"a": 1}).text == "second"
        assert vcr.all_played
        assert [request.uri for request in vcr.requests] == ["http://example.test/x", "http://example.test/y"]
        assert json.loads(vcr.requests[1].body) == {"a": 1}
        assert vcr.requests[0].body is None
        assert vcr.requests[0].headers["X-Run"] == "one"
        assert vcr.responses[0]["body"]["string"] == b"first"
        assert vcr.responses[0]["headers"]["X-Kind"] == ["test"]
        assert vcr.responses_of(vcr.requests[1])[0]["body"]["string"] == b"second"
        vcr.rewind()
        assert (vcr.play_count, vcr.all_played) == (0, False)
        assert get() == "first"
        assert vcr.play_count == 1

    @pytest.mark.vcr(before_record_request=lambda request: "changed")
    def test_functions(vcr):
        assert vcr._before_record_request("sent") == "changed"

    @pytest.mark.vcr(allow_playback_repeats=True)
    @pytest.mark.default_cassette("one.yaml")
    def test_repeats(vcr):
        assert [get(), get(), get()] == ["ok"] * 3
        assert vcr.play_count == 3

    @pytest.mark.vcr(match_on=["method", "uri", "headers"])
    @pytest.mark.default_cassette("one.yaml")
    def test_headers_matcher():
        assert get(headers={"accept": "*/*"}) == "ok"

    @pytest.mark.vcr("compressed.yaml", decode_compressed_response=True, before_record_response=upper)
    def test_response_filter(vcr):
        with httpx.stream("GET", "http://example.test/x") as response:
            assert b"".join(response.iter_raw()) == b"OK"
        assert vcr.responses[0]["body"]["string"] == b"OK"

    @pytest.mark.vcr(record_mode="once", custom_patches=(), unknown_to_vcrpy=1)
    @pytest.mark.default_cassette("one.yaml")
    def test_record_mode_once(vcr):
        assert vcr.record_mode is vcrpy.mode.ONCE
        assert get() == "ok"
"""


def test_fixtures_and_markers_are_those_of_pytest_recording(project):
    write_cassette(project, "test_fixtures/one.yaml", {})
    second = {"body": "'{\"a\":1}'", "method": "POST", "url": "http://example.test/y", "answer": "second"}
    write_cassette(project, "test_fixtures/two.yaml", {"answer": "first"}, second)
    project.write("test_fixtures.py", FIXTURES)
    compressed = {"string": gzip.compress(b"ok")}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {"content-encoding": ["gzip"]}, "body": compressed}
    request = {"method": "GET", "uri": "http://example.test/x", "headers": {}, "body": None}
    content = {"interactions": [{"request": request, "response": response}], "version": 1}
    project.write("cassettes/test_fixtures/compressed.yaml", yaml.safe_dump(content))
    run = project.run("--strict-markers")
    assert run.counts == {"passed": 10}, run.out
    assert run.changed == set()


HOOK = """
    import json
    import pytest

    class Serializer:
        @staticmethod
        def deserialize(text):
            return json.loads(text.removeprefix("secret:"))

        @staticmethod
        def serialize(content):
            return "secret:" + json.dumps(content)

    def same_body(sent, recorded):
        assert sent.body[:3] == recorded.body[:3], "the bodies start differently"

    def pytest_recording_configure(config, vcr):
        assert config.rootpath
        vcr.register_serializer("secret", Serializer)
        vcr.register_matcher("same_body", same_body)
        vcr.register_matcher("host", lambda sent, recorded: sent.host[0] == recorded.host[0])
        vcr.filter_query_parameters = ["key"]
"""
HOOK_TESTS = """
    import httpx
    import pytest

    def post(content, url="http://example.test/x"):
        return httpx.post(url, content=content).text

    pytestmark = pytest.mark.default_cassette("bodies.yaml")
    by_start = dict(match_on=["method", "uri", "same_body"])

    @pytest.mark.vcr(**by_start)
    def test_matcher():
        assert [post("def-1"), post("abc-1"), post("abc-2")] == ["def", "abc", "abc again"]

    @pytest.mark.vcr(**by_start)
    def test_rejected():
        post("xyz")

    @pytest.mark.vcr(match_on=["same_body"])
    def test_nothing_but_the_matcher():
        assert post("def-1", "https://other.test/z") == "def"

    @pytest.mark.vcr
    def test_replaced_matcher_and_setting():
        assert post("abc", "http://elsewhere.test/x?key=secret") == "abc"

    @pytest.mark.vcr(match_on=["wrong"])
    def test_unknown_matcher():
        pass

    @pytest.mark.default_cassette("own")
    @pytest.mark.vcr(serializer="secret")
    def test_serializer(vcr):
        assert post("abc") == "from the serializer"
        assert vcr._path.endswith("/own.secret")

    @pytest.mark.vcr(record_mode="sometimes")
    def test_wrong_record_mode():
        pass
"""


def test_the_hook_configures_vcrpy(project):
    post = {"method": "POST"}
    answers = {"abc": "abc", "def": "def", "abcd": "abc again"}
    interactions = [post | {"body": f"'{body}'", "answer": answer} for body, answer in answers.items()]
    path = write_cassette(project, "test_hook/bodies.yaml", *interactions)
    content = yaml.safe_load(path.read_text().replace("string: 'abc'", "string: 'from the serializer'"))
    project.write("cassettes/test_hook/own.secret", "secret:" + json.dumps(content))
    project.write("conftest.py", HOOK)
    project.write("test_hook.py", HOOK_TESTS)
    run = project.run("-rA", "--tb=short")
    passed = {"test_matcher", "test_nothing_but_the_matcher", "test_replaced_matcher_and_setting", "test_serializer"}
    assert {name for name in passed if f"PASSED test_hook.py::{name}" in run.out} == passed, run.out
    assert run.counts == {"passed": 4, "failed": 1, "errors": 2}
    start = "the nearest recording is interaction 1 of 3, but the matcher 'same_body' rejects this recording"
    assert f"  reason: rejected: {start}: the bodies start differently" in run.lines
    assert "the matcher 'wrong' in match_on is neither part of vcrpy nor registered" in run.out
    assert "record_mode must be one of none, once, new_episodes, all, rewrite, not 'sometimes'" in run.out


def test_bodies_are_compared_unless_vcrpys_matching_is_asked_for(project):
    write_cassette(project, "test_it/test_ask.yaml", {"method": "POST", "body": '\'{"prompt": "then"}\''})
    project.write(
        "test_it.py",
        """
        import httpx
        import pytest

        @pytest.mark.vcr
        def test_ask():
            httpx.post("http://example.test/x", json={"prompt": "now"})
        """,
    )
    assert project.run().counts == {"failed": 1}
    project.write("pyproject.toml", "[tool.multitrack]\nvcr_compatible_matching = true\n")
    assert project.run().counts == {"passed": 1}


MODES = """
    import httpx
    import os
    import pytest

    def get(path):
        return httpx.get(os.environ["URL"] + path).status_code

    @pytest.mark.vcr
    def test_new():
        assert get("/new") == 200

    @pytest.mark.vcr
    def test_stored(vcr):
        assert get("/stored") == 200

    @pytest.mark.vcr
    def test_added():
        assert [get("/stored"), get("/added")] == [200, 200]
"""
STORED = {"test_stored", "test_added"}


@pytest.mark.parametrize(
    ("record_mode", "failed", "live", "stored_paths"),
    [
        ("none", {"test_new", "test_added"}, [], ["/stored"]),
        ("once", {"test_added"}, ["/new"], ["/stored"]),
        ("new_episodes", set(), ["/new", "/added"], ["/stored", "/added"]),
        ("all", set(), ["/new", "/stored", "/stored", "/added"], ["/stored", "/stored", "/added"]),
        ("rewrite", set(), ["/new", "/stored", "/stored", "/added"], ["/stored", "/added"]),
    ],
)
def test_record_modes(project, monkeypatch, record_mode, failed, live, stored_paths):
    url = project.provider.url
    monkeypatch.setenv("URL", url)
    for name in STORED:
        write_cassette(project, f"test_it/{name}.yaml", {"url": f"{url}/stored"})
    project.write("test_it.py", MODES)
    run = project.run(f"--record-mode={record_mode}", "-rf")
    assert {name for name in ("test_new", *STORED) if f"FAILED test_it.py::{name} " in run.out} == failed, run.out
    assert [request.path for request in project.provider.requests] == live
    content = yaml.safe_load(project.cassette("test_it/test_added").read_text())
    assert [one["request"]["uri"].removeprefix(url) for one in content["interactions"]] == stored_paths


def test_record_mode_of_markers_and_config(project, monkeypatch):
    monkeypatch.setenv("URL", project.provider.url)
    project.write(
        "test_it.py",
        """
        import httpx
        import os
        import pytest

        @pytest.fixture(scope="module")
        def vcr_config():
            return {"record_mode": "once"}

        @pytest.mark.vcr
        def test_config(record_mode):
            assert record_mode == "none"
            assert httpx.get(os.environ["URL"] + "/config").status_code == 200

        @pytest.mark.vcr(record_mode="none")
        def test_marker():
            httpx.get(os.environ["URL"] + "/marker")
        """,
    )
    run = project.run("--record-mode=none")
    assert run.counts == {"passed": 1, "failed": 1}
    assert run.changed == {"cassettes/test_it/test_config.yaml"}
    project.provider.requests.clear()
    assert project.run().counts == {"passed": 1, "failed": 1}
    assert project.provider.requests == []
    # the whole suite without cassettes
    run = project.run("--disable-recording")
    assert run.counts == {"passed": 2}
    assert [request.path for request in project.provider.requests] == ["/config", "/marker"]
    assert run.changed == set()
    # in CI, nothing is recorded
    project.cassette("test_it/test_config").unlink()
    monkeypatch.setenv("CI", "true")
    run = project.run()
    assert run.counts == {"failed": 2}
    assert run.changed == set()
    assert "--record-mode=all: the environment variable CI is set" in project.run("--record-mode=all").err


BLOCKED = """
    import socket

    import httpx
    import pytest

    URL = "{url}"
    HOST, PORT = "127.0.0.1", {port}

    def connect():
        socket.create_connection((HOST, PORT)).close()

    @pytest.fixture(scope="module", autouse=True)
    def server_is_ready():
        # as with pytest-recording, neither a block nor a cassette of a test covers a fixture of wider scope
        assert httpx.get(URL).status_code == 200

    @pytest.fixture
    def message():
        with pytest.raises(RuntimeError) as caught:
            connect()
        return str(caught.value)

    @pytest.mark.block_network
    def test_refused(message, request):
        assert f"{{HOST}}:{{PORT}}" in message
        assert request.node.nodeid in message

    @pytest.mark.block_network
    def test_client():
        with pytest.raises(RuntimeError, match="127.0.0.1"):
            httpx.get(URL)

    @pytest.mark.block_network
    def test_name():
        with pytest.raises(RuntimeError, match="name.invalid"):
            httpx.get("http://name.invalid")

    @pytest.mark.block_network
    def test_connect_ex_and_datagrams():
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as sock, pytest.raises(RuntimeError, match="Network is disabled"):
                sock.connect_ex((b"127.0.0.1", PORT))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(RuntimeError):
            sock.sendto(b"x", ("127.0.0.1", PORT))

    @pytest.mark.block_network
    def test_unix_socket(tmp_path):
        with socket.socket(socket.AF_UNIX) as sock, pytest.raises(RuntimeError, match="blocked.sock"):
            sock.connect("blocked.sock")

    @pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
    def test_pycurl():
        import pycurl

        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, "http://name.invalid/x")
        for send in (curl.perform, lambda: pycurl.CurlMulti().add_handle(curl)):
            with pytest.raises(RuntimeError, match="name.invalid"):
                send()
        curl.setopt(pycurl.URL, URL)
        curl.setopt(pycurl.WRITEFUNCTION, lambda content: None)
        curl.perform()

    @pytest.mark.block_network(allowed_hosts=["127.0.0.*", "./allowed"])
    def test_allowed():
        connect()
        assert httpx.get(URL).status_code == 200
        with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
            sock.connect("./allowed.sock")
        with pytest.raises(RuntimeError):
            socket.create_connection(("::1", PORT))

    @pytest.mark.block_network
    @pytest.mark.vcr
    def test_replayed():
        assert httpx.get("http://example.test/x").text == "ok"
        with pytest.raises(RuntimeError):
            connect()

    @pytest.mark.block_network
    @pytest.mark.vcr(record_mode="once")
    def test_recorded():
        assert httpx.get(URL).status_code == 200

    @pytest.mark.block_network
    @pytest.mark.vcr(ignore_localhost=True)
    def test_ignored_host():
        with pytest.raises(RuntimeError):
            httpx.get(URL)

    @pytest.mark.block_network(hosts=[])
    def test_wrong_argument():
        pass

    def test_without_marker():
        connect()
"""


def _write_blocked(project):
    url = project.provider.url
    project.write("test_block.py", BLOCKED.format(url=url, port=url.rpartition(":")[2]))
    write_cassette(project, "test_block/test_replayed.yaml", {})


PYCURL = """
    import urllib.request

    EFFECTIVE_URL, URL, WRITEFUNCTION = "effective", "url", "write"

    class Curl:
        def setopt(self, name, value):
            setattr(self, name, value)

        def getinfo(self, name):
            return self.url

        def perform(self):
            self.write(urllib.request.urlopen(self.url).read())

    class CurlMulti:
        def add_handle(self, curl):
            raise AssertionError("not blocked")
"""


def test_the_marker_block_network(project):
    _write_blocked(project)
    # a stand-in for the real module, which needs libcurl
    project.write("pycurl.py", PYCURL)
    project.pytester.syspathinsert()
    run = project.run("--strict-markers", "-rfE")
    assert run.counts == {"passed": 11, "errors": 1}, run.out
    assert "pass only allowed_hosts=[...], not hosts=..." in run.out


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--block-network"], ""),
        (["--multitrack-block-network"], ""),
        ([], "block_network = true"),
        (["--block-network", "--allowed-hosts=10.*,127.0.0.1"], ""),
        (["--multitrack-block-network"], "allow_hosts = ['127.0.0.1']"),
    ],
)
def test_the_network_is_blocked_for_the_run(project, arguments, settings):
    _write_blocked(project)
    project.write("pyproject.toml", f"[tool.multitrack]\n{settings}\n")
    run = project.run(*arguments, "-k", "test_without_marker or test_recorded")
    is_allowed = "allowed" in str(arguments) or "allow_hosts" in settings
    assert run.counts == ({"passed": 2} if is_allowed else {"passed": 1, "failed": 1}), run.out
    if not is_allowed:
        assert "Network is disabled: test_block.py::test_without_marker must not connect to 127.0.0.1:" in run.out


OTHERS = {
    "installed": ("-p", "early"),
    "by a conftest": (),
}


@pytest.mark.parametrize("place", OTHERS)
def test_no_name_is_registered_beside_pytest_recording(project, place):
    """``pytest_recording.py`` stands for the real plugin, whose options and fixtures are the same."""
    project.write(
        "pytest_recording/plugin.py",
        """
        import pytest

        def pytest_addoption(parser):
            for name in ("--record-mode", "--block-network", "--allowed-hosts", "--disable-recording"):
                parser.addoption(name)

        def pytest_addhooks(pluginmanager):
            from pytest_recording import hooks
            pluginmanager.add_hookspecs(hooks)

        @pytest.fixture
        def vcr():
            return "theirs"
        """,
    )
    project.write("pytest_recording/__init__.py", "")
    project.write("pytest_recording/hooks.py", "def pytest_recording_configure(config, vcr): pass\n")
    project.write("early.py", "pytest_plugins = ['pytest_recording.plugin']\n")
    plugins = "" if place == "installed" else "pytest_plugins = ['pytest_recording.plugin']\n"
    project.write("conftest.py", plugins + "def pytest_recording_configure(config, vcr): pass\n")
    project.write(
        "test_it.py",
        """
        import socket
        import pytest

        def test_vcr(vcr):
            assert vcr == "theirs"

        def test_others(record_mode):
            pass

        @pytest.mark.vcr
        def test_marker(pytestconfig):
            assert not any(line.startswith(("vcr", "block_network")) for line in pytestconfig.getini("markers"))
            assert pytestconfig.option.record_mode == "all"

        def test_blocked():
            with pytest.raises(RuntimeError, match="Network is disabled"):
                socket.create_connection(("127.0.0.1", 9))
        """,
    )
    project.pytester.syspathinsert()
    run = project.run(*OTHERS[place], "--record-mode", "all", "--multitrack-block-network")
    assert run.counts == {"passed": 3, "errors": 1}, run.out
    assert "fixture 'record_mode' not found" in run.out
    assert "multitrack: " not in run.out


def test_a_plugin_of_the_project_overrides_the_fixtures(project):
    project.write("theirs.py", "import pytest\n@pytest.fixture\ndef vcr_config(): return {'match_on': ['method']}\n")
    project.write("conftest.py", "pytest_plugins = ['theirs']\ndef pytest_recording_configure(config): pass\n")
    write_cassette(project, "test_it/test_get.yaml", {})
    project.write(
        "test_it.py",
        """
        import httpx
        import pytest

        @pytest.mark.vcr
        def test_get(vcr_config):
            assert vcr_config == {"match_on": ["method"]}
            assert httpx.get("http://other.test/y").text == "ok"
        """,
    )
    project.pytester.syspathinsert()
    assert project.run("-p", "no:recording").counts == {"passed": 1}
