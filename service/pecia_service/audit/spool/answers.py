"""What renders wait for until their record is as durable as was promised."""

from __future__ import annotations

import asyncio

from pecia_service.errors import Error, ErrorReason, UnavailableError

_RETRY_SECONDS = 1.0


class Answers:
    """The renders that wait for the database, by render_id."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def __contains__(self, render_id: str) -> bool:
        return render_id in self._waiting

    def wait(self, render_id: str) -> asyncio.Future[None]:
        """Return what ends when a render can be answered, the same for whoever asks for it again."""
        waiting = self._waiting.get(render_id)
        if waiting is None:
            waiting = self._waiting[render_id] = outcome()
        return waiting

    def tell(self, render_id: str, failure: Error | None) -> None:
        """Let a render be answered, or fail; nothing happens if nobody waits for it."""
        if (waiting := self._waiting.pop(render_id, None)) is not None:
            tell(waiting, failure)

    def fail_all(self) -> None:
        """Let all renders that wait now fail with UnavailableError (STORAGE_UNAVAILABLE)."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            tell(future, unavailable("the audit record of the render waits for the database; try again"))


def outcome() -> asyncio.Future[None]:
    """Make a future whose exception may go unseen: who waited for it may be gone."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def tell(future: asyncio.Future[None], failure: Error | None) -> None:
    """End a future, unless who waited for it is gone."""
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)


def unavailable(message: str) -> UnavailableError:
    """Make the error for a record that is not as durable as was promised, but may be later."""
    return UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, message, retry_after=_RETRY_SECONDS)
