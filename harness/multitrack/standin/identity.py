"""The headers that the stand-in adds to every response: its own header, and account data that must not be recorded.

Tests check that the account data is absent from cassettes. The values are invented but have the shapes of the
providers' own values. The values never change, so that a recording can be reproduced. The secrets (API key, access
token, private key) are not here because they are generated at each start.
"""

from __future__ import annotations

STANDIN_HEADER = "x-multitrack-standin"
"""The header, and the gRPC metadata key, whose value is the host that the stand-in acts as."""

OPENAI_HOST = "api.openai.com"
OPENAI_COOKIE = "__cf_bm=Vq3nXw8ZtKfLr0yHs5DmJc7PgUe2AbNo-1750000000-1.0.1.1-s8QyTzRkWd"
OPENAI_ORGANIZATION = "org-Qm7cWd2kXv94TzPbLr1YhN5s"
OPENAI_PROJECT = "proj_8fKd0sJq2LmXw7Rt5VbYc1Ge"

ANTHROPIC_HOST = "api.anthropic.com"
ANTHROPIC_COOKIE = "_cfuvid=p4XmZ7sTqL2rVb9KdHyWf8Nc-1750000000-0.0.1.1-604800000"
ANTHROPIC_ORGANIZATION = "5d1c8a3e-94b7-4f60-8c2d-7be913f0a642"

OLLAMA_HOST = "ollama.com"

XAI_HOST = "api.x.ai"

BEDROCK_HOST = "bedrock-runtime.us-east-1.amazonaws.com"

GOOGLE_COOKIE = "NID=525=hT6rWq0vKz9YpLs3XdMf8BnCg1JuEo"
GOOGLE_ORGANIZATION = "organizations/673918204455"
GOOGLE_PROJECT = "harbour-forecast-418302"

ACCOUNT_DATA = (
    OPENAI_COOKIE,
    OPENAI_ORGANIZATION,
    OPENAI_PROJECT,
    ANTHROPIC_COOKIE,
    ANTHROPIC_ORGANIZATION,
    GOOGLE_COOKIE,
    GOOGLE_ORGANIZATION,
    GOOGLE_PROJECT,
)
"""The account data, which no cassette may contain."""

Headers = tuple[tuple[str, str], ...]


def openai_headers(host: str, request_id: str) -> Headers:
    """Return the headers of every response that OpenAI sends, except ``content-type``.

    The header names are listed at https://platform.openai.com/docs/api-reference/debugging-requests.
    """
    return (
        (STANDIN_HEADER, host),
        ("openai-organization", OPENAI_ORGANIZATION),
        ("openai-project", OPENAI_PROJECT),
        ("openai-processing-ms", "212"),
        ("openai-version", "2020-10-01"),
        ("x-request-id", request_id),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "200000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "199000"),
        ("x-ratelimit-reset-requests", "8.64s"),
        ("x-ratelimit-reset-tokens", "300ms"),
        ("set-cookie", f"{OPENAI_COOKIE}; path=/; domain=.{host}; HttpOnly; Secure; SameSite=None"),
    )


def anthropic_headers(host: str, request_id: str) -> Headers:
    """Return the headers of every response that Anthropic sends, except ``content-type``.

    The header names are listed at https://platform.claude.com/docs/en/api/rate-limits#response-headers.
    """
    return (
        (STANDIN_HEADER, host),
        ("request-id", request_id),
        ("anthropic-organization-id", ANTHROPIC_ORGANIZATION),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2025-06-15T15:06:40Z"),
        ("set-cookie", f"{ANTHROPIC_COOKIE}; path=/; domain=.{host}; HttpOnly; Secure; SameSite=None"),
    )


def bedrock_headers(host: str, request_id: str) -> Headers:
    """Return the headers of every response that Bedrock sends, except ``content-type``."""
    return ((STANDIN_HEADER, host), ("x-amzn-requestid", request_id))


def google_headers(host: str) -> Headers:
    """Return the headers, or the initial metadata, of every response that Google sends, except ``content-type``."""
    return (
        (STANDIN_HEADER, host),
        ("x-goog-organization", GOOGLE_ORGANIZATION),
        ("x-goog-user-project", GOOGLE_PROJECT),
        ("set-cookie", f"{GOOGLE_COOKIE}; path=/; domain=.googleapis.com; HttpOnly; Secure"),
    )
