"""Findings for pairs of requests: what each difference is called, and which differences are one finding."""

import copy
import json
from datetime import UTC, datetime

import pytest

from multitrack.audit.alignment import align
from multitrack.audit.audit_report import AuditReport, build_report
from multitrack.audit.base64_values import summarize_base64
from multitrack.audit.classified_change import ChangeContext, Kind
from multitrack.audit.client_versions import find_upgrades
from multitrack.audit.comparison import RequestComparer
from multitrack.audit.findings import find_findings
from multitrack.audit.noise import find_noise
from multitrack.audit.observed import DifferingRequest, Observations, ObservedCassette, ObservedPair
from multitrack.reporting import audit_formats, audit_text
from multitrack.tape.exchange import Request
from multitrack.tape.settings import Settings

CHAT = "https://api.openai.com/v1/chat/completions"
UUIDS = "0b9f6c1e-7d52-4f0a-9a57-3b8f2f0c6a11", "5c1d2e3f-1111-4222-8333-944455566677"


def make_request(recorded, sent, *, test="test_it", number=0, url=CHAT, **facts):
    formats = tuple("JSON" if isinstance(body, dict | list) else "text" for body in (recorded, sent))
    return DifferingRequest(test, number, "it.yaml", 0, url, url, recorded, sent, formats, **facts)


def find(*requests, context=None):
    findings, _ = find_findings(requests, context or ChangeContext())
    return findings


def find_places(recorded, sent, context=None, **facts):
    """Return the kind and the title of each change between two bodies."""
    findings = find(make_request(recorded, sent, **facts), context=context)
    return [(place.change.kind, place.change.title) for finding in findings for place in finding.places]


def chat(*messages, **options):
    return {
        "model": "gpt-4o",
        "messages": [dict(zip(("role", "content"), one, strict=True)) for one in messages],
        **options,
    }


ASK = ("user", "Where is the station?")
HELP, TERSE = ("system", "You are helpful."), ("system", "You are terse.")
RENAMED = "`$.max_tokens` is now `$.max_completion_tokens`"


def make_call(arguments):
    calls = [{"function": {"name": "f", "arguments": arguments}}]
    return {"model": "m", "messages": [{"role": "assistant", "tool_calls": calls}]}


TIME = "Now it is %s, and you are %s."


@pytest.mark.parametrize(
    ("recorded", "sent", "expected"),
    [
        # texts
        (chat(HELP, ASK), chat(TERSE, ASK), [(Kind.TEXT, 'system message: "helpful" -> "terse"')]),
        (chat(ASK), chat(("user", "Where is the bus station?")), [(Kind.TEXT, 'user message: "bus" was added')]),
        (
            {"model": "claude", "max_tokens": 9, "system": "Be kind to all.", "messages": []},
            {"model": "claude", "max_tokens": 9, "system": "Be rude to all.", "messages": []},
            [(Kind.TEXT, 'system message: "kind" -> "rude"')],
        ),
        # parameters
        (chat(ASK, temperature=0.2), chat(ASK), [(Kind.PARAMETER, "$.temperature is no longer sent")]),
        (chat(ASK), chat(ASK, top_k=3), [(Kind.PARAMETER, "$.top_k is new")]),
        (chat(ASK), {**chat(ASK), "model": "gpt-5"}, [(Kind.MODEL, "$.model changed")]),
        # messages
        (chat(ASK), chat(HELP, ASK), [(Kind.MESSAGE, "a system message is new")]),
        # next to an inserted message, a changed one is still compared with itself
        (
            chat(("user", "Say hello to my old friend."), ("assistant", "Hello.")),
            chat(HELP, ("user", "Say hello to my new friend."), ("assistant", "Hello.")),
            [(Kind.TEXT, 'user message: "old" -> "new"'), (Kind.MESSAGE, "a system message is new")],
        ),
        # renamed and moved fields
        (chat(ASK, max_tokens=20), chat(ASK, max_completion_tokens=20), [(Kind.RENAMED, RENAMED)]),
        (chat(ASK, topP=0.5), chat(ASK, top_p=0.5), [(Kind.RENAMED, "`$.topP` is now `$.top_p`")]),
        (
            chat(ASK, output_format={"type": "json"}),
            chat(ASK, output_config={"format": {"type": "json"}}),
            [(Kind.RENAMED, "`$.output_format` is now `$.output_config.format`")],
        ),
        # the same flag in another field is not a move
        (chat(ASK, store=False), chat(ASK, logit=False), None),
        # forms
        (chat(ASK, n=1, stream=False), chat(ASK), [(Kind.DEFAULT, "default no longer sent")] * 2),
        (chat(ASK, logit_bias={}), chat(ASK), [(Kind.NULL, "no value instead of {}")]),
        (chat(ASK), chat(ASK, seed=None), [(Kind.NULL, "null instead of no value")]),
        (chat(ASK), chat(("user", "Where is the  station?\n")), [(Kind.FORM, "whitespace")]),
        (chat(("user", "It\u2019s \u201chere\u201d")), chat(("user", "It's \"here\"")), [(Kind.FORM, "Unicode form")]),
        (
            chat(ASK),
            chat(("user", [{"type": "text", "text": ASK[1]}])),
            [(Kind.FORM, "a string instead of a list of text blocks, or vice versa")],
        ),
        (
            chat(("user", '{"a": 1, "b": 2}')),
            chat(("user", '{"b":2,"a":1}')),
            [(Kind.FORM, "whitespace and key order in JSON")],
        ),
        # JSON in a string
        (
            make_call('{"day": 1}'),
            make_call('{"day": 2}'),
            [
                (
                    Kind.MESSAGE,
                    "assistant message, $.messages[*].tool_calls[*].function.arguments, in its JSON: $.day changed",
                )
            ],
        ),
        # values that change in each run
        (chat(ASK, user=UUIDS[0]), chat(ASK, user=UUIDS[1]), [(Kind.NOISE, "$.user")]),
        (
            chat(("user", TIME % ("2024-05-01 10:00", "well"))),
            chat(("user", TIME % ("2026-11-28 22:00", "well"))),
            [(Kind.NOISE, "$.messages[*].content")],
        ),
        (
            chat(("user", "Read /tmp/pytest-of-ann/pytest-3/a.txt first.")),
            chat(("user", "Read /tmp/pytest-of-bob/pytest-0/a.txt first.")),
            [(Kind.NOISE, "$.messages[*].content")],
        ),
        # a text with both
        (
            chat(("user", TIME % ("2024-05-01 10:00", "well"))),
            chat(("user", TIME % ("2026-11-28 22:00", "late"))),
            [(Kind.TEXT, 'user message: "well" -> "late"'), (Kind.NOISE, "$.messages[*].content")],
        ),
        # a body that no longer parses
        ('{"model": "gpt-4o",}', chat(ASK), [(Kind.BODY, "the recorded body is not valid JSON")]),
    ],
)  # fmt: skip
def test_a_difference_has_a_name(recorded, sent, expected):
    found = find_places(recorded, sent)
    if expected is None:
        assert all(kind is not Kind.RENAMED for kind, _ in found)
    else:
        assert found == expected


def make_tool(**properties):
    parameters = {"type": "object", "properties": properties, "required": []}
    return {
        "type": "function",
        "function": {"name": "get_weather", "description": "Return it.", "parameters": parameters},
    }


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda tool: tool["function"].update(name="fetch_weather"), "`get_weather` is now named `fetch_weather`"),
        (lambda tool: tool["function"]["parameters"].update(required=["city"]), "`get_weather.city` is now required"),
        (
            lambda tool: tool["function"]["parameters"]["properties"]["units"].update(enum=["metric", "kelvin"]),
            '`get_weather.units` changed the allowed value "imperial" to "kelvin"',
        ),
        (lambda tool: tool["function"].update(description="Return it now."), "`get_weather` changed its description"),
    ],
)
def test_a_changed_tool_is_described_as_in_a_miss(edit, expected):
    tool = make_tool(city={"type": "string"}, units={"type": "string", "enum": ["metric", "imperial"]})
    changed = copy.deepcopy(tool)
    edit(changed)
    assert find_places(chat(ASK, tools=[tool]), chat(ASK, tools=[changed])) == [(Kind.TOOL, expected)]


def test_the_same_edit_in_different_prompts_is_one_finding():
    requests = []
    for text in ("sing", "dance and jump", "write a letter"):
        recorded, sent = (chat(("user", f"Be {word}. The task: {text}")) for word in ("kind", "rude"))
        requests.append(make_request(recorded, sent, test=f"test_{text}"))
    assert [len(finding.requests) for finding in find(*requests)] == [3]


def test_different_edits_are_different_findings():
    requests = [
        make_request(chat(("user", "Be kind to all.")), chat(("user", f"Be {word} to all.")), test=f"test_{word}")
        for word in ("rude", "nice")
    ]
    assert len(find(*requests)) == 2


def test_an_id_that_refers_to_something_else_is_no_noise():
    """The same recorded id became two live ids."""
    recorded = {"model": "m", "a": UUIDS[0], "b": UUIDS[0]}
    sent = {"model": "m", "a": UUIDS[0].replace("0b", "1c"), "b": UUIDS[1]}
    assert all(kind is not Kind.NOISE for kind, _ in find_places(recorded, sent))


def test_an_id_from_an_earlier_answer_is_noise():
    call = {"role": "tool", "tool_call_id": "call_one1", "content": "sunny"}
    recorded = {"model": "m", "messages": [call]}
    sent = {"model": "m", "messages": [{**call, "tool_call_id": "call_two2"}]}
    (finding,) = find(make_request(recorded, sent, answer_ids=["call_two2"]))
    assert finding.places[0].change.noise == ("answer",)


def test_the_version_of_an_installed_package_is_noise():
    context = ChangeContext(find_version=lambda version, _: "llm" if version == "0.32" else None)
    request = make_request(chat(("tool", "0.29")), chat(("tool", "0.32")))
    (finding,) = find(request, context=context)
    assert finding.places[0].change.noise == ("version",)
    assert finding.placeholders == r"placeholders = { VERSION = '(?<![\w.])(?:0\.29|0\.32)(?!\w)' }"


def test_only_the_part_that_differs_between_two_runs_is_random():
    recorded = chat(("user", "Your word is alpha. Be kind."))
    sent = chat(("user", "Your word is beta. Be rude."))
    previous = {("test_it", 0): chat(("user", "Your word is gamma. Be rude."))}
    context = ChangeContext(previous=previous, previous_counts={"test_it": 1})
    kinds = {
        finding.kind: finding.places[0].change.title for finding in find(make_request(recorded, sent), context=context)
    }
    assert kinds[Kind.TEXT] == 'user message: "kind" -> "rude"'
    assert Kind.NOISE in kinds


def test_a_value_that_equalled_the_recording_in_the_previous_run_is_random():
    request = make_request(chat(ASK, tag="alpha"), chat(ASK, tag="beta"))
    (finding,) = find(request, context=ChangeContext(previous_counts={"test_it": 1}))
    assert finding.places[0].change.noise == ("proven",)


def test_a_header_that_no_recording_has_was_filtered():
    request = make_request(chat(ASK), chat(ASK), headers={"anthropic-beta": ("", "tools")})
    assert find(request) == []
    context = ChangeContext(header_names={"anthropic-beta"})
    assert find(request, context=context)[0].places[0].change.title == "header anthropic-beta is new"


def test_a_setting_is_not_proposed_where_it_hides_prompts():
    message = {"role": "assistant", "tool_calls": []}
    request = make_request(
        {"model": "m", "messages": [message]}, {"model": "m", "messages": [{**message, "content": None}]}
    )
    assert find(request)[0].ignore is None


def test_later_turns_repeat_the_first_change():
    first, changed = chat(HELP, ASK), chat(("system", "You are terse."), ASK)
    later = [
        chat(one, ASK, ("assistant", "There."), ("user", "Thanks.")) for one in (HELP, ("system", "You are terse."))
    ]
    (finding,) = find(make_request(first, changed), make_request(*later, number=1, history=2))
    assert (len(finding.requests), finding.following) == (1, 1)


def test_a_change_of_a_later_turn_is_a_finding():
    later = [chat(HELP, ASK, ("user", text)) for text in ("Thanks a lot.", "Thanks a bit.")]
    first = make_request(chat(HELP, ASK), chat(("system", "You are terse."), ASK))
    second = make_request(*later, number=1, history=2)
    assert len(find(first, second)) == 2


def test_recordings_name_the_version_of_the_client():
    agents = [
        (("user-agent", f"{name}/Python {version}"),) for name, version in (("OpenAI", "1.1"), ("AsyncOpenAI", "2.0"))
    ]
    recorded, sent = (Request("POST", CHAT, headers, b"") for headers in agents)
    assert find_upgrades(recorded, sent) == {"OpenAI": ("1.1", "2.0")}


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
        ("You have 3 apples.", "You have 4 apples."),
        (True, False),
        (1, 2),
    ],
)
def test_a_meaningful_value_is_no_noise(recorded, sent):
    assert not find_noise(recorded, sent)


def test_base64_is_shown_by_its_hash():
    image = "iVBORw0KGgo" + "A" * 400
    document = {"image_url": f"data:image/png;base64,{image}", "data": image}
    shown = summarize_base64(document)
    assert shown["data"].startswith("<base64 image/png, 411 characters, sha256 ")
    assert image not in json.dumps(shown)


def test_aligned_differences_keep_the_paths_of_both_documents():
    recorded, sent = {"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "w"}, {"name": "x", "v": 2}]}
    found = {(one.recorded_path, one.sent_path) for one in align(recorded, sent)}
    assert found == {(("a", 0), ("a", 0)), (("a", 0, "v"), ("a", 1, "v"))}


def test_another_url_is_counted_and_is_no_finding():
    comparer = RequestComparer(Settings())
    recorded, sent = (Request("POST", f"https://{host}/v1", (), b"{}") for host in ("a.example", "b.example"))
    cassette = ObservedCassette("it.yaml", [recorded])
    comparer.add_test([ObservedPair("test_it", cassette, 0, sent, recorded)])
    assert comparer.found.addresses == {"host": ["test_it"]}
    assert comparer.found.differing == []


def test_unused_recordings_have_a_reason():
    comparer = RequestComparer(Settings())
    urls = ["https://a.example/1", "https://a.example/1", "https://b.example/1", "https://a.example/2"]
    recordings = [Request("GET", url, (), b"") for url in urls]
    comparer.add_cassette(ObservedCassette("it.yaml", recordings, tests={"test_it"}, played={0}))
    use = comparer.found.cassettes["it.yaml"]
    assert use.unused == {1: "repetition", 2: "host", 3: "rest"}
    assert use.hosts == {2: "b.example"}


# the report


@pytest.mark.parametrize("beginning", ["npm_", "sk-proj-", "hvs."])
def test_each_cassette_with_a_credential_is_named(beginning):
    text = f"a line in all cassettes\nkey: {beginning}{'a1B2c3D4e5F6' * 8}\n"
    comparer = RequestComparer(Settings())
    comparer.add_cassette(ObservedCassette("clean.yaml", []), "a line in all cassettes\n")
    for name in ("first.yaml", "second.yaml"):
        comparer.add_cassette(ObservedCassette(name, []), text)
    problem = ["a value that looks like a credential"]
    assert comparer.found.secrets == {"first.yaml": problem, "second.yaml": problem}


def compare(pairs, settings=None):
    """Return the report for pairs of a recorded and a live body in one test."""
    comparer = RequestComparer(settings or Settings())
    headers = (("content-type", "application/json"), ("authorization", "Bearer sk-live-0123456789abcdefghij"))
    requests = [tuple(Request("POST", CHAT, headers, json.dumps(body).encode()) for body in pair) for pair in pairs]
    cassette = ObservedCassette("it.yaml", [recorded for recorded, _ in requests])
    comparer.add_test(
        [ObservedPair("test_it", cassette, at, sent, recorded) for at, (recorded, sent) in enumerate(requests)]
    )
    found = Observations()
    found.merge_plain(json.loads(json.dumps(comparer.found.to_plain())))
    report = build_report(
        found,
        {"test_it": "passed"},
        ChangeContext(),
        has_whole_cassette=lambda _: True,
        describe_fix=lambda _: "pytest --record",
    )
    return report, comparer.redact


def test_equal_requests_are_no_findings():
    report, _ = compare([({"b": 1.0, "a": [1]}, {"a": [1], "b": 1})])
    assert (report.requests, report.different, report.findings) == (1, 0, [])


def test_the_setting_ignore_applies():
    pair = chat(ASK, user="ann"), chat(ASK, user="bob")
    assert compare([pair], Settings(ignore=("$.user",)))[0].findings == []


@pytest.mark.parametrize("suffix", audit_formats.FORMATS)
def test_reports_contain_no_secrets(suffix):
    secret = "sk-live-0123456789abcdefghij"
    report, redact = compare([(chat(("user", "My key is secret now.")), chat(("user", f"My key is {secret} now.")))])
    assert report.findings
    assert secret not in audit_formats.FORMATS[suffix](report, redact)


@pytest.mark.parametrize("suffix", audit_formats.FORMATS)
def test_reports_contain_no_control_characters(suffix):
    pair = chat(("user", "Print a word here.")), chat(("user", "Print a \x1b[31m<script> here."))
    text = audit_formats.FORMATS[suffix](*compare([pair]))
    assert "\x1b" not in text
    # the other formats show it as text
    assert "<script>" not in text or suffix != ".html"


def test_terminal_lines_contain_no_control_characters():
    pair = chat(("user", "Print a word here.")), chat(("user", "Print a \x1b[31m word here."))
    report, redact = compare([pair])
    lines = [line for line, _ in audit_text.list_lines(report, redact, fails=False, has_file=False)]
    assert all(line.isprintable() for line in lines)


def test_a_run_without_replays_says_so():
    lines = list(audit_text.list_lines(AuditReport(), str, fails=False, has_file=False))
    assert lines[-1][0] == "multitrack: audit: no request in this run was answered from a recording"


def test_the_current_time_is_a_timestamp():
    assert find_noise("2024-05-01T10:00:00+00:00", datetime.now(UTC).isoformat(timespec="seconds"))
