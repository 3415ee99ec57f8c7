"""Contexts for TLS that modules create at module level load their authorities lazily, unless the run may go live."""

import pytest

SOURCE = """
import ssl

import certifi
import pytest

ssl.create_default_context(cafile=certifi.where())
at_import = ssl.create_default_context(cafile=certifi.where())


def is_deferred(context):
    return type(context) is not ssl.SSLContext


def is_patched():
    return "load_verify_locations" in vars(ssl.SSLContext)


@pytest.fixture(scope="module", autouse=True)
def at_module_scope():
    return is_patched()


def test_import():
    assert is_deferred(at_import) is {deferred}


@pytest.mark.cassette
def test_cassette():
    assert is_patched() is {deferred}


@pytest.mark.cassette
def test_second_cassette():
    assert is_patched() is {deferred}


def test_without_cassette():
    assert not is_patched()


def test_inspection():
    assert len(at_import.get_ca_certs()) > 50
    assert not is_deferred(at_import)
"""


@pytest.mark.parametrize(
    ("flags", "deferred"),
    [([], True), (["--record"], False), (["--record-missing"], False), (["--live"], False), (["--calls-drift"], False)],
    ids=["replay", "record", "record-missing", "live", "drift"],
)
def test_contexts_are_deferred_only_in_a_replay(pytester, flags, deferred):
    pytester.makepyfile(SOURCE.format(deferred=deferred))
    pytester.runpytest_inprocess("-q", *flags).assert_outcomes(passed=5)
