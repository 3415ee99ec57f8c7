"""The rules that recognize secrets, such as API keys, by their shape.

Most rules come from gitleaks, in ``gitleaks_rules.json``. ``_OWN`` and the other lists add shapes that gitleaks lacks
or describes more narrowly.
"""

from __future__ import annotations

import json
import math
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from multitrack.tape.redaction.randomness import looks_random

# Each rule has the fixed beginning of a secret, and a pattern for the rest. A comment names the service if necessary.
_OWN: Sequence[tuple[str, str]] = (
    ("AIza", r"[0-9A-Za-z_-]{30,}"),  # Google
    ("ya29.", r"[0-9A-Za-z_.-]{20,}"),
    ("AQ.", r"[0-9A-Za-z_-]{30,}"),
    ("GOCSPX-", r"[0-9A-Za-z_-]{20,}"),
    ("AKIA", r"[0-9A-Z]{16}(?![A-Za-z0-9])"),  # Amazon
    ("ASIA", r"[0-9A-Z]{16}(?![A-Za-z0-9])"),
    *((f"gh{kind}_", r"[0-9A-Za-z]{36,}") for kind in "pousr"),  # GitHub
    ("github_pat_", r"[0-9A-Za-z_]{22,}"),
    ("glpat-", r"[0-9A-Za-z_-]{20,}"),
    *((f"xox{kind}-", r"[0-9A-Za-z-]{10,}") for kind in "abposr"),  # Slack
    ("xapp-", r"[0-9A-Za-z-]{20,}"),
    ("eyJ", r"[0-9A-Za-z_-]{8,2000}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}"),  # JSON Web Tokens
)
# The rest of these secrets must look random, because other strings begin in the same way, such as CSS classes (`sk-…`).
_OWN_RANDOM: Sequence[tuple[str, str]] = (
    ("sk-", r"[A-Za-z0-9_-]{20,}"),  # OpenAI, Anthropic, OpenRouter, DeepSeek
    ("sk_", r"[0-9a-f]{48,}"),  # ElevenLabs
    ("gsk_", r"[0-9A-Za-z]{20,}"),  # Groq
    ("xai-", r"[0-9A-Za-z_]{40,}"),
    ("hf_", r"[0-9A-Za-z]{30,}"),  # Hugging Face
    ("pplx-", r"[0-9A-Za-z]{32,}"),  # Perplexity
    ("csk-", r"[0-9A-Za-z]{32,}"),  # Cerebras
    ("r8_", r"[0-9A-Za-z]{32,}"),  # Replicate
    ("fw_", r"[0-9A-Za-z]{20,}"),  # Fireworks
    ("nvapi-", r"[0-9A-Za-z_-]{40,}"),  # NVIDIA
    ("tgp_v1_", r"[0-9A-Za-z_-]{32,}"),  # Together
    ("up_", r"[0-9A-Za-z]{28,}"),  # Upstage
    ("jina_", r"[0-9A-Za-z_-]{32,}"),
    ("pa-", r"[0-9A-Za-z_-]{40,}"),  # Voyage
    ("pcsk_", r"[0-9A-Za-z_]{32,}"),  # Pinecone
    ("tvly-", r"[0-9A-Za-z-]{20,}"),  # Tavily
    ("fc-", r"[0-9a-f]{32,}"),  # Firecrawl
    ("bb_live_", r"[0-9A-Za-z_-]{20,}"),  # Browserbase
    ("e2b_", r"[0-9a-f]{40,}"),
    ("apify_api_", r"[0-9A-Za-z]{30,}"),
    ("lsv2_pt_", r"[0-9a-f]{32}_[0-9a-f]{8,}"),  # LangSmith
    ("lsv2_sk_", r"[0-9a-f]{32}_[0-9a-f]{8,}"),
    ("ls__", r"[0-9a-f]{32,}"),
    ("pk-lf-", r"[0-9a-f-]{32,}"),  # Langfuse
    ("phc_", r"[0-9A-Za-z]{40,}"),  # PostHog
    ("phx_", r"[0-9A-Za-z]{40,}"),
    ("npm_", r"[0-9A-Za-z]{32,}"),
    ("pypi-", r"[0-9A-Za-z_-]{40,}"),
    ("SG.", r"[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}"),  # SendGrid
    ("hvs.", r"[0-9A-Za-z_-]{20,}"),  # HashiCorp Vault
    ("hvb.", r"[0-9A-Za-z_-]{20,}"),
    ("dapi", r"[0-9a-f]{32}(?:-\d)?(?![A-Za-z0-9])"),  # Databricks
    ("dckr_pat_", r"[0-9A-Za-z_-]{20,}"),  # Docker
    ("dckr_oat_", r"[0-9A-Za-z_-]{20,}"),
    ("figd_", r"[0-9A-Za-z_-]{32,}"),  # Figma
    ("sbp_", r"[0-9a-f]{40,}"),  # Supabase
    ("sb_secret_", r"[0-9A-Za-z_-]{20,}"),
    ("napi_", r"[0-9a-z]{40,}"),  # Neon
    ("whsec_", r"[0-9A-Za-z+/]{24,}={0,2}"),  # Stripe
    ("secret_", r"[0-9A-Za-z]{43}(?![A-Za-z0-9])"),  # Notion
    ("ntn_", r"[0-9A-Za-z]{40,}"),
    ("key-", r"[0-9a-f]{32}(?![A-Za-z0-9])"),  # Mailgun
    ("re_", r"[0-9A-Za-z]{8}_[0-9A-Za-z]{20,}"),  # Resend
    ("rnd_", r"[0-9A-Za-z]{28,}"),  # Render
    ("oy2", r"[0-9a-z]{43}(?![A-Za-z0-9])"),  # NuGet
    ("ATATT3", r"[0-9A-Za-z_=-]{60,}"),  # Atlassian
    ("ATCTT3", r"[0-9A-Za-z_=-]{60,}"),
    ("ATBB", r"[0-9A-Za-z]{32}(?![A-Za-z0-9])"),
    # Facebook; an image in base64 may begin in the same way, but contains other characters, too
    ("EAA", r"[A-Z][0-9A-Za-z]{80,400}(?![0-9A-Za-z+=_-]|\\*/|%2[BFbf]|%3[Dd])"),
    ("CCIPAT_", r"[0-9A-Za-z]+_[0-9a-f]{40}"),  # CircleCI
    ("NRAK-", r"[0-9A-Z]{27}"),  # New Relic
    ("PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),  # Postman
    ("tskey-", r"[0-9A-Za-z-]{20,}"),  # Tailscale
    ("dp.", r"(?:pt|st|ct|sa|scim|audit)\.[0-9A-Za-z_.-]{40,}"),  # Doppler
    ("tfp_", r"[0-9A-Za-z_.-]{40,}"),  # Typeform
    ("CFPAT-", r"[0-9A-Za-z_-]{43}"),  # Contentful
    ("pul-", r"[0-9a-f]{40}"),  # Pulumi
    ("nfp_", r"[0-9A-Za-z]{32,}"),  # Netlify
    *((f"vc{kind}_", r"[0-9A-Za-z]{40,}") for kind in "paikr"),  # Vercel
    ("sk.eyJ", r"[0-9A-Za-z_-]{40,}\.[0-9A-Za-z_-]{16,}"),  # Mapbox
    ("bkua_", r"[0-9a-f]{40}"),  # Buildkite
    ("crsr_", r"[0-9a-f]{40,}"),  # Cursor
    ("esecret_", r"[0-9A-Za-z]{20,}"),  # Anyscale
    ("secret-test-", r"[0-9A-Za-z_=-]{32,}"),  # Stytch
    ("secret-live-", r"[0-9A-Za-z_=-]{32,}"),
    ("live_", r"[0-9a-f]{35}(?![A-Za-z0-9])"),  # Lob
    ("sq0csp-", r"[0-9A-Za-z_-]{22,}"),  # Square
    ("AQVN", r"[0-9A-Za-z_-]{35,}"),  # Yandex
    ("AC", r"[0-9a-f]{32}(?![A-Za-z0-9])"),  # Twilio
)

_OWN_INFIXES: Sequence[tuple[str, str]] = (
    ("$production$", r"access_token\$production\$[0-9a-z]{16}\$[0-9a-f]{32}"),  # Braintree
)

_DUMMY = re.compile(r"[xX*.-]+|0+")


def compute_entropy(text: str) -> float:
    """Return the Shannon entropy of the characters in ``text``, in bits."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) if text else 0.0


class ShapeRule:
    """A rule that recognizes one kind of secret by its shape, such as the prefix of an API key."""

    def __init__(
        self,
        name: str,
        pattern: str,
        *,
        entropy: float = 0.0,
        allowed: Sequence[str] = (),
        allowed_words: Sequence[str] = (),
        check: Callable[[str], bool] | None = None,
        beginning: str = "",
    ) -> None:
        """Create the rule.

        Args:
            name: The name of the rule.
            pattern: The shape of the secrets, as a regular expression. If it has groups, the first group is the
                secret.
            entropy: The lowest entropy of a secret, in bits per character.
            allowed: Patterns of strings that have this shape but are not secrets.
            allowed_words: Words that no secret contains.
            check: Receives the part of a string after ``beginning``, and returns whether the string can be a secret.
                None to accept every string.
            beginning: The fixed beginning of the secret. Empty for gitleaks rules.
        """
        self.name = name
        self._pattern = pattern
        self._entropy = entropy
        self._allowed = allowed
        self._allowed_words = allowed_words
        self._check = check
        self._beginning = beginning

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern that the secret matches, compiled on first use."""
        return re.compile(self._pattern)

    def accepts(self, secret: str) -> bool:
        """Return whether ``secret``, which matches ``pattern``, passes the other checks of this rule."""
        if _DUMMY.fullmatch(secret[len(self._beginning) :]):
            return False
        if self._check is not None and not self._check(secret[len(self._beginning) :]):
            return False
        if self._entropy and compute_entropy(secret) < self._entropy:
            return False
        if any(word in secret.lower() for word in self._allowed_words):
            return False
        return not any(re.search(pattern, secret) for pattern in self._allowed)


class ShapeRules(NamedTuple):
    """All rules for the shapes of secrets, in three groups. The search works differently for each group."""

    by_beginning: Mapping[str, Sequence[tuple[str, ShapeRule]]]
    """For the first two characters of a secret, the rules with their whole fixed beginnings. All in lower case."""
    by_infix: Sequence[tuple[str, ShapeRule]]
    """The rules for secrets that contain a fixed string, each with this string."""
    named: Sequence[tuple[str, ShapeRule]]
    """The rules for secrets that follow the name of a service, each with a pattern for the name."""


@lru_cache(maxsize=1)
def load_rules() -> ShapeRules:
    """Return all rules. The file is only read once."""
    # not a path, because a file in a zip file has none
    content = pkgutil.get_data("multitrack.tape.redaction", "gitleaks_rules.json")
    document = json.loads(content or b"")
    by_beginning: dict[str, list[tuple[str, ShapeRule]]] = {}

    def add(beginning: str, rule: ShapeRule) -> None:
        by_beginning.setdefault(beginning[:2], []).append((beginning, rule))

    for own, check in ((_OWN, None), (_OWN_RANDOM, looks_random)):
        for beginning, rest in own:
            pattern = re.escape(beginning) + rest
            add(beginning.lower(), ShapeRule(beginning, pattern, check=check, beginning=beginning))
    infixes = [(infix, ShapeRule(infix, pattern)) for infix, pattern in _OWN_INFIXES]
    named = []
    for entry in document["rules"]:
        rule = _read_rule(entry, document)
        match entry["kind"]:
            case "prefix":
                for beginning in entry["fixed"]:
                    add(beginning, rule)
            case "infix":
                infixes += [(infix, rule) for infix in entry["fixed"]]
            case "named":
                named.append((entry["name"], rule))
    return ShapeRules(by_beginning, infixes, named)


def _read_rule(entry: Mapping[str, Any], document: Mapping[str, Any]) -> ShapeRule:
    allowed = (*entry["allowed"], *document["allowed"])
    words = (*entry["allowed_words"], *document["allowed_words"])
    return ShapeRule(entry["id"], entry["pattern"], entropy=entry["entropy"], allowed=allowed, allowed_words=words)
