"""The database: pooled connections, single reads, and transactions that are retried and never leaked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Row, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from pecia_service.errors import UnavailableError
from pecia_service.storage.drivers import WRITES, open_postgresql, open_sqlite
from pecia_service.storage.failures import ConflictError, is_busy, is_conflict, is_disconnect, translated
from pecia_service.storage.outages import OutageLog
from pecia_service.storage.url import DatabaseUrl, EngineKind

T = TypeVar("T")

MAX_ATTEMPTS = 8
"""How often a transaction is tried before its conflict is an error."""

_FIRST_DELAY_SECONDS = 0.01
_LONGEST_DELAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The connections to a database: how many may be open at once, are in use, and are open but idle."""

    size: int
    checked_out: int
    idle: int


class Database:
    """A database and its pool of connections; make it with `open`. It belongs to one event loop."""

    def __init__(
        self,
        url: DatabaseUrl,
        engine: AsyncEngine,
        *,
        reading: AsyncEngine,
        statement_timeout: float,
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.url = url
        self._engine = engine
        self._reading = reading
        self._statement_timeout = statement_timeout
        self._jitter = jitter
        self._sleep = sleep
        # SQLite has one writer at a time. Waiting here is fair; waiting in SQLite is polling.
        self._turn = asyncio.Lock() if url.kind is EngineKind.SQLITE else None
        self._outages: OutageLog | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        pool_size: int = 10,
        connect_timeout: float = 5.0,
        statement_timeout: float = 10.0,
        statement_cache_size: int = 100,
        durable: bool = False,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Database:
        """Make a database from its URL (see `DatabaseUrl.parse`); nothing is connected yet.

        At most `pool_size` connections are open at once. Getting one takes at most `connect_timeout` seconds,
        and a statement of PostgreSQL, or SQLite's wait for another process, `statement_timeout`.
        `statement_cache_size` bounds the prepared statements that a connection of PostgreSQL keeps; 0 suits a
        pooler that gives each transaction another server connection, such as PgBouncer. With `durable`, what
        SQLite has committed survives a power cut; PostgreSQL decides that itself. `jitter` gives numbers from
        0 to 1. Raises ValueError for a URL that names no supported engine.
        """
        parsed = DatabaseUrl.parse(url)
        if parsed.kind is EngineKind.SQLITE:
            engine = open_sqlite(parsed, pool_size, connect_timeout, statement_timeout, durable=durable)
            reading = engine
        else:
            engine = open_postgresql(
                parsed, pool_size, connect_timeout, statement_timeout, statement_cache_size
            )
            # Without BEGIN and ROLLBACK a read is one round trip. A transaction pooler needs them: only in a
            # transaction do the preparing and the executing of a statement meet the same server.
            reading = (
                engine.execution_options(isolation_level="AUTOCOMMIT") if statement_cache_size else engine
            )
        return cls(
            parsed,
            engine,
            reading=reading,
            statement_timeout=statement_timeout,
            jitter=jitter,
            sleep=sleep,
        )

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine, for its events and its pool."""
        return self._engine

    def log_outages(self, outages: OutageLog) -> None:
        """From now on have it logged when the database fails requests, and when it does them again."""
        self._outages = outages

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reads. Each statement stands alone: there is no common snapshot.

        Raises UnavailableError (STORAGE_UNAVAILABLE), also from within the block.
        """
        with self._observed():
            async with self._connection(self._reading) as connection:
                yield connection

    async def fetch(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Run one reading statement and return its rows; once more if its connection turns out to be gone.

        `parameters` are the values of its `bindparam`s, for a statement that is built once and run often.
        Raises UnavailableError (STORAGE_UNAVAILABLE).
        """
        with self._observed():
            try:
                return await self._fetch(statement, parameters)
            except DBAPIError as error:
                if not is_disconnect(error):
                    raise
            return await self._fetch(statement, parameters)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction, commit, and return its result; an exception rolls back.

        On a conflict with another transaction, which the database finds or `work` reports by a ConflictError,
        `work` runs again from its start, so it must do nothing but use the connection. On SQLite one such
        transaction runs at a time. A cancellation during the commit takes effect after it. Raises
        UnavailableError (STORAGE_UNAVAILABLE), after which it is open whether the transaction was committed.
        """
        with self._observed():
            return await self._retried(lambda: self._transact(work), is_conflict)

    async def ping(self) -> None:
        """Ask the database for an answer; raises UnavailableError (STORAGE_UNAVAILABLE)."""
        await self.fetch(select(literal(1)))

    def pool_status(self) -> PoolStatus:
        """Tell how the pool of connections stands."""
        pool = self._engine.pool
        # Both engines are made with this kind of pool; its base class has no figures.
        assert isinstance(pool, QueuePool)
        return PoolStatus(size=pool.size(), checked_out=pool.checkedout(), idle=pool.checkedin())

    async def dispose(self) -> None:
        """Close all connections that are not in use."""
        await self._engine.dispose()

    @contextmanager
    def _observed(self) -> Iterator[None]:
        """Translate what the database does wrong, and have it logged."""
        try:
            with translated():
                yield
        except UnavailableError as error:
            if self._outages is not None:
                self._outages.failed(error)
            raise
        if self._outages is not None:
            self._outages.worked()

    async def _fetch(
        self, statement: Executable, parameters: Mapping[str, object] | None
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        connection = await self._connect(self._reading)
        rows = await connection.run_sync(_fetch_and_close, statement, parameters)
        # Whoever waits for the connection gets it now, and not this caller again for its next statement.
        await asyncio.sleep(0)
        return rows

    async def _transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._one_writer(), self._connection(self._engine) as connection:
            await connection.execution_options(**{WRITES: True})
            await connection.begin()
            result = await work(connection)
            try:
                await _finish(connection.commit())
            except BaseException:
                # SQLAlchemy takes a transaction whose commit failed for closed; in SQLite it is still open.
                await _finish(connection.rollback())
                raise
            return result

    @asynccontextmanager
    async def _one_writer(self) -> AsyncIterator[None]:
        if self._turn is None:
            yield
            return
        async with asyncio.timeout(self._statement_timeout):
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        connection = await self._connect(engine)
        try:
            yield connection
        finally:
            await _finish(connection.close())

    async def _connect(self, engine: AsyncEngine) -> AsyncConnection:
        """Take a connection from the pool."""
        with translated(connecting=True):
            # While a process turns a new file of SQLite to WAL, others are refused without a wait.
            return await self._retried(engine.connect, is_busy)

    async def _retried(
        self, attempt: Callable[[], Awaitable[T]], is_passing: Callable[[Exception], bool]
    ) -> T:
        """Return what an attempt returns; the failure of the last one is passed on."""
        for number in range(1, MAX_ATTEMPTS):
            try:
                return await attempt()
            except (DBAPIError, ConflictError) as error:
                if not is_passing(error):
                    raise
            await self._back_off(number)
        return await attempt()

    async def _back_off(self, attempt: int) -> None:
        longest = min(_FIRST_DELAY_SECONDS * 2**attempt, _LONGEST_DELAY_SECONDS)
        await self._sleep(longest * (0.5 + self._jitter() / 2))


def _fetch_and_close(
    connection: Connection, statement: Executable, parameters: Mapping[str, object] | None
) -> Sequence[Row[*tuple[Any, ...]]]:
    # To close a connection after a read there is nothing to await but a pooler's ROLLBACK. SQLAlchemy throws
    # a connection away whose ROLLBACK is cancelled, so that this need not be shielded, as a write is.
    with connection:
        return connection.execute(statement, parameters).all()


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end whatever happens to the caller, and only then let a cancellation through."""
    task = asyncio.create_task(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    failure = task.exception()
    if cancellation is not None:
        raise cancellation
    if failure is not None:
        raise failure
