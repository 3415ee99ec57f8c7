"""Kinds of secrets. They are built at run time, so that no scanner reports this repository."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from random import Random

_RANDOM = Random(20260101)
_LETTERS = string.ascii_letters + string.digits
_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits
_HEX = "0123456789abcdef"
_BASE64URL = _LETTERS + "-_"
_DIGITS = string.digits


def _draw(length: int, characters: str = _LETTERS) -> str:
    return "".join(_RANDOM.choice(characters) for _ in range(length))


def _uuid() -> str:
    return "-".join(_draw(length, _HEX) for length in (8, 4, 4, 4, 12))


@dataclass(frozen=True)
class Kind:
    """A kind of secret."""

    name: str
    secret: str
    environment: dict[str, str] = field(default_factory=dict)
    """The variables that hold the secret. Empty for a secret that is only known by its shape."""


def _plain(variable: str, secret: str, name: str = "") -> Kind:
    return Kind(name or variable, secret, {variable: secret})


def _within(variable: str, template: str, secret: str) -> Kind:
    return Kind(variable, secret, {variable: template.format(secret)})


_PRIVATE_KEY = "\n".join(
    ["-----BEGIN PRIVATE KEY-----", *(_draw(64, _LETTERS + "+/") for _ in range(4)), "-----END PRIVATE KEY-----"]
)

KNOWN: list[Kind] = [
    _plain("OPENAI_API_KEY", _draw(40)),
    _plain("MISTRAL_API_KEY", _draw(32)),
    _plain("COHERE_API_KEY", _draw(40)),
    _plain("AZURE_OPENAI_KEY", _draw(32, _HEX)),
    _plain("AWS_SECRET_ACCESS_KEY", _draw(18) + "/" + _draw(10) + "+" + _draw(10)),
    _plain("AWS_SESSION_TOKEN", _draw(60, _LETTERS + "+/") + "=="),
    _plain("AWS_BEARER_TOKEN_BEDROCK", _draw(48)),
    _plain("HF_TOKEN", _draw(20)),
    _plain("GH_PAT", _draw(24, _HEX)),
    _plain("APIKEY", _draw(16)),
    _plain("SECRET", _draw(12), "12 characters"),
    _plain("SERVICE_PASSWORD", "correct-horse-9-battery", "words and digits"),
    _plain("DB_PASSWD", "p\"quote'd" + _draw(10), "quotes"),
    _plain("PGPASSWORD", "back\\slash\\" + _draw(10), "backslashes"),
    _plain("ADMIN_PASSPHRASE", f"four words {_draw(6)} here", "spaces"),
    _plain("SIGNING_KEY", "ümläut-" + _draw(12), "letters outside of ASCII"),
    _plain("ENCRYPTION_KEY", "鍵-" + _draw(12) + "-鍵", "characters outside of Latin-1"),
    _plain("MASTER_KEY", "%41%" + _draw(14) + "&x=1", "percent signs"),
    _plain("WEB_COOKIE_SECRET", "<" + _draw(12) + ">&" + _draw(4), "markup"),
    _plain("APP_CREDENTIALS", "{" + _draw(20) + "}", "braces"),
    _plain("TLS_PRIVATE_KEY", _PRIVATE_KEY, "a private key of several lines"),
    Kind("a private key in one line", _PRIVATE_KEY, {"TLS_KEY": _PRIVATE_KEY.replace("\n", "\\n")}),
    _plain("npm_config__authToken", _draw(36, _HEX), "a name in camel case"),
    _plain("STRIPE_WEBHOOK_SECRET", _draw(32)),
    _plain("SLACK_SIGNING_SECRET", _draw(32, _HEX)),
    _plain("JWT", f"{_draw(20)}.{_draw(40, _BASE64URL)}.{_draw(43, _BASE64URL)}"),
    _plain("NEXTAUTH_SECRET", _draw(32, _LETTERS + "+/=")),
    _plain("GPG_PASSPHRASE", "$" + _draw(6) + "!" + _draw(6) + "$"),
    _plain("BASIC_AUTH_PASS", _draw(8) + ":" + _draw(8)),
    _within("DATABASE_URL", "postgresql://app:{}@db.example:5432/app", _draw(16)),
    _within("REDIS_URL", "redis://:{}@cache.example:6379/0", _draw(20)),
    _within("MONGODB_URI", "mongodb+srv://app:{}@cluster.example/app?retryWrites=true", _draw(16)),
    _within("BROKER", "amqps://app:{}@broker.example/vhost", _draw(16)),
    _within("SENTRY_DSN", "https://{}@o1.ingest.sentry.io/42", _draw(32, _HEX)),
    _within(
        "AZURE_STORAGE_CONNECTION_STRING",
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={};EndpointSuffix=core.windows.net",
        _draw(40, _LETTERS + "+/") + "==",
    ),
    _within(
        "SERVICE_BUS",
        "Endpoint=sb://acme.servicebus.example/;SharedAccessKeyName=app;SharedAccessKey={}",
        _draw(43) + "=",
    ),
    _within("MSSQL", "Server=db.example;Database=app;User Id=app;Password={};", _draw(16)),
    _within("LIBPQ", "host=db.example dbname=app user=app password={}", _draw(16)),
    _within("SLACK_WEBHOOK_URL", "https://hooks.example/services/T000/B000/{}", _draw(24)),
    _within("DISCORD_WEBHOOK", "https://discord.example/api/webhooks/1/{}", _draw(60, _BASE64URL)),
    _within("BLOB_SAS_URL", "https://acme.blob.example/c?sv=2024&sig={}", _draw(43)),
    _within("FEED", "https://feed.example/v1?api_key={}", _draw(32)),
    _within("GOOGLE_CREDENTIALS", '{{"type": "service_account", "private_key_id": "{}"}}', _draw(40, _HEX)),
    _within("PIP_EXTRA_INDEX_URL", "https://build:{}@pypi.example/simple", _draw(24)),
    _within("GIT_REMOTE", "https://{}@git.example/acme/app.git", _draw(40, _HEX)),
]
"""Secrets that a variable of the environment holds."""

SHAPED: list[Kind] = [
    Kind(name, secret)
    for name, secret in {
        "OpenAI": f"sk-{_draw(48)}",
        "OpenAI project": f"sk-proj-{_draw(74, _BASE64URL)}T3Blbk{'FJ'}{_draw(74, _BASE64URL)}",
        "Anthropic": f"sk-ant-api03-{_draw(93, _BASE64URL)}AA",
        "OpenRouter": f"sk-or-v1-{_draw(64, _HEX)}",
        "DeepSeek": f"sk-{_draw(32, _HEX)}",
        "Google": f"AIza{_draw(35, _BASE64URL)}",
        "Google access token": f"ya29.{_draw(120, _BASE64URL)}",
        "Google key of 2025": f"AQ.Ab8{_draw(40, _BASE64URL)}",
        "Google client secret": f"GOCSPX-{_draw(28, _BASE64URL)}",
        "Amazon": f"AKIA{_draw(16, _UPPER)}",
        "Amazon Bedrock": f"ABSK{_draw(112)}",
        "xAI": f"xai-{_draw(80)}",
        "Groq": f"gsk_{_draw(52)}",
        "Perplexity": f"pplx-{_draw(48)}",
        "Cerebras": f"csk-{_draw(48, _LOWER)}",
        "Hugging Face": f"hf_{_draw(34)}",
        "Replicate": f"r8_{_draw(37)}",
        "Fireworks": f"fw_{_draw(24)}",
        "NVIDIA": f"nvapi-{_draw(64, _BASE64URL)}",
        "Together": f"tgp_v1_{_draw(43, _BASE64URL)}",
        "ElevenLabs": f"sk_{_draw(48, _HEX)}",
        "Voyage": f"pa-{_draw(43)}",
        "Jina": f"jina_{_draw(60)}",
        "Pinecone": f"pcsk_{_draw(6)}_{_draw(60)}",
        "Tavily": f"tvly-dev-{_draw(32)}",
        "Firecrawl": f"fc-{_draw(32, _HEX)}",
        "LangSmith": f"lsv2_pt_{_draw(32, _HEX)}_{_draw(10, _HEX)}",
        "Langfuse": f"sk-lf-{_uuid()}",
        "PostHog": f"phc_{_draw(43)}",
        "GitHub": f"ghp_{_draw(36)}",
        "GitHub fine-grained": f"github_pat_{_draw(22)}_{_draw(59)}",
        "GitHub app": f"ghs_{_draw(36)}",
        "GitLab": f"glpat-{_draw(20, _BASE64URL)}",
        "GitLab deploy": f"gldt-{_draw(20, _BASE64URL)}",
        "Bitbucket": f"ATBB{_draw(32)}",
        "Atlassian": f"ATATT3{_draw(186, _BASE64URL)}",
        "Stripe": f"sk_live_{_draw(24)}",
        "Stripe, long": f"sk_live_51{_draw(97)}",
        "Stripe restricted": f"rk_live_{_draw(24)}",
        "Stripe webhook": f"whsec_{_draw(32)}",
        "npm": f"npm_{_draw(36)}",
        "PyPI": f"pypi-AgEIcHlwaS5vcmc{_draw(70, _BASE64URL)}",
        "RubyGems": f"rubygems_{_draw(48, _HEX)}",
        "NuGet": f"oy2{_draw(43, _LOWER)}",
        "Docker": f"dckr_pat_{_draw(27, _BASE64URL)}",
        "SendGrid": f"SG.{_draw(22)}.{_draw(43)}",
        "Mailgun": f"key-{_draw(32, _HEX)}",
        "Brevo": f"xkeysib-{_draw(64, _HEX)}-{_draw(16)}",
        "Resend": f"re_{_draw(8)}_{_draw(24)}",
        "HashiCorp Vault": f"hvs.{_draw(95)}",
        "HashiCorp Vault, short": f"hvs.{_draw(24)}",
        "HashiCorp Vault batch": f"hvb.{_draw(150, _BASE64URL)}",
        "Terraform": f"{_draw(14)}.atlasv1.{_draw(67)}",
        "Pulumi": f"pul-{_draw(40, _HEX)}",
        "Doppler": f"dp.pt.{_draw(43)}",
        "1Password": f"ops_eyJ{_draw(300)}",
        "age": f"AGE-SECRET-KEY-1{_draw(58, 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L')}",
        "Databricks": f"dapi{_draw(32, _HEX)}",
        "Slack bot": f"xoxb-{_draw(12, _DIGITS)}-{_draw(12, _DIGITS)}-{_draw(24)}",
        "Slack user": f"xoxp-{_draw(12, _DIGITS)}-{_draw(12, _DIGITS)}-{_draw(12, _DIGITS)}-{_draw(32, _HEX)}",
        "Slack app": f"xapp-1-A{_draw(10, _UPPER)}-{_draw(12, _DIGITS)}-{_draw(64, _HEX)}",
        "Telegram": f"{_draw(9, '123456789')}:AA{_draw(33, _BASE64URL)}",
        "Facebook": f"EAAG{_draw(150)}",
        "Twilio": f"SK{_draw(32, _HEX)}",
        "Shopify": f"shpat_{_draw(32, _HEX)}",
        "Square": f"sq0atp-{_draw(22, _BASE64URL)}",
        "Shippo": f"shippo_live_{_draw(40, _HEX)}",
        "EasyPost": f"EZAK{_draw(54)}",
        "Notion": f"ntn_{_draw(11, _DIGITS)}{_draw(35)}",
        "Notion, old": f"secret_{_draw(43)}",
        "Airtable": f"pat{_draw(14)}.{_draw(64, _HEX)}",
        "Linear": f"lin_api_{_draw(40)}",
        "Figma": f"figd_{_draw(40, _BASE64URL)}",
        "Typeform": f"tfp_{_draw(44, _BASE64URL)}_{_draw(14)}",
        "Contentful": f"CFPAT-{_draw(43, _BASE64URL)}",
        "Postman": f"PMAK-{_draw(24, _HEX)}-{_draw(34, _HEX)}",
        "New Relic": f"NRAK-{_draw(27, _UPPER)}",
        "Dynatrace": f"dt0c01.{_draw(24, _UPPER)}.{_draw(64, _UPPER)}",
        "Grafana": f"glsa_{_draw(32)}_{_draw(8, _HEX)}",
        "Grafana Cloud": f"glc_{_draw(60)}",
        "Sentry": f"sntryu_{_draw(64, _HEX)}",
        "CircleCI": f"CCIPAT_{_draw(22)}_{_draw(40, _HEX)}",
        "Buildkite": f"bkua_{_draw(40, _HEX)}",
        "Tailscale": f"tskey-auth-{_draw(12)}-{_draw(32)}",
        "DigitalOcean": f"dop_v1_{_draw(64, _HEX)}",
        "Fly.io": f"fo1_{_draw(43, _BASE64URL)}",
        "Heroku": f"HRKU-AA{_draw(58, _BASE64URL)}",
        "Netlify": f"nfp_{_draw(36)}",
        "Render": f"rnd_{_draw(28)}",
        "Supabase": f"sbp_{_draw(40, _HEX)}",
        "Neon": f"napi_{_draw(64, _LOWER)}",
        "PlanetScale": f"pscale_tkn_{_draw(43, _BASE64URL)}",
        "Cloudflare": f"v1.0-{_draw(24, _HEX)}-{_draw(146, _HEX)}",
        "Alibaba": f"LTAI{_draw(20)}",
        "Yandex": f"AQVN{_draw(36, _BASE64URL)}",
        "Azure client secret": f"{_draw(3)}8Q~{_draw(34)}",
        "JSON Web Token": f"eyJhbGciOiJIUzI1NiJ9.eyJ{_draw(40)}.{_draw(43)}",
        "private key": _PRIVATE_KEY,
    }.items()
]
"""Secrets that are only known by their shape."""
