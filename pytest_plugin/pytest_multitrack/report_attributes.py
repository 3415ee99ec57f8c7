"""The names of the attributes that Multitrack adds to pytest's reports.

The attributes hold plain data, because pytest-xdist sends them to the controller.
"""

RESULTS = "multitrack"
"""The results of the tapes closed by then, for the run summary."""

DRIFT_ROWS = "multitrack_drift"
"""On a teardown report: the rows of its test in the drift table."""

EXCUSED = "multitrack_excused"
"""On a failed report that the drift table explains. Such a report does not affect the exit code."""

REPORTED_TAPES = "multitrack_report"
"""On a teardown report: the tapes that were closed in its test, for ``--calls-report``."""

REPORTED_FAILURE = "multitrack_failure"
"""On a failed report of a test with a cassette: what is known about the failure, for ``--calls-report``."""

FINDING = "multitrack_finding"
"""On a report of a violation: what is wrong, in the same words for all tests with that problem."""
