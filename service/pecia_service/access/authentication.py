"""Who calls, by the credential that is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from pecia_service.access.keys import ApiKey, matches
from pecia_service.access.memory import CredentialMemory, Found
from pecia_service.access.model import Caller, Credential, CredentialKind, CredentialState
from pecia_service.access.names import is_certificate_name
from pecia_service.errors import ErrorReason, UnauthenticatedError

MAX_NAMES: Final = 64
"""How many names of one certificate are looked at."""

_KEY_HINT: Final = "check that it is complete and of this server, or make one with pecia keys create"
_SHOWN: Final = {CredentialKind.KEY: "API key", CredentialKind.CERTIFICATE: "certificate's registration"}


class CredentialSource(Protocol):
    """Where credentials are kept; see `CredentialStore`."""

    async def find_key(self, tenant_id: str, credential_id: str) -> Found:
        """Return the key of a tenant with this id, or nothing."""
        ...

    async def find_certificates(self, names: Sequence[str]) -> Found:
        """Return every registration of the names, those that were made last first."""
        ...


class Authenticator:
    """Tells who calls, by what it remembers of credentials (see `CredentialMemory`).

    Whether a credential has expired is asked of the clock each time.
    """

    def __init__(
        self, source: CredentialSource, memory: CredentialMemory, *, clock: Callable[[], int]
    ) -> None:
        """Take a clock of microseconds since the epoch."""
        self._source = source
        self._memory = memory
        self._clock = clock

    async def authenticate_key(self, token: str) -> Caller:
        """Return whose API key this is.

        Raises UnauthenticatedError (CREDENTIALS_INVALID, CREDENTIALS_REVOKED, CREDENTIALS_EXPIRED),
        UnavailableError (STORAGE_UNAVAILABLE), ResourceExhaustedError (TOO_MANY_REQUESTS).
        """
        key = ApiKey.parse(token)
        if key is not None:
            identity = (key.tenant_id, key.credential_id)
            for credential in await self._memory.get(identity, partial(self._source.find_key, *identity)):
                # Only who has the secret learns what became of the key.
                if matches(key.secret, credential.salt, credential.secret_hash):
                    return self._let_in(credential)
        raise _invalid(CredentialKind.KEY, f"the API key is not known; {_KEY_HINT}")

    async def authenticate_certificate(self, names: Sequence[str]) -> Caller:
        """Return for whom a certificate speaks: the first of its names that was ever registered decides.

        The certificate itself must have been verified. Raises the errors of `authenticate_key`; a name that
        is registered more than once is CREDENTIALS_INVALID.
        """
        usable = [name for name in names[:MAX_NAMES] if is_certificate_name(name)]
        if usable:
            # Names are long, and many certificates are remembered; none of them holds U+0000.
            identity = hashlib.sha256("\0".join(usable).encode()).digest()
            found = await self._memory.get(identity, partial(self._source.find_certificates, usable))
            for name in usable:
                registrations = [one for one in found if one.certificate_name == name]
                if registrations:
                    return self._let_in(self._deciding(registrations))
        raise _invalid(
            CredentialKind.CERTIFICATE,
            "none of the certificate's names is registered; register one with pecia keys create "
            "--certificate-name",
        )

    async def aclose(self) -> None:
        """Stop asking the database."""
        await self._memory.aclose()

    def _deciding(self, registrations: Sequence[Credential]) -> Credential:
        """Return the one that works, or else the newest."""
        now = self._clock()
        active = [one for one in registrations if one.state(now) is CredentialState.ACTIVE]
        if len(active) > 1:
            raise _invalid(
                CredentialKind.CERTIFICATE,
                "the certificate's name is registered more than once; revoke all but one (pecia keys list)",
            )
        return active[0] if active else registrations[0]

    def _let_in(self, credential: Credential) -> Caller:
        match credential.state(self._clock()):
            case CredentialState.ACTIVE:
                return credential.caller
            case CredentialState.EXPIRED:
                reason, what = ErrorReason.CREDENTIALS_EXPIRED, "has expired"
            case CredentialState.REVOKED:
                reason, what = ErrorReason.CREDENTIALS_REVOKED, "was revoked"
        raise UnauthenticatedError(
            reason,
            f"the {_SHOWN[credential.kind]} {what}; make a new one with pecia keys create",
            metadata={"kind": credential.kind.value, "key_id": credential.credential_id},
        )


def _invalid(kind: CredentialKind, message: str) -> UnauthenticatedError:
    return UnauthenticatedError(ErrorReason.CREDENTIALS_INVALID, message, metadata={"kind": kind.value})
