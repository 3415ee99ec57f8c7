"""Which variables of the environment hold a secret, and which part of their value is one."""

from __future__ import annotations

import json

import pytest

from multitrack.tape.redaction.environment_secrets import find_in_environment
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.word_boundaries import REDACTED

VALUE = "q8Zr2LmX0aVt"  # 12 characters


@pytest.mark.parametrize(
    ("variable", "value", "secret"),
    [
        ("OPENAI_API_KEY", VALUE, VALUE),
        ("KEY_OF_ACME", VALUE, VALUE),
        ("acme_token_prod", VALUE, VALUE),
        ("PGPASSWORD", VALUE, VALUE),
        ("npm_config__authToken", VALUE, VALUE),
        ("SERVICE_TOKEN", "/open+0123=456789", "/open+0123=456789"),
        ("DATABASE_URL", f"postgres://app:{VALUE}@db.example/app", VALUE),
        ("ANYTHING", f"redis://:{VALUE}%40x@cache.example", f"{VALUE}@x"),
        ("SENTRY_DSN", f"https://{VALUE}@o1.ingest.example/7", VALUE),
        ("STORAGE", f"AccountName=acme;AccountKey={VALUE}==;EndpointSuffix=x", f"{VALUE}=="),
        ("BUS", f"Endpoint=sb://x.example/;SharedAccessKey={VALUE}", VALUE),
        ("LIBPQ", f"host=db user=app password={VALUE}", VALUE),
        ("SLACK_WEBHOOK_URL", f"https://hooks.example/services/T1/B2/{VALUE}", VALUE),
        ("FEED_URL", f"https://feed.example/x?api_key={VALUE}&page=1", VALUE),
        ("GOOGLE_CREDENTIALS", json.dumps({"type": "service_account", "private_key_id": VALUE}), VALUE),
    ],
)
def test_the_secret_of_a_variable_is_found(variable, value, secret):
    assert find_in_environment({variable: value}).values == (secret,)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAX_TOKENS", "4096"),
        ("TOKEN_LIMIT", "1_000_000_000_000"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("SSH_KEY_PATH", "/home/nora/.ssh/id_ed25519"),
        ("KEY_FILE", "secrets/service-account.json"),
        ("TLS_KEY", "C:\\certificates\\server.key"),
        ("TOKEN_URL", "https://login.example/oauth2/v2.0/token"),
        ("API_KEY", "your-api-key-here"),
        ("OPENAI_API_KEY", "sk-test-dummy-key"),
        ("API_TOKEN", "${VAULT_TOKEN_FOR_CI}"),
        ("PASSWORD", "xxxxxxxxxxxxxxxx"),
        ("DATABASE_URL", "postgres://user:password@localhost/app"),
        ("MONKEY_ISLAND", VALUE),
        ("PATH", "/usr/local/bin:/usr/bin"),
        ("PWD", "/home/nora/a+b=c/secret-project"),
    ],
)
def test_a_variable_without_a_secret_is_kept(variable, value):
    assert find_in_environment({variable: value}).values == ()


def test_variables_with_short_passwords_are_listed_and_their_values_are_kept():
    environment = {"DB_PASSWORD": "hunter2", "CACHE_URL": "redis://:qwert@cache.example", "MAX_TOKENS": "4096"}
    found = find_in_environment(environment)
    assert found.short_variables == ("CACHE_URL", "DB_PASSWORD")
    assert Redactor(environment).redact_text("hunter2") == "hunter2"


def test_each_line_of_a_private_key_is_removed():
    lines = ["-----BEGIN PRIVATE KEY-----", *(letter * 8 + "+/" + letter * 40 for letter in "abc"), "-----END-----"]
    redactor = Redactor({"TLS_KEY": "\\n".join(lines)})
    assert redactor.redact_text(f"E   {lines[2]}") == f"E   {REDACTED}"


def test_a_changed_environment_is_searched_again():
    first = Redactor({"API_KEY": VALUE})
    assert Redactor({"API_KEY": VALUE[::-1]}).redact_text(VALUE) == VALUE
    assert first.redact_text(VALUE) == REDACTED
