"""Pseudonyms for the names of projects, locations, organizations and accounts.

They let a cassette that was recorded in one project replay in any other project.
``projects/acme-prod-7/locations/us-central1`` is stored and looked up as ``projects/project-0/locations/location-0``.
Equal names get equal numbers. Pseudonyms have no braces, because HTTP clients percent-encode braces.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from multitrack.tape.redaction.secrets import read_google_credentials
from multitrack.tape.redaction.word_boundaries import REDACTED, WORD_END, WORD_START, at_word_start

# https://cloud.google.com/apis/design/resource_names
_NAME = r"[^/\s\"'\\?#:{}]+"
_PROJECT = re.compile(at_word_start("projects/") + _NAME)
_LOCATION = re.compile(at_word_start("locations/") + _NAME)
_RESOURCE = re.compile(f"{_PROJECT.pattern}/locations/{_NAME}")
_REGIONAL_HOST = re.compile(r"(?<=://)([a-z]+(?:-[a-z]+)+\d+)(?=-[a-z]+\.googleapis\.com)")
_AWS_REGIONAL_HOST = re.compile(r"(?<=\.)[a-z]+(?:-[a-z]+)*-\d+(?=\.amazonaws\.com)")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html, also encoded in the path of a URL
_ARN = re.compile(r"(arn(:|%3[Aa])aws[a-z-]*\2[a-z0-9-]+\2)([a-z0-9-]*)(\2)(\d{12}|account-\d+)(?=\2)")
_ACCOUNT = re.compile(WORD_START + r"[a-z0-9][a-z0-9-]*@[a-z0-9.-]+\.gserviceaccount\.com" + WORD_END)
_ORGANIZATION = re.compile(
    rf"(?:{at_word_start('org-')}[A-Za-z0-9]{{16,}}|{at_word_start('organizations/')}[0-9]{{6,}})" + WORD_END
)

_KINDS = {"projects": "project", "locations": "location"}
_PSEUDONYM = re.compile(r"(project|location|organization|account)-([0-9]+)")
_PSEUDONYM_IN_TEXT = re.compile(
    "(?:"
    + "|".join(at_word_start(f"{kind}-") for kind in ("project", "location", "organization", "account"))
    + r")[0-9]+\b"
)

_ENVIRONMENT = {
    "GOOGLE_CLOUD_PROJECT": "project",
    "GOOGLE_CLOUD_QUOTA_PROJECT": "project",
    "GCLOUD_PROJECT": "project",
    "GCP_PROJECT": "project",
    "CLOUDSDK_CORE_PROJECT": "project",
    "ANTHROPIC_VERTEX_PROJECT_ID": "project",
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


class Pseudonyms:
    """The private names that one tape has met so far, each with its pseudonym. Thread-safe."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._pseudonyms: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._distinctive: dict[str, str] = {}
        self._anywhere: re.Pattern[str] | None = None
        self._lock = threading.RLock()
        for variable, kind in _ENVIRONMENT.items():
            self.learn(kind, environment.get(variable, ""))
        account = read_google_credentials(environment)
        for field in ("project_id", "quota_project_id"):
            self.learn("project", account.get(field, ""))

    @property
    def assigned(self) -> frozenset[str]:
        """The pseudonyms that stand for a name."""
        return frozenset(self._pseudonyms.values())

    def learn(self, kind: str, name: str) -> None:
        """Replace ``name`` from now on wherever it appears as a word, unless it could be an ordinary word.

        ``acme-prod-7`` is replaced even in prompts and responses. A project called ``weather`` is only replaced in
        resource names.
        """
        if name in self._distinctive or not _is_distinctive(name):
            return
        with self._lock:
            self._distinctive[name] = kind
            longest_first = sorted(self._distinctive, key=len, reverse=True)
            names = "|".join(f"{at_word_start(name)}(?<!-{re.escape(name)})" for name in longest_first)
            self._anywhere = re.compile(rf"(?:{names})(?:(?![\w-])|(?={REDACTED}))")

    def learn_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Learn the names in headers of providers."""
        for header, value in headers:
            if kind := _HEADERS.get(header):
                self.learn(kind, value)

    def learn_url(self, url: str) -> None:
        """Learn the names of projects in the URL of a Google API."""
        if _is_google_url(url):
            for resource in _PROJECT.finditer(url):
                self.learn("project", resource[0].partition("/")[2])

    def replace_in_url(self, url: str) -> str:
        """Return ``url`` with pseudonyms instead of private names."""
        if _is_google_url(url):
            url = _REGIONAL_HOST.sub(lambda match: self._assign("location", match[1]), url)
            url = _PROJECT.sub(self._replace_resource, url)
            url = _LOCATION.sub(self._replace_resource, url)
        if ".amazonaws.com" in url:
            url = _AWS_REGIONAL_HOST.sub(lambda match: self._assign("location", match[0]), url)
        return self.replace_in_text(url)

    def replace_in_text(self, text: str) -> str:
        """Return ``text`` with pseudonyms instead of private names."""
        text = _RESOURCE.sub(self._replace_resource, text)
        if ".gserviceaccount.com" in text:  # searching for the name in front of it is slow
            text = _ACCOUNT.sub(lambda match: self._assign("account", match[0]), text)
        if "arn" in text and "aws" in text:
            text = _ARN.sub(self._replace_in_arn, text)
        text = _ORGANIZATION.sub(lambda match: self._assign("organization", match[0]), text)
        if self._anywhere is not None:
            text = self._anywhere.sub(lambda match: self._assign(self._distinctive[match[0]], match[0]), text)
        return text

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
        """Return the pseudonym of ``name``. If it has none yet, assign the next one of ``kind``."""
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


def _is_distinctive(name: str) -> bool:
    return len(name) >= 6 and re.search(r"[\d_-]", name) is not None and _PSEUDONYM.fullmatch(name) is None


def _is_google_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # the value of a header is not always a valid URL
        return False
    return parts.scheme == "grpc" or (parts.hostname or "").endswith(".googleapis.com") or "/publishers/" in url


def renumber_pseudonyms(assigned: Collection[str], *texts: str) -> tuple[list[str], frozenset[str]]:
    """Number the pseudonyms in ``texts`` from scratch, in order of appearance.

    The number of a pseudonym depends on the requests that were sent before, but a request must be found regardless of
    earlier requests. A word that looks like a pseudonym but is not ``assigned`` to a name is the user's own text and
    stays: a question about ``project-3`` is not a question about ``project-5``.

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
