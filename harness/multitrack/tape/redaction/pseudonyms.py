"""Plain words for the names of projects, locations, organisations and accounts.

A tape made in one project plays in any: ``projects/acme-prod-7/locations/us-central1`` is written, and looked
up, as ``projects/project-0/locations/location-0``; equal names get equal numbers. The words have no braces,
since HTTP clients percent-encode those.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from multitrack.tape.redaction.secrets import google_account
from multitrack.tape.redaction.word_boundaries import REDACTED, WORD_END, WORD_START, starting

# https://cloud.google.com/apis/design/resource_names
_NAME = r"[^/\s\"'\\?#:{}]+"
_PROJECT = re.compile(starting("projects/") + _NAME)
_LOCATION = re.compile(starting("locations/") + _NAME)
_RESOURCE = re.compile(f"{_PROJECT.pattern}/locations/{_NAME}")
_REGIONAL_HOST = re.compile(r"(?<=://)([a-z]+(?:-[a-z]+)+\d+)(?=-[a-z]+\.googleapis\.com)")
_ACCOUNT = re.compile(WORD_START + r"[a-z0-9][a-z0-9-]*@[a-z0-9.-]+\.gserviceaccount\.com" + WORD_END)
_ORGANIZATION = re.compile(
    rf"(?:{starting('org-')}[A-Za-z0-9]{{16,}}|{starting('organizations/')}[0-9]{{6,}})" + WORD_END
)

_KINDS = {"projects": "project", "locations": "location"}
_WORD = re.compile(r"(project|location|organization|account)-([0-9]+)")
_WORDS = re.compile(
    "(?:" + "|".join(starting(f"{kind}-") for kind in ("project", "location", "organization", "account")) + r")[0-9]+\b"
)

_ENVIRONMENT = {
    "GOOGLE_CLOUD_PROJECT": "project",
    "GOOGLE_CLOUD_QUOTA_PROJECT": "project",
    "GCLOUD_PROJECT": "project",
    "GCP_PROJECT": "project",
    "CLOUDSDK_CORE_PROJECT": "project",
    "OPENAI_PROJECT_ID": "project",
    "OPENAI_ORG_ID": "organization",
    "OPENAI_ORGANIZATION": "organization",
}
_HEADERS = {
    "x-goog-user-project": "project",
    "openai-project": "project",
    "openai-organization": "organization",
    "x-goog-organization": "organization",
}


class Pseudonyms:
    """The names met so far on one tape, each with its plain word. Safe to be shared by threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._words: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._distinctive: dict[str, str] = {}
        self._anywhere: re.Pattern[str] | None = None
        self._lock = threading.RLock()
        for variable, kind in _ENVIRONMENT.items():
            self.learn(kind, environment.get(variable, ""))
        account = google_account(environment)
        for field in ("project_id", "quota_project_id"):
            self.learn("project", account.get(field, ""))

    @property
    def given(self) -> frozenset[str]:
        """The plain words that stand for a name."""
        return frozenset(self._words.values())

    def learn(self, kind: str, name: str) -> None:
        """From now on ``name`` is replaced wherever it stands as a word, if it cannot be an ordinary word:
        ``acme-prod-7`` is replaced in prompts and answers, too, a project called ``weather`` only in
        resource names."""
        if name in self._distinctive or not _distinctive(name):
            return
        with self._lock:
            self._distinctive[name] = kind
            longest_first = sorted(self._distinctive, key=len, reverse=True)
            names = "|".join(f"{starting(name)}(?<!-{re.escape(name)})" for name in longest_first)
            self._anywhere = re.compile(rf"(?:{names})(?:(?![\w-])|(?={REDACTED}))")

    def learn_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Learn the names that providers put into headers."""
        for header, value in headers:
            if kind := _HEADERS.get(header):
                self.learn(kind, value)

    def learn_url(self, url: str) -> None:
        """Learn the names in the path of a Google API."""
        if _is_google(url):
            for resource in _PROJECT.finditer(url):
                self.learn("project", resource[0].partition("/")[2])

    def url(self, url: str) -> str:
        """``url`` with plain words in the place of names."""
        if _is_google(url):
            url = _REGIONAL_HOST.sub(lambda match: self._word("location", match[1]), url)
            url = _PROJECT.sub(self._resource, url)
            url = _LOCATION.sub(self._resource, url)
        return self.text(url)

    def text(self, text: str) -> str:
        """``text`` with plain words in the place of names."""
        text = _RESOURCE.sub(self._resource, text)
        if ".gserviceaccount.com" in text:  # looking for the name in front of it is slow
            text = _ACCOUNT.sub(lambda match: self._word("account", match[0]), text)
        text = _ORGANIZATION.sub(lambda match: self._word("organization", match[0]), text)
        if self._anywhere is not None:
            text = self._anywhere.sub(lambda match: self._word(self._distinctive[match[0]], match[0]), text)
        return text

    def _resource(self, match: re.Match[str]) -> str:
        parts = match[0].split("/")
        if parts[0] == "projects":
            self.learn("project", parts[1])
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return "/".join(f"{collection}/{self._word(_KINDS[collection], name)}" for collection, name in pairs)

    def _word(self, kind: str, name: str) -> str:
        if name in ("-", "global"):  # the wildcard and the default of Google's APIs name nobody
            return name
        with self._lock:
            if name not in self._words and (word := _WORD.fullmatch(name)):
                # scrubbed before, or the name of a stand-in
                self._words[name] = name
                self._counts[word[1]] = max(self._counts.get(word[1], 0), int(word[2]) + 1)
            elif name not in self._words:
                number = self._counts.get(kind, 0)
                self._counts[kind] = number + 1
                self._words[name] = f"{kind}-{number}"
            return self._words[name]


def _distinctive(name: str) -> bool:
    return len(name) >= 6 and re.search(r"[\d_-]", name) is not None and _WORD.fullmatch(name) is None


def _is_google(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "grpc" or (parts.hostname or "").endswith(".googleapis.com") or "/publishers/" in url


def renumbered(given: Collection[str], *texts: str) -> tuple[list[str], frozenset[str]]:
    """``texts`` with the numbers of the plain words among those ``given`` to names counted anew, by appearance; and
    the words that they have then.

    The number that a name gets depends on what was sent before it; a request must be found whatever was. A word
    that was given to no name is the user's own: a question about ``project-3`` is none about ``project-5``.
    """
    if not given:
        return list(texts), frozenset()
    words: dict[str, str] = {}
    counts: dict[str, int] = {}

    def renumber(match: re.Match[str]) -> str:
        if match[0] not in given:
            return match[0]
        if match[0] not in words:
            kind = match[0].rpartition("-")[0]
            words[match[0]] = f"{kind}-{counts.setdefault(kind, 0)}"
            counts[kind] += 1
        return words[match[0]]

    return [_WORDS.sub(renumber, text) for text in texts], frozenset(words.values())
