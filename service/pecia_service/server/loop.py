"""The event loop that a server runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loops where it is installed, else None for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - an extra that need not be there
    except ImportError:
        return None
    return uvloop.new_event_loop
