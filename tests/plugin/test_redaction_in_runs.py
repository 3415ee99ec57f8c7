"""Private values appear neither in cassettes or pending recordings nor in the output of a run."""

import json
import re

from local_provider import DONE, STREAM, ProviderAnswer, event

PRIVATE = {
    "key": "sk-proj-inner0123456789abcdefghij",
    "variable": "hush-hush-0123456789",
    "cookie": "chocolate-chip-0123456789",
    "organisation": "umbrella-corp-0123",
    "organisation id": "org-AbCdEfGhIjKlMnOpQr",
    "project": "acme-prod-7",
    "header": "req_0123456789",
}


def test_private_values_are_neither_stored_nor_printed(project, monkeypatch):
    monkeypatch.setenv("THEIR_TOKEN", PRIVATE["variable"])
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PRIVATE["project"])
    monkeypatch.setenv("OPENAI_ORG_ID", PRIVATE["organisation id"])
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    said = "; ".join(PRIVATE.values())

    def reply(request):
        assert request.json["messages"][0]["content"] == f"tell me {said}"
        arguments = json.dumps({"text": said})
        pieces = [arguments[start : start + 7] for start in range(0, len(arguments), 7)]
        calls = [event(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in pieces]
        first = event(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "say", "arguments": ""}}])
        headers = {
            **STREAM,
            "set-cookie": [f"session={PRIVATE['cookie']}; path=/", "theme=dark"],
            "openai-organization": PRIVATE["organisation"],
            "x-request-id": PRIVATE["header"],
        }
        return ProviderAnswer(iter([event(said), first, *calls, DONE]), headers=headers)

    project.provider.reply = reply
    project.write("said.txt", said)
    body = """
        from pathlib import Path

        @pytest.mark.cassette
        def test_ask():
            said = Path("said.txt").read_text()
            prompt = "tell me " + said{change}
            http = dict(Cookie="session=" + said.split("; ")[2])
            stream = client.chat.completions.create(
                model="m", stream=True, messages=[dict(role="user", content=prompt)], extra_headers=http
            )
            text = "".join(
                chunk.choices[0].delta.content or chunk.choices[0].delta.tool_calls[0].function.arguments
                for chunk in stream
            )
            assert text.count("{hole}") == {holes}
            {end}
        """
    # the request id is not a secret: its header is not stored, but the text may contain it
    public = ("header",)
    private = [value for name, value in PRIVATE.items() if name not in public]

    def assert_clean(run):
        for path in run.changed:
            content = (project.path / path).read_text(encoding="utf-8")
            assert not [value for value in private if value in content], path
            # the names of cookies are stored, without their values
            assert not re.search(r"^ *cookie:", content, re.MULTILINE)
            assert not re.search(r"set-cookie: \[[^\]]*=(?!__redacted__|/)", content)
            assert "x-request-id" not in content
            assert "x-stainless" not in content
        assert not [value for value in private if value in run.out + run.err]

    project.write_test(body.format(change="", hole="hush-hush", holes=2, end="pytest.fail('no')"))
    pending = project.record("--record", "--tb=line")
    assert pending.counts == {"failed": 1}
    assert pending.changed == {"cassettes/test_it/test_ask.pending.yaml"}
    assert_clean(pending)

    project.write_test(body.format(change="", hole="hush-hush", holes=2, end=""))
    recorded = project.record()
    assert recorded.counts == {"passed": 1}
    assert len(recorded.changed) == 2
    assert "multitrack: the value of DB_PASSWORD is too short to be removed from recordings" in recorded.out
    assert "hunter2" not in recorded.out
    recorded.changed.discard("cassettes/test_it/test_ask.pending.yaml")
    assert_clean(recorded)

    # replay without any of these values in the environment
    for name in ("THEIR_TOKEN", "GOOGLE_CLOUD_PROJECT", "OPENAI_ORG_ID"):
        monkeypatch.delenv(name)
    project.provider.stop()
    project.write_test(body.format(change="", hole="__redacted__", holes=6, end=""))
    replayed = project.run()
    assert replayed.counts == {"passed": 1}
    assert "DB_PASSWORD" not in replayed.out
    assert replayed.changed == set()

    monkeypatch.setenv("THEIR_TOKEN", PRIVATE["variable"])
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PRIVATE["project"])
    project.write_test(body.format(change=" + ', please'", hole="x", holes=0, end=""))
    missed = project.run("--tb=short")
    assert missed.counts == {"failed": 1}
    assert "reason: changed: the nearest recording, interaction 1 of 1," in missed.out
    private.remove(PRIVATE["organisation"])  # only in a response header, which cassettes do not store
    assert_clean(missed)
