"""The options that the plugin adds to pytest's command line: their definitions and their values in a run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from multitrack.tape.settings import Mode

_LIVE_OPTIONS = ("multitrack_record", "multitrack_record_missing", "multitrack_live", "multitrack_drift")
_record_flag = pytest.StashKey[str]()
# the values of --inline-snapshot that write files; the others only report
# https://15r10nk.github.io/inline-snapshot/latest/pytest/
_INLINE_WRITES = frozenset({"create", "fix", "trim", "update", "review"})


def add_options(parser: pytest.Parser) -> None:
    """Add all options except ``--record``, which is added by ``add_record_option``."""
    group = parser.getgroup("multitrack", "recorded tool calls (multitrack)")
    group.addoption(
        "--multitrack-record",
        action="store_true",
        help="Go live for the selected tests and replace their recordings; --record does the same unless another "
        "plugin or conftest defines that option (default: replay only)",
    )
    group.addoption(
        "--record-missing",
        action="store_true",
        dest="multitrack_record_missing",
        help="Replay recorded requests, go live for all others and append them to the cassette (default: a request "
        "without a recording fails the test)",
    )
    group.addoption(
        "--live",
        "--multitrack-live",
        action="store_true",
        dest="multitrack_live",
        help="Go live, and neither read nor write cassettes (default: replay only)",
    )
    group.addoption(
        "--calls-drift",
        action="store_true",
        dest="multitrack_drift",
        help="Go live and print a table that compares the tool calls in each response with the recorded calls; write "
        "no cassettes and no snapshots (default: replay only)",
    )
    group.addoption(
        "--calls-drift-fail",
        action="store_true",
        dest="multitrack_drift_fail",
        help="With --calls-drift, exit with code 1 if a response differs from its recording by more than the order of "
        "calls (default: differences do not fail the run)",
    )
    group.addoption(
        "--calls-drift-samples",
        type=int,
        metavar="N",
        dest="multitrack_drift_samples",
        help="With --calls-drift, run each test that uses a cassette N times and show how often each field agrees with "
        "the recording (default: 1)",
    )
    group.addoption(
        "--calls-rebind",
        action="store_true",
        dest="multitrack_rebind",
        help="If only the wording of a request changed, answer it from its recording; store the new request with the "
        "recorded answer if the test passes; no request goes live (default: such a request fails the test)",
    )
    group.addoption(
        "--calls-audit",
        action="append",
        nargs="?",
        const="",
        metavar="PATH",
        dest="multitrack_audit",
        help="Report where the requests of this run differ from the recorded requests; tests still pass or fail as "
        "before; works with pytest-recording, pytest-vcr and vcrpy, too; --calls-audit=PATH also writes the report to "
        "a .md, .json or .html file (default: no report)",
    )
    group.addoption(
        "--calls-audit-fail",
        action="store_true",
        dest="multitrack_audit_fail",
        help="With --calls-audit, exit with code 1 if there are findings (default: findings do not fail the run)",
    )
    group.addoption(
        "--calls-report",
        action="append",
        default=[],
        metavar="PATH",
        dest="multitrack_reports",
        help="Write a report of the replayed and recorded requests to PATH, a .md, .json or .html file; 'github' "
        "appends it to the job summary of GitHub Actions; can be repeated (default: no report)",
    )
    group.addoption(
        "--cassettes-strict",
        action="store_true",
        dest="multitrack_strict",
        help="Fail each test that passes without replaying all its interactions (default: only list the unused "
        "interactions)",
    )
    group.addoption(
        "--cassettes-unused",
        action="store_true",
        dest="multitrack_unused",
        help="List the cassettes and interactions that a full run did not use (default: no list)",
    )
    group.addoption(
        "--cassettes-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="multitrack_options",
        help="Set an option of all cassettes to a TOML value; it overrides pyproject.toml, fixtures and markers; can "
        "be repeated (default: none)",
    )
    group.addoption(
        "--cassettes-dir",
        metavar="DIR",
        dest="multitrack_cassettes_dir",
        help="Store all cassettes below DIR (default: cassettes_dir in pyproject.toml, otherwise a folder 'cassettes' "
        "next to each test file)",
    )
    group.addoption(
        "--multitrack-block-network",
        action="store_true",
        dest="multitrack_block_network",
        help="Refuse all connections of a test, even to this machine; the hosts in allow_hosts and ignore_hosts stay "
        "reachable, and nothing is refused while the test's cassette is recorded; --block-network does the same "
        "unless another plugin defines that option (default: the value of block_network in pyproject.toml, otherwise "
        "connections are allowed)",
    )
    group.addoption(
        "--allow-ci-writes",
        action="store_true",
        dest="multitrack_allow_ci_writes",
        help="Allow --record, --record-missing, --calls-rebind and updates of calls_snapshot in CI; without this "
        "permission, they are usage errors if the environment variable CI is set (default: the value of "
        "allow_ci_writes in pyproject.toml)",
    )


def add_record_option(config: pytest.Config, parser: pytest.Parser) -> None:
    """Add ``--record`` unless another plugin or conftest defines an option with that name."""
    if not is_free("--record", parser):
        return
    parser.getgroup("multitrack").addoption(
        "--record", action="store_true", dest="multitrack_record", help="Short for --multitrack-record"
    )
    config.stash[_record_flag] = "--record"


def may_go_live(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> bool:
    """Return whether the run may send requests to a provider, as far as is known before conftests are loaded.

    The options include those in ``PYTEST_ADDOPTS``, in ``addopts`` and in ``@file`` arguments. A worker of
    pytest-xdist has the options of its controller.
    """
    if any(getattr(early_config.known_args_namespace, name, False) for name in _LIVE_OPTIONS):
        return True
    # the record flags are not options yet, because a conftest may still define options with the same names
    _, unknown = parser.parse_known_and_unknown_args(args)
    return any(option == "--record" or option.startswith("--record-mode") for option in unknown)


def find_free(flags: Collection[str], parser: pytest.Parser) -> Collection[str]:
    """Return the ``flags`` that neither another plugin nor a conftest defines."""
    try:
        # all at once, because the parser is built again for each call
        _, unknown = parser.parse_known_and_unknown_args([f"{flag}=none" for flag in flags])
    except pytest.UsageError:  # one of them accepts no argument, or not this one
        return [flag for flag in flags if is_free(flag, parser)]
    return [flag for flag in flags if f"{flag}=none" in unknown]


def is_free(flag: str, parser: pytest.Parser) -> bool:
    """Return whether no other plugin and no conftest defines the option ``flag``."""
    # ask the parser instead of trying to add the option: pytest releases report a conflict at different times and with
    # different errors
    try:
        _, unknown = parser.parse_known_and_unknown_args([flag])
    except pytest.UsageError:
        return False  # the option exists and requires an argument
    return flag in unknown


def record_flag(config: pytest.Config) -> str:
    """Return the flag that records: ``--multitrack-record`` if another plugin defines ``--record``, otherwise
    ``--record``.
    """
    return config.stash.get(_record_flag, "--multitrack-record")


def mode(config: pytest.Config) -> Mode:
    """Return the mode that the flags select (default: replay).

    Raises:
        pytest.UsageError: Two flags contradict each other.
    """
    option = config.option
    flags: dict[Mode, bool] = {
        "record": option.multitrack_record,
        "record-missing": option.multitrack_record_missing,
        "live": option.multitrack_live,
        "drift": option.multitrack_drift,
    }
    modes = [mode for mode, is_set in flags.items() if is_set]
    if len(modes) > 1:
        names = " and ".join("--calls-drift" if mode == "drift" else f"--{mode}" for mode in modes)
        raise pytest.UsageError(f"{names} cannot be combined: pass only one of them")
    return modes[0] if modes else "replay"


def find_long_action(config: pytest.Config) -> str | None:
    """Return the name of an action that usually takes long enough to show its progress. None if the run has no such
    action.
    """
    if config.option.multitrack_audit is not None:
        return "auditing"
    actions = {"record": "recording", "record-missing": "recording", "drift": "comparing with live responses"}
    return actions.get(mode(config))


def rebinds(config: pytest.Config) -> bool:
    """Return whether ``--calls-rebind`` is set.

    Raises:
        pytest.UsageError: Another flag contradicts ``--calls-rebind``.
    """
    option = config.option
    if not option.multitrack_rebind:
        return False
    others = {
        record_flag(config): option.multitrack_record,
        "--record-missing": option.multitrack_record_missing,
        "--live": option.multitrack_live,
        "--calls-drift": option.multitrack_drift,
        "--calls-audit": option.multitrack_audit is not None,
        "--record-mode": getattr(option, "record_mode", None) not in (None, "none"),
        "--disable-recording": getattr(option, "disable_recording", False),
    }
    for flag, is_set in others.items():
        if is_set:
            raise pytest.UsageError(f"{flag} and --calls-rebind cannot be combined: pass only one of them")
    return True


def may_record(config: pytest.Config) -> bool:
    """Return whether a flag lets the run send requests to a provider."""
    return mode(config) != "replay" or getattr(config.option, "record_mode", None) not in (None, "none")


def may_write(config: pytest.Config) -> bool:
    """Return whether the run is allowed to write cassettes. Outside of CI, every run is allowed to.

    Raises:
        BadOption: pyproject.toml has an invalid option.
    """
    return not _is_ci() or config.option.multitrack_allow_ci_writes or _project_allows_ci_writes(config)


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def _project_allows_ci_writes(config: pytest.Config) -> bool:
    from pytest_multitrack import cassette_paths

    return cassette_paths.load_project(config).allow_ci_writes


def find_refused_write(config: pytest.Config, *, updates: bool = False) -> str | None:
    """Return a message if a flag would write cassettes in CI without permission.

    Another flag or the project's settings can give the permission.

    Args:
        config: The run's config.
        updates: Whether to look for a flag that updates ``calls_snapshot`` instead.

    Raises:
        pytest.UsageError: pyproject.toml has an invalid option.
    """
    if not _is_ci() or config.option.multitrack_allow_ci_writes:
        return None
    record_mode = getattr(config.option, "record_mode", None)
    writes = {
        record_flag(config): config.option.multitrack_record,
        "--record-missing": config.option.multitrack_record_missing,
        "--calls-rebind": config.option.multitrack_rebind,
        # not "once", which only writes if there is no cassette
        **{f"--record-mode={name}": record_mode == name for name in ("new_episodes", "all", "rewrite")},
    }
    flags = [flag for flag, is_set in (_snapshot_updates(config) if updates else writes).items() if is_set]
    if not flags:
        return None
    from multitrack.errors import BadOption

    try:
        if _project_allows_ci_writes(config):
            return None
    except BadOption as error:
        raise pytest.UsageError(str(error)) from error
    return (
        f"{flags[0]}: the environment variable CI is set, and a run in CI must not change "
        f"{'the snapshots of calls_snapshot' if updates else 'cassettes'}; run pytest on a developer's machine and "
        f"commit the result, or pass --allow-ci-writes, or set allow_ci_writes = true in [tool.multitrack]"
    )


def _snapshot_updates(config: pytest.Config) -> Mapping[str, bool]:
    return {
        "--snapshot-update": getattr(config.option, "update_snapshots", False),
        "--snapshot-update-new-only": getattr(config.option, "update_new_snapshots_only", False),
    }


def cassette_options(config: pytest.Config) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the cassette options from the command line, each with the flag that sets it.

    Raises:
        pytest.UsageError: An option has no value.
    """
    for text in config.option.multitrack_options:
        name, equals, value = text.partition("=")
        if not equals:
            raise pytest.UsageError(f"--cassettes-option={text}: pass NAME=VALUE, for example strict=true")
        yield f"--cassettes-option={text}", {name.strip(): _parse_value(value.strip())}
    if config.option.multitrack_strict:
        yield "--cassettes-strict", {"strict": True}


def _parse_value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


class DriftOptions(NamedTuple):
    """The options of a drift run: how often to run each test that uses a cassette, and whether drift fails the run."""

    samples: int
    fails: bool


def drift_options(config: pytest.Config) -> DriftOptions | None:
    """Return the options of a drift run, or None if ``--calls-drift`` is not set.

    Raises:
        pytest.UsageError: An option of the drift run is invalid, or is set without ``--calls-drift``. Also raised if
        another flag would write live responses to snapshots.
    """
    option = config.option
    samples: int | None = option.multitrack_drift_samples
    dependents = {
        "--calls-drift-fail": option.multitrack_drift_fail,
        "--calls-drift-samples": samples is not None,
    }
    if not option.multitrack_drift:
        for flag, is_set in dependents.items():
            if is_set:
                raise pytest.UsageError(f"{flag} requires --calls-drift")
        return None
    if samples is not None and samples < 1:
        raise pytest.UsageError(f"--calls-drift-samples must be 1 or more, not {samples}")
    updates = {
        **_snapshot_updates(config),
        "--inline-snapshot": not _INLINE_WRITES.isdisjoint((getattr(option, "inline_snapshot", "") or "").split(",")),
    }
    for flag, is_set in updates.items():
        if is_set:
            raise pytest.UsageError(f"{flag} and --calls-drift cannot be combined: a drift run writes nothing")
    return DriftOptions(samples or 1, bool(option.multitrack_drift_fail))


_AUDIT_SUFFIXES = (".md", ".json", ".html")


def separate_audit_option(early_config: pytest.Config, args: list[str]) -> None:
    """Treat ``--calls-audit`` as a flag without a value if the next argument is a path to tests, not to a report."""
    for position, (option, value) in enumerate(pairwise(args)):
        if option == "--":
            return
        if option == "--calls-audit" and not value.startswith("-") and not value.endswith(_AUDIT_SUFFIXES):
            args[position] = "--calls-audit="
            # pytest has read the arguments once, to find the first conftests
            known = early_config.known_args_namespace
            known.file_or_dir = [value, *(getattr(known, "file_or_dir", None) or ())]


class AuditOptions(NamedTuple):
    """The options of ``--calls-audit``: the report files to write, and whether findings fail the run."""

    paths: Sequence[str]
    fails: bool


# the names that pytest-recording and pytest-vcr give to their options, and the values that only replay
_RECORDER_OPTIONS = {
    "record_mode": "--record-mode",
    "vcr_record": "--vcr-record",
    "vcr_record_mode": "--vcr-record-mode",
}
_REPLAYING_MODES = frozenset({"none", "once"})


def audit_options(config: pytest.Config) -> AuditOptions | None:
    """Return the options of an audit, or None if ``--calls-audit`` is not set.

    Raises:
        pytest.UsageError: ``--calls-audit-fail`` is set without ``--calls-audit``, or another flag records requests.
    """
    option = config.option
    if option.multitrack_audit is None:
        if option.multitrack_audit_fail:
            raise pytest.UsageError("--calls-audit-fail requires --calls-audit")
        return None
    for name in option.multitrack_audit:
        if name and not name.endswith(_AUDIT_SUFFIXES):
            raise pytest.UsageError(f"--calls-audit={name}: pass a path that ends in .md, .json or .html")
    if (current := mode(config)) != "replay":
        flag = "--calls-drift" if current == "drift" else record_flag(config) if current == "record" else f"--{current}"
        raise pytest.UsageError(f"{flag} and --calls-audit cannot be combined: an audit only replays")
    for attribute, flag in _RECORDER_OPTIONS.items():
        value = getattr(option, attribute, None)
        if isinstance(value, str) and value not in _REPLAYING_MODES:
            raise pytest.UsageError(f"{flag}={value} and --calls-audit cannot be combined: an audit only replays")
    return AuditOptions(option.multitrack_audit, bool(option.multitrack_audit_fail))
