"""Create the parts of a tape, and connect them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from multitrack.tape.canonicalization import create_canonicalizer
from multitrack.tape.file import paths
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.foreign_redaction import redact_foreign
from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.live_exchange import Clock
from multitrack.tape.live_gate import LiveGate
from multitrack.tape.lost_recordings import RecordingSearch
from multitrack.tape.matching.request_matcher import RequestMatcher
from multitrack.tape.miss.miss_reporter import MissContext, MissReporter
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.open_cassette import CassetteLoader, OpenCassette
from multitrack.tape.recorder import Recorder
from multitrack.tape.recording_writer import RecordingWriter, ResultFingerprinter
from multitrack.tape.routing_guard import RoutingGuard
from multitrack.tape.sessions.behaviour_session import AnswerSource, BehaviourSession
from multitrack.tape.sessions.drift_session import DriftSession
from multitrack.tape.sessions.live_session import LiveSession
from multitrack.tape.sessions.rebind_session import RebindSession
from multitrack.tape.sessions.record_session import RecordSession
from multitrack.tape.sessions.replay_session import ReplaySession
from multitrack.tape.sessions.session import Session
from multitrack.tape.settings import Mode, Settings
from multitrack.tape.unrecorded_requests import UnrecordedRequests
from multitrack.tape.violations import ViolationHolder, Violations


@dataclass(frozen=True, slots=True)
class TapeParts:
    """The objects that a tape consists of."""

    mode: Mode
    """The tape's mode: ``record`` instead of ``record-missing`` if the cassette has expired."""
    lock: AbstractContextManager[object]
    """The lock that is held while a request is routed."""
    shown_path: Path
    """The path of the cassette, as messages show it."""
    normalizer: RequestNormalizer
    cassette: OpenCassette
    violations: Violations
    misses: MissReporter
    guard: RoutingGuard
    unrecorded: UnrecordedRequests
    session: Session
    recorder: Recorder
    writer: RecordingWriter


def assemble_parts(
    path: Path,
    *,
    mode: Mode,
    settings: Settings,
    test: str | None,
    is_shared: bool,
    additional_paths: Sequence[Path],
    load: CassetteLoader | None,
    filters: InteractionFilter | None,
    matchers: Sequence[RequestMatcher],
    appends: bool,
    fingerprint_results: ResultFingerprinter,
    record_hint: Callable[[], str],
    holder: ViolationHolder | None,
    root: Path | None,
    clock: Clock,
    cache: CassetteCache,
    answers: AnswerSource | None,
    rebinds: bool,
    rebind_hint: Callable[[], str | None],
) -> TapeParts:
    """Return the parts of the tape for the cassette at ``path``. ``Tape`` describes the arguments.

    Raises:
        CassetteCorrupt: A cassette cannot be read.
    """
    # computed now and not for a miss, because code in an event loop may not be allowed to ask for the directory
    shown_path, folder = paths.relative_to_cwd(path), paths.current_folder()
    # re-entrant: the garbage collector may end a dropped call in this thread while it holds the lock
    lock = threading.RLock()
    canonicalizer = create_canonicalizer(settings, filters, matchers)
    normalizer = canonicalizer.normalizer
    redact = normalizer.redactor.redact_text
    cassette = OpenCassette(
        canonicalizer, test=test, is_shared=is_shared, allow_repeats=settings.allow_repeats, filters=filters
    )
    if mode != "live" and answers is None:
        cassette.read(path, additional_paths, record_hint, cache, load, is_replayed=mode != "record")
    if mode == "record-missing" and _is_recorded_again(path, cassette, settings, clock, cache):
        mode = "record"

    violations = Violations(holder, lock)
    guard = RoutingGuard(violations, redact, shown_path)
    gate = LiveGate(violations, redact, shown_path, mode)

    def create_search() -> RecordingSearch:
        return RecordingSearch(
            path=folder / path,
            test=test,
            root=root or folder,
            folder=folder,
            settings=settings,
            filter_request=normalizer.filter_recorded if normalizer.has_filters else None,
            cache=cache,
        )

    context = MissContext(shown_path, record_hint, folder, rebind_hint)
    misses = MissReporter(context, violations, canonicalizer, cassette, create_search)
    recorder = Recorder(normalizer, clock, test=test, filters=filters)

    session: Session
    match mode:
        case _ if answers is not None:
            session = BehaviourSession(answers, violations, normalizer.redact, pace=settings.pace)
        case "live":
            session = LiveSession(gate)
        case "record":
            session = RecordSession(normalizer, recorder, gate)
        case "drift":
            session = DriftSession(normalizer, recorder, gate, cassette.lookup)
        case "replay" | "record-missing":
            create = partial(RebindSession, test=test) if rebinds and mode == "replay" else ReplaySession
            session = create(
                canonicalizer,
                cassette.lookup,
                gate=gate,
                misses=misses,
                guard=guard,
                lock=lock,
                pace=settings.pace,
                recorder=recorder if mode == "record-missing" else None,
            )
    unrecorded = UnrecordedRequests(
        settings, gate, is_offline=session.is_offline, drops_telemetry=session.uses_cassette
    )
    writer = RecordingWriter(
        path,
        test,
        settings,
        appends=appends or session.replays,
        fingerprint_results=fingerprint_results,
        redact_foreign=lambda found: redact_foreign(found, normalizer),
        cache=cache,
    )
    return TapeParts(
        mode, lock, shown_path, normalizer, cassette, violations, misses, guard, unrecorded, session, recorder, writer
    )


class _ExpiredCassettes(set[Path]):
    """The expired cassettes that this run records again.

    If several tests share a cassette, the cassette looks new after the first test has recorded it. The other tests
    therefore look up here whether it had expired.
    """


def _is_recorded_again(
    path: Path, cassette: OpenCassette, settings: Settings, clock: Clock, cache: CassetteCache
) -> bool:
    if settings.on_expiry != "record":
        return False
    known = cache.remember(_ExpiredCassettes, _ExpiredCassettes)
    if cassette.find_days_if_expired(settings.max_age, clock) is not None:
        known.add(paths.resolve(path))
    return paths.resolve(path) in known
