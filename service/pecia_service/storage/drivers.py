"""Engines over the two drivers, set up for transactions that begin and fail as they should."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import suppress
from functools import partial
from typing import Any, Final

import aiosqlite
import asyncpg
from sqlalchemy import URL, AdaptedConnection, Connection, event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pecia_service.storage.one_trip import OneTripConnection
from pecia_service.storage.url import DatabaseUrl

WRITES = "pecia_writes"
"""The execution option of a connection whose transaction will write."""

_FILE_MODE: Final = 0o600


def open_sqlite(
    url: DatabaseUrl, pool_size: int, connect_timeout: float, statement_timeout: float, *, durable: bool
) -> AsyncEngine:
    """Make an engine whose connections share a file in WAL mode; see `Database.open`."""
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=url.location),
        pool_size=pool_size,
        max_overflow=0,
        # The text of an error ends up in logs, and parameters hold prompts and payloads.
        hide_parameters=True,
        pool_timeout=connect_timeout,
        connect_args={"async_creator_fn": _connect_sqlite, "timeout": statement_timeout},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: AsyncAdapt_aiosqlite_connection, _: object) -> None:
        # Python's own transaction control begins too late and never with IMMEDIATE.
        connection.isolation_level = None
        # Text whose bytes were damaged must reach those who know its hash.
        connection.driver_connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        cursor = connection.cursor()
        # Asking first needs no lock, and the mode stays with the file.
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() != ("wal",):
            cursor.execute("PRAGMA journal_mode = WAL")
        # With WAL, NORMAL never damages the file, but a power cut can take back the last commits.
        cursor.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        # What redaction and pruning erase is overwritten, not just forgotten.
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later can't be retried inside SQLite, and fails at once.
        if connection.get_execution_options().get(WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


async def _connect_sqlite(
    database: str,
    **options: Any,  # noqa: ANN401 - whatever the dialect has for the driver
) -> aiosqlite.Connection:
    _create_privately(database)
    # The class wants to know how many rows to read at once where they are read one by one, as nobody does.
    connection = OneTripConnection(partial(sqlite3.connect, database, **options), iter_chunk_size=1)
    # A process must be able to end although a connection was not closed.
    connection._thread.daemon = True
    try:
        return await connection
    except BaseException:
        # The connection's thread reports its end to this event loop, and fails aloud if that is closed.
        await asyncio.to_thread(connection._thread.join)
        raise


def _create_privately(file: str) -> None:
    """Make a database's file unless it is there, for its user alone: it will hold prompts and payloads.

    SQLite gives the files beside it the same mode.
    """
    # SQLite says better what is wrong with a file. One that is there must not even be opened: closing it
    # would take the locks of the connections that this process has to it (https://sqlite.org/howtocorrupt.html).
    with suppress(OSError):
        # Without the links in it, which O_EXCL would take for the file.
        os.close(
            os.open(os.path.realpath(file), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        )


def _unnamed() -> str:
    return ""


def open_postgresql(
    url: DatabaseUrl,
    pool_size: int,
    connect_timeout: float,
    statement_timeout: float,
    statement_cache_size: int,
) -> AsyncEngine:
    """Make an engine whose connections asyncpg opens from the URL as it is; see `Database.open`."""

    async def connect() -> object:
        # asyncpg reads the URL itself: sslmode, several hosts and libpq's other parameters are its business.
        return await asyncpg.connect(
            url.location,
            timeout=connect_timeout,
            command_timeout=statement_timeout,
            statement_cache_size=statement_cache_size,
        )

    engine = create_async_engine(
        "postgresql+asyncpg://",
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,
        pool_timeout=connect_timeout,
        connect_args={
            "async_creator_fn": connect,
            "prepared_statement_cache_size": statement_cache_size,
            # Names last as long as a server's connection; a pooler would let them meet.
            "prepared_statement_name_func": None if statement_cache_size else _unnamed,
        },
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def replace_if_closed(connection: AdaptedConnection, *_: object) -> None:
        # The event loop has already read the end of the stream, so that no statement is needed to know.
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return engine
