"""Save the recordings of tapes: in the cassette, or next to it as a pending recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from multitrack.errors import SecretInCassette
from multitrack.tape import event_framing
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.file.rebinding import Rebinding
from multitrack.tape.file.recordings import Recording, join_recordings
from multitrack.tape.interaction import Interaction
from multitrack.tape.recorder import Recorder
from multitrack.tape.reencoding import keep_framing
from multitrack.tape.remaining_secrets import remove_remaining_secrets
from multitrack.tape.settings import Settings
from multitrack.tape.temporary_errors import find_temporary_error

ResultFingerprinter = Callable[[Interaction], "tuple[str, ...] | None"]
"""For each tool call in a response, returns a fingerprint of the validated result, using the models that the request
offered. ``None`` if no models are known."""


@dataclass(frozen=True, slots=True)
class SavedRecording:
    """The result of saving a recording."""

    state: Literal["written", "pending"]
    path: Path
    """The cassette, or the file with the pending recording."""
    count: int
    """The number of recorded interactions."""
    reason: str = ""
    """Why the recording is pending."""
    short_variables: tuple[str, ...] = ()
    """The environment variables whose passwords are too short to be removed from the recording."""


@dataclass(frozen=True, slots=True)
class RecordingWriter:
    """A writer of recordings to one cassette.

    Args:
        path: The path of the cassette.
        test: The test that records. ``None`` outside of any test.
        settings: The tape's settings.
        appends: Whether to append the recording to the cassette, instead of replacing the earlier recording of the
            test.
        fingerprint_results: Called for each response of a test that passed. Returns the fingerprints to store with
            it.
        redact_foreign: Called to redact a cassette that another recorder wrote.
        cache: Used to read the cassette.
    """

    path: Path
    test: str | None
    settings: Settings
    appends: bool
    fingerprint_results: ResultFingerprinter
    redact_foreign: Callable[[Cassette], Cassette]
    cache: CassetteCache

    def save(self, recorders: Sequence[Recorder], failure: str | None) -> SavedRecording | None:
        """Join the recordings of ``recorders``, which were used one after the other, and save the result.

        The recording is pending in each of these cases:

        - The test failed.
        - A request got no response.
        - A response is a temporary error.
        - A value still looks like a secret after redaction. The value itself is not written.

        Returns:
            The saved recording. ``None`` if nothing was recorded, or if the test failed and no response arrived.

        Raises:
            CassetteCorrupt: The cassette cannot be read.
            CassetteNotWritten: The operating system refused to write the cassette.
            SecretInCassette: The recording contains a damaged AWS event stream, in which secrets cannot be found.
            BadOption: The project's redaction function fails.
        """
        recorded = join_recordings([recorder.interactions_to_save() for recorder in recorders])
        if not recorded or (failure and not any(recorder.has_responses for recorder in recorders)):
            return None
        self._refuse_damaged_streams(recorded)
        redactor = recorders[-1].redactor
        recorded, remaining = remove_remaining_secrets(recorded, redactor)
        unanswered = next(filter(None, (recorder.find_unanswered() for recorder in recorders)), "")
        reason = failure or unanswered or remaining
        if reason is None and not self.settings.keep_errors:
            reason = find_temporary_error(recorded)
        if reason is None:
            recorded = [replace(one, results=self.fingerprint_results(one)) for one in recorded]
        words = sorted({word for recorder in recorders for word in recorder.pseudonyms})
        metadata = {**recorders[-1].metadata(), **({"placeholders": words} if words else {})}
        keeps_errors = self.settings.keep_errors
        recording = Recording(tuple(recorded), self.test, metadata, self.appends, keeps_errors, unanswered)
        if reason is not None:
            pending = storage.save_pending(self.path, recording, cache=self.cache)
            return SavedRecording("pending", pending, len(recorded), reason, redactor.short_variables)
        storage.save_recording(self.path, recording, self.redact_foreign, cache=self.cache)
        return SavedRecording("written", self.path, len(recorded), short_variables=redactor.short_variables)

    def save_rebindings(self, rebindings: Sequence[Rebinding]) -> None:
        """Apply ``rebindings`` to the cassette.

        Raises:
            CassetteCorrupt: The cassette cannot be read, or no longer contains an interaction whose request is
                replaced.
            CassetteNotWritten: The operating system refused to write the cassette.
            SecretInCassette: A new request contains text that looks like a credential.
        """
        storage.save_rebindings(self.path, rebindings, cache=self.cache, allowed=self.settings.allow_secrets)

    def _refuse_damaged_streams(self, recorded: Sequence[Interaction]) -> None:
        """Raise ``SecretInCassette`` for a damaged AWS event stream, because secrets in its base64 cannot be found."""
        for request, response in ((one.request, one.response) for one in recorded):
            is_binary = event_framing.is_framed(response.header("content-type")) and not keep_framing(response.encoding)
            if is_binary and event_framing.is_damaged(response.body):
                raise SecretInCassette(
                    f"{self.path}: not written, because the response to {request.method} {request.url} is a damaged "
                    f"AWS event stream, in which secrets cannot be found; record the test again"
                )
