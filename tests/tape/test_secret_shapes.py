"""Strings that look like secrets and are redacted, and strings that look similar and are kept."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from urllib.parse import quote

import pytest
from recorded_tape import request

from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.shapes import find_shapes, has_credential_shape
from multitrack.tape.redaction.word_boundaries import REDACTED

PASSWORD = "n7Lq2vX9sW4t"
DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"grant_type=password&password={PASSWORD}&n=1", f"grant_type=password&password={REDACTED}&n=1"),
        (f"client_id=acme&client_secret={PASSWORD}", f"client_id=acme&client_secret={REDACTED}"),
        (f"see https://x.example/?access_token={PASSWORD}ab12#top", f"see https://x.example/?access_token={REDACTED}#top"),
        (f"https://nora:{PASSWORD}@x.example/a", f"https://nora:{REDACTED}@x.example/a"),
        (f'{{"url": "postgres:\\/\\/app:{PASSWORD}@db"}}', f'{{"url": "postgres:\\/\\/app:{REDACTED}@db"}}'),
        (f"Server=db;User Id=app;Password={PASSWORD};", f"Server=db;User Id=app;Password={REDACTED};"),
        (f"AccountName=acme;AccountKey={PASSWORD}==;X=y", f"AccountName=acme;AccountKey={REDACTED};X=y"),
        (json.dumps({"client_secret": PASSWORD + "abcd"}), json.dumps({"client_secret": REDACTED})),
        (rf'["{{\"db_password\": \"{PASSWORD}\"}}"]', rf'["{{\"db_password\": \"{REDACTED}\"}}"]'),
        (f"{{'api_key': '{PASSWORD}abcd'}}", f"{{'api_key': '{REDACTED}'}}"),
        ("adafruit_token: " + "a1b2c3d4" * 4, f"adafruit_token: {REDACTED}"),
        ("curl -H 'Authorization: Bearer a1B2c3D4e5F6g7H8i9J0'", f"curl -H 'Authorization: {REDACTED}'"),
        ("Basic " + "bm9yYTpuN0xxMnZYOXNXNHQ=", REDACTED),
    ],
)  # fmt: skip
def test_a_secret_in_a_field_or_a_url_is_redacted(text, redacted):
    once = Redactor({}).redact_text(text)
    assert once == redacted
    assert Redactor({}).redact_text(once) == once


@pytest.mark.parametrize("password", [f'{PASSWORD}"xyz', f"{PASSWORD}\\", f'{PASSWORD}\\"xyz', f"{PASSWORD}'xyz"])
@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_a_secret_with_quotes_or_backslashes_is_redacted_as_a_whole(password, levels):
    def write(value):
        text = json.dumps({"password": value, "n": 1})
        for _ in range(levels):
            text = json.dumps({"text": text, "n": 1})
        return text

    assert Redactor({}).redact_text(write(password)) == write(REDACTED)


@pytest.mark.parametrize("password", [f'{PASSWORD}"xyz', f"{PASSWORD}'xyz", f"{PASSWORD}\"'xyz"])
def test_a_secret_with_quotes_is_redacted_in_a_repr(password):
    assert PASSWORD not in Redactor({}).redact_text(f"failed with { ({'password': password, 'n': 1})!r}")
    assert "xyz" not in Redactor({}).redact_text(f"failed with { ({'password': password, 'n': 1})!r}")


@pytest.mark.parametrize("end", ["", "\n", '\r\n{"n": 1}\n'])
def test_a_secret_in_a_truncated_line_is_redacted(end):
    assert Redactor({}).redact_text(f'{{"password": "{PASSWORD}{end}') == f'{{"password": "{REDACTED}{end}'


def test_a_multipart_field_is_redacted():
    body = f'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{PASSWORD}\r\n--b--\r\n'
    assert Redactor({}).redact_body(body.encode()) == body.replace(PASSWORD, REDACTED).encode()


def test_the_secret_of_a_form_is_removed_from_the_response_as_well():
    redactor = Redactor({})
    redactor.learn_request(request(f"client_secret={PASSWORD}"))
    assert redactor.redact_body(f"no access with {PASSWORD}".encode()) == f"no access with {REDACTED}".encode()


@pytest.mark.parametrize(
    "text",
    [
        "<div class='sk-toggleable__label-arrow fitted'>",
        "sk-learn-classification-tutorial",
        "sk-learn-v2-tutorial-part1",
        json.dumps({"assertion": "The model answers in full sentences, and politely."}),
        json.dumps({"assertion": "PoliteAnswerAssertion"}),
        json.dumps({"password": "your-password-here", "api_key": "YOUR_OPENAI_API_KEY"}),
        json.dumps({"next_page_token": "CAUQAAbcdefghij12", "max_tokens": 4096}),
        "Authorization: Bearer YOUR_ACCESS_TOKEN_GOES_HERE",
        "Authorization: Bearer <your-access-token-goes-here>",
        "password=os.environ['DB_PASSWORD_2024'], api_key=settings.OPENAI_API_KEY",
        "https://user:password@example.com and postgres://postgres:postgres@localhost/db",
        "https://foo.com:8080/@nora and mailto:nora@example.com",
        "test_hf_dataset_loading_of_a_function_name",
        "npm_config_registry_default_value_of_the_option",
        "pa-lawmakers-consider-bill-to-change-2024-elections-in-the-state",
        "secret_manager_service_client_implementation",
        "fc-barcelona-beats-real-madrid-in-the-cup-of-2024",
        "ghp_" + "x" * 36,
        '{"linear_issue": "0123456789abcdef0123456789abcdef", "jira_id": "0123456789abcdef01234567"}',
        '{"discord_user": "123456789012345678", "commit": "0123456789abcdef0123456789abcdef01234567"}',
    ],
)
def test_names_prose_and_examples_are_kept(text):
    assert Redactor({}).redact_text(text) == text


@pytest.mark.parametrize("text", ["{}", "a {}", "{} and [1, 2, 3]"])
def test_an_array_of_bytes_looks_like_the_secret_in_it(text):
    array = json.dumps(list(f"key: sk_{'live'}_{PASSWORD * 2}".encode()))
    assert has_credential_shape(text.format(array))
    assert not has_credential_shape(text.format(array), allowed=(f"sk_{'live'}_{PASSWORD * 2}",))
    assert not has_credential_shape(text.format(json.dumps([*range(256)] * 20)))


def test_nothing_in_real_answers_and_cassettes_looks_like_a_secret():
    files = [*DATA.rglob("*.jsonl"), *DATA.rglob("*.yaml"), *(DATA.parents[1] / "cassettes").rglob("*.yaml")]
    assert len(files) > 30
    found = [
        (file.name, number)
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if find_shapes(line)
    ]
    assert found == []


FACEBOOK = "EAACEdEose0cBA" + "".join(Random(3).choices(ascii_letters + digits, k=160)) + "ZD"


@pytest.mark.parametrize(
    "text",
    ["{}", "access_token={}&limit=5", '{{"token": "{}"}}', "OAuth {}\\n", "https://a.example/?access_token={}", "({})"],
)
def test_a_facebook_token_is_removed(text):
    assert FACEBOOK not in Redactor({}).redact_text(text.format(FACEBOOK))


@pytest.mark.parametrize("write", [b64encode, urlsafe_b64encode], ids=["standard", "for URLs"])
def test_base64_of_an_image_that_begins_like_a_facebook_token_is_kept(write):
    # EAAC, and EAAA of a TIFF image
    for number, head in itertools.product(range(100), (b"\x10\x00\x02", b"\x10\x00\x00")):
        encoded = write(head + Random(number).randbytes(900)).decode()
        assert encoded.startswith(("EAAC", "EAAA"))
        for text in (f"data:image/png;base64,{encoded}", encoded.replace("/", "\\/"), quote(encoded, safe="")):
            assert [text[change.start : change.end] for change in find_shapes(text)] == []


def test_a_key_in_base64_of_a_file_is_no_false_alarm():
    # many words in this text begin like a key
    text = "AC" + "0123456789abcdef" * 3 + "/EAAA" + "A" * 30 + "+sk" + "/AKIA"
    assert Redactor({}).redact_text(text) == text


DATA_FOR_URLS = urlsafe_b64encode(Random(5).randbytes(3000)).decode().replace("-", "_")
KEY = "sk-" + "aB3dE5gH7jK9mN1pQ3sT5vW7"
YANDEX = "AQVN" + "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1bC3dE5fG7h"


@pytest.mark.parametrize("secret", [KEY, YANDEX])
@pytest.mark.parametrize(("before", "after"), [("", 4000), (256, 0), (256, 4000), (1000, 30)])
def test_characters_in_encoded_data_that_look_like_a_secret_are_kept(secret, before, after):
    text = f'{{"data": "{DATA_FOR_URLS[: before or 0]}-{secret}{DATA_FOR_URLS[:after]}"}}'
    assert find_shapes(text) == []


@pytest.mark.parametrize(
    "secret", [KEY, YANDEX, "eyJhbGciOiJIUzI1NiJ9." + "eyJ" + DATA_FOR_URLS + "." + DATA_FOR_URLS[:43]]
)
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        f"{DATA_FOR_URLS[:1000]} {{}}",
        f"{DATA_FOR_URLS[:1000]}\n{{}}\n{DATA_FOR_URLS}",
        f"{DATA_FOR_URLS[:1000]}={{}}",
        f"{DATA_FOR_URLS[:1000]}.{{}}.{DATA_FOR_URLS}",
        f"{DATA_FOR_URLS[:200]}-{{}}",
        "a+text+of+a+form+with+Words+in+UPPER+and+lower+case+and+2024+numbers" * 5 + "+{}+" + "more+words" * 300,
        "/".join(["projects", "acme-prod-7", "locations", "us-central1"] * 9) + "/{}",
        "{}" + "0123456789" * 300,
    ],
)
def test_a_secret_next_to_encoded_data_is_removed(secret, text):
    assert secret[4:40] not in Redactor({}).redact_text(text.format(secret))
