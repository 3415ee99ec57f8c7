"""Find the requests of a test that differ from the recordings that were replayed for them.

Most requests equal their recordings. Therefore, the bytes are compared first. Canonical forms are compared only if
the bytes differ. Redaction and parsing take longer than comparing, so they are only done for requests that differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from multitrack.audit.base64_values import summarize_base64
from multitrack.audit.client_versions import find_upgrades
from multitrack.audit.observed import CassetteUse, DifferingRequest, Observations, ObservedCassette, ObservedPair
from multitrack.tape import jsontext
from multitrack.tape.canonicalization import create_canonicalizer
from multitrack.tape.exchange import Request, Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.canonical_body import canonicalize_body
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.miss import bodies
from multitrack.tape.normalize.content_encoding import decode_body
from multitrack.tape.normalize.placeholders import Placeholders
from multitrack.tape.normalize.request_body import decode_request
from multitrack.tape.redaction import secrets
from multitrack.tape.redaction.shapes import has_credential_shape
from multitrack.tape.redaction.word_boundaries import REDACTED
from multitrack.tape.settings import Settings
from multitrack.wires import registry

FEATURE_HEADERS = ("anthropic-beta", "anthropic-version", "openai-beta")
"""The request headers that change what an API does. All others describe the client or the connection."""

COOKIE = "a cookie in the headers of a request"
"""The problem that is reported for cookies, separately from credentials: cookies have often expired."""

_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/]{160,}={0,2}")
_ID = re.compile(rb'"([A-Za-z][A-Za-z0-9_:.-]{7,})"')
# the id of a chat message or a call can be longer than a word, but is never as long as a prompt
_MAX_ID = 128


class RequestComparer:
    """A comparison of one process's requests with their recordings. All requests of a test are compared together."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._normalizer = create_canonicalizer(settings).normalizer
        # without the secrets in requests, which the redactor learns later
        self._environment_secrets = self._normalizer.redactor.known_secrets
        self._clean_lines: set[str] = set()
        self._rules = MatchingRules((), settings.ignore, Placeholders(settings.placeholders))
        self._bodies: dict[int, list[tuple[str, str]]] = {}
        self._cassettes: dict[int, ObservedCassette] = {}
        self.found = Observations()

    def redact(self, text: str) -> str:
        """Return ``text`` without the secrets that the requests contained."""
        return self._normalizer.redactor.redact_text(text)

    def add_test(self, pairs: Sequence[ObservedPair]) -> None:
        """Compare the requests of one test, in the order in which they were sent."""
        different: list[tuple[int, ObservedPair]] = []
        for number, pair in enumerate(pairs):
            self.found.requests[pair.test] = self.found.requests.get(pair.test, 0) + 1
            self._normalizer.redactor.learn_request(replace(pair.sent, body=b""))
            if self._is_equal(pair.recorded, pair.sent) and not _find_header_changes(pair):
                self.found.equal += 1
            else:
                different.append((number, pair))
        different = list(self._remove_explained(different, pairs))
        earlier: list[tuple[Any, Any]] = []
        for number, pair in different:
            self._add_different(number, pair, pairs, earlier)

    def _is_equal(self, recorded: Request, sent: Request) -> bool:
        if recorded.url == sent.url and recorded.body == sent.body:
            return True
        one, other = decode_request(recorded), decode_request(sent)
        if _canonicalize(one) != _canonicalize(other):
            return False
        return one.url == other.url or self._make_key(one) == self._make_key(other)

    def _make_key(self, request: Request) -> MatchingKey:
        return MatchingKey.from_request(replace(self._normalizer.redact(request), body=b""))

    def _remove_explained(
        self, different: Sequence[tuple[int, ObservedPair]], pairs: Sequence[ObservedPair]
    ) -> Iterator[tuple[int, ObservedPair]]:
        """Yield the requests that have no equal recording left in their cassette.

        A recording is left if it did not answer an equal request. The requests for which one is left are counted as
        swapped or superseded.
        """
        differing_pairs = {id(pair) for _, pair in different}
        used = {(id(pair.cassette), pair.position) for pair in pairs if id(pair) not in differing_pairs}
        for number, pair in different:
            cassette = pair.cassette
            body = _canonicalize(decode_request(pair.sent))
            found = next(
                (
                    position
                    for position, (method, recorded) in enumerate(self._list_bodies(cassette))
                    if position != pair.position
                    and recorded == body
                    and method == pair.sent.method
                    and (id(cassette), position) not in used
                    and self._is_equal(cassette.recordings[position], pair.sent)
                ),
                None,
            )
            if found is None:
                yield number, pair
                continue
            used.add((id(cassette), found))
            is_played = any(
                other.cassette is cassette and other.position == found and id(other) in differing_pairs
                for other in pairs
            )
            (self.found.swapped if is_played else self.found.superseded).append((pair.test, cassette.path))

    def _list_bodies(self, cassette: ObservedCassette) -> Sequence[tuple[str, str]]:
        key = id(cassette)
        if key not in self._bodies:
            self._cassettes[key] = cassette  # keep the object alive, so that Python does not reuse its id
            self._bodies[key] = [(one.method, _canonicalize(decode_request(one))) for one in cassette.recordings]
        return self._bodies[key]

    def _add_different(
        self, number: int, pair: ObservedPair, pairs: Sequence[ObservedPair], earlier: list[tuple[Any, Any]]
    ) -> None:
        rules = replace(self._rules, ignore=(*self._rules.ignore, *pair.cassette.ignore))
        recorded, sent = (
            rules.strip_ignored(self._normalizer.redact(self._normalizer.receive(_without_base64(one))))
            for one in (pair.recorded, pair.sent)
        )
        headers = _find_header_changes(pair)
        pseudonyms = self._normalizer.pseudonyms
        keys = MatchingKey.from_request(recorded, pseudonyms), MatchingKey.from_request(sent, pseudonyms)
        entry = _make_entry(recorded, keys[0])
        has_same_body = entry.accepts(replace(keys[1], origin=keys[0].origin, target=keys[0].target))
        if pair.cassette.recorder == "multitrack":
            # the address of a local server does not count
            keys = keys[0], replace(keys[1], origin=keys[0].origin)
        if (part := _find_differing_part(entry, recorded.url, sent.url, keys)) is not None:
            self.found.addresses.setdefault(part, []).append(pair.test)
        if has_same_body and not headers:
            self.found.equal += 1
            return
        before, after = (bodies.parse_body(one) for one in (recorded, sent))
        formats = bodies.name_format(before), bodies.name_format(after)
        conversations = _read_conversation(before, recorded.url), _read_conversation(after, sent.url)
        self.found.differing.append(
            DifferingRequest(
                test=pair.test,
                number=number,
                cassette=pair.cassette.path,
                position=pair.position,
                url=sent.url,
                recorded_url=recorded.url,
                recorded=before,
                sent=after,
                formats=formats,
                headers=headers,
                clients=find_upgrades(pair.recorded, pair.sent),
                answer_ids=_find_answer_ids(pair, pairs[:number]),
                history=_measure_history(conversations, earlier),
            )
        )
        earlier.append(conversations)

    def add_cassette(self, cassette: ObservedCassette, text: str = "") -> None:
        """Add the findings about a cassette. Called after the last test that uses the cassette.

        Args:
            cassette: The cassette.
            text: The content of the file, to search it for secrets. Empty if it is not known.
        """
        use = CassetteUse(
            cassette.path,
            len(cassette.recordings),
            sorted(cassette.tests),
            sorted(cassette.tests - cassette.asked),
            set(cassette.played),
            records=cassette.records,
            recorded=cassette.recorded,
            recorder=cassette.recorder,
        )
        unplayed = [position for position in range(len(cassette.recordings)) if position not in cassette.played]
        if cassette.played:
            use.unused, use.hosts = self._classify_unused(cassette, unplayed)
        else:
            use.unused = dict.fromkeys(unplayed, "rest")
        self.found.cassettes[cassette.path] = use
        self.found.header_names.update(
            name for request in cassette.recordings for name in FEATURE_HEADERS if request.header(name)
        )
        if problems := list(self._find_secrets(cassette, text)):
            self.found.secrets[cassette.path] = problems

    def _classify_unused(
        self, cassette: ObservedCassette, unplayed: Sequence[int]
    ) -> tuple[dict[int, str], dict[int, str]]:
        """Return why each unused recording was not played, and which hosts no test called.

        Both results are dictionaries whose keys are positions of recordings in the cassette. The values are reasons
        in the first dictionary, and host names in the second.
        """
        played = [cassette.recordings[position] for position in sorted(cassette.played)]
        hosts = {urlsplit(request.url).hostname for request in played}
        equal = {(request.method, request.url, request.body) for request in played}
        unused, uncalled = dict[int, str](), dict[int, str]()
        for position in unplayed:
            request = cassette.recordings[position]
            host = urlsplit(request.url).hostname
            if (request.method, request.url, request.body) in equal or any(
                self._is_equal(request, one) for one in played if one.method == request.method
            ):
                unused[position] = "repetition"
            elif host not in hosts:
                unused[position] = "host"
                uncalled[position] = str(host)
            else:
                unused[position] = "rest"
        return unused, uncalled

    def _has_credential(self, text: str) -> bool:
        """Return whether a cassette contains something that looks like a credential. Long base64 data is not searched.

        A line that was clean in an earlier cassette is not searched again, because cassettes repeat headers, prompts
        and responses: of the 13.7 MB in openllmetry's suite for openai, only 4.5 MB have to be searched.
        """
        for line in dict.fromkeys(text.splitlines()):
            if line not in self._clean_lines:
                if has_credential_shape(_LONG_BASE64.sub("", line), self._settings.allow_secrets):
                    return True
                self._clean_lines.add(line)
        return False

    def _find_secrets(self, cassette: ObservedCassette, text: str) -> Iterator[str]:
        allowed = self._settings.allow_secrets
        if self._has_credential(text):
            yield "a value that looks like a credential"
        elif any(secret in text for secret in self._environment_secrets):
            yield "the value of a credential variable in the environment"
        problems = {False: "a credential in the headers or the URL of a request", True: COOKIE}
        for is_cookie, problem in problems.items():
            found = {
                value
                for request in cassette.recordings
                for value in secrets.find_in_request(
                    (header for header in request.headers if (header[0] == "cookie") is is_cookie),
                    "" if is_cookie else request.url,
                )
                if REDACTED not in value and value not in allowed
            }
            if any(map(_looks_real, found)):
                yield problem


def _looks_real(value: str) -> bool:
    """Return whether ``value`` looks like a real credential and not like a placeholder that a filter inserted."""
    return len(value) >= 16 and any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def _without_base64(request: Request) -> Request:
    """Replace base64 in the JSON body of ``request`` with descriptions, because redacting base64 is slow."""
    try:
        document = jsontext.parse(request.body)
    except ValueError:
        return request
    summarized = summarize_base64(document)
    return request if summarized == document else replace(request, body=json.dumps(summarized).encode())


def _canonicalize(request: Request) -> str:
    return canonicalize_body(request.body, request.header("content-type"))


def _find_header_changes(pair: ObservedPair) -> Mapping[str, tuple[str, str]]:
    changes = {}
    for name in FEATURE_HEADERS:
        before, after = (_sort_words(one.header(name) or "") for one in (pair.recorded, pair.sent))
        if before != after:
            changes[name] = (before, after)
    return changes


def _sort_words(value: str) -> str:
    return ",".join(sorted(word.strip() for word in value.split(",")))


def _make_entry(request: Request, key: MatchingKey) -> RecordedEntry:
    return RecordedEntry(0, Interaction(request, Response(200, "", (), b"")), key)


def _find_differing_part(
    entry: RecordedEntry, recorded: str, sent: str, keys: tuple[MatchingKey, MatchingKey]
) -> str | None:
    """Return the first part in which two URLs differ. None if they are equal after normalization."""
    if keys[0].origin == keys[1].origin and entry.has_same_url(keys[1]):
        return None
    before, after = urlsplit(recorded), urlsplit(sent)
    if before.hostname != after.hostname:
        return "host"
    if keys[0].origin != keys[1].origin:
        return "scheme or port"
    return "path" if before.path != after.path else "query"


def _find_answer_ids(pair: ObservedPair, earlier: Sequence[ObservedPair]) -> Sequence[str]:
    if not earlier:
        return ()
    ids = {token for token in _ID.findall(pair.sent.body) if len(token) <= _MAX_ID and re.search(rb"\d", token)}
    ids -= set(_ID.findall(pair.recorded.body))
    if not ids:
        return ()
    answers = [_decode_answer(one.answer) for one in earlier]
    return sorted(token.decode() for token in ids if any(token in answer for answer in answers))


def _decode_answer(answer: bytes) -> bytes:
    if answer[:2] != b"\x1f\x8b":
        return answer
    try:
        return decode_body(answer, "gzip")
    except ValueError:
        return answer


def _read_conversation(document: Any, url: str) -> Sequence[str]:
    """Return the messages of a request in canonical form. Empty if the API is unknown."""
    wire_format = registry.recognize_request(document, url) if isinstance(document, Mapping) else None
    if wire_format is None or not isinstance(document, Mapping):
        return ()
    messages = document.get(wire_format.conversation_key)
    return [jsontext.canonical(message) for message in messages] if isinstance(messages, list) else ()


def _measure_history(
    conversations: tuple[Sequence[str], Sequence[str]], earlier: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> int | None:
    """Return the number of messages in the longest earlier conversation that a request continues.

    None if the request starts a new conversation.
    """
    recorded, sent = conversations
    lengths = [
        len(earlier_sent)
        for earlier_recorded, earlier_sent in earlier
        if _continues(earlier_sent, sent) or _continues(earlier_recorded, recorded)
    ]
    return max(lengths, default=None)


def _continues(earlier: Sequence[str], conversation: Sequence[str]) -> bool:
    return 0 < len(earlier) < len(conversation) and list(conversation[: len(earlier)]) == list(earlier)
