"""Redact ``set-cookie``: a cookie's name is recorded, but its value is not."""

from __future__ import annotations

import re

from multitrack.tape.redaction.word_boundaries import REDACTED

# Cookies from load balancers, bot protection and Google, which most responses set and no application reads:
# https://developers.cloudflare.com/fundamentals/reference/policies-compliances/cloudflare-cookies/
_INFRASTRUCTURE = re.compile(r"_?_cf|cf_clearance$|AWSALB|NID$")
_DELETED = re.compile(r"\b19[67]\d\b")


def redact_set_cookie(header: str) -> str | None:
    """Return the header with a harmless value, so that code that looks up the cookie by its name finds it.

    The time at which the cookie expires is removed, because a replay usually happens after that time. The time stays
    if the header deletes the cookie. ``None`` if the header is not recorded, because it sets an infrastructure cookie
    or a cookie without a name.
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
