"""A generated Google service account: a valid key for a project that does not exist."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from multitrack.standin.identity import GOOGLE_PROJECT

_KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account. ``key_file`` is the text of its JSON key file."""

    project: str
    email: str
    key_file: str = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Return an account with a new RSA key.

        The key file has the format of https://cloud.google.com/iam/docs/keys-create-delete.
        """
        key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        email = f"planner@{GOOGLE_PROJECT}.iam.gserviceaccount.com"
        document = {
            "type": "service_account",
            "project_id": GOOGLE_PROJECT,
            "private_key_id": f"{key.private_numbers().p:x}"[:40],
            "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "client_email": email,
            "client_id": "108734561920384756102",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "universe_domain": "googleapis.com",
        }
        return cls(GOOGLE_PROJECT, email, json.dumps(document, indent=2) + "\n")
