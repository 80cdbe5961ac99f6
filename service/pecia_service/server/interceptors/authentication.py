"""The third stage: who calls, by an API key or a client certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from pecia_service.access.model import Caller
from pecia_service.errors import ErrorReason, UnauthenticatedError
from pecia_service.server.context import Context
from pecia_service.server.interceptors.calls import Call

_SCHEME: Final = "bearer"
# The names in a certificate, the most telling first.
_SUBJECT_ALTERNATIVES: Final = ("peer_uri", "peer_dns")
_COMMON_NAME: Final = "x509_common_name"


class Authenticator(Protocol):
    """Knows callers by what they show."""

    async def authenticate_key(self, token: str) -> Caller:
        """Return whose API key it is; raises UnauthenticatedError and UnavailableError."""
        ...

    async def authenticate_certificate(self, names: Sequence[str]) -> Caller:
        """Return whose certificate has these names; raises UnauthenticatedError and UnavailableError."""
        ...


class Authentication:
    """Finds out who calls."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def identify(self, call: Call, context: Context) -> Caller:
        """Return the caller.

        A key in `authorization: Bearer KEY` goes before the connection's client certificate. Raises
        UnauthenticatedError, and UnavailableError when that can't be known now.
        """
        if call.authorization:
            return await self._authenticator.authenticate_key(_bearer_token(call.authorization))
        names = certificate_names(context)
        if names:
            return await self._authenticator.authenticate_certificate(names)
        raise UnauthenticatedError(
            ErrorReason.CREDENTIALS_MISSING,
            "send an API key as metadata, authorization: Bearer KEY, or connect with a client certificate",
            metadata={"method": call.method},
        )


def certificate_names(context: Context) -> list[str]:
    """Return the names in the client's verified certificate: URIs, then DNS names, else the common name.

    A common name beside others says nothing, as for servers (RFC 6125, section 6.4.4).
    """
    properties = context.auth_context()
    names = [name for key in _SUBJECT_ALTERNATIVES for name in properties.get(key, ())]
    names = names or list(properties.get(_COMMON_NAME, ()))
    return list(dict.fromkeys(name.decode(errors="replace") for name in names))


def _bearer_token(values: Sequence[str | bytes]) -> str:
    scheme, _, token = str(values[0]).partition(" ")
    # Two would let whoever stands between choose which one counts.
    if len(values) > 1 or scheme.lower() != _SCHEME or not token.strip():
        raise UnauthenticatedError(
            ErrorReason.CREDENTIALS_INVALID,
            "send one API key as metadata, authorization: Bearer KEY",
            metadata={"kind": "key"},
        )
    return token.strip()
