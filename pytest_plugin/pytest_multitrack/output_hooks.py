"""Hooks that remove all known secrets from the text that pytest is about to print.

The hooks run before those of all other plugins. For a passing test that prints nothing, they cost a few microseconds:
``output_redaction`` is only imported if there is text to redact.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from multitrack.tape.redaction import environment_variables
from pytest_multitrack.parameter_ids import redact_parameter_ids
from pytest_multitrack.report_attributes import RESULTS

if TYPE_CHECKING:
    import warnings

    from multitrack.tape.redaction.redactor import Redactor
    from multitrack.tape.tape import Tape
    from pytest_multitrack.output_redaction import OutputRedactor

_MIN_LENGTH = 8
"""The length of the shortest secret."""

_PLAIN = frozenset(
    {
        *("nodeid", "_id", "location", "keywords", "outcome", "when", "duration", "start", "stop", "result"),
        *("node", "item_index", "worker_id", "testrun_uid"),  # set by pytest-xdist
    }
)
"""The attributes of a report that hold no text from the test. The node id was redacted when it was made."""

_LONG_WORD = re.compile(r"\S{16,}")
_DIGIT = re.compile(r"\d")
_MARK = re.compile(r"://[^/\s]*@|-----BEGIN")


def _list_texts(report: pytest.TestReport | pytest.CollectReport, *, done: object) -> dict[str, Any]:
    """Return the attributes of ``report`` that may hold text from the test. An attribute with the value ``done`` is
    left out.
    """
    return {
        name: value
        for name, value in vars(report).items()
        if value and name not in _PLAIN and value is not done and not callable(value)
    }


def _may_be_secret(text: str) -> bool:
    """Return whether ``text``, a parameter of a test, may be a secret."""
    if any(_DIGIT.search(word[0]) for word in _LONG_WORD.finditer(text)) or _MARK.search(text):
        return True
    return any(len(value) >= _MIN_LENGTH and value in text for value in os.environ.values())


class OutputHooks:
    """Hooks that pass reports, warnings and errors to an ``OutputRedactor``.

    The main plugin redacts test reports earlier, in ``pytest_runtest_makereport``, because other plugins read the
    reports there. Subtests, pytest-rerunfailures and other plugins then add to these reports or create their own.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._variables: Mapping[str | bytes, str | bytes] = {}
        self._seen_variables: set[tuple[str | bytes, str | bytes]] = set()
        self._known_variables: list[tuple[str, str]] = []
        self._new_variables: list[tuple[str, str]] = []
        self._has_options = False
        self._new_secrets: set[str] = set()
        self._tapes: Sequence[Redactor] = ()
        self._redactor: OutputRedactor | None = None
        self._redacted_results: object = None

    def begin_run(self) -> None:
        """Apply the options of the run, which are not known until the initial conftests have been imported."""
        self._has_options = True
        self._redactor = None
        self._new_variables = [*self._known_variables]

    # what is a secret

    def begin_test(self) -> None:
        """Forget the tapes of the previous test, including the private names that they have learned."""
        self._tapes = ()

    def learn_tapes(self, tapes: Sequence[Tape]) -> None:
        """Remember the secrets that ``tapes`` have learned so far. Later tests may print them, too."""
        self._tapes = [tape.redactor for tape in tapes]
        for redactor in self._tapes:
            self._new_secrets |= redactor.known_secrets

    def _learn_environment(self) -> None:
        """Remember the environment variables, because a fixture can remove them before their values are printed."""
        if (variables := environment_variables.copy_variables(os.environ)) == self._variables:
            return
        self._variables = variables
        if new := variables.items() - self._seen_variables:
            self._seen_variables |= new
            decoded = ((environment_variables.decode(name), environment_variables.decode(value)) for name, value in new)
            long_enough = [(name, value) for name, value in decoded if len(value) >= _MIN_LENGTH]
            self._known_variables += long_enough
            self._new_variables += long_enough

    def _prepare(self) -> OutputRedactor:
        """Add all secrets that are known so far to the redactor, and return the redactor."""
        self._learn_environment()
        return self._update_redactor()

    def _update_redactor(self) -> OutputRedactor:
        from pytest_multitrack.output_redaction import OutputRedactor

        if self._redactor is None:
            self._redactor = OutputRedactor(self._config, has_options=self._has_options)
        self._redactor.learn(self._new_variables, self._new_secrets, self._tapes)
        self._new_variables, self._new_secrets = [], set()
        return self._redactor

    # what is printed

    @contextmanager
    def redacting_errors(self) -> Iterator[None]:
        """Remove secrets from the arguments of an error that ends the run, because pytest or Python prints it."""
        try:
            yield
        except Exception as error:
            from pytest_multitrack.pytest_internals import find_conftest_error

            redactor = self._prepare()
            for printed in (error, find_conftest_error(error)):
                if printed is not None and (args := redactor.redact_value(printed.args)) is not printed.args:
                    printed.args = args
            raise

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, object, object]:
        with self.redacting_errors():
            return (yield)

    def pytest_configure(self) -> None:
        if getattr(self._config.option, "setupshow", False):
            from pytest_multitrack import pytest_internals

            pytest_internals.redact_shown_parameters(self._config, self.redact_text)

    def redact_report(
        self, report: pytest.TestReport | pytest.CollectReport, error: BaseException | None = None
    ) -> None:
        """Remove secrets from all text in ``report``.

        Args:
            report: The report of a phase, of a subtest, or of a collection.
            error: The exception that the report describes. None if the exception is not available.
        """
        self._learn_environment()
        # nothing else writes the results of tapes, so they are redacted only once
        if texts := _list_texts(report, done=self._redacted_results):
            redactor = self._update_redactor()
            if RESULTS in texts and redactor.are_clean(texts[RESULTS]):
                del texts[RESULTS]
            redactor.redact_report(report, texts, error)
            self._redacted_results = getattr(report, RESULTS, None)

    def redact_text(self, text: str) -> str:
        """Return ``text`` without secrets."""
        return self._prepare().redact_text(text)

    def redact_result(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the summary of a tape with its secrets removed.

        This method is for summaries that no pytest report contains, for example after Ctrl-C.
        """
        redacted: dict[str, Any] = self._prepare().redact_value(result)
        return redacted

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Redact the parameter ids that a test or a fixture sets.

        ``pytest_make_parametrize_id`` redacts all other ids.
        """
        redact_parameter_ids(metafunc, lambda value: self.pytest_make_parametrize_id(value) or value)

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_parametrize_id(self, val: object) -> str | None:
        text = val.decode("ascii", "backslashreplace") if isinstance(val, bytes) else val
        if not isinstance(text, str) or len(text) < _MIN_LENGTH:
            return None
        if not _may_be_secret(text):
            return None
        redacted = self.redact_text(text)
        return redacted if redacted != text else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        # a pytest-xdist worker has already redacted its reports
        if not hasattr(report, "node"):
            self.redact_report(report)
            if getattr(self._config.option, "xmlpath", None):
                self._prepare().redact_junit()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> Generator[None, object, object]:
        if report.longrepr or report.sections:
            self.redact_report(report)
        return (yield)

    @pytest.hookimpl(tryfirst=True)  # a historic hook cannot have wrappers
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        self._prepare().redact_warning(warning_message)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_internalerror(self, excrepr: object) -> Generator[None, object, object]:
        self._prepare().redact_value(excrepr, may_be_cut=True)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_keyboard_interrupt(self) -> Generator[None, object, object]:
        result = yield
        self._prepare().redact_interruption()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        if getattr(self._config.option, "xmlpath", None):
            self._prepare().redact_junit_properties()
        return (yield)
