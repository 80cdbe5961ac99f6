"""Credentials for tests: a clock to move by hand, and bytes that only look random."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from pecia_service.access.authentication import Authenticator
from pecia_service.access.memory import CredentialMemory
from pecia_service.access.service import Credentials
from pecia_service.access.store import CredentialStore
from pecia_service.bootstrap import system_ids
from pecia_service.storage.engine import Database
from support.domain import START

SECOND = 1_000_000
"""In microseconds."""


@dataclass
class HandClock:
    """Stands still until it is moved; tells microseconds since the epoch, and monotonic seconds."""

    now: int = START

    def __call__(self) -> int:
        """Return microseconds since the epoch."""
        return self.now

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return (self.now - START) / SECOND

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * SECOND)


@dataclass
class CountingBytes:
    """Gives other bytes each time, the same ones in each run, and remembers them."""

    given: list[bytes] = field(default_factory=list)

    def __call__(self, size: int) -> bytes:
        """Return `size` bytes, at most 32."""
        data = hashlib.sha256(str(len(self.given)).encode()).digest()[:size]
        self.given.append(data)
        return data


def credentials_of(
    database: Database, clock: HandClock, random_bytes: CountingBytes | None = None
) -> Credentials:
    """Make the use cases over a database."""
    return Credentials(
        CredentialStore(database),
        clock=clock,
        new_id=system_ids(),
        random_bytes=random_bytes or CountingBytes(),
    )


def authenticator_of(
    database: Database, clock: HandClock, *, seconds: float = 10, outage_seconds: float = 300
) -> Authenticator:
    """Make an authenticator over a database, whose memory has the settings' defaults."""
    memory = CredentialMemory(monotonic=clock.monotonic, seconds=seconds, outage_seconds=outage_seconds)
    return Authenticator(CredentialStore(database), memory, clock=clock)
