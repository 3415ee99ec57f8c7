"""Observe which recorded request vcrpy chooses for each live request.

The observer changes nothing that a test can see. While a test runs, the observer only keeps references. In
particular, it opens no files, does not ask for the current directory, and waits for no lock. Some applications forbid
these operations in their event loop, and a client would turn the resulting error into a failed connection.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from multitrack.audit.observed import ObservedCassette, ObservedPair
from multitrack.tape.exchange import Request
from multitrack.tape.imports import ImportWatch
from multitrack.tape.patching import Patch, PatchSet


@dataclass(slots=True)
class _OpenCassette:
    """A vcrpy cassette object, and the tests that used it. ``requests`` contains the requests that were in the file."""

    path: str
    requests: list[Any]
    record_mode: str
    tests: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    played: set[int] = field(default_factory=set)
    recorded: int = 0


@dataclass(frozen=True, slots=True)
class _Play:
    cassette: _OpenCassette
    test: str
    position: int
    sent: Any
    recorded: Any
    response: Any


class VcrpyObserver:
    """An observer of vcrpy's cassettes in this process."""

    def __init__(self, show_path: Callable[[str], str]) -> None:
        """Create an observer. It observes nothing before ``start`` is called. ``show_path`` formats paths."""
        self._show_path = show_path
        self.test = ""
        """The running test. Requests are assigned to it, and so are the cassettes that it opens."""
        self._plays: list[_Play] = []
        self._loaded: list[_OpenCassette] = []
        self._open: dict[int, tuple[Any, _OpenCassette]] = {}
        self._cassettes: dict[str, ObservedCassette] = {}
        self._matched = threading.local()
        self._patches = PatchSet()
        self._watch = ImportWatch()

    def start(self) -> None:
        """Start observing vcrpy. If it is not imported yet, start when it is imported."""
        self._watch.when_imported("vcr.cassette", self._patch)

    def stop(self) -> None:
        """Stop observing vcrpy."""
        self._watch.close()
        self._patches.undo()

    def _patch(self, module: ModuleType) -> None:
        cassette = module.Cassette
        self._patches.apply(
            [
                Patch(module, "requests_match", self._wrap_match),
                Patch(cassette, "_load", self._wrap_load),
                Patch(cassette, "can_play_response_for", self._wrap_question),
                Patch(cassette, "play_response", self._wrap_play),
                Patch(cassette, "_save", self._wrap_save),
            ]
        )

    # the patched functions: no I/O and no locks

    def _wrap_match(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def requests_match(sent: Any, recorded: Any, *args: Any, **kwargs: Any) -> Any:
            self._matched.last = sent, recorded
            return original(sent, recorded, *args, **kwargs)

        return requests_match

    def _wrap_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _load(cassette: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(cassette, *args, **kwargs)
            # in another version of vcrpy, the attributes may have other names; the test must not notice
            with suppress(Exception):
                self._add_cassette(cassette)
            return result

        return _load

    def _add_cassette(self, cassette: Any) -> None:
        mode = getattr(cassette.record_mode, "value", cassette.record_mode)
        opened = _OpenCassette(str(cassette._path), [request for request, _ in cassette.data], str(mode))
        opened.tests.add(self.test)
        self._open[id(cassette)] = cassette, opened
        self._loaded.append(opened)

    def _wrap_question(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def can_play_response_for(cassette: Any, *args: Any, **kwargs: Any) -> Any:
            if (found := self._open.get(id(cassette))) is not None:
                found[1].asked.add(self.test)
            return original(cassette, *args, **kwargs)

        return can_play_response_for

    def _wrap_play(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def play_response(cassette: Any, *args: Any, **kwargs: Any) -> Any:
            self._matched.last = None
            response = original(cassette, *args, **kwargs)
            with suppress(Exception):
                self._add_play(cassette, response)
            return response

        return play_response

    def _add_play(self, cassette: Any, response: Any) -> None:
        found, last = self._open.get(id(cassette)), self._matched.last
        if found is None or last is None:
            return
        opened = found[1]
        position = next((at for at, (request, _) in enumerate(cassette.data) if request is last[1]), None)
        # only recordings from earlier runs are compared, and not those that this run made
        if position is not None and position < len(opened.requests):
            opened.tests.add(self.test)
            opened.played.add(position)
            self._plays.append(_Play(opened, self.test, position, last[0], last[1], response))

    def _wrap_save(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _save(cassette: Any, *args: Any, **kwargs: Any) -> Any:
            found = self._open.pop(id(cassette), None)
            if found is not None:
                found[1].recorded = max(len(cassette.data) - len(found[1].requests), 0)
            return original(cassette, *args, **kwargs)

        return _save

    # after a test

    def take_pairs(self) -> list[ObservedPair]:
        """Return the pairs of requests that were observed since the previous call of this method, in sending order."""
        plays, self._plays = self._plays, []
        self._merge_loaded()
        return [
            ObservedPair(
                play.test,
                self._cassettes[play.cassette.path],
                play.position,
                _convert_request(play.sent),
                _convert_request(play.recorded),
                _read_answer(play.response),
            )
            for play in plays
        ]

    def _merge_loaded(self) -> None:
        """Merge all cassette objects of the same file.

        Open objects stay in ``_loaded``, because later tests can use them.
        """
        still_open = {id(opened) for _, opened in self._open.values()}
        remaining = []
        for opened in self._loaded:
            self._merge(opened)
            if id(opened) in still_open:
                remaining.append(opened)
        self._loaded = remaining

    def _merge(self, opened: _OpenCassette) -> None:
        known = self._cassettes.get(opened.path)
        if known is None or len(known.recordings) < len(opened.requests):
            recordings = [_convert_request(request) for request in opened.requests]
            known = self._cassettes.setdefault(opened.path, ObservedCassette(self._show_path(opened.path), recordings))
            known.recordings = recordings
        known.tests |= opened.tests
        known.asked |= opened.asked
        known.played |= opened.played
        known.records = opened.record_mode
        known.recorded += opened.recorded
        opened.recorded = 0

    def take_cassettes(self) -> Iterable[ObservedCassette]:
        """Return all cassettes that the run used."""
        self._merge_loaded()
        return self._cassettes.values()


def _convert_request(request: Any) -> Request:
    headers = tuple(_list_headers(request.headers))
    return Request(str(request.method).upper(), str(request.uri), headers, _read_body(request.body))


def _list_headers(headers: Mapping[Any, Any]) -> Iterable[tuple[str, str]]:
    for name, values in headers.items():
        for value in values if isinstance(values, list | tuple) else [values]:
            yield _to_text(name).lower(), _to_text(value)


def _to_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _read_body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if hasattr(body, "read"):
        return _read_body(body.read())
    # for aiohttp, vcrpy stores the arguments `json` and `data`
    if isinstance(body, dict | list | int | float):
        try:
            return json.dumps(body).encode()
        except (TypeError, ValueError):
            return repr(body).encode()
    if isinstance(body, Iterable):
        return b"".join(bytes([part]) if isinstance(part, int) else _read_body(part) for part in body)
    return repr(body).encode()


def _read_answer(response: Any) -> bytes:
    body = response.get("body", response.get("content")) if isinstance(response, Mapping) else None
    content = body.get("string") if isinstance(body, Mapping) else body
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass")
    return content if isinstance(content, bytes) else b""
