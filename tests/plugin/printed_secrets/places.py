# ruff: noqa: T201
"""Tests that show secrets in every place that pytest prints, for ``test_printed_secrets.py``."""

import dataclasses
import json
import logging
import os
import sys
import unittest
import warnings
from pathlib import Path

import httpx
import pytest

SECRETS = json.loads(Path(os.environ["SECRETS_FILE"]).read_text(encoding="utf-8"))
KEY = SECRETS["shape"]
# the plugin learns the others in the tests that use them
KNOWN = {kind: secret for kind, secret in SECRETS.items() if kind not in ("sent", "temporary variable")}

each_secret = pytest.mark.parametrize("kind", KNOWN)
log = logging.getLogger(__name__)


@dataclasses.dataclass
class Box:
    name: str
    value: str


@each_secret
def test_exception(kind):
    raise ValueError(f"before {SECRETS[kind]} after", SECRETS[kind])


@each_secret
def test_key_error(kind):
    {}[SECRETS[kind]]


@each_secret
def test_cause(kind):
    try:
        raise ValueError(SECRETS[kind])
    except ValueError as error:
        raise RuntimeError("later") from error


@each_secret
def test_context(kind):
    try:
        raise ValueError(SECRETS[kind])
    except ValueError:
        raise RuntimeError("later")  # noqa: B904, its context is the point


@each_secret
def test_note_in_a_group(kind):
    noted = KeyError("noted")
    noted.add_note(f"note: {SECRETS[kind]}")
    raise ExceptionGroup("group", [ValueError(SECRETS[kind]), ExceptionGroup("inner", [noted])])


@each_secret
def test_different_text(kind):
    assert SECRETS[kind] == "different"


@each_secret
def test_similar_text(kind):
    assert SECRETS[kind] == f"{SECRETS[kind][:-5]}other"


@each_secret
def test_text_of_several_lines(kind):
    assert f"first\n{SECRETS[kind]}\nlast\n" == "first\nsecond\nlast\n"


@each_secret
def test_text_in_a_dict(kind):
    assert {"a": 1, "key": SECRETS[kind], "all": [SECRETS[kind]] * 3} == {"a": 2, "key": "different", "all": []}


@each_secret
def test_text_in_a_dataclass(kind):
    assert Box("same", SECRETS[kind]) == Box("same", f"{SECRETS[kind][:-3]}end")


@each_secret
def test_text_in_a_set(kind):
    assert {SECRETS[kind], "a"} == {"b"}


@each_secret
def test_text_in_a_long_list(kind):
    assert ["a" * 80, SECRETS[kind], "b" * 80] == ["different"]


@each_secret
def test_text_in_a_long_text(kind):
    assert "needle" in f"{'x' * 100}{SECRETS[kind]}{'y' * 100}"


@each_secret
def test_bytes(kind):
    assert {"key": SECRETS[kind].encode()} == {"key": b"different"}


@each_secret
def test_call_in_an_assertion(kind):
    assert SECRETS[kind].startswith("different"), SECRETS[kind]


@each_secret
def test_fail(kind):
    pytest.fail(SECRETS[kind])


@each_secret
def test_fail_without_traceback(kind):
    pytest.fail(SECRETS[kind], pytrace=False)


@each_secret
def test_skip(kind):
    pytest.skip(SECRETS[kind])


@each_secret
def test_xfail(kind):
    pytest.xfail(SECRETS[kind])


@each_secret
@pytest.mark.parametrize("passes", [True, False])
def test_output(kind, passes):
    value = SECRETS[kind]
    print("out", value, repr(value), json.dumps(value), repr(json.dumps(value)))
    print("err", value, file=sys.stderr)
    log.warning("log %s", value)
    try:
        raise ValueError(value)
    except ValueError:
        log.exception("caught")
    assert passes


@each_secret
def test_warning(kind):
    warnings.warn(f"warned {SECRETS[kind]}", stacklevel=1)


@each_secret
def test_properties(kind, record_property, record_testsuite_property, record_xml_attribute):
    record_property("property", SECRETS[kind])
    record_testsuite_property("property", SECRETS[kind])
    record_xml_attribute("property", SECRETS[kind])


@each_secret
def test_subtest(kind, subtests):
    with subtests.test(msg=SECRETS[kind], value=SECRETS[kind]):
        print(SECRETS[kind])
        assert SECRETS[kind] == "different"


class TestUnit(unittest.TestCase):
    def test_subtest(self):
        for value in KNOWN.values():
            with self.subTest(value=value):
                self.assertEqual(value, "different")  # noqa: PT009, its message is the point


@each_secret
def test_local_variables(kind):
    value = SECRETS[kind]
    box = Box("box", value)
    nested = {"key": ["x" * 60, value]}
    assert not [value, box, nested]


def _fail_with(argument):
    raise ValueError("failed")


@each_secret
def test_arguments(kind):
    _fail_with(SECRETS[kind])


@pytest.fixture
def broken_setup(request):
    raise ValueError(SECRETS[request.param])


@pytest.mark.parametrize("broken_setup", KNOWN, indirect=True)
def test_setup(broken_setup):
    pass


@pytest.fixture
def broken_teardown(request):
    yield
    print(SECRETS[request.param])
    raise ValueError(SECRETS[request.param])


@pytest.mark.parametrize("broken_teardown", KNOWN, indirect=True)
def test_teardown(broken_teardown):
    pass


@pytest.mark.parametrize("value", KNOWN.values())
def test_parameter(value):
    assert value == "different"


@pytest.mark.parametrize("number", [pytest.param(number, id=secret) for number, secret in enumerate(KNOWN.values())])
@pytest.mark.cassette
def test_id_of_a_parameter(number):
    assert number < 0


@pytest.mark.parametrize("number", range(2), ids=lambda number: f"{KEY}-{number}")
def test_id_from_a_function(number):
    assert number < 0


@pytest.fixture(params=range(len(KNOWN)), ids=KNOWN.values())
def named(request):
    return request.param


def test_id_of_a_fixture(named):
    assert named < 0


@pytest.mark.parametrize("value", KNOWN.values())
@pytest.mark.cassette
def test_parameter_of_a_test_with_a_cassette(value):
    httpx.get("https://api.example.com/")


@pytest.mark.xfail(reason=KEY, strict=True)
def test_strict_xfail():
    pass


@pytest.mark.skipif(True, reason=SECRETS["key file by shape"])
def test_skipif():
    pass


def test_variable_of_one_test(monkeypatch):
    monkeypatch.setenv("TEMPORARY_TOKEN", SECRETS["temporary variable"])
    print(SECRETS["temporary variable"])


@pytest.mark.cassette
def test_sent_credential(tape):
    sent = SECRETS["sent"]
    with tape.expect_misses():
        try:
            httpx.get("https://api.example.com/", headers={"x-api-key": sent})
        except BaseException:
            print("missed")
    print(sent)
    assert sent == "different"


def test_credential_that_an_earlier_test_sent():
    raise ValueError(SECRETS["sent"])


def test_literal():
    assert "AKIA" + "IOSFODNN7QQRSTUV" == "AKIAIOSFODNN7QQRSTUW"


def test_values_that_look_equal():
    assert KEY == "sk-proj-AbCdEfGhIjKlMnOpQrStUvWx0123456789AbCdEfGh"  # gitleaks:allow
