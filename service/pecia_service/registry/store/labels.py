"""Labels, their history, and the requests that moved them: each move is one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.errors import AlreadyExistsError, ErrorReason
from pecia_service.paging import Cursor, number_part
from pecia_service.registry.model import (
    Label,
    LabelAction,
    LabelEvent,
    bundle_not_found,
    label_not_found,
)
from pecia_service.registry.model.label import LabelEntry, LabelMove, history_exhausted, label_etag
from pecia_service.storage.engine import Database
from pecia_service.storage.failures import ConflictError
from pecia_service.storage.tables import bundles, label_events, label_requests, labels
from pecia_service.storage.upsert import insert_if_absent

REQUEST_MEMORY_MICROSECONDS = 7 * 24 * 3600 * 1_000_000
"""How long a request id is remembered: a week."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a label stands: the event that put it there, and the entry of its history that it points to."""

    semver: str
    revision: int
    entry_revision: int


class LabelStore:
    """Labels in the database. Each method raises UnavailableError (STORAGE_UNAVAILABLE)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def move(self, tenant_id: str, move: LabelMove) -> Label | None:
        """Do what is asked of a label, or answer what the first request with this id did.

        Returns the label as it then is, None once it is deleted. Raises NotFoundError (LABEL_NOT_FOUND,
        BUNDLE_NOT_FOUND), AbortedError (ETAG_MISMATCH), PreconditionError (LABEL_HISTORY_EXHAUSTED),
        AlreadyExistsError (REQUEST_ID_REUSED).
        """
        return await self._database.write(lambda connection: _Move(connection, tenant_id, move).run())

    async def list_labels(
        self, tenant_id: str, bundle_id: str, after: Cursor | None, limit: int
    ) -> list[Label]:
        """Return up to `limit` labels that follow `after` (bundle id, label); of all bundles if empty."""
        table = labels
        statement = select(table).where(table.c.tenant_id == tenant_id)
        if bundle_id:
            statement = statement.where(table.c.bundle_id == bundle_id)
        if after is not None:
            last_bundle, last_label = after
            statement = statement.where(
                table.c.bundle_id >= last_bundle,
                or_(table.c.bundle_id > last_bundle, table.c.label > last_label),
            )
        rows = await self._database.fetch(statement.order_by(table.c.bundle_id, table.c.label).limit(limit))
        return [
            Label(
                row.bundle_id,
                row.label,
                row.semver,
                label_etag(row.bundle_id, row.label, row.revision),
                row.updated_at,
                row.updated_by,
            )
            for row in rows
        ]

    async def list_events(
        self, tenant_id: str, bundle_id: str, label: str, after: Cursor | None, limit: int
    ) -> list[LabelEvent]:
        """Return up to `limit` events that follow `after` (label, revision), the newest of a label first.

        They are those of all labels of the bundle if `label` is empty. Raises InvalidInputError
        (PAGE_TOKEN_INVALID) for an `after` that is not one.
        """
        table = label_events
        statement = select(table).where(table.c.tenant_id == tenant_id, table.c.bundle_id == bundle_id)
        if label:
            statement = statement.where(table.c.label == label)
        if after is not None:
            last_label, last_revision = after
            statement = statement.where(
                table.c.label >= last_label,
                or_(table.c.label > last_label, table.c.revision < number_part(last_revision)),
            )
        rows = await self._database.fetch(
            statement.order_by(table.c.label, table.c.revision.desc()).limit(limit)
        )
        return [
            LabelEvent(
                row.bundle_id,
                row.label,
                row.revision,
                LabelAction(row.action),
                row.from_semver,
                row.to_semver,
                row.actor,
                row.occurred_at,
            )
            for row in rows
        ]


class _Move:
    """One try of one move, within a transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: str, move: LabelMove) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._move = move

    async def run(self) -> Label | None:
        """Move the label and remember the request."""
        # The lock comes first: a retry that waited for it must see what the first request did.
        standing = await self._lock()
        if self._move.request_id and (earlier := await self._find_request()) is not None:
            return await self._outcome(earlier)
        revision = await self._change(standing)
        if self._move.request_id:
            await self._remember(revision)
        return await self._outcome(revision)

    async def _change(self, standing: _Standing | None) -> int:
        """Move the label; return the revision at which it stands then."""
        move = self._move
        if move.action is LabelAction.SET:
            return await self._set(standing)
        if standing is None:
            raise label_not_found(move.bundle_id, move.label)
        move.check_etag(label_etag(move.bundle_id, move.label, standing.revision))
        if move.action is LabelAction.DELETE:
            await self._connection.execute(delete(labels).where(self._is_label(labels)))
            return await self._append(standing.revision + 1, standing.semver, None)
        current = await self._entry(standing.entry_revision)
        if current.previous is None:
            raise history_exhausted(move.bundle_id, move.label)
        return await self._advance(standing, await self._entry(current.previous))

    async def _set(self, standing: _Standing | None) -> int:
        move = self._move
        await self._require_bundle()
        if standing is None:
            move.check_etag("")
            return await self._create()
        move.check_etag(label_etag(move.bundle_id, move.label, standing.revision))
        if standing.semver == move.semver:
            return standing.revision
        revision = standing.revision + 1
        return await self._advance(standing, LabelEntry(revision, move.semver, standing.entry_revision))

    async def _create(self) -> int:
        """Make a label that does not exist; its revisions go on where its history ended."""
        last = await self._connection.scalar(
            select(func.max(label_events.c.revision)).where(self._is_label(label_events))
        )
        entry = LabelEntry((last or 0) + 1, self._move.semver, None)
        await self._insert(
            labels,
            bundle_id=self._move.bundle_id,
            label=self._move.label,
            **self._label_columns(entry.revision, entry),
        )
        return await self._append(entry.revision, "", entry)

    async def _advance(self, standing: _Standing, entry: LabelEntry) -> int:
        """Put a label that exists on an entry of its history."""
        revision = standing.revision + 1
        await self._connection.execute(
            update(labels).where(self._is_label(labels)).values(self._label_columns(revision, entry))
        )
        return await self._append(revision, standing.semver, entry)

    def _label_columns(self, revision: int, entry: LabelEntry) -> dict[str, object]:
        return {
            "semver": entry.semver,
            "revision": revision,
            "entry_revision": entry.revision,
            "updated_at": self._move.occurred_at,
            "updated_by": self._move.actor,
        }

    async def _append(self, revision: int, from_semver: str, entry: LabelEntry | None) -> int:
        """Add an event to the history: the label now stands on `entry`, or is gone."""
        move = self._move
        await self._insert(
            label_events,
            bundle_id=move.bundle_id,
            label=move.label,
            revision=revision,
            action=move.action.value,
            from_semver=from_semver,
            to_semver="" if entry is None else entry.semver,
            previous_entry=None if entry is None else entry.previous,
            entry_revision=None if entry is None else entry.revision,
            actor=move.actor,
            occurred_at=move.occurred_at,
        )
        return revision

    async def _lock(self) -> _Standing | None:
        rows = await self._connection.execute(
            select(labels.c.semver, labels.c.revision, labels.c.entry_revision)
            .where(self._is_label(labels))
            .with_for_update()
        )
        row = rows.one_or_none()
        return None if row is None else _Standing(row.semver, row.revision, row.entry_revision)

    async def _entry(self, revision: int) -> LabelEntry:
        row = await self._event(revision)
        return LabelEntry(revision, row.to_semver, row.previous_entry)

    async def _outcome(self, revision: int) -> Label | None:
        """Return the label as the event of a revision left it."""
        move, row = self._move, await self._event(revision)
        if row.entry_revision is None:
            return None
        etag = label_etag(move.bundle_id, move.label, revision)
        return Label(move.bundle_id, move.label, row.to_semver, etag, row.occurred_at, row.actor)

    async def _event(self, revision: int) -> Row[*tuple[Any, ...]]:
        rows = await self._connection.execute(
            select(
                label_events.c.to_semver,
                label_events.c.previous_entry,
                label_events.c.entry_revision,
                label_events.c.actor,
                label_events.c.occurred_at,
            ).where(self._is_label(label_events), label_events.c.revision == revision)
        )
        return rows.one()

    async def _require_bundle(self) -> None:
        move = self._move
        found = await self._connection.scalar(
            select(bundles.c.semver).where(
                bundles.c.tenant_id == self._tenant_id,
                bundles.c.bundle_id == move.bundle_id,
                bundles.c.semver == move.semver,
            )
        )
        if found is None:
            raise bundle_not_found(move.bundle_id, move.semver)

    async def _find_request(self) -> int | None:
        """Return the revision that the first request with this id led to, or None if this is the first."""
        rows = await self._connection.execute(
            select(label_requests.c.request_hash, label_requests.c.revision).where(
                label_requests.c.tenant_id == self._tenant_id,
                label_requests.c.request_id == self._move.request_id,
            )
        )
        row = rows.one_or_none()
        if row is None:
            return None
        if row.request_hash != self._move.request_hash:
            raise AlreadyExistsError(
                ErrorReason.REQUEST_ID_REUSED,
                "the request_id was used by another mutation of a label; make a new one for each",
                metadata={"request_id": self._move.request_id},
            )
        revision: int = row.revision
        return revision

    async def _remember(self, revision: int) -> None:
        move = self._move
        await self._connection.execute(
            delete(label_requests).where(
                label_requests.c.tenant_id == self._tenant_id,
                label_requests.c.occurred_at < move.occurred_at - REQUEST_MEMORY_MICROSECONDS,
            )
        )
        await self._insert(
            label_requests,
            request_id=move.request_id,
            request_hash=move.request_hash,
            bundle_id=move.bundle_id,
            label=move.label,
            revision=revision,
            occurred_at=move.occurred_at,
        )

    async def _insert(self, table: Table, **values: object) -> None:
        """Insert a row; have the transaction run again when another one has just put its own there."""
        statement = insert_if_absent(self._connection, table).values(tenant_id=self._tenant_id, **values)
        if not (await self._connection.execute(statement)).rowcount:
            raise ConflictError

    def _is_label(self, table: Table) -> ColumnElement[bool]:
        return and_(
            table.c.tenant_id == self._tenant_id,
            table.c.bundle_id == self._move.bundle_id,
            table.c.label == self._move.label,
        )
