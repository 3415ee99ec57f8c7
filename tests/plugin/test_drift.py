"""A run that compares live answers with the tapes: each verdict, by the lines that it ends with."""

import json

import pytest
from drifting_model import DALLAS, DALLAS_METRIC, SEARCH, TORONTO, Model, lines, table
from local_provider import Answer


@pytest.fixture
def model(project):
    project.provider.reply = model = Model()
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


def cases(project, model, **told):
    """Record a test for each of ``told``, a pair of answers, and let the model say the second from then on."""
    project.test(CASES.format(cases=", ".join(map(repr, told))))
    model.says = {case: then for case, (then, _) in told.items()}
    recorded = project.record()
    assert (recorded.counts, recorded.code) == ({"passed": len(told)}, 0), recorded.out
    model.says = {case: now for case, (_, now) in told.items()}


def test_what_holds(project, model):
    cases(
        project,
        model,
        other_ids=(model.calling(TORONTO, SEARCH), model.calling(TORONTO, SEARCH)),
        other_numbers=(model.calling(("Add", {"a": 1, "b": 2.0})), model.calling(("Add", {"b": 2, "a": 1.0}))),
        other_order=(model.calling(TORONTO, DALLAS, SEARCH), model.calling(SEARCH, DALLAS, TORONTO)),
        other_words=(model.saying("Hello!"), model.saying("Hi there.")),
        more_words=(model.calling(TORONTO), model.calling(TORONTO, content="Let me look.")),
        refused_otherwise=(model.calling(refusal="No."), model.calling(refusal="I must not.")),
    )
    run = project.record("--calls-drift", "--calls-drift-fail")
    assert table(run) == lines(
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
    assert (run.counts, run.code, run.changed) == ({"passed": 6}, 0, set())


def test_what_changed(project, model):
    cases(
        project,
        model,
        arguments=(model.calling(TORONTO, DALLAS, SEARCH), model.calling(SEARCH, DALLAS_METRIC, TORONTO)),
        added=(model.calling(TORONTO), model.calling(TORONTO, SEARCH)),
        removed=(model.calling(TORONTO, DALLAS), model.calling(DALLAS)),
        silent=(model.calling(TORONTO), model.saying("It is 3 degrees in Toronto.")),
        renamed=(model.calling(TORONTO), model.calling(("GetWeather", TORONTO[1]))),
        finish=(model.calling(TORONTO), model.calling(TORONTO, finish="length")),
        refusal=(model.calling(TORONTO), model.calling(refusal="I cannot help with that.")),
        text=(model.saying("Hello!"), model.calling()),
    )
    run = project.record("--calls-drift", "--calls-drift-fail")
    assert table(run) == lines(
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
        test_it.py::test_it[arguments], request 1: arguments changed
          changed: Weather(location='Dallas', units='imperial')
              units: was 'imperial', now 'metric'
          2 calls unchanged
        test_it.py::test_it[finish], request 1: finish reason changed
          finish reason: was tool_calls, now length
        test_it.py::test_it[refusal], request 1: refusal changed
          no calls received
          removed: Weather(location='Toronto', units='metric')
          refusal: was none, now 'I cannot help with that.'
          finish reason: was tool_calls, now stop
          tool set: was Weather, now none
        test_it.py::test_it[removed], request 1: calls added or removed
          removed: Weather(location='Toronto', units='metric')
          1 call unchanged
        test_it.py::test_it[renamed], request 1: calls added or removed
          changed: Weather(location='Toronto', units='metric')
              tool: was Weather, now GetWeather
          tool set: was Weather, now GetWeather
        test_it.py::test_it[silent], request 1: calls added or removed
          no calls received
          removed: Weather(location='Toronto', units='metric')
          finish reason: was tool_calls, now stop
          tool set: was Weather, now none
        test_it.py::test_it[text], request 1: text changed
          text: was present, now none
        multitrack: drift: 0 of 8 unchanged; exit code 1 because of --calls-drift-fail
        """
    )
    assert (run.counts, run.code, run.changed) == ({"passed": 8}, 1, set())
    assert project.record("--calls-drift").code == 0


def error(status, message):
    return Answer(json.dumps({"error": {"message": message, "type": "x"}}).encode(), status)


def test_what_failed(project, model):
    def hang_up(_):
        raise ConnectionAbortedError

    plain = Answer(b'{"data": [[0.5]]}')
    project.provider.silence()
    cases(
        project,
        model,
        answered=(error(404, "no such model"), model.calling(TORONTO)),
        cut=(model.calling(TORONTO), hang_up),
        key=(model.calling(TORONTO), error(401, "Incorrect API key provided")),
        limit=(model.calling(TORONTO), error(429, "Rate limit reached")),
        no_model=(plain, Answer(b'{"data": [[0.25]]}')),
        still=(error(404, "no such model"), error(404, "there is no model of that name")),
    )
    run = project.record("--calls-drift", "--calls-drift-fail")
    told = table(run)
    [cut] = [line for line in told if line.startswith("  no answer: ")]
    told.remove(cut)
    assert told == lines(
        """
        status changed  test_it.py::test_it[answered]
        failed          test_it.py::test_it[cut]  (APIConnectionError raised)
        failed          test_it.py::test_it[key]  (AuthenticationError raised)
        failed          test_it.py::test_it[limit]  (RateLimitError raised)
        not compared    test_it.py::test_it[no_model]
        same            test_it.py::test_it[still]
        test_it.py::test_it[answered], request 1: status changed
          status: was 404 Not Found: no such model, now 200 OK
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
    assert (run.code, run.changed) == (1, set())
    assert "openai.RateLimitError: Error code: 429" in run.out
    run = project.record("--calls-drift")
    assert (run.counts, run.code, run.changed) == ({"passed": 3, "failed": 3}, 0, set())


def test_a_request_that_was_tried_again_counts_once(project, model):
    project.test(CASES.format(cases="'a', 'b', 'c'").replace("max_retries=0", "max_retries=2"))
    busy = Answer(b"{}", 503, {"retry-after-ms": "1"})
    model.says = {
        "a": model.one_by_one(lambda _: busy, model.calling(TORONTO)),
        "b": model.calling(SEARCH),
        "c": model.calling(SEARCH),
    }
    assert project.record().code == 0
    model.says = {
        "a": model.calling(TORONTO),
        "b": model.one_by_one(lambda _: busy, model.calling(DALLAS)),
        "c": busy,
    }
    assert table(project.record("--calls-drift"))[:4] == lines(
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


def test_conversations(project, model):
    told = {
        # ids and words come back in the next request, and are others each time
        "same": (
            [model.calling(TORONTO, content="Let me look."), model.calling(SEARCH), model.saying("Done.")],
            [model.calling(TORONTO, content="I look it up."), model.calling(SEARCH), model.saying("All done.")],
        ),
        "later": (
            [model.calling(TORONTO), model.calling(SEARCH), model.saying("Done.")],
            [model.calling(TORONTO), model.calling(DALLAS), model.saying("Done.")],
        ),
        "order": (
            [model.calling(TORONTO, SEARCH), model.saying("Done.")],
            [model.calling(SEARCH, TORONTO), model.saying("Done.")],
        ),
        "ended": (
            [model.calling(TORONTO), model.calling(SEARCH), model.saying("Done.")],
            [model.saying("Fine.")],
        ),
    }
    project.test(AGENT.format(cases=", ".join(map(repr, told))))
    model.says = {case: model.turns(*then) for case, (then, _) in told.items()}
    assert project.record().counts == {"passed": 4}
    model.says = {case: model.turns(*now) for case, (_, now) in told.items()}
    run = project.record("--calls-drift", "--calls-drift-fail")
    assert table(run) == lines(
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
        test_it.py::test_it[later], request 2: calls added or removed
          removed: GoogleSearch(query='who won the super bowl')
          added: Weather(location='Dallas', units='imperial')
          tool set: was GoogleSearch, now Weather
        test_it.py::test_it[later], request 3: diverged at call 3
          an earlier response changed, and this request contains it
        test_it.py::test_it[later]: interaction 3 of the cassette was not requested
        test_it.py::test_it[order], request 2: diverged at call 2
          an earlier response changed, and this request contains it
        test_it.py::test_it[order]: interaction 2 of the cassette was not requested
        multitrack: drift: 1 of 4 unchanged; exit code 1 because of --calls-drift-fail
        """
    )
    assert (run.code, run.changed) == (1, set())
