"""The HTML report in headless Chromium: ``make test-browser``.

The name of this file keeps it out of ``make test``, which needs no browser. All tests share one browser.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from multitrack.reporting.report_formats import FORMATS

sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))
from sample_report import sample_report

pytestmark = pytest.mark.slow

WIDTHS = [360, 1440]
PLAN = "tests/test_trip.py::test_plan"


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = find_program("CHROME", "chromium", "chromium-browser", "google-chrome")
    service = webdriver.ChromeService(find_program("CHROMEDRIVER", "chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def find_program(variable, *names):
    found = next(filter(None, (os.environ.get(variable), *map(shutil.which, names))), None)
    assert found, f"{names[0]} was not found: install it (Debian: apt install chromium chromium-driver)"
    return found


class Page:
    """The report of a run in the browser."""

    def __init__(self, browser, file):
        self.browser, self.url = browser, file.as_uri()

    def open(self, anchor="", *, width=1440, theme="light"):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.browser.get("about:blank")
        self.browser.get(self.url + anchor)
        self.run("try { localStorage.clear() } catch {}")
        return self

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def press(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def element(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def choose(self, name, value):
        self.run(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change'))",
            name,
            value,
        )

    @property
    def shown(self):
        """The names of the tests that are not filtered out."""
        ids = self.run("return [...document.querySelectorAll('article:not([hidden])')].map((one) => one.id)")
        return [one.rpartition("::")[2] for one in ids]

    @property
    def unfolded(self):
        ids = self.run("return [...document.querySelectorAll('article > details[open]')].map((e) => e.parentNode.id)")
        return [one.rpartition("::")[2] for one in ids]

    @property
    def current(self):
        return self.run("return document.querySelector('article.current')?.id.split('::').pop() ?? null")

    def colour(self, selector):
        return self.run("return getComputedStyle(document.querySelector(arguments[0])).backgroundColor", selector)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(FORMATS[".html"](sample_report(passed=20)), encoding="utf-8")
    return Page(browser, file)


@pytest.fixture(scope="module")
def large_page(browser, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "large.html"
    file.write_text(FORMATS[".html"](sample_report(passed=1000)), encoding="utf-8")
    return Page(browser, file)


def test_the_first_screen_says_what_failed_and_what_to_do(page):
    page.open()
    visible = page.run(
        "return [...document.querySelectorAll('#overview tr, article')]"
        ".filter((e) => e.getBoundingClientRect().top < innerHeight)"
        ".map((e) => e.innerText).join('\\n')"
    )
    for text in ("test_prompt", "in degrees Celsius", "pytest --record", "recorded 41 days ago", "gpt-4o-mini"):
        assert text in visible
    assert page.browser.title == "4 of 25 tests failed, 1 drifted"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_readable_at_both_widths_and_themes(page, width, theme):
    page.open(width=width, theme=theme)
    page.press("e")
    assert page.run("return document.documentElement.scrollWidth") <= width
    cut = page.run(
        "return [...document.querySelectorAll('article td, article th, article p, article code')]"
        ".filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')"
        ".map((e) => e.textContent)"
    )
    assert cut == []
    red, green, blue = (int(part) for part in page.colour("body").strip("rgb()").split(","))
    assert (red + green + blue > 600) == (theme == "light")
    both_visible = page.run(
        "const [old, now] = document.querySelectorAll('tr.changed td'); const a = old.getBoundingClientRect(),"
        "b = now.getBoundingClientRect(); return [a.top === b.top, a.width > 80 && b.width > 80]"
    )
    assert both_visible == [width == 1440, True]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_overview_links_to_the_details_and_gives_way_to_a_search(page, width):
    page.open(width=width)
    cut = page.run(
        "return [...document.querySelectorAll('#overview td, #overview th')]"
        ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)"
    )
    assert cut == []
    overview = page.element("#overview")
    for text in ("Weather.location", "Paris", "recorded 41 days ago", "pytest --snapshot-update"):
        assert text in overview.text
    page.run("[...document.querySelectorAll('#overview a')].find((e) => e.innerText === 'test_plan').click()")
    deadline = time.monotonic() + 5
    while page.current != "test_plan" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert page.current == "test_plan"
    page.choose("outcome", "failed")
    assert not overview.is_displayed()
    page.press(Keys.ESCAPE)
    assert overview.is_displayed()


def test_the_theme_can_be_switched_and_is_kept(page):
    page.open(theme="light")
    light = page.colour("body")
    page.press("t")
    dark = page.colour("body")
    assert dark != light
    page.element("#theme").click()
    assert page.colour("body") == light


def test_search_finds_names_prompts_and_calls(page):
    page.open()
    for text, found in (
        ("test_plan", ["test_plan"]),
        ("celsius rome", ["test_second"]),
        ("flights from dallas", ["test_search"]),
        ("passed[3]", ["test_passed[3]"]),
        ("no such text", []),
    ):
        page.press("/")
        page.element("#search").clear()
        page.element("#search").send_keys(text)
        assert page.shown == found
        assert page.element("#none").is_displayed() == (not found)
        page.press(Keys.ESCAPE)
    assert len(page.shown) == 26
    assert page.element("#search").get_attribute("value") == ""


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("outcome", "failed", 3),
        ("outcome", "passed", 21),
        ("outcome", "fixture", 1),
        ("group", "The request changed", 2),
        ("group", "Drift: arguments changed", 1),
        ("tool", "GoogleSearch", 1),
        ("tool", "BookHotel", 13),
        ("model", "gemini-2.5-flash", 1),
        ("model", "claude-sonnet-4-5", 13),
    ],
)
def test_filters_show_the_tests_that_fit(page, name, value, count):
    page.open()
    page.choose(name, value)
    assert len(page.shown) == count
    assert page.element("#shown").text == f"{count} of 26 shown"
    headings = page.run("return [...document.querySelectorAll('.group:not([hidden])')].length")
    assert headings == page.run(
        "return [...document.querySelectorAll('.group')].filter((e) => e.querySelector('article:not([hidden])')).length"
    )


def test_filters_and_search_combine(page):
    page.open()
    page.choose("model", "gpt-4o-mini")
    page.press("/")
    page.element("#search").send_keys("oslo")
    assert page.shown == ["test_passed[18]", "test_passed[3]"]


def test_tests_and_requests_fold(page):
    page.open()
    opened = page.unfolded
    assert "test_prompt" in opened
    assert "test_passed[0]" not in opened
    page.element("article summary").click()
    assert "test_prompt" not in page.unfolded
    page.element("article summary").click()
    request = page.element("article details.request")
    assert "never ask the user" not in request.text.lower()
    request.find_element(By.CSS_SELECTOR, "summary").click()
    assert "Never ask the user" in request.text
    page.element("#expand").click()
    assert len(page.unfolded) == 26
    page.press("e")
    assert page.unfolded == []


def test_keys_move_between_tests_and_unfold_them(page):
    page.open()
    page.press("j")
    assert page.current == "test_prompt"
    page.press("j", "j")
    assert page.current == "test_plan"
    page.press(Keys.ENTER)
    assert "test_plan" not in page.unfolded
    page.press(Keys.ENTER)
    assert "test_plan" in page.unfolded
    page.press("k")
    assert page.current == "test_second"
    page.press("/")
    page.press("jk")
    assert page.element("#search").get_attribute("value") == "jk"


def test_the_question_mark_lists_the_keys(page):
    page.open()
    page.press("?")
    assert page.element("#help").is_displayed()
    page.press(Keys.ESCAPE)
    assert not page.element("#help").is_displayed()


def test_a_link_opens_its_test(page):
    page.open("#tests/test_all.py%3A%3Atest_passed%5B7%5D")
    assert page.current == "test_passed[7]"
    assert "test_passed[7]" in page.unfolded
    top = page.run("return document.querySelector('article.current').getBoundingClientRect().top")
    assert 0 <= top < 900
    # a link to a test that the filters hide
    page.choose("outcome", "failed")
    page.run("location.hash = '#tests/test_all.py::test_passed[8]'")
    deadline = time.monotonic() + 5
    while page.current != "test_passed[8]" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert page.current == "test_passed[8]"
    assert len(page.shown) == 26


def test_the_link_of_a_test_leads_to_it(page):
    page.open()
    page.element(f"article[id='{PLAN}'] .anchor").click()
    assert page.current == "test_plan"
    assert page.browser.current_url.endswith("#tests/test_trip.py%3A%3Atest_plan")


def test_nothing_is_loaded_and_no_text_runs(page):
    page.open()
    page.press("e")
    loaded = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert loaded == []
    assert page.run("return document.querySelectorAll('img').length") == 0
    messages = [entry["message"] for entry in page.browser.get_log("browser")]
    assert messages == []
    blocked = page.browser.execute_async_script(
        "const done = arguments[0]; fetch('https://example.invalid/').then(() => done('sent'), () => done('blocked'))"
    )
    assert blocked == "blocked"
    assert any("Content Security Policy" in entry["message"] for entry in page.browser.get_log("browser"))


def test_a_thousand_tests_respond_without_lag(large_page):
    page = large_page.open()
    loaded = page.run("const [entry] = performance.getEntriesByType('navigation'); return entry.domComplete")
    assert loaded < 5000
    measure = (
        "const start = performance.now(); const search = document.getElementById('search');"
        "search.value = arguments[0]; search.dispatchEvent(new Event('input')); document.body.offsetHeight;"
        "return performance.now() - start"
    )
    page.run(measure, "kyoto")
    assert len(page.shown) == 200
    # the second search does not read the tests again
    assert page.run(measure, "lima") < 500
    page.press(Keys.ESCAPE)
    start = time.monotonic()
    for _ in range(20):
        page.press("j")
    assert time.monotonic() - start < 5
    assert page.current is not None
