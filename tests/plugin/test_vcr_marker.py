"""``@pytest.mark.vcr``, for tests written for pytest-recording."""

import gzip
import json
import re
import shlex

import pytest
import yaml
from command_line import run_multitrack
from local_provider import completion

CASSETTE = """
interactions:
- request:
    body: '{{"messages":[{{"role":"user","content":"{prompt}"}}],"model":"{model}"}}'
    headers: {{content-type: [application/json]}}
    method: POST
    uri: {url}/v1/chat/completions{query}
  response:
    body: {{string: '{answer}'}}
    headers: {{content-type: [application/json]}}
    status: {{code: 200, message: OK}}
version: 1
"""


def write_cassette(project, name, answer="recorded", prompt="x", model="gpt-4o-mini", query=""):
    response = completion(answer).decode()
    text = CASSETTE.format(answer=response, prompt=prompt, model=model, url=project.provider.url, query=query)
    return project.write(name, text)


def test_names_and_folders_are_those_of_pytest_recording(project):
    write_cassette(project, "cassettes/test_it/test_plain.yaml")
    write_cassette(project, "cassettes/test_it/TestClass.test_id[a-b-c].yaml")
    write_cassette(project, "cassettes/test_it/other.yaml")
    write_cassette(project, "cassettes/test_it/named.yaml")
    project.write_test(
        """
        @pytest.mark.vcr
        def test_plain():
            assert ask("x") == "recorded"

        @pytest.mark.vcr()
        class TestClass:
            @pytest.mark.parametrize("value", ["a/b:c"])
            def test_id(self, value):
                assert ask("x") == "recorded"

        @pytest.mark.vcr("other.yaml")
        def test_named():
            assert ask("x") == "recorded"

        @pytest.mark.vcr
        @pytest.mark.default_cassette("named.yaml")
        def test_default():
            assert ask("x") == "recorded"
        """
    )
    run = project.run("--strict-markers", "--cassettes-strict", "--cassettes-unused")
    assert run.counts == {"passed": 4}
    assert run.code == 0
    assert run.changed == set()
    assert "multitrack: this run used every recording" in run.lines


def test_additional_cassettes_are_replayed_too(project):
    write_cassette(project, "cassettes/test_it/test_ask.yaml", answer="own")
    write_cassette(project, "cassettes/test_it/more.yaml", answer="more")
    project.write_test(
        """
        @pytest.mark.vcr("more.yaml")
        def test_ask():
            assert [ask("x"), ask("x")] == ["own", "more"]
        """
    )
    run = project.run()
    assert run.counts == {"passed": 1}
    assert run.changed == set()


def test_the_body_is_compared_unless_match_on_leaves_it_out(project):
    write_cassette(project, "cassettes/test_it/test_loose.yaml", prompt="something else")
    write_cassette(project, "cassettes/test_it/test_strict.yaml", prompt="something else")
    project.write_test(
        """
        @pytest.mark.vcr(match_on=["method", "uri"])
        def test_loose():
            assert ask("x") == "recorded"

        @pytest.mark.vcr
        def test_strict():
            ask("x")
        """
    )
    run = project.run()
    assert run.counts == {"passed": 1, "failed": 1}
    assert '      recorded: "something else"' in run.lines


def test_vcrpy_filters_apply_to_recording_and_replay(project):
    text = """
        import json, httpx

        def without_run(request):
            if request.path == "/health":
                return None
            request.body = request.body.replace(b"run-{run}", b"run")
            return request

        def shouted(response):
            response["body"]["string"] = response["body"]["string"].replace(b"echo", b"ECHO")
            return response

        @pytest.fixture
        def vcr_config():
            return dict(
                before_record_request=without_run,
                before_record_response=shouted,
                filter_query_parameters=["trace"],
                match_on=["method", "uri", "body"],
            )

        @pytest.mark.vcr
        def test_ask():
            answer = httpx.post("{url}/v1?trace={run}&a=1", json=dict(messages=[dict(content="run-{run}")]))
            assert answer.json()["choices"][0]["message"]["content"] == "{answer}"
            if {run} == 1:
                httpx.get("{url}/health")
        """
    url = project.provider.url
    project.write_test(text.format(run=1, url=url, answer="echo: run-1"))
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert [sent.path for sent in project.provider.requests] == ["/v1?trace=1&a=1", "/health"]
    written = project.cassette("test_it/test_ask").read_text()
    assert f"uri: {url}/v1?a=1\n" in written
    assert '"content": "run"' in written
    assert "health" not in written
    project.write_test(text.format(run=2, url=url, answer="ECHO: run-1"))
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


def test_allow_playback_repeats(project):
    write_cassette(project, "cassettes/test_it/test_ask.yaml")
    project.write_test(
        """
        @pytest.mark.vcr(allow_playback_repeats=True)
        def test_ask():
            assert [ask("x"), ask("x")] == ["recorded"] * 2
        """
    )
    assert project.run().counts == {"passed": 1}


def test_fixtures_set_the_folder_and_the_cassette_name(project):
    write_cassette(project, "tapes/mine.yaml")
    project.write_test(
        """
        @pytest.fixture(scope="module")
        def vcr_cassette_dir(request):
            return str(request.path.parent / "tapes")

        @pytest.fixture
        def default_cassette_name():
            return "mine"

        @pytest.mark.vcr
        def test_ask():
            assert ask("x") == "recorded"
        """
    )
    assert project.run().counts == {"passed": 1}


@pytest.mark.parametrize("plugin", ["recording", "cassetter", "vcr"])
def test_the_marker_is_ignored_if_another_plugin_defines_it(project, plugin):
    project.write(
        "theirs.py",
        """
        def pytest_configure(config):
            config.addinivalue_line("markers", "vcr: theirs")
        """,
    )
    project.write("conftest.py", "import theirs\n\ndef pytest_configure(config): pass\n")
    project.write(
        "early.py",
        f"""
        import theirs

        def pytest_load_initial_conftests(early_config):
            early_config.pluginmanager.register(theirs, {plugin!r})
        """,
    )
    project.write_test("@pytest.mark.vcr\ndef test_ask(): assert ask('x') == 'echo: x'")
    project.pytester.syspathinsert()
    run = project.record("-p", "early", "-q")
    # no cassette was used: the request went live
    assert run.counts == {"passed": 1}
    assert run.changed == set()
    assert "multitrack:" not in run.out


def test_the_cassette_marker_overrides_the_vcr_marker(project):
    project.write_test("@pytest.mark.vcr\n@pytest.mark.cassette(name='own')\ndef test_ask(): ask('x')")
    assert project.record().changed == {"cassettes/own.yaml"}


SHARED = """
interactions:
- request: {body: null, headers: {}, method: GET, uri: "http://example.test/x"}
  response: {body: {string: ok}, headers: {}, status: {code: 200, message: OK}}
version: 1
"""


@pytest.mark.parametrize("flag", ["--record", "--record-missing"])
def test_a_test_with_a_shared_cassette_records_to_its_own(project, flag):
    shared = project.write("cassettes/test_it/shared.yaml", SHARED)
    before = shared.read_bytes()
    project.write_test("@pytest.mark.vcr('shared.yaml')\ndef test_ask():\n    assert ask('x') == 'echo: x'")
    run = project.record(flag)
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert shared.read_bytes() == before
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


def test_a_shared_cassette_is_replayed_while_the_rest_is_recorded(project):
    project.write("cassettes/test_it/shared.yaml", SHARED)
    project.write_test(
        """
        import httpx

        @pytest.mark.vcr("shared.yaml")
        def test_ask():
            assert httpx.get("http://example.test/x").text == "ok"
            assert ask("x") == "echo: x"
        """
    )
    run = project.record("--record-missing")
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


def test_a_pending_recording_is_stored_next_to_the_default_cassette(project):
    project.write("cassettes/test_it/shared.yaml", SHARED)
    project.write_test("@pytest.mark.vcr('shared.yaml')\ndef test_ask():\n    assert ask('x') == 'something else'")
    run = project.record()
    assert run.changed == {"cassettes/test_it/test_ask.pending.yaml"}


GET = """
    import httpx

    {fixture}
    {marker}
    def test_get():
        assert httpx.get("http://example.test/x").text == "ok"
"""
INTERACTION = yaml.safe_load(SHARED)["interactions"][0]


def pair_requests():
    """The content that langchain-tests writes."""
    request, response = INTERACTION["request"], INTERACTION["response"]
    return yaml.safe_dump({"requests": [request], "responses": [response]}).encode()


OTHER_FORMATS = {
    "json": ("json", json.dumps({"interactions": [INTERACTION], "version": 1}).encode()),
    "yaml.gz": ("yaml.gz", gzip.compress(SHARED.encode())),
    "langchain-tests": ("yaml.gz", gzip.compress(pair_requests())),
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
@pytest.mark.parametrize("place", ["marker", "fixture"])
def test_a_cassette_of_another_serializer_is_replayed(project, name, place):
    serializer, content = OTHER_FORMATS[name]
    path = project.path / f"cassettes/test_it/test_get.{serializer}"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    fixture = f"@pytest.fixture(scope='module')\n    def vcr_config(): return dict(serializer={serializer!r})\n"
    marker = f"@pytest.mark.vcr(serializer={serializer!r})" if place == "marker" else "@pytest.mark.vcr"
    project.write_test(GET.format(fixture=fixture if place == "fixture" else "", marker=marker))
    run = project.run()
    assert run.counts == {"passed": 1}
    assert run.changed == set()


def test_a_path_transformer_names_the_cassette(project):
    path = project.path / "cassettes/test_it/test_get.yaml.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(SHARED.encode()))
    fixture = """
    @pytest.fixture(scope="module")
    def vcr_config():
        import vcr
        return dict(path_transformer=vcr.VCR.ensure_suffix(".yaml.gz"))
    """
    project.write_test(GET.format(fixture=fixture, marker="@pytest.mark.vcr"))
    assert project.run().counts == {"passed": 1}


def test_a_recording_is_yaml_whatever_the_serializer(project):
    project.write_test("@pytest.mark.vcr(serializer='json')\ndef test_ask():\n    assert ask('x') == 'echo: x'")
    run = project.record()
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


@pytest.fixture
def other_format(project):
    """Return the path of a ``.json`` cassette whose request differs from the one that the test sends."""
    serializer, content = OTHER_FORMATS["json"]
    path = project.path / f"cassettes/test_it/test_get.{serializer}"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


LOCAL = """
    import httpx
    import os

    @pytest.mark.vcr(serializer="json")
    def test_get():
        httpx.get(os.environ["URL"])
"""


def test_a_recording_replaces_the_cassette_of_another_serializer(project, other_format, monkeypatch):
    monkeypatch.setenv("URL", project.provider.url)
    project.write_test(LOCAL)
    run = project.record()
    assert (
        "multitrack: delete cassettes/test_it/test_get.json, which is no longer replayed, because "
        "cassettes/test_it/test_get.yaml has replaced it" in run.lines
    )
    assert project.run().counts == {"passed": 1}
    monkeypatch.setenv("URL", "http://example.test/x")
    run = project.run()
    assert run.counts == {"failed": 1}
    assert (
        "  cassettes/test_it/test_get.json has this request, but is not replayed, because "
        "cassettes/test_it/test_get.yaml has replaced it" in run.lines
    )
    assert run_multitrack("check", "cassettes", cwd=project.path).stdout.splitlines() == [
        "cassettes/test_it/test_get.json: not replayed, because cassettes/test_it/test_get.yaml has replaced it: "
        "delete the old file"
    ]


def test_record_missing_does_not_split_a_cassette_of_another_serializer(project, other_format, monkeypatch):
    monkeypatch.setenv("URL", project.provider.url)
    project.write_test(LOCAL)
    run = project.record("--record-missing")
    assert run.counts == {"errors": 1}
    assert run.changed == set()
    assert "test_get.json: --record-missing cannot add to a cassette in this format" in run.out
    command = re.search(r"  to record all requests of the test again: pytest (.+)", run.out)[1]
    assert command == "--record test_it.py::test_get"
    assert project.record(*shlex.split(command)).counts == {"passed": 1}
    assert project.run().counts == {"passed": 1}


def test_a_damaged_compressed_cassette_is_named(project):
    path = project.path / "cassettes/test_it/test_get.yaml.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(SHARED.encode())[:40])
    project.write_test(GET.format(fixture="", marker="@pytest.mark.vcr(serializer='yaml.gz')"))
    run = project.run()
    assert run.counts == {"errors": 1}
    assert "cassettes/test_it/test_get.yaml.gz" in run.out
    assert "it is damaged gzip data" in run.out
