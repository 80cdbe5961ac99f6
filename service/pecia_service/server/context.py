"""Who makes the request that is being answered."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, TypeAlias

from grpc import aio

from pecia_service.access.model import Caller

Context: TypeAlias = "aio.ServicerContext[Any, Any]"

CALLER: ContextVar[Caller] = ContextVar("caller")
"""Set by the edge for the task that handles a call; tasks that it starts inherit it. There is no default."""


def current_caller(_context: Context) -> Caller:
    """Return the caller of the current call; never taken from a field of the request."""
    return CALLER.get()
