"use strict";

const byId = (id) => document.getElementById(id);
const tests = [...document.querySelectorAll("article")];
const groups = [...document.querySelectorAll(".group")];
const search = byId("search");
const filters = ["outcome", "group", "tool", "model"].map(byId);
const texts = new Map();
let current = null;

// --- search and filters

// the text of a test is read when it is searched for the first time
function textOf(test) {
  if (!texts.has(test)) texts.set(test, `${test.id}\n${test.textContent}`.toLowerCase());
  return texts.get(test);
}

function fits(test, words) {
  const { outcome, group, tools, models } = test.dataset;
  const [wantedOutcome, wantedGroup, wantedTool, wantedModel] = filters.map((filter) => filter.value);
  return (!wantedOutcome || outcome === wantedOutcome)
    && (!wantedGroup || group === wantedGroup)
    && (!wantedTool || tools.split("\n").includes(wantedTool))
    && (!wantedModel || models.split("\n").includes(wantedModel))
    && words.every((word) => textOf(test).includes(word));
}

function update() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const test of tests) {
    test.hidden = !fits(test, words);
    count += test.hidden ? 0 : 1;
  }
  for (const group of groups) group.hidden = !group.querySelector("article:not([hidden])");
  byId("none").hidden = count > 0;
  const overview = byId("overview");
  if (overview) overview.hidden = count < tests.length;
  byId("shown").textContent = count === tests.length ? "" : `${count} of ${tests.length} shown`;
}

function reset() {
  byId("filters").reset();
  update();
}

search.addEventListener("input", update);
for (const filter of filters) filter.addEventListener("change", update);
byId("filters").addEventListener("submit", (event) => event.preventDefault());

// --- moving between tests

function select(test) {
  if (current) current.classList.remove("current");
  current = test;
  test.classList.add("current");
  test.querySelector("summary").focus({ preventScroll: true });
  test.scrollIntoView({ block: "nearest" });
}

function move(step) {
  const shown = tests.filter((test) => !test.hidden);
  const position = shown.indexOf(current);
  const next = position < 0 ? (step > 0 ? 0 : shown.length - 1) : position + step;
  if (shown[next]) select(shown[next]);
}

function openLinked() {
  const test = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!test || test.tagName !== "ARTICLE") return;
  if (test.hidden) reset();
  test.firstElementChild.open = true;
  select(test);
  test.scrollIntoView({ block: "start" });
}

window.addEventListener("hashchange", openLinked);

// --- buttons

function toggleAll() {
  const shown = tests.filter((test) => !test.hidden).map((test) => test.firstElementChild);
  const opens = !shown.every((details) => details.open);
  for (const details of shown) details.open = opens;
  byId("expand").textContent = opens ? "Fold all" : "Unfold all";
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  byId("theme").textContent = isDark() ? "Light" : "Dark";
}

// a browser may refuse to store anything for a local file
function stored(theme) {
  try {
    if (theme) localStorage.setItem("multitrack-theme", theme);
    return localStorage.getItem("multitrack-theme");
  } catch {
    return null;
  }
}

function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  stored(theme);
  setTheme(theme);
}

byId("expand").addEventListener("click", toggleAll);
byId("theme").addEventListener("click", toggleTheme);
byId("keys").addEventListener("click", () => byId("help").showModal());

document.addEventListener("click", async (event) => {
  if (!event.target.classList.contains("copy")) return;
  const code = event.target.previousElementSibling;
  try {
    await navigator.clipboard.writeText(code.textContent);
    event.target.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
  }
});

// --- keys

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  e: toggleAll,
  t: toggleTheme,
  "/": () => search.focus(),
  "?": () => byId("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = ["INPUT", "SELECT"].includes(event.target.tagName);
  if (event.key === "Escape" && !byId("help").open) {
    reset();
    search.blur();
  } else if (event.key === "Enter" && event.target === document.body && current) {
    current.firstElementChild.open = !current.firstElementChild.open;
  } else if (!isTyping && !byId("help").open && KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

setTheme(stored());
update();
openLinked();
