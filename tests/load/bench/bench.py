"""What every part of the bench is given: how much to measure, where, and how to say what it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from load.bench.caller import Callers, Work
from load.bench.figures import Row
from load.bench.processors import Shares, cpu_seconds, family
from load.bench.rounds import Sample
from load.bench.servers import Server
from load.bench.stores import Databases, Store

_SETTLE_SECONDS: Final = 120.0
# Counting costs PostgreSQL processor time, which is shown as that of the renders.
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds of laps of so many seconds, and how much is stored beforehand."""

    rounds: int
    lap_seconds: float
    renderer_seconds: float
    stored: Sequence[int]
    cold_bundles: int
    audit_records: int
    verifications: int
    peer_seconds: float


FULL: Final = Scale(
    rounds=11,
    lap_seconds=1.0,
    renderer_seconds=0.25,
    stored=(10, 10_000, 1_000_000),
    cold_bundles=200,
    audit_records=200_000,
    verifications=3,
    peer_seconds=2.0,
)
QUICK: Final = Scale(
    rounds=3,
    lap_seconds=0.3,
    renderer_seconds=0.1,
    stored=(10, 10_000),
    cold_bundles=50,
    audit_records=50_000,
    verifications=2,
    peer_seconds=0.5,
)


class UnsettledError(Exception):
    """A server does not write the audit records of what it answered."""


@dataclass
class Results:
    """The rows, and what else is judged or drawn."""

    rows: list[Row] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """The means of one run."""

    scale: Scale
    shares: Shares
    databases: Databases
    results: Results
    progress: Callable[[str], None]


@dataclass
class Lap:
    """A lap of load on a server; with a `store`, it is over when that has the audit record of each render.

    `database` gathers the processor time that PostgreSQL has used for it, in seconds.
    """

    bench: Bench
    server: Server
    work: Work
    callers: int = 16
    connections: int = 4
    store: Store | None = None
    seconds: float | None = None
    calls: int = 0
    renders: int = 0
    database: float = 0.0
    _load: Callers | None = None

    def __call__(self) -> Sample:
        """Run one lap."""
        if self._load is None:
            self._load = Callers(
                self.server.target, self.work, callers=self.callers, connections=self.connections
            )
        recorded = self.store.records() if self.store else 0
        before, database = self.server.cpu_seconds(), self._database_seconds()
        seconds = self.bench.scale.lap_seconds if self.seconds is None else self.seconds
        answered = self._load.run(seconds=seconds, calls=self.calls)
        count = answered.calls * self.work.renders
        if self.store is not None:
            settle(self.store, recorded + count)
        spent = self.server.cpu_seconds() - before
        self.renders += count
        self.database += self._database_seconds() - database
        return Sample(count, answered.seconds, spent)

    def close(self) -> None:
        """Close its connections."""
        if self._load is not None:
            self._load.close()

    def _database_seconds(self) -> float:
        process = self.bench.databases.postgres_process
        if self.store is None or self.store.engine != "PostgreSQL" or process is None:
            return 0.0
        return cpu_seconds(family(process))

    @property
    def database_note(self) -> str:
        """Say what PostgreSQL used for each render; empty where there is none."""
        if not self.database:
            return ""
        return f"PostgreSQL used {self.database / self.renders * 1e6:.0f} µs more of processors for each"


def settle(store: Store, count: int) -> None:
    """Wait until a store has so many audit records; raises UnsettledError after two minutes."""
    until = time.monotonic() + _SETTLE_SECONDS
    while store.records() < count:
        if time.monotonic() > until:
            raise UnsettledError(f"{store.records()} of {count} audit records were written")
        time.sleep(_POLL_SECONDS)
