"""Who makes a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from grpc import aio

Context: TypeAlias = "aio.ServicerContext[Any, Any]"

DEFAULT_TENANT = "default"
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal of a request and the tenant it belongs to; never taken from a field of the request."""

    tenant_id: str
    principal: str


def local_caller(_context: Context) -> Caller:
    """Return the one caller there is while the server listens on loopback only."""
    return Caller(DEFAULT_TENANT, ANONYMOUS)
