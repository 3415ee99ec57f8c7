"""The HTML report, without a browser: it loads nothing, and no text of a test becomes markup."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from sample_report import HOSTILE, NOW, changed_calls, missed_request, sample_report

from multitrack.reporting.report_formats import FORMATS
from multitrack.reporting.run_report import make_report


class Page(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.texts = [], [], [], {"style": "", "script": "", "": ""}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        kind = self.open[-1] if self.open and self.open[-1] in self.texts else ""
        self.texts[kind] += data

    def values(self, tag, name):
        return [value for one, key, value in self.attributes if (one, key) == (tag, name)]


@pytest.fixture(scope="module")
def text():
    return FORMATS[".html"](sample_report())


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_policy_forbids_everything_but_the_own_style_and_script(page):
    [policy] = [value for value in page.values("meta", "content") if "default-src" in value]
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_page_loads_nothing(page):
    assert page.tags.count("script") == 1
    assert not {"img", "link", "iframe", "object", "embed"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name in ("src", "style") or name.startswith("on")]
    assert all(value.startswith("#") for _, name, value in page.attributes if name in ("href", "action"))
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", page.texts["style"] + page.texts["script"])


def test_texts_of_tests_are_shown_as_they_are(page):
    assert page.texts[""].count(HOSTILE) > 5
    # the option of the filter has the name of the tool
    assert any(HOSTILE in value for value in page.values("article", "data-tools"))


def test_each_test_has_an_anchor_and_a_link_to_it(page):
    anchors = page.values("article", "id")
    assert len(anchors) == len(set(anchors)) == len(sample_report().tests)
    assert "tests/test_trip.py::test_plan" in anchors
    assert "#tests/test_trip.py%3A%3Atest_plan" in page.values("a", "href")


def test_failures_and_drift_are_unfolded_and_come_first(page, text):
    outcomes = page.values("article", "data-outcome")
    assert outcomes[:5] == ["failed", "failed", "failed", "error", "passed"]
    assert len(re.findall("<article[^>]*><details open>", text)) == 5
    assert "4 of 11 tests failed, 1 drifted" in page.texts[""]


def test_the_differing_words_are_marked(text):
    assert "&#x27;<mark>Toronto</mark>&#x27;" in text
    assert "&#x27;<mark>Paris</mark>&#x27;" in text
    assert "and Dallas<mark>, in degrees Celsius</mark>?" in text


def test_the_overview_answers_the_first_questions(text):
    overview = text.partition('<section id="overview">')[2].partition("</section>")[0]
    rows = [re.sub(r"<[^>]*>", " ", row) for row in overview.split("<tr")[2:]]
    assert [
        next(name for name in ("prompt", "second", "plan", "hostile", "search") if name in row) for row in rows
    ] == [
        "prompt",
        "second",
        "plan",
        "hostile",
        "search",
    ]
    prompt, plan = rows[0], rows[2]
    assert "$.messages[1].content" in prompt
    assert "in degrees Celsius" in prompt
    assert "and 1 other difference" in prompt
    assert "recorded 41 days ago" in prompt
    assert "Record the test again pytest --record tests/test_trip.py::test_prompt" in " ".join(prompt.split())
    assert "recorded → sent" in prompt
    assert "Weather.location" in plan
    assert "snapshot → received" in plan
    assert "Toronto" in plan
    assert "Paris" in plan
    assert "What is the weather in Toronto and Dallas?" in plan


def test_tests_with_the_same_cause_share_a_row_of_the_overview():
    tests = [missed_request(), missed_request("test_second"), changed_calls()]
    text = FORMATS[".html"](make_report(tests, NOW, "0.1.0"))
    assert text.count('<tr class="failed">') == 2
    assert "and 1 test with the same cause" in text
    assert '<section id="overview">' not in FORMATS[".html"](make_report(tests[:2], NOW, "0.1.0"))
