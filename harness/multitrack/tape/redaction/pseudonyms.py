"""Pseudonyms for the names of projects, locations, organizations and accounts.

With pseudonyms, a cassette that was recorded in one project can be replayed in any other project.
``projects/acme-prod-7/locations/us-central1`` is stored and looked up as ``projects/project-0/locations/location-0``.
Equal names get equal numbers. Pseudonyms contain no braces, because HTTP clients percent-encode braces.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from urllib.parse import urlsplit

from multitrack.tape.redaction.environment_secrets import EnvironmentSecrets
from multitrack.tape.redaction.text_changes import FindChanges, TextChange, apply_changes, find_changes
from multitrack.tape.redaction.windows import WINDOW
from multitrack.tape.redaction.word_boundaries import REDACTED, WORD_END, WORD_START, at_word_start

# https://cloud.google.com/apis/design/resource_names
_NAME = r"[^/\s\"'\\?#:{}]+"
_PROJECT = re.compile(at_word_start("projects/") + _NAME)
_LOCATION = re.compile(at_word_start("locations/") + _NAME)
# Anthropic's API at Google has the workspace in its URL: https://platform.claude.com/docs/en/build-with-claude
_WORKSPACE = re.compile(at_word_start("workspaces/") + _NAME)
_RESOURCE = re.compile(f"{_PROJECT.pattern}/locations/{_NAME}")
_REGIONAL_HOST = re.compile(r"(?<=://)([a-z]+(?:-[a-z]+)+\d+)(?=-[a-z]+\.googleapis\.com)")
_AWS_REGIONAL_HOST = re.compile(r"(?<=\.)[a-z]+(?:-[a-z]+)*-\d+(?=\.amazonaws\.com)")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html, also encoded in the path of a URL
_ARN = re.compile(r"(arn(:|%3[Aa])aws[a-z-]*\2[a-z0-9-]+\2)([a-z0-9-]*)(\2)(\d{12}|account-\d+)(?=\2)")
_ACCOUNT = re.compile(WORD_START + r"[a-z0-9][a-z0-9-]*@[a-z0-9.-]+\.gserviceaccount\.com" + WORD_END)
_ORGANIZATION = re.compile(
    rf"(?:{at_word_start('org-')}[A-Za-z0-9]{{16,}}|{at_word_start('organizations/')}[0-9]{{6,}})" + WORD_END
)

_KINDS = {"projects": "project", "locations": "location", "workspaces": "project"}
_PSEUDONYM = re.compile(r"(project|location|organization|account)-([0-9]+)")
_PSEUDONYM_IN_TEXT = re.compile(
    "(?:"
    + "|".join(at_word_start(f"{kind}-") for kind in ("project", "location", "organization", "account"))
    + r")[0-9]+\b"
)

_FIRST_WORD = re.compile(r"[\w-]+")
_WORDS = re.compile(r"[\w-]{6,}")
# the characters after a backslash or a percent sign may be the rest of an escape sequence
_ESCAPES = {"\\": re.compile(r"[nrtbf]|u[0-9a-fA-F]{4}"), "%": re.compile(r"[0-9a-fA-F]{2}")}
_WORD_ENDS = re.compile(rf"(?![\w-])|(?={REDACTED})")
_FEW_NAMES = 16
"""Up to this number of names, it is faster to search for each name first."""

_ENVIRONMENT = {
    "GOOGLE_CLOUD_PROJECT": "project",
    "GOOGLE_CLOUD_QUOTA_PROJECT": "project",
    "GCLOUD_PROJECT": "project",
    "GCP_PROJECT": "project",
    "CLOUDSDK_CORE_PROJECT": "project",
    "ANTHROPIC_VERTEX_PROJECT_ID": "project",
    "ANTHROPIC_GOOGLE_CLOUD_PROJECT": "project",
    "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID": "project",
    "ANTHROPIC_AWS_WORKSPACE_ID": "project",
    "ANTHROPIC_WORKSPACE_ID": "project",
    "ANTHROPIC_ORGANIZATION_ID": "organization",
    "AWS_ACCOUNT_ID": "account",
    "OPENAI_PROJECT_ID": "project",
    "OPENAI_ORG_ID": "organization",
    "OPENAI_ORGANIZATION": "organization",
}
_HEADERS = {
    "x-goog-user-project": "project",
    "anthropic-workspace-id": "project",
    "anthropic-organization-id": "organization",
    "openai-project": "project",
    "openai-organization": "organization",
    "x-goog-organization": "organization",
}


class NameSearches:
    """The strings that were searched for private names, each with the number of names that were known at that time."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._searched: list[tuple[str | None, int]] = []

    def add(self, text: str | None) -> None:
        """Add a string that is searched now. None stands for an unknown string."""
        # a long string would stay in memory
        self._searched.append((None if text is None or len(text) > WINDOW else text, len(self._names)))

    def may_have_missed_names(self) -> bool:
        """Return whether a string may contain a name that was learned only after the string was searched."""
        names = list(self._names)
        return any(
            text is None or any(name in text for name in islice(names, count, None))
            for text, count in self._searched
            if count < len(names)
        )


class _CurrentSearches(threading.local):
    searches: NameSearches | None = None


class Pseudonyms:
    """The private names that one tape has seen so far, each with its pseudonym. Thread-safe."""

    def __init__(self, environment: EnvironmentSecrets) -> None:
        self._pseudonyms: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._distinctive: dict[str, str] = {}
        self._by_first_word: dict[str, list[str]] = {}
        self._lock = threading.RLock()
        self._current = _CurrentSearches()
        for variable, kind in _ENVIRONMENT.items():
            if name := environment.variables.get(variable):
                self.learn(kind, name)
        for field in ("project_id", "quota_project_id"):
            if name := environment.google_account.get(field):
                self.learn("project", name)

    def __len__(self) -> int:
        """Return the number of names that are replaced wherever they appear."""
        return len(self._distinctive)

    @property
    def assigned(self) -> frozenset[str]:
        """The pseudonyms that have been assigned to names."""
        return frozenset(self._pseudonyms.values())

    @contextmanager
    def watch_searches(self) -> Iterator[NameSearches]:
        """Within the block, collect the strings in which this thread looks for names."""
        outer = self._current.searches
        self._current.searches = searches = NameSearches(self._distinctive)
        try:
            yield searches
        finally:
            self._current.searches = outer

    def note_search(self, text: str | None) -> None:
        """Note for ``watch_searches`` that ``text`` is searched. None stands for an unknown string."""
        if self._current.searches is not None:
            self._current.searches.add(text)

    def learn(self, kind: str, name: str) -> None:
        """Learn that ``name`` is private. From then on, the name is replaced wherever it appears as a word.

        A name that could be an ordinary word is replaced only in resource names. ``acme-prod-7`` is replaced even in
        prompts and responses, but a project called ``weather`` is not.
        """
        if name in self._distinctive or not _is_distinctive(name):
            return
        with self._lock:
            self._distinctive[name] = kind
            # a name may also contain other characters, such as the dots of a domain
            same_word = self._by_first_word.setdefault(_split_first_word(name), [])
            same_word.append(name)
            same_word.sort(key=len, reverse=True)

    def learn_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Learn the names of projects and organizations that headers contain."""
        for header, value in headers:
            if kind := _HEADERS.get(header):
                self.learn(kind, value)

    def learn_url(self, url: str) -> None:
        """Learn the project names in a Google API URL."""
        if _is_google_url(url):
            for pattern in (_PROJECT, _WORKSPACE):
                for resource in pattern.finditer(url):
                    self.learn("project", resource[0].partition("/")[2])

    def replace_in_url(self, url: str) -> str:
        """Return ``url`` with pseudonyms instead of private names."""
        if _is_google_url(url):
            url = _REGIONAL_HOST.sub(lambda match: self._assign("location", match[1]), url)
            url = _PROJECT.sub(self._replace_resource, url)
            url = _LOCATION.sub(self._replace_resource, url)
            url = _WORKSPACE.sub(self._replace_resource, url)
        if ".amazonaws.com" in url:
            url = _AWS_REGIONAL_HOST.sub(lambda match: self._assign("location", match[0]), url)
        return self.replace_in_text(url)

    def replace_in_text(self, text: str) -> str:
        """Return ``text`` with pseudonyms instead of private names."""
        for find in self.steps:
            if changes := find(text):
                text = apply_changes(text, changes)
        return text

    @property
    def steps(self) -> tuple[FindChanges, ...]:
        """The functions that find private names, in order. Each runs on the result of the one before."""
        return (
            self._find_resources,
            self._find_accounts,
            self._find_arns,
            self._find_organizations,
            self.find_known_names,
        )

    def _find_resources(self, text: str) -> list[TextChange]:
        return find_changes(_RESOURCE, self._replace_resource, text)

    def _find_accounts(self, text: str) -> list[TextChange]:
        if ".gserviceaccount.com" not in text:  # the regular expression is slow
            return []
        return find_changes(_ACCOUNT, lambda match: self._assign("account", match[0]), text)

    def _find_arns(self, text: str) -> list[TextChange]:
        return find_changes(_ARN, self._replace_in_arn, text) if "arn" in text and "aws" in text else []

    def _find_organizations(self, text: str) -> list[TextChange]:
        return find_changes(_ORGANIZATION, lambda match: self._assign("organization", match[0]), text)

    def find_known_names(self, text: str) -> list[TextChange]:
        """Find the distinctive names in one pass over the words, so that the time does not depend on the number of
        names.
        """
        self.note_search(text)
        names = self._by_first_word
        if not names or (len(names) < _FEW_NAMES and not any(word in text for word in names)):
            return []
        changes: list[TextChange] = []
        end = 0
        for start, word in _iterate_words(text):
            if word not in names or start < end:
                continue
            for name in names[word]:
                if text.startswith(name, start) and _WORD_ENDS.match(text, start + len(name)):
                    end = start + len(name)
                    if (pseudonym := self._assign(self._distinctive[name], name)) != name:
                        changes.append(TextChange(start, end, pseudonym))
                    break
        return changes

    def _replace_resource(self, match: re.Match[str]) -> str:
        parts = match[0].split("/")
        if parts[0] == "projects":
            self.learn("project", parts[1])
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return "/".join(f"{collection}/{self._assign(_KINDS[collection], name)}" for collection, name in pairs)

    def _replace_in_arn(self, match: re.Match[str]) -> str:
        start, _, region, separator, account = match.groups()
        location = self._assign("location", region) if region else ""
        return start + location + separator + self._assign("account", account)

    def _assign(self, kind: str, name: str) -> str:
        """Return the pseudonym of ``name``. If the name has none yet, assign the next pseudonym of ``kind``."""
        if name in ("-", "global"):  # the wildcard and the default location of Google's APIs are not private
            return name
        with self._lock:
            if name not in self._pseudonyms and (match := _PSEUDONYM.fullmatch(name)):
                # the name was redacted before, or it is a stand-in
                self._pseudonyms[name] = name
                self._counts[match[1]] = max(self._counts.get(match[1], 0), int(match[2]) + 1)
            elif name not in self._pseudonyms:
                number = self._counts.get(kind, 0)
                self._counts[kind] = number + 1
                self._pseudonyms[name] = f"{kind}-{number}"
            return self._pseudonyms[name]


def may_have_private_names(url: str) -> bool:
    """Return whether ``url`` may contain a private name that is recognized by its shape or its context."""
    return (
        _is_google_url(url)
        or ".amazonaws.com" in url
        or any(pattern.search(url) for pattern in (_RESOURCE, _ACCOUNT, _ARN, _ORGANIZATION))
    )


def _is_distinctive(name: str) -> bool:
    has_shape = len(name) >= 6 and re.search(r"[\d_-]", name) is not None and _FIRST_WORD.match(name) is not None
    return has_shape and _PSEUDONYM.fullmatch(name) is None


def _split_first_word(name: str) -> str:
    match = _FIRST_WORD.match(name)
    return match[0] if match else ""


def _iterate_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield each word of ``text`` with its offset. Escape sequences and redacted secrets before a word are skipped."""
    for match in _WORDS.finditer(text):
        start = match.start()
        for word in match[0].split(REDACTED):
            yield start, word
            escape = _ESCAPES.get(text[start - 1]) if start else None
            if escape is not None and (escaped := escape.match(word)):
                yield start + escaped.end(), word[escaped.end() :]
            start += len(word) + len(REDACTED)


def _is_google_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # the value of a header is not always a valid URL
        return False
    return parts.scheme == "grpc" or (parts.hostname or "").endswith(".googleapis.com") or "/publishers/" in url


def renumber_pseudonyms(assigned: Collection[str], *texts: str) -> tuple[list[str], frozenset[str]]:
    """Number the pseudonyms in ``texts`` from scratch, in order of appearance.

    The number of a pseudonym depends on the requests that were sent before. However, a recording must be found
    regardless of earlier requests.

    If a word looks like a pseudonym but is not ``assigned`` to a name, it is the user's own text and is not changed.
    If it were changed, a question about ``project-3`` would match a question about ``project-5``.

    Returns:
        The texts, and the pseudonyms that they contain after renumbering.
    """
    if not assigned:
        return list(texts), frozenset()
    pseudonyms: dict[str, str] = {}
    counts: dict[str, int] = {}

    def renumber(match: re.Match[str]) -> str:
        if match[0] not in assigned:
            return match[0]
        if match[0] not in pseudonyms:
            kind = match[0].rpartition("-")[0]
            pseudonyms[match[0]] = f"{kind}-{counts.setdefault(kind, 0)}"
            counts[kind] += 1
        return pseudonyms[match[0]]

    return [_PSEUDONYM_IN_TEXT.sub(renumber, text) for text in texts], frozenset(pseudonyms.values())
