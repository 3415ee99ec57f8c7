"""Open a cassette without the plugin."""

import asyncio
import contextlib
import re

import httpx
import openai
import pytest
from local_provider import echo

from multitrack.errors import BadOption, CassetteCorrupt, CassetteMiss
from multitrack.tape import active, run_context
from multitrack.tape.file import storage
from multitrack.tape.use_cassette import use_cassette

MODES = pytest.mark.parametrize("how", ["sync", "async"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "tape.yaml"


def within(how, cassette, block):
    """Return the result of ``block(tape)`` within ``cassette``, entered with ``with`` or ``async with``."""
    if how == "sync":
        with cassette as tape:
            return block(tape)

    async def main():
        async with cassette as tape:
            return block(tape)

    return asyncio.run(main())


def get(url):
    return httpx.get(url).json()["path"]


@MODES
def test_a_block_records_and_replays(provider, path, how):
    assert within(how, use_cassette(path, mode="record"), lambda _: get(provider.url + "/x")) == "/x"
    provider.stop()

    def block(tape):
        assert tape.mode == "replay"
        assert tape.path == path
        assert get(provider.url + "/x") == "/x"
        assert len(tape.played) == 1

    within(how, use_cassette(str(path)), block)
    assert storage.read(path).interactions[0].tests == ()


@MODES
@pytest.mark.parametrize("mode", [None, "replay"])
def test_a_miss_raises_and_says_how_to_record_it(provider, path, how, mode, request):
    def block(tape):
        with tape.expect_misses(), pytest.raises(CassetteMiss) as missed:
            get(provider.url)
        return missed

    missed = within(how, use_cassette(path, mode), block)
    command = "use_cassette(..., mode='record')" if mode else f"pytest --record '{request.node.nodeid}'"
    assert re.sub("  sent from: .*\n", "", str(missed.value)) == (
        f"GET {provider.url} has no recording\n"
        f"  cassette: {path}\n"
        f"  reason: there is no cassette yet\n"
        f"  to record it: {command}"
    )


@pytest.fixture
def outside_of_pytest(monkeypatch):
    """Open blocks outside of any test, because a miss would fail the test."""
    monkeypatch.setattr(run_context, "_runs", [])


@MODES
@pytest.mark.usefixtures("outside_of_pytest")
@pytest.mark.parametrize("afterwards", [None, RuntimeError("mine")])
def test_a_caught_miss_is_raised_at_the_end(provider, path, how, afterwards):
    def block(_):
        try:
            get(provider.url)
        except BaseException:
            if afterwards:
                raise afterwards from None

    with pytest.raises(CassetteMiss) as missed:
        within(how, use_cassette(path), block)
    assert missed.value.__cause__ is afterwards


@pytest.mark.usefixtures("outside_of_pytest")
def test_a_miss_in_a_nested_tape_fails_the_outer_one(provider, path, tmp_path):
    def block():
        with use_cassette(tmp_path / "outer.yaml"), contextlib.suppress(BaseException), use_cassette(path):
            get(provider.url)

    with pytest.raises(CassetteMiss):
        block()


def test_expect_misses_of_the_outer_tape_covers_nested_tapes(provider, path, tmp_path):
    with use_cassette(tmp_path / "outer.yaml") as outer, outer.expect_misses() as misses:
        with use_cassette(path):
            get(provider.url)
        pytest.fail("the miss was raised")
    assert len(misses) == 1


@MODES
def test_a_block_that_raises_leaves_a_pending_recording(provider, path, how):
    within(how, use_cassette(path, mode="record"), lambda _: get(provider.url + "/old"))
    before = path.read_bytes()

    def block(_):
        get(provider.url + "/new")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        within(how, use_cassette(path, mode="record"), block)
    assert path.read_bytes() == before
    pending = path.with_name("tape.pending.yaml")
    assert storage.read(pending).interactions[0].request.url == provider.url + "/new"


def test_record_missing_appends_and_live_writes_nothing(provider, path):
    with use_cassette(path, mode="record"):
        get(provider.url + "/1")
    with use_cassette(path, mode="record-missing"):
        assert get(provider.url + "/1") == "/1"
        assert get(provider.url + "/2") == "/2"
    assert len(provider.requests) == 2
    assert [each.request.url[-2:] for each in storage.read(path).interactions] == ["/1", "/2"]
    before = path.read_bytes()
    with use_cassette(path, mode="live") as tape:
        get(provider.url + "/1")
    assert len(provider.requests) == 3
    assert path.read_bytes() == before
    assert tape.interactions == ()
    assert len(tape.sent) == 1


def test_a_nested_tape_has_the_mode_of_the_outer_one(provider, path, tmp_path):
    with use_cassette(tmp_path / "outer.yaml", mode="record"), use_cassette(path) as inner:
        assert inner.mode == "record"
        get(provider.url)
    assert path.exists()
    assert not (tmp_path / "outer.yaml").exists()
    with use_cassette(tmp_path / "outer.yaml", mode="live"), use_cassette(path, mode="replay") as inner:
        assert inner.mode == "replay"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "rec"}, "use_cassette: unknown mode 'rec'; known modes: replay, record, record-missing, live"),
        ({"ignored": 1}, "use_cassette: unknown option 'ignored'; known options: "),
        ({"ignore": 1}, "use_cassette: ignore must be a list of strings, not 1"),
        ({"keep_errors": 1}, "use_cassette: keep_errors must be true or false, not 1"),
        (
            {"keep_headers": ["cookie"]},
            "use_cassette: keep_headers refuses 'cookie': credentials are never stored in a cassette",
        ),
    ],
)
def test_bad_options_raise_immediately(path, arguments, message):
    with pytest.raises(BadOption) as refused:
        use_cassette(path, **arguments)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("mode", ["replay", "record"])
def test_a_damaged_cassette_is_an_error_and_no_tape_stays_open(provider, path, mode):
    path.parent.mkdir()
    path.write_text("interactions: [")
    with pytest.raises(CassetteCorrupt), use_cassette(path, mode=mode):
        pytest.fail("it was opened")
    assert path.read_text() == "interactions: ["
    assert get(provider.url) == "/"


def test_an_openai_client_requires_no_key_to_replay(provider, path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    provider.reply = echo

    def ask(**options):
        with openai.OpenAI(base_url=provider.url, **options) as client:
            message = {"role": "user", "content": "hi"}
            return client.chat.completions.create(model="m", messages=[message]).choices[0].message.content

    with use_cassette(path, mode="record"):
        assert ask(api_key="sk-0123456789abcdefghij") == "echo: hi"
    provider.stop()
    with use_cassette(path):
        assert ask() == "echo: hi"


def test_one_cassette_may_be_used_again(provider, path):
    cassette = use_cassette(path, mode="record")
    for name in ("/1", "/2"):
        with cassette:
            get(provider.url + name)
    assert [each.request.url[-2:] for each in storage.read(path).interactions] == ["/2"]


def test_a_decorated_function_opens_the_cassette_for_each_call(provider, path):
    @use_cassette(path, mode="record")
    def record(name):
        """Send a request."""
        return get(f"{provider.url}/{name}")

    assert record("x") == "/x"
    assert (record.__name__, record.__doc__) == ("record", "Send a request.")
    url = provider.url
    provider.stop()
    replayed = use_cassette(path)

    @replayed
    def call():
        return get(f"{url}/x")

    @replayed
    async def call_async():
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{url}/x")).json()["path"]

    @replayed
    def generate():
        yield get(f"{url}/x")

    @replayed
    async def generate_async():
        yield get(f"{url}/x")

    async def call_all():
        # each call has its own cassette, even side by side
        found = await asyncio.gather(call_async(), call_async())
        return [*found, *[one async for one in generate_async()]]

    assert [call(), call(), *generate(), *asyncio.run(call_all())] == ["/x"] * 6
    assert active.current_tape() is None


@pytest.mark.parametrize(
    ("option", "advice"),
    [("record_mode", "pass mode='replay', 'record' or 'record-missing'"), ("filter_headers", "omit it")],
)
def test_an_option_of_vcrpy_is_refused_by_name(path, option, advice):
    with pytest.raises(BadOption, match=f"'{option}' is an option of vcrpy; {advice}"):
        use_cassette(path, **{option: "once"})
