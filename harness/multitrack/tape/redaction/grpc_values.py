"""Redact gRPC's binary values: headers whose names end in ``-bin``, and wire bytes in a JSON body.

Each character of a secret becomes one asterisk, so that the length of a field stays the same: protobuf writes the
length before the value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import suppress

Mask = Callable[[str], str]
"""Replaces each secret in a string with asterisks."""

# the bytes of a protobuf message that protobuf JSON cannot represent
_WIRE = re.compile(r'("@wire":\s*")((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)(")')


def redact_wire_bytes(text: str, mask: Mask) -> str:
    """Mask the secrets in all protobuf messages that the JSON body ``text`` contains as wire bytes."""

    def replace_match(match: re.Match[str]) -> str:
        masked = _mask_base64(match[2], mask)
        return match[1] + masked + match[3] if masked else match[0]

    return text if "@wire" not in text else _WIRE.sub(replace_match, text)


def redact_binary_header(name: str, value: str, mask: Mask, redact_text: Callable[[str], str]) -> str:
    """Return the ``value`` of a binary header with its secrets masked.

    If the header contains the details of an error, ``redact_text`` is first applied to each string in them.

    Raises:
        ValueError: ``value`` is not valid base64.
    """
    if name == "grpc-status-details-bin":
        with suppress(ImportError):
            from multitrack.tape.google import status_details

            value = status_details.replace_texts(value, redact_text)
    return _mask_base64(value + "=" * (-len(value) % 4), mask) or value


def _mask_base64(encoded: str, mask: Mask) -> str | None:
    """Return ``encoded`` with its secrets masked, or None if it has none. Raises ValueError for invalid base64."""
    wire = base64.b64decode(encoded, validate=True).decode("latin-1")
    masked = mask(wire)
    return base64.b64encode(masked.encode("latin-1")).decode() if masked != wire else None
