"""What an operator does with credentials: make, list and revoke them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from pecia_service.access.keys import SALT_BYTES, SECRET_BYTES, ApiKey, dashed, hash_secret
from pecia_service.access.model import Credential, CredentialInputError, CredentialKind, Scope
from pecia_service.access.names import MAX_NAME_BYTES, is_certificate_name
from pecia_service.access.store import CredentialStore
from pecia_service.ids import is_uuid
from pecia_service.registry.identifiers import require_identifier

MAX_DESCRIPTION_LENGTH: Final = 1_000
_MICROSECONDS: Final = 1_000_000
# As far as a column of 64 bits and a calendar of four digits both go.
_LAST_MOMENT: Final = 253_402_300_799 * _MICROSECONDS
_UUID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: its text is here, and never again."""

    credential: Credential
    text: str = field(repr=False)


class Credentials:
    """Makes, lists and revokes credentials; its methods raise UnavailableError while the database is away."""

    def __init__(
        self,
        store: CredentialStore,
        *,
        clock: Callable[[], int],
        new_id: Callable[[], str],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Take a clock of microseconds, a maker of UUIDs, and a source of bytes that nobody can guess."""
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._random_bytes = random_bytes

    async def create_key(
        self,
        tenant_id: str,
        scopes: Collection[Scope],
        *,
        lifetime_seconds: int | None = None,
        description: str = "",
    ) -> NewKey:
        """Make an API key that works for `lifetime_seconds`, or until it is revoked.

        Raises InvalidInputError (IDENTIFIER_INVALID) for a tenant that is no identifier, and CredentialError.
        """
        key = ApiKey.make(
            require_identifier(tenant_id, "tenant"), self._new_id(), self._random_bytes(SECRET_BYTES)
        )
        salt = self._random_bytes(SALT_BYTES).hex()
        now = self._clock()
        credential = Credential(
            credential_id=key.credential_id,
            tenant_id=tenant_id,
            kind=CredentialKind.KEY,
            scopes=_checked_scopes(scopes),
            created_at=now,
            description=_checked_description(description),
            salt=salt,
            secret_hash=hash_secret(salt, key.secret),
            expires_at=_expiry(now, lifetime_seconds),
        )
        await self._store.add(credential)
        return NewKey(credential, key.text)

    async def register_certificate(
        self,
        name: str,
        tenant_id: str,
        scopes: Collection[Scope],
        *,
        lifetime_seconds: int | None = None,
        description: str = "",
    ) -> Credential:
        """Let callers in whose certificate has this name: a URI, a DNS name, or the subject's common name.

        Raises InvalidInputError (IDENTIFIER_INVALID) for a tenant that is no identifier, and CredentialError.
        """
        if not is_certificate_name(name):
            raise CredentialInputError(
                f"a certificate name has 1 to {MAX_NAME_BYTES} bytes, without spaces around it and without "
                "control characters; write it as in the certificate"
            )
        now = self._clock()
        credential = Credential(
            credential_id=self._new_id(),
            tenant_id=require_identifier(tenant_id, "tenant"),
            kind=CredentialKind.CERTIFICATE,
            scopes=_checked_scopes(scopes),
            created_at=now,
            description=_checked_description(description),
            certificate_name=name,
            expires_at=_expiry(now, lifetime_seconds),
        )
        await self._store.add(credential)
        return credential

    async def list_credentials(self, tenant_id: str | None = None) -> list[Credential]:
        """Return the credentials of a tenant, or of all by tenant, oldest first."""
        return await self._store.list_credentials(tenant_id)

    async def revoke(self, credential_id: str) -> Credential:
        """Revoke a credential for good and return it; its id may be written without dashes, as in a key.

        Raises CredentialInputError for what is no id, and CredentialError when there is none of this id.
        """
        text = credential_id.strip().lower()
        whole = dashed(text) if len(text) == _UUID_DIGITS else text
        if not is_uuid(whole):
            raise CredentialInputError(
                "an id of a credential is a UUID such as 01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44; "
                "see pecia keys list"
            )
        return await self._store.revoke(whole, self._clock())


def _checked_scopes(scopes: Collection[Scope]) -> frozenset[Scope]:
    if not scopes:
        raise CredentialInputError("a credential without a scope may do nothing; give at least one")
    return frozenset(scopes)


def _checked_description(description: str) -> str:
    if len(description) > MAX_DESCRIPTION_LENGTH or not description.isprintable():
        raise CredentialInputError(
            f"a description has at most {MAX_DESCRIPTION_LENGTH} printable characters on one line"
        )
    return description


def _expiry(now: int, lifetime_seconds: int | None) -> int | None:
    if lifetime_seconds is None:
        return None
    if lifetime_seconds <= 0:
        raise CredentialInputError("a credential must work for at least a second")
    return min(now + lifetime_seconds * _MICROSECONDS, _LAST_MOMENT)
