"""Databases for the runs: made, filled in bulk by the storage layer's own tables, and counted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from load.bench import sample
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.store import AuditStore
from pecia_service.ids import uuid7
from pecia_service.registry.model import Slot, compute_bundle_hash
from pecia_service.registry.store.rows import bundle_to_row, template_to_row
from pecia_service.rendering.model import Receipt
from pecia_service.storage.engine import Database
from pecia_service.storage.schema import migrate
from pecia_service.storage.tables import audit_records, bundles, labels, templates
from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from support.postgres import PostgresServer

TENANT: Final = "default"
LABEL: Final = "production"
EPOCH_MS: Final = 1_763_700_000_000
"""When the first record of a filled audit was made, in milliseconds since the epoch."""

_BUNDLES_AT_ONCE: Final = 2_500
_BUNDLES_TO_TELL: Final = 25_000
_FEW_TEMPLATES: Final = 10_000
_RECORDS_AT_ONCE: Final = 5_000
_PAYLOADS: Final = 2_048


def bundle_id(number: int) -> str:
    """Return the id of a stored bundle, by its number from 0."""
    return f"bench-{number:07d}"


class Store:
    """A database and what the bench does with it; it has an event loop of its own, so its methods block."""

    def __init__(self, url: str, engine: str) -> None:
        self.url = url
        self.engine = engine
        self._runner = asyncio.Runner()
        self._database = Database.open(url)

    def close(self) -> None:
        """Close its connections."""
        self._runner.run(self._database.dispose())
        self._runner.close()

    def migrate(self) -> None:
        """Bring it to the newest schema."""
        self._runner.run(migrate(self._database))

    def publish(self, count: int, told: Callable[[str], None] = lambda _: None) -> int:
        """Publish so many templates, four to a bundle, and label each bundle; return how many bundles.

        They are defined as a client's would be, and inserted in bulk; `told` is told how far that is.
        """
        published = self._runner.run(self._publish(count, told))
        if count > _FEW_TEMPLATES:
            # What the system has not written to the disk yet would hold up the laps.
            os.sync()
        return published

    def fill_audit(self, count: int) -> None:
        """Keep so many records of renders of the first bundle."""
        self._runner.run(self._fill_audit(count))

    def records(self) -> int:
        """Count the audit records."""
        rows = self._runner.run(self._database.fetch(select(func.count()).select_from(audit_records)))
        return int(rows[0][0])

    def render_ids(self, count: int) -> list[str]:
        """Return the ids of so many records."""
        statement = select(audit_records.c.render_id).order_by(audit_records.c.render_id).limit(count)
        return [row.render_id for row in self._runner.run(self._database.fetch(statement))]

    async def _publish(self, count: int, told: Callable[[str], None]) -> int:
        wanted = count // len(Slot)
        for first in range(0, wanted, _BUNDLES_AT_ONCE):
            last = min(first + _BUNDLES_AT_ONCE, wanted)
            await self._insert(range(first, last))
            if last % _BUNDLES_TO_TELL == 0:
                told(f"{self.engine}: {last * len(Slot):,} of {count:,} templates")
        # What does not make four is there all the same.
        if spare := count - wanted * len(Slot):
            pieces = list(sample.templates("spare").values())[:spare]
            rows = [{"tenant_id": TENANT, **template_to_row(piece, 0)} for piece in pieces]
            await self._database.write(lambda connection: _execute(connection, templates, rows))
        if self.engine == "PostgreSQL":
            await self._database.write(lambda connection: connection.execute(text("ANALYZE")))
        return wanted

    async def _insert(self, numbers: range) -> None:
        template_rows: list[dict[str, Any]] = []
        bundle_rows: list[dict[str, Any]] = []
        label_rows: list[dict[str, Any]] = []
        for number in numbers:
            name = bundle_id(number)
            pieces = sample.templates(name)
            bundle = sample.bundle(pieces, name)
            # The hash of what it renders is stored with the bundle that is published.
            stored = replace(bundle, stored_bundle_hash=compute_bundle_hash(bundle, pieces))
            template_rows += [{"tenant_id": TENANT, **template_to_row(piece, 0)} for piece in pieces.values()]
            bundle_rows.append({"tenant_id": TENANT, **bundle_to_row(stored, 0)})
            label_rows.append(
                {
                    "tenant_id": TENANT,
                    "bundle_id": name,
                    "label": LABEL,
                    "semver": sample.SEMVER,
                    "revision": 1,
                    "entry_revision": 1,
                    "updated_at": 0,
                    "updated_by": "bench",
                }
            )

        async def work(connection: AsyncConnection) -> None:
            await _execute(connection, templates, template_rows)
            await _execute(connection, bundles, bundle_rows)
            await _execute(connection, labels, label_rows)

        await self._database.write(work)

    async def _fill_audit(self, count: int) -> None:
        of = sample.resolved(bundle_id(0))
        payloads = [sample.payload(number) for number in range(_PAYLOADS)]
        results = [sample.render(number, of) for number in range(_PAYLOADS)]
        store = AuditStore(self._database)

        def record(number: int) -> AuditRecord:
            result, payload = results[number % _PAYLOADS], payloads[number % _PAYLOADS]
            made_at = EPOCH_MS + number
            receipt = Receipt(
                uuid7(made_at, number),
                result.prompt_hash,
                result.bundle_hash,
                result.payload_hash,
                of.bundle.bundle_id,
                of.bundle.semver,
                result.renderer_version,
                "",
                made_at * 1000,
            )
            return make_record(
                TENANT, receipt, result, payload, inline=False, keep_prompt=True, keep_payload=True
            )

        for first in range(0, count, _RECORDS_AT_ONCE):
            last = min(first + _RECORDS_AT_ONCE, count)
            await store.insert_many([record(number) for number in range(first, last)])


async def _execute(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(table), rows)


class Databases:
    """Makes empty databases of either engine; PostgreSQL's server starts with the first that is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self._server: PostgresServer | None = None

    @property
    def postgres_process(self) -> int | None:
        """The process id of PostgreSQL's server, None while there is none."""
        return None if self._server is None else self._server.pid

    @contextmanager
    def create(self, engine: str) -> Iterator[Store]:
        """Make a migrated database of the engine SQLite or PostgreSQL."""
        self._made += 1
        if engine == "PostgreSQL":
            if self._server is None:
                self._server = PostgresServer.create()
                self._server.launch()
            url = asyncio.run(self._server.create_database())
        else:
            url = f"sqlite:///{self._folder / f'bench-{self._made}.db'}"
        store = Store(url, engine)
        try:
            store.migrate()
            yield store
        finally:
            store.close()

    def close(self) -> None:
        """Stop PostgreSQL's server and delete its data."""
        if self._server is not None:
            self._server.discard()
