"""Values that clients generate again in each run."""

import json

import pytest
from recorded_tape import request

from multitrack.errors import CassetteMiss
from multitrack.tape.matching.difference import ABSENT
from multitrack.tape.matching.random_values import looks_random

RUNS = [f"agents-sdk:run:{digit * 32}" for digit in "0a"]


def chat(**fields):
    return request(json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}))


def test_the_cache_key_of_an_openai_agents_run_is_not_compared(recorded):
    text = recorded.put((chat(prompt_cache_key=RUNS[0]), "answer"))
    assert RUNS[0] in text
    assert recorded.play(chat(prompt_cache_key=RUNS[1])) == ["answer"]


def test_a_miss_says_that_the_generated_cache_key_is_not_compared(recorded):
    recorded.put((chat(prompt_cache_key=RUNS[0]), "answer"))
    with pytest.raises(CassetteMiss, match=r"differs in 1 place\n    \$\.model\n") as miss:
        recorded.play(chat(prompt_cache_key=RUNS[1], model="n"))
    assert "$.prompt_cache_key also differs, but is not compared" in str(miss.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"prompt_cache_key": "mine"}, {"prompt_cache_key": "yours"}),
        ({"prompt_cache_key": RUNS[0]}, {"prompt_cache_key": "mine"}),
        ({"prompt_cache_key": f"agents-sdk:group:{'0' * 32}"}, {"prompt_cache_key": f"agents-sdk:group:{'1' * 32}"}),
        ({"other": RUNS[0]}, {"other": RUNS[1]}),
        ({"metadata": {"prompt_cache_key": RUNS[0]}}, {"metadata": {"prompt_cache_key": RUNS[1]}}),
    ],
    ids=["user's own", "generated and user's own", "group", "other field", "nested"],
)
def test_any_other_value_is_compared(recorded, before, after):
    recorded.put((chat(**before), "answer"))
    with pytest.raises(CassetteMiss):
        recorded.play(chat(**after))


PYDANTIC_AI_IDS = [f"pyd_ai_{digit * 32}" for digit in "0a1b"]


def gemini(*ids, results=None):
    calls = [{"functionCall": {"id": one, "name": "weather", "args": {}}} for one in ids]
    answers = [{"functionResponse": {"id": one, "name": "weather", "response": {}}} for one in results or ids]
    return request(json.dumps({"contents": [{"role": "model", "parts": calls}, {"role": "user", "parts": answers}]}))


def test_the_ids_that_pydantic_ai_generates_for_calls_are_not_compared(recorded):
    text = recorded.put((gemini(*PYDANTIC_AI_IDS[:2]), "answer"))
    assert PYDANTIC_AI_IDS[0] in text
    assert recorded.play(gemini(*PYDANTIC_AI_IDS[2:])) == ["answer"]


def test_a_result_must_refer_to_the_same_call_as_the_recorded_one(recorded):
    first, second, *others = PYDANTIC_AI_IDS
    recorded.put((gemini(first, second), "answer"))
    with pytest.raises(CassetteMiss, match="differs in 2 places"):
        recorded.play(gemini(*others, results=reversed(others)))


@pytest.mark.parametrize("text", ["call {id}", "{id}0"])
def test_a_text_that_contains_an_id_of_pydantic_ai_is_compared(recorded, text):
    first, second, *_ = [chat(user=text.format(id=one)) for one in PYDANTIC_AI_IDS]
    recorded.put((first, "answer"))
    with pytest.raises(CassetteMiss):
        recorded.play(second)


RANDOM = {
    "uuid": ("6fa459ea-ee8a-3ca4-894e-db77e160355e", "16fd2706-8baf-433b-82eb-8c7fada847da"),
    "uuid in upper case": ("6FA459EA-EE8A-3CA4-894E-DB77E160355E", "16fd2706-8baf-433b-82eb-8c7fada847da"),
    "hex": ("5d41402abc4b2a76b9719d911017c592", "7d793037a0760186574b0282f2f435e7"),
    "hash": ("a9993e364706816aba3e25717850c26c9cd0d89d", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    "prefix": ("agents-sdk:run:5d41402abc4b2a76b9719d911017c592", "agents-sdk:run:7d793037a0760186574b0282f2f435e7"),
    "id of a call": ("call_9kQ2vZ7xM4pL8wT1aB6c", "call_3fR8yU1nC5sK0hJ7dE2g"),
    "ulid": ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"),
    "in a sentence": (
        "Session 6fa459ea-ee8a-3ca4-894e-db77e160355e started.",
        "Session 16fd2706-8baf-433b-82eb-8c7fada847da started.",
    ),
    "two of them": ("5d41402abc4b2a76b9719d911017c592 at 10:01:02", "7d793037a0760186574b0282f2f435e7 at 11:59:59"),
    "date": ("Today is 2026-01-02.", "Today is 2027-11-30."),
    "time": ("2026-01-02T03:04:05Z", "2027-11-30T23:59:59Z"),
    "time with fraction": ("2026-01-02 03:04:05.123456+00:00", "2027-11-30 23:59:59.654321+00:00"),
    "seconds since 1970": (1767323045, 1796083199),
    "fraction of a second": (1767323045.123, 1796083199.5),
    "milliseconds": (1767323045123, 1796083199000),
    "seconds as text": ("1767323045", "1796083199"),
    "seed": (3735928559, 2882343476),
}
NOT_RANDOM = {
    "equal": ("5d41402abc4b2a76b9719d911017c592", "5d41402abc4b2a76b9719d911017c592"),
    "words": ("What is the weather in Paris?", "What is the weather in Rome?"),
    "model": ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
    "model without hyphens": ("claude-3-5-sonnet-20241022", "claude-3-7-sonnet-20250219"),
    "long name": ("get_weather_forecast_v1", "get_weather_forecast_v2"),
    "long word": ("getWeatherForecastForCity", "getWeatherForecastForTown"),
    "small number": (100, 200),
    "temperature": (0.5, 0.7),
    "boolean": (True, False),
    "null": (None, "5d41402abc4b2a76b9719d911017c592"),
    "absent": (ABSENT, "5d41402abc4b2a76b9719d911017c592"),
    "other shape": ("5d41402abc4b2a76b9719d911017c592", "6fa459ea-ee8a-3ca4-894e-db77e160355e"),
    "number and text": (1767323045, "1767323046"),
    "also another word": (
        "Run 5d41402abc4b2a76b9719d911017c592 of Paris",
        "Run 7d793037a0760186574b0282f2f435e7 of Rome",
    ),
    "one more": (
        "5d41402abc4b2a76b9719d911017c592",
        "5d41402abc4b2a76b9719d911017c592 7d793037a0760186574b0282f2f435e7",
    ),
    "list": (["5d41402abc4b2a76b9719d911017c592"], ["7d793037a0760186574b0282f2f435e7"]),
    "empty": ("", "5d41402abc4b2a76b9719d911017c592"),
}


@pytest.mark.parametrize("name", RANDOM)
def test_a_generated_value_looks_random(name):
    recorded, sent = RANDOM[name]
    assert looks_random(recorded, sent)
    assert looks_random(sent, recorded)


@pytest.mark.parametrize("name", NOT_RANDOM)
def test_a_changed_value_does_not_look_random(name):
    recorded, sent = NOT_RANDOM[name]
    assert not looks_random(recorded, sent)
    assert not looks_random(sent, recorded)
