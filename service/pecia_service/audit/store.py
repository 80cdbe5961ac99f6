"""Audit records in the database: batches in, pages out, and deletion that leaves no piece behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, delete, exists, func, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.resolution import StoredPiece
from pecia_service.audit.rows import RecordReader, Values, piece_to_row, record_to_row, row_to_piece
from pecia_service.storage.bound import among, equal
from pecia_service.storage.byte_length import byte_length
from pecia_service.storage.engine import Database
from pecia_service.storage.failures import waiting_for_operators
from pecia_service.storage.tables import audit_piece_uses, audit_pieces, audit_records
from pecia_service.storage.upsert import RowsInsert, insert_if_absent, insert_or_lock

SCAN_RECORDS = 500
SCAN_BYTES = 8 * 1024 * 1024
PRUNE_RECORDS = 500

Place: TypeAlias = tuple[int, str]
"""Where a record stands: its time in microseconds, and its render_id."""

_r = audit_records.c
_TEXTS = (_r.payload, _r.prompt)
_WITHOUT_TEXTS = [column for column in audit_records.columns if column not in _TEXTS]
_place_of_row = tuple_(_r.created_at, _r.render_id)

# What a replay reads, built once: building takes longer than finding the row.
_RECORD: Final = select(audit_records).where(*equal(_r.tenant_id, _r.render_id))
_PIECES: Final = select(audit_pieces).where(
    *equal(audit_pieces.c.tenant_id), among(audit_pieces.c.definition_hash, "definition_hashes")
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A record as a list shows it: without its texts, but saying which of them are kept."""

    record: AuditRecord
    payload_kept: bool
    prompt_kept: bool


@dataclass(frozen=True, slots=True)
class Extent:
    """How many records there are, and the place of the last; None when there are none."""

    total: int
    last: Place | None


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many records and inline pieces were deleted."""

    records: int
    pieces: int


class AuditStore:
    """Keeps the audit of all tenants; every method raises UnavailableError while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert_records = RowsInsert(audit_records)

    async def insert_many(self, records: Sequence[AuditRecord]) -> None:
        """Keep all of the records or none; one that is there already is left alone.

        A schema or a right that is missing counts as a database that is away.
        """
        pieces = {
            (record.tenant_id, piece.definition_hash): piece_to_row(record.tenant_id, piece)
            for record in records
            for piece in record.pieces
        }
        uses: list[Values] = [
            {
                "tenant_id": record.tenant_id,
                "render_id": record.render_id,
                "definition_hash": piece.definition_hash,
            }
            for record in records
            for piece in record.pieces
        ]
        rows = [record_to_row(record) for record in records]

        async def insert(connection: AsyncConnection) -> None:
            if pieces:
                # Pieces first: the lock on one that is there keeps it from being pruned until its new use is
                # committed. In one order, so that two writers can't wait for each other.
                await connection.execute(
                    insert_or_lock(connection, audit_pieces), [pieces[key] for key in sorted(pieces)]
                )
                await connection.execute(insert_if_absent(connection, audit_piece_uses), uses)
            await self._insert_records.run(connection, rows)

        with waiting_for_operators():
            await self._database.write(insert)

    async def get(self, tenant_id: str, render_id: str) -> AuditRecord | None:
        """Return a record with its texts."""
        rows = await self._database.fetch(_RECORD, {"tenant_id": tenant_id, "render_id": render_id})
        return RecordReader(tenant_id).read(rows[0]._mapping) if rows else None

    async def page(
        self, tenant_id: str, wanted: AuditFilter, *, limit: int, before: Place | None = None
    ) -> list[AuditEntry]:
        """Return up to `limit` records, newest first, that stand before a place."""
        query = _selected(
            select(
                *_WITHOUT_TEXTS,
                _r.payload.is_not(None).label("payload_kept"),
                _r.prompt.is_not(None).label("prompt_kept"),
            ),
            tenant_id,
            wanted,
        )
        if before is not None:
            query = query.where(_place_of_row < _place(before))
        rows = await self._database.fetch(
            query.order_by(_r.created_at.desc(), _r.render_id.desc()).limit(limit)
        )
        reader = RecordReader(tenant_id)
        return [AuditEntry(reader.read(row._mapping), row.payload_kept, row.prompt_kept) for row in rows]

    async def extent(self, tenant_id: str, wanted: AuditFilter) -> Extent:
        """Count records, and find the last."""
        last = await self._database.fetch(
            _selected(select(_r.created_at, _r.render_id), tenant_id, wanted)
            .order_by(_r.created_at.desc(), _r.render_id.desc())
            .limit(1)
        )
        total = await self.count(tenant_id, wanted)
        return Extent(total, (last[0].created_at, last[0].render_id) if last else None)

    async def count(self, tenant_id: str, wanted: AuditFilter) -> int:
        """Count records."""
        rows = await self._database.fetch(_selected(select(func.count()), tenant_id, wanted))
        total: int = rows[0][0]
        return total

    async def scan(
        self,
        tenant_id: str,
        wanted: AuditFilter,
        last: Place,
        *,
        max_records: int = SCAN_RECORDS,
        max_bytes: int = SCAN_BYTES,
    ) -> AsyncGenerator[list[AuditRecord], None]:
        """Give the records up to the place `last` with their texts, oldest first, in pages.

        A page has at most `max_records`, whose texts have at most `max_bytes` together unless it is a single
        record: sizes are asked for before texts, since 500 prompts may be 2 KB or 1.5 GB. Each page is a
        statement of its own, so that no transaction stays open while a page is worked on.
        """
        async with aclosing(self._sizes(tenant_id, wanted, last, max_records)) as pages:
            async for page in pages:
                for places in _chunks(page, max_bytes):
                    query = _selected(select(audit_records), tenant_id, wanted).where(
                        _place_of_row >= _place(places[0]), _place_of_row <= _place(places[-1])
                    )
                    rows = await self._database.fetch(query.order_by(_r.created_at, _r.render_id))
                    reader = RecordReader(tenant_id)
                    yield [reader.read(row._mapping) for row in rows]

    async def _sizes(
        self, tenant_id: str, wanted: AuditFilter, last: Place, limit: int
    ) -> AsyncGenerator[Sequence[Row[Any]], None]:
        size = byte_length(_r.payload) + byte_length(_r.prompt)
        query = _selected(select(_r.created_at, _r.render_id, size.label("size")), tenant_id, wanted)
        query = query.where(_place_of_row <= _place(last)).order_by(_r.created_at, _r.render_id).limit(limit)
        rows = await self._database.fetch(query)
        while rows:
            yield rows
            after = (rows[-1].created_at, rows[-1].render_id)
            rows = await self._database.fetch(query.where(_place_of_row > _place(after)))

    async def load_pieces(
        self, tenant_id: str, definition_hashes: Collection[str]
    ) -> Mapping[str, StoredPiece]:
        """Return the inline pieces that are kept, by definition hash; a damaged one as its error."""
        rows = await self._database.fetch(
            _PIECES, {"tenant_id": tenant_id, "definition_hashes": sorted(definition_hashes)}
        )
        return {row.definition_hash: row_to_piece(row._mapping) for row in rows}

    async def redact(self, tenant_id: str, render_id: str, at: int) -> AuditRecord | None:
        """Erase prompt and payload of a record and return it; one that is redacted already stays as it is."""
        erase = (
            update(audit_records)
            .where(_r.tenant_id == tenant_id, _r.render_id == render_id, _r.redacted_at.is_(None))
            .values(payload=None, prompt=None, redacted_at=at)
        )

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(erase)

        await self._database.write(work)
        return await self.get(tenant_id, render_id)

    async def prune_batch(self, tenant_id: str, before: int, *, limit: int = PRUNE_RECORDS) -> Pruned:
        """Delete up to `limit` of the records made before a time, oldest first, and pieces without a use."""
        oldest = (
            select(_r.render_id)
            .where(_r.tenant_id == tenant_id, _r.created_at < before)
            .order_by(_r.created_at, _r.render_id)
            .limit(limit)
        )

        async def work(connection: AsyncConnection) -> Pruned:
            render_ids = (await connection.execute(oldest)).scalars().all()
            if not render_ids:
                return Pruned(0, 0)
            uses = audit_piece_uses.c
            used = await connection.execute(
                delete(audit_piece_uses)
                .where(uses.tenant_id == tenant_id, uses.render_id.in_(render_ids))
                .returning(uses.definition_hash)
            )
            candidates = sorted(set(used.scalars()))
            records = await connection.execute(
                delete(audit_records).where(_r.tenant_id == tenant_id, _r.render_id.in_(render_ids))
            )
            pieces = await _delete_unused(connection, tenant_id, candidates) if candidates else 0
            return Pruned(records.rowcount, pieces)

        return await self._database.write(work)

    async def next_tenant(self, after: str) -> str | None:
        """Return the first tenant with records whose id is greater than `after`."""
        rows = await self._database.fetch(select(func.min(_r.tenant_id)).where(_r.tenant_id > after))
        tenant_id: str | None = rows[0][0]
        return tenant_id


async def _delete_unused(connection: AsyncConnection, tenant_id: str, candidates: Sequence[str]) -> int:
    pieces, uses = audit_pieces.c, audit_piece_uses.c
    chosen = (pieces.tenant_id == tenant_id, pieces.definition_hash.in_(candidates))
    # Waits for writers that hold a piece (see insert_many), and makes later ones wait. Only a statement that
    # begins after that is sure to see every use.
    await connection.execute(
        select(pieces.definition_hash).where(*chosen).order_by(pieces.definition_hash).with_for_update()
    )
    unused = ~exists(literal(1)).where(
        uses.tenant_id == pieces.tenant_id, uses.definition_hash == pieces.definition_hash
    )
    return (await connection.execute(delete(audit_pieces).where(*chosen, unused))).rowcount


def _selected(query: Select[Any], tenant_id: str, wanted: AuditFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [_r.tenant_id == tenant_id]
    if wanted.start is not None:
        conditions.append(_r.created_at >= wanted.start)
    if wanted.end is not None:
        conditions.append(_r.created_at < wanted.end)
    if wanted.bundle_id:
        conditions.append(_r.bundle_id == wanted.bundle_id)
    if wanted.semver:
        conditions.append(_r.semver == wanted.semver)
    if wanted.prompt_hash:
        conditions.append(_r.prompt_hash == wanted.prompt_hash)
    return query.where(*conditions)


def _place(place: Place) -> ColumnElement[Any]:
    created_at, render_id = place
    return tuple_(literal(created_at, _r.created_at.type), literal(render_id, _r.render_id.type))


def _chunks(rows: Iterable[Row[Any]], max_bytes: int) -> Iterable[list[Place]]:
    """Cut a page where the texts would become too large together; a single record may be larger."""
    chunk: list[Place] = []
    weight = 0
    for row in rows:
        if chunk and weight + row.size > max_bytes:
            yield chunk
            chunk, weight = [], 0
        chunk.append((row.created_at, row.render_id))
        weight += row.size
    yield chunk
