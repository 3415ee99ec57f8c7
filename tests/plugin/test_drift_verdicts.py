"""Drift runs: each verdict of the table, and the details below it."""

import json

import pytest
from drifting_model import DALLAS, DALLAS_METRIC, SEARCH, TORONTO, DriftingModel, read_table, split_lines
from local_provider import ProviderAnswer


@pytest.fixture
def model(project):
    project.provider.reply = model = DriftingModel()
    return model


CASES = """
import contextlib, openai

@pytest.mark.cassette
@pytest.mark.parametrize("case", [{cases}])
def test_it(case):
    with contextlib.suppress(openai.NotFoundError):
        client.with_options(max_retries=0).chat.completions.with_raw_response.create(
            model="gpt-4o-mini", messages=[dict(role="user", content=case)]
        )
"""


def record_cases(project, model, **replies):
    """Record a test with the first of each pair of ``replies``, and let the model give the second from now on."""
    project.write_test(CASES.format(cases=", ".join(map(repr, replies))))
    model.replies = {case: then for case, (then, _) in replies.items()}
    recorded = project.record()
    assert recorded.counts == {"passed": len(replies)}, recorded.out
    assert recorded.code == 0, recorded.out
    model.replies = {case: now for case, (_, now) in replies.items()}


def test_replies_with_the_same_calls_are_no_drift(project, model):
    record_cases(
        project,
        model,
        other_ids=(model.calls_reply(TORONTO, SEARCH), model.calls_reply(TORONTO, SEARCH)),
        other_numbers=(model.calls_reply(("Add", {"a": 1, "b": 2.0})), model.calls_reply(("Add", {"b": 2, "a": 1.0}))),
        other_order=(model.calls_reply(TORONTO, DALLAS, SEARCH), model.calls_reply(SEARCH, DALLAS, TORONTO)),
        other_words=(model.text_reply("Hello!"), model.text_reply("Hi there.")),
        more_words=(model.calls_reply(TORONTO), model.calls_reply(TORONTO, content="Let me look.")),
        refused_otherwise=(model.calls_reply(refusal="No."), model.calls_reply(refusal="I must not.")),
    )
    run = project.record("--calls-drift", "--calls-drift-fail")
    assert read_table(run) == split_lines(
        """
        same       test_it.py::test_it[more_words]
        same       test_it.py::test_it[other_ids]
        same       test_it.py::test_it[other_numbers]
        reordered  test_it.py::test_it[other_order]
        same       test_it.py::test_it[other_words]
        same       test_it.py::test_it[refused_otherwise]
        multitrack: drift: 6 of 6 unchanged
        """
    )
    assert run.counts == {"passed": 6}
    assert run.code == 0
    assert run.changed == set()


def test_changed_replies_are_drift(project, model):
    record_cases(
        project,
        model,
        arguments=(model.calls_reply(TORONTO, DALLAS, SEARCH), model.calls_reply(SEARCH, DALLAS_METRIC, TORONTO)),
        added=(model.calls_reply(TORONTO), model.calls_reply(TORONTO, SEARCH)),
        removed=(model.calls_reply(TORONTO, DALLAS), model.calls_reply(DALLAS)),
        silent=(model.calls_reply(TORONTO), model.text_reply("It is 3 degrees in Toronto.")),
        renamed=(model.calls_reply(TORONTO), model.calls_reply(("GetWeather", TORONTO[1]))),
        finish=(model.calls_reply(TORONTO), model.calls_reply(TORONTO, finish="length")),
        refusal=(model.calls_reply(TORONTO), model.calls_reply(refusal="I cannot help with that.")),
        text=(model.text_reply("Hello!"), model.calls_reply()),
    )
    run = project.record("--calls-drift", "--calls-drift-fail")
    assert read_table(run) == split_lines(
        """
        calls added or removed  test_it.py::test_it[added]
        arguments changed       test_it.py::test_it[arguments]
        finish reason changed   test_it.py::test_it[finish]
        refusal changed         test_it.py::test_it[refusal]
        calls added or removed  test_it.py::test_it[removed]
        calls added or removed  test_it.py::test_it[renamed]
        calls added or removed  test_it.py::test_it[silent]
        text changed            test_it.py::test_it[text]
        test_it.py::test_it[added], request 1: calls added or removed
          added: GoogleSearch(query='who won the super bowl')
          1 call unchanged
          tool set: was Weather, now GoogleSearch, Weather
          to accept: pytest --record 'test_it.py::test_it[added]'
        test_it.py::test_it[arguments], request 1: arguments changed
          changed: Weather(location='Dallas', units='imperial')
              units: was 'imperial', now 'metric'
          2 calls unchanged
          to accept: pytest --record 'test_it.py::test_it[arguments]'
        test_it.py::test_it[finish], request 1: finish reason changed
          finish reason: was tool_calls, now length
          to accept: pytest --record 'test_it.py::test_it[finish]'
        test_it.py::test_it[refusal], request 1: refusal changed
          no calls received
          removed: Weather(location='Toronto', units='metric')
          refusal: was none, now 'I cannot help with that.'
          finish reason: was tool_calls, now stop
          tool set: was Weather, now none
          to accept: pytest --record 'test_it.py::test_it[refusal]'
        test_it.py::test_it[removed], request 1: calls added or removed
          removed: Weather(location='Toronto', units='metric')
          1 call unchanged
          to accept: pytest --record 'test_it.py::test_it[removed]'
        test_it.py::test_it[renamed], request 1: calls added or removed
          changed: Weather(location='Toronto', units='metric')
              tool: was Weather, now GetWeather
          tool set: was Weather, now GetWeather
          to accept: pytest --record 'test_it.py::test_it[renamed]'
        test_it.py::test_it[silent], request 1: calls added or removed
          no calls received
          removed: Weather(location='Toronto', units='metric')
          finish reason: was tool_calls, now stop
          tool set: was Weather, now none
          to accept: pytest --record 'test_it.py::test_it[silent]'
        test_it.py::test_it[text], request 1: text changed
          text: was present, now none
          to accept: pytest --record 'test_it.py::test_it[text]'
        multitrack: drift: 0 of 8 unchanged; exit code 1 because of --calls-drift-fail
        """
    )
    assert run.counts == {"passed": 8}
    assert run.code == 1
    assert run.changed == set()
    assert project.record("--calls-drift").code == 0


def error(status, message):
    return ProviderAnswer(json.dumps({"error": {"message": message, "type": "x"}}).encode(), status)


def test_failed_requests_and_unknown_responses(project, model):
    def hang_up(_):
        raise ConnectionAbortedError

    plain = ProviderAnswer(b'{"data": [[0.5]]}')
    project.provider.silence()
    record_cases(
        project,
        model,
        answered=(error(404, "no such model"), model.calls_reply(TORONTO)),
        cut=(model.calls_reply(TORONTO), hang_up),
        key=(model.calls_reply(TORONTO), error(401, "Incorrect API key provided")),
        limit=(model.calls_reply(TORONTO), error(429, "Rate limit reached")),
        no_model=(plain, ProviderAnswer(b'{"data": [[0.25]]}')),
        still=(error(404, "no such model"), error(404, "there is no model of that name")),
    )
    run = project.record("--calls-drift", "--calls-drift-fail")
    rows = read_table(run)
    [cut] = [line for line in rows if line.startswith("  no answer: ")]
    rows.remove(cut)
    assert rows == split_lines(
        """
        status changed  test_it.py::test_it[answered]
        failed          test_it.py::test_it[cut]  (APIConnectionError raised)
        failed          test_it.py::test_it[key]  (AuthenticationError raised)
        failed          test_it.py::test_it[limit]  (RateLimitError raised)
        not compared    test_it.py::test_it[no_model]
        same            test_it.py::test_it[still]
        test_it.py::test_it[answered], request 1: status changed
          status: was 404 Not Found: no such model, now 200 OK
          to accept: pytest --record 'test_it.py::test_it[answered]'
        test_it.py::test_it[cut], request 1: failed
        test_it.py::test_it[key], request 1: failed
          401 Unauthorized: Incorrect API key provided
        test_it.py::test_it[limit], request 1: failed
          429 Too Many Requests: Rate limit reached
        test_it.py::test_it[no_model], request 1: not compared
          not a model's response
        multitrack: drift: 2 of 6 unchanged; exit code 1 because of --calls-drift-fail
        """
    )
    assert "RemoteProtocolError" in cut
    assert run.code == 1
    assert run.changed == set()
    assert "openai.RateLimitError: Error code: 429" in run.out
    run = project.record("--calls-drift")
    assert run.counts == {"passed": 3, "failed": 3}
    assert run.code == 1
    assert run.changed == set()


def test_a_retried_request_counts_once(project, model):
    project.write_test(CASES.format(cases="'a', 'b', 'c'").replace("max_retries=0", "max_retries=2"))
    busy = ProviderAnswer(b"{}", 503, {"retry-after-ms": "1"})
    model.replies = {
        "a": model.in_order(lambda _: busy, model.calls_reply(TORONTO)),
        "b": model.calls_reply(SEARCH),
        "c": model.calls_reply(SEARCH),
    }
    assert project.record().code == 0
    model.replies = {
        "a": model.calls_reply(TORONTO),
        "b": model.in_order(lambda _: busy, model.calls_reply(DALLAS)),
        "c": busy,
    }
    assert read_table(project.record("--calls-drift"))[:4] == split_lines(
        """
        same                    test_it.py::test_it[a]
        calls added or removed  test_it.py::test_it[b]
        failed                  test_it.py::test_it[c]  (InternalServerError raised)
        test_it.py::test_it[b], request 1: calls added or removed
        """
    )


AGENT = """
def answered(messages, wait=False):
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message
    messages.append(answer.model_dump(exclude_none=True))
    return answer.tool_calls or ()

@pytest.mark.cassette
@pytest.mark.parametrize("case", [{cases}])
def test_it(case):
    messages = [dict(role="user", content=case)]
    for _ in range(4):
        calls = answered(messages)
        for call in calls:
            messages.append(dict(role="tool", tool_call_id=call.id, content="fine"))
        if not calls:
            break
"""


def test_conversations_diverge_at_the_first_changed_reply(project, model):
    replies = {
        # the ids and words of a reply are part of the next request, and differ in each run
        "same": (
            [model.calls_reply(TORONTO, content="Let me look."), model.calls_reply(SEARCH), model.text_reply("Done.")],
            [
                model.calls_reply(TORONTO, content="I look it up."),
                model.calls_reply(SEARCH),
                model.text_reply("All done."),
            ],
        ),
        "later": (
            [model.calls_reply(TORONTO), model.calls_reply(SEARCH), model.text_reply("Done.")],
            [model.calls_reply(TORONTO), model.calls_reply(DALLAS), model.text_reply("Done.")],
        ),
        "order": (
            [model.calls_reply(TORONTO, SEARCH), model.text_reply("Done.")],
            [model.calls_reply(SEARCH, TORONTO), model.text_reply("Done.")],
        ),
        "ended": (
            [model.calls_reply(TORONTO), model.calls_reply(SEARCH), model.text_reply("Done.")],
            [model.text_reply("Fine.")],
        ),
    }
    project.write_test(AGENT.format(cases=", ".join(map(repr, replies))))
    model.replies = {case: model.conversation(*then) for case, (then, _) in replies.items()}
    assert project.record().counts == {"passed": 4}
    model.replies = {case: model.conversation(*now) for case, (_, now) in replies.items()}
    run = project.record("--calls-drift", "--calls-drift-fail")
    assert read_table(run) == split_lines(
        """
        calls added or removed                      test_it.py::test_it[ended]
        calls added or removed, diverged at call 3  test_it.py::test_it[later]
        reordered, diverged at call 2               test_it.py::test_it[order]
        same                                        test_it.py::test_it[same]
        test_it.py::test_it[ended], request 1: calls added or removed
          no calls received
          removed: Weather(location='Toronto', units='metric')
          finish reason: was tool_calls, now stop
          tool set: was Weather, now none
        test_it.py::test_it[ended]: interactions 2, 3 of the cassette were not requested
          to accept: pytest --record 'test_it.py::test_it[ended]'
        test_it.py::test_it[later], request 2: calls added or removed
          removed: GoogleSearch(query='who won the super bowl')
          added: Weather(location='Dallas', units='imperial')
          tool set: was GoogleSearch, now Weather
        test_it.py::test_it[later], request 3: diverged at call 3
          an earlier response changed, and this request contains it
        test_it.py::test_it[later]: interaction 3 of the cassette was not requested
          to accept: pytest --record 'test_it.py::test_it[later]'
        test_it.py::test_it[order], request 2: diverged at call 2
          an earlier response changed, and this request contains it
        test_it.py::test_it[order]: interaction 2 of the cassette was not requested
          to accept: pytest --record 'test_it.py::test_it[order]'
        multitrack: drift: 1 of 4 unchanged; exit code 1 because of --calls-drift-fail
        """
    )
    assert run.code == 1
    assert run.changed == set()
