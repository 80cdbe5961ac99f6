"""Callers and the scopes that say what they may do."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Scope(enum.Enum):
    """What a credential allows; none includes another."""

    RENDER = "render"
    READ = "read"
    PUBLISH = "publish"
    LABEL = "label"
    HOSTING = "hosting"
    CHECKPOINT = "checkpoint"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the tenant, the principal's name for histories and logs, and what it may do."""

    tenant_id: str
    principal: str
    scopes: frozenset[Scope]


DEFAULT_TENANT = "default"

ANONYMOUS = Caller(DEFAULT_TENANT, "anonymous", frozenset(Scope))
"""The one caller there is where authentication is off."""
