"""What is remembered of credentials, so that a call seldom waits for the database."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from pecia_service.access.model import Credential
from pecia_service.errors import ErrorReason, ResourceExhaustedError, UnavailableError

MAX_REMEMBERED: Final = 10_000
MAX_LOOKUPS: Final = 1_000

# While the database is away, it is asked again for a credential that is in use after this long.
_PAUSE_SECONDS: Final = 1.0
_RETRY_AFTER_SECONDS: Final = 1.0

Found: TypeAlias = Sequence[Credential]
Load: TypeAlias = Callable[[], Awaitable[Found]]


@dataclass(slots=True)
class _Entry:
    """What the database had at `confirmed`, and when it last failed to say it again."""

    found: Found
    confirmed: float
    failed: float | None = None


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A question to the database that is on its way; it answers an error where the database did not."""

    task: asyncio.Task[Found | UnavailableError]
    started: float


class CredentialMemory:
    """Answers what the database has for a key, from memory for as long as that holds; for one event loop.

    What was found holds for `seconds`, and so does that nothing was found. In the second half of that time
    the database is asked again in the background, so that those who are known never wait. While it is away,
    or does not answer within `patience_seconds`, what was found holds for `outage_seconds`. At most
    `max_entries` keys for which there is something are remembered, and as many for which there is nothing:
    who guesses keys does not push out those that are in use. Who asks for the same key shares one lookup.
    An error of a lookup that nobody foresaw is logged, once of each type, and counts as an outage.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        seconds: float,
        outage_seconds: float,
        patience_seconds: float = 1.0,
        max_entries: int = MAX_REMEMBERED,
        max_lookups: int = MAX_LOOKUPS,
    ) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._outage_seconds = outage_seconds
        self._patience_seconds = patience_seconds
        self._max_entries = max_entries
        self._max_lookups = max_lookups
        self._known: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._unknown: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lookups: dict[Hashable, _Lookup] = {}
        self._logged: set[str] = set()
        self._log = structlog.get_logger(__name__)

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    async def get(self, key: Hashable, load: Load) -> Found:
        """Return what there is for a key; `load` asks the database.

        Raises UnavailableError (STORAGE_UNAVAILABLE), and ResourceExhaustedError (TOO_MANY_REQUESTS) when too
        many are asked for at once that nobody has asked for of late.
        """
        now = self._monotonic()
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            age = now - known.confirmed
            if age < self._seconds:
                if age >= self._seconds / 2 and not self._is_paused(known, now):
                    self._look_up(key, load, now)
                return known.found
            if age < self._outage_seconds:
                return await self._confirmed(key, known, load, now)
        unknown = self._unknown.get(key)
        if unknown is not None and now - unknown.confirmed < self._seconds:
            return unknown.found
        if key not in self._lookups and len(self._lookups) >= self._max_lookups:
            raise ResourceExhaustedError(
                ErrorReason.TOO_MANY_REQUESTS,
                "too many callers at once are new to the server; try again",
                metadata={"limit": str(self._max_lookups)},
                retry_after=_RETRY_AFTER_SECONDS,
            )
        # A caller who gives up must not take the answer from those who wait with it.
        answer = await asyncio.shield(self._look_up(key, load, now).task)
        if isinstance(answer, UnavailableError):
            raise answer
        return answer

    async def aclose(self) -> None:
        """Stop asking; those who still wait are cancelled."""
        tasks = [lookup.task for lookup in self._lookups.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _confirmed(self, key: Hashable, entry: _Entry, load: Load, now: float) -> Found:
        """Return what the database says, or what it said last when it does not answer soon."""
        if self._is_paused(entry, now):
            return entry.found
        lookup = self._look_up(key, load, now)
        await asyncio.wait([lookup.task], timeout=self._patience_seconds - (now - lookup.started))
        if not lookup.task.done():
            return entry.found
        answer = lookup.task.result()
        return entry.found if isinstance(answer, UnavailableError) else answer

    def _is_paused(self, entry: _Entry, now: float) -> bool:
        return entry.failed is not None and now - entry.failed < _PAUSE_SECONDS

    def _look_up(self, key: Hashable, load: Load, now: float) -> _Lookup:
        """Begin to ask, or join who asks already."""
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = _Lookup(asyncio.create_task(self._load(key, load, now)), now)
            self._lookups[key] = lookup
        return lookup

    async def _load(self, key: Hashable, load: Load, started: float) -> Found | UnavailableError:
        try:
            found = await load()
        except UnavailableError as error:
            self._note_failure(key)
            return error
        except Exception as error:  # noqa: BLE001 - in the background nobody else would see it
            self._note_failure(key)
            return self._unforeseen(error)
        finally:
            del self._lookups[key]
        self._remember(key, _Entry(found, started))
        return found

    def _note_failure(self, key: Hashable) -> None:
        if known := self._known.get(key):
            known.failed = self._monotonic()

    def _unforeseen(self, error: Exception) -> UnavailableError:
        name = type(error).__name__
        if name not in self._logged:
            self._logged.add(name)
            # The error's own text can hold a statement, and is not logged.
            self._log.error("credential_lookup_failed", error=name)
        return UnavailableError(
            ErrorReason.STORAGE_UNAVAILABLE,
            "credentials can't be looked up; try again, and see the server's log if it lasts",
            retry_after=_RETRY_AFTER_SECONDS,
        )

    def _remember(self, key: Hashable, entry: _Entry) -> None:
        self._known.pop(key, None)
        self._unknown.pop(key, None)
        entries = self._known if entry.found else self._unknown
        entries[key] = entry
        if len(entries) > self._max_entries:
            entries.popitem(last=False)
