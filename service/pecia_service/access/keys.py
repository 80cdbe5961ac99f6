"""API keys: `pecia_<tenant>.<id in 32 hex digits>.<secret>`, and what is kept of the secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

SECRET_BYTES: Final = 32
SALT_BYTES: Final = 16

_PREFIX: Final = "pecia_"
# The tenant may hold dots; neither the id nor the secret does. It ends like an identifier of the registry.
_KEY: Final = re.compile(
    rf"{_PREFIX}(?P<tenant>[A-Za-z0-9][A-Za-z0-9._-]{{0,254}})\.(?P<id>[0-9a-f]{{32}})\.(?P<secret>[A-Za-z0-9_-]{{43}})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key with its secret, which `repr` does not show; `text` is what its owner keeps."""

    tenant_id: str
    credential_id: str
    secret: str = field(repr=False)

    @classmethod
    def make(cls, tenant_id: str, credential_id: str, secret: bytes) -> ApiKey:
        """Make a key of an identifier, a UUID in lower case, and 32 random bytes."""
        return cls(tenant_id, credential_id, base64.urlsafe_b64encode(secret).rstrip(b"=").decode())

    @classmethod
    def parse(cls, text: str) -> ApiKey | None:
        """Read a key's text; None for what is none. Every key has one text only."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        return cls(match["tenant"], dashed(match["id"]), match["secret"])

    @property
    def text(self) -> str:
        """The key as its owner writes it."""
        return f"{_PREFIX}{self.tenant_id}.{self.credential_id.replace('-', '')}.{self.secret}"


def dashed(digits: str) -> str:
    """Return a UUID of its 32 hex digits."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def hash_secret(salt: str, secret: str) -> str:
    """Return the SHA-256 of salt and secret in hex.

    A secret is 256 random bits, which no dictionary holds and nobody can count through, so that a slow hash
    would protect nothing, and cost each call that is authenticated.
    """
    # What was changed behind the service's back can be any text.
    return hashlib.sha256(f"{salt}{secret}".encode(errors="surrogateescape")).hexdigest()


def matches(secret: str, salt: str | None, expected_hash: str | None) -> bool:
    """Tell in constant time whether a secret is the one whose salt and hash are kept."""
    if not salt or not expected_hash:
        return False
    found = hash_secret(salt, secret).encode()
    return hmac.compare_digest(found, expected_hash.encode(errors="surrogateescape"))
