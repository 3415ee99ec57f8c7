"""The rules of the user apply to gRPC calls: a call matches its recording although a date and an id changed."""

import pytest

from multitrack.tape.use_cassette import use_cassette

DATE, ID = r"\d{4}-\d\d-\d\d", r"run-[0-9a-f]{8}"
RECORDED, SENT = "on 2026-01-02 as run-0123abcd", "on 2027-11-30 as run-99ffee00"
RULES = {
    "placeholders": {"placeholders": {"the-date": DATE, "the-run": ID}},
    "ignore": {"ignore": ["$..text"]},
}


@pytest.mark.parametrize("kind", ["once", "watch", "gather", "chat"])
@pytest.mark.parametrize("rule", RULES)
def test_a_call_with_a_different_date_and_id_matches(rule, kind, callers, talk, tmp_path):
    path, texts = tmp_path / "talk.yaml", [RECORDED, RECORDED] if kind in ("gather", "chat") else [RECORDED]
    with use_cassette(path, mode="record", **RULES[rule]):
        live = callers()(kind, *texts)
    talk.stop()
    with use_cassette(path, **RULES[rule]) as tape:
        replayed = callers()(kind, *(SENT for _ in texts))
    assert len(tape.played) == 1
    assert replayed[:3] == live[:3]
    assert ("on the-date as the-run" in path.read_text("utf-8")) is (rule == "placeholders")


def test_without_a_rule_a_different_date_is_a_miss(callers, talk, tmp_path):
    path = tmp_path / "talk.yaml"
    with use_cassette(path, mode="record"):
        callers()("once", RECORDED)
    talk.stop()
    with use_cassette(path) as tape, tape.expect_misses() as misses:
        callers()("once", SENT)
    (miss,) = misses
    assert "differs in 1 place\n    $.text\n" in str(miss)
