"""Collect the tests of the frameworks that are installed, and list the others in the header of the run."""

from scenarios import INSTALLED, SCENARIOS

# without parameters, pytest would collect one skipped test
collect_ignore = [] if INSTALLED else ["test_frameworks.py"]


def pytest_report_header():
    missing = [name for name in SCENARIOS if name not in INSTALLED]
    installed = [f"{name} {version}" for name, version in INSTALLED.items()]
    return f"frameworks: {', '.join(installed) or 'none'}; not installed: {', '.join(missing) or 'none'}"
