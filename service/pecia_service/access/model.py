"""Callers, the scopes that say what they may do, and the credentials that prove who they are."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Scope(enum.Enum):
    """What a credential allows; none includes another."""

    RENDER = "render"
    READ = "read"
    PUBLISH = "publish"
    LABEL = "label"
    HOSTING = "hosting"
    CHECKPOINT = "checkpoint"
    ADMIN = "admin"

    # Scopes are equal when they are one; each call asks for one, and Enum's own hash is a function in Python.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the tenant, the principal's name for histories and logs, and what it may do."""

    tenant_id: str
    principal: str
    scopes: frozenset[Scope]


DEFAULT_TENANT = "default"

ANONYMOUS = Caller(DEFAULT_TENANT, "anonymous", frozenset(Scope))
"""The one caller there is where authentication is off."""


class CredentialKind(enum.Enum):
    """What a caller shows."""

    KEY = "key"
    CERTIFICATE = "certificate"


class CredentialState(enum.Enum):
    """Whether a credential lets anybody in; one that was revoked stays revoked when it expires."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key without its secret, or the name of a client certificate; times in microseconds.

    Of a key's secret only `secret_hash` is known (see `keys.hash_secret`). `expires_at` is the first moment
    at which it no longer works; None is never. `caller` is who is let in by it.
    """

    credential_id: str
    tenant_id: str
    kind: CredentialKind
    scopes: frozenset[Scope]
    created_at: int
    description: str = ""
    certificate_name: str | None = None
    salt: str | None = field(default=None, repr=False)
    secret_hash: str | None = field(default=None, repr=False)
    expires_at: int | None = None
    revoked_at: int | None = None
    # Made once: every call that is authenticated asks for it.
    caller: Caller = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shown = self.certificate_name if self.kind is CredentialKind.CERTIFICATE else self.credential_id
        # With the kind in front, a certificate's name can't be mistaken for the id of a key.
        caller = Caller(self.tenant_id, f"{self.kind.value}:{shown}", self.scopes)
        object.__setattr__(self, "caller", caller)

    def state(self, now: int) -> CredentialState:
        """Tell whether it works at a moment."""
        if self.revoked_at is not None:
            return CredentialState.REVOKED
        if self.expires_at is not None and now >= self.expires_at:
            return CredentialState.EXPIRED
        return CredentialState.ACTIVE


class CredentialError(ValueError):
    """A credential can't be made, found or revoked; the message is one line that says what to do."""


class CredentialInputError(CredentialError):
    """What was given for a credential can't be one's, whatever the database holds."""
