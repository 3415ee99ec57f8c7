"""Redact ``set-cookie`` headers: the name of a cookie is recorded, but not its value."""

from __future__ import annotations

import re

from multitrack.tape.redaction.word_boundaries import REDACTED

# Cookies from load balancers, bot protection and Google, which most responses set and no application reads:
# https://developers.cloudflare.com/fundamentals/reference/policies-compliances/cloudflare-cookies/
_INFRASTRUCTURE = re.compile(r"_?_cf|cf_clearance$|AWSALB|NID$")
_DELETED = re.compile(r"\b19[67]\d\b")


def redact_set_cookie(header: str) -> str | None:
    """Return the header with a harmless value in place of the cookie's value.

    The cookie's name is kept, because code may look up the cookie by its name. The expiry time is kept only if the
    header deletes the cookie. Otherwise, it is removed, because a replay usually happens after that time.

    Returns ``None`` if the header is not recorded. Headers that set infrastructure cookies or cookies without a name
    are not recorded.
    """
    pair, *attributes = header.split(";")
    name, _, content = pair.partition("=")
    if "=" not in pair or not name.strip() or _INFRASTRUCTURE.match(name.strip()):
        return None
    content = content.strip()
    value = content.strip('"')
    # some clients keep the quotes as a part of the value
    redacted = pair if not value else f"{name}={content.replace(value, REDACTED)}"
    kept = [
        attribute
        for attribute in attributes
        if not attribute.strip().lower().startswith("expires") or _DELETED.search(attribute)
    ]
    return ";".join([redacted, *kept])
