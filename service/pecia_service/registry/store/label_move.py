"""One move of a label, with its event and the memory of its request, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.errors import AlreadyExistsError, DataLossError, ErrorReason
from pecia_service.registry.identifiers import is_semver
from pecia_service.registry.model import Label, LabelAction, bundle_not_found, label_not_found
from pecia_service.registry.model.label import (
    LabelEntry,
    LabelMove,
    damaged_label,
    history_exhausted,
    label_etag,
)
from pecia_service.storage.column_values import stored_number, stored_text
from pecia_service.storage.failures import ConflictError
from pecia_service.storage.tables import bundles, label_events, label_requests, labels
from pecia_service.storage.upsert import insert_if_absent

REQUEST_MEMORY_MICROSECONDS: Final = 7 * 24 * 3600 * 1_000_000
"""How long a request id is remembered: a week."""

MAX_REVISION: Final = 10**15
"""More moves than a label can have had; a stored revision beyond it was not left by a move."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a label stands: the event that put it there, and the entry of its history that it points to."""

    semver: str
    revision: int
    entry_revision: int


class Move:
    """One try of one move of a label, within a transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: str, move: LabelMove) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._move = move

    async def run(self) -> Label | None:
        """Move the label and remember the request; see `LabelStore.move`."""
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
        entry = LabelEntry((0 if last is None else self._revision(last)) + 1, self._move.semver, None)
        if not await self._insert(
            labels,
            bundle_id=self._move.bundle_id,
            label=self._move.label,
            **self._label_columns(entry.revision, entry),
        ):
            raise ConflictError
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
        inserted = await self._insert(
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
        if not inserted:
            # A label that was there is locked, so that no other move appends; one that is created was not.
            raise self._damaged() if from_semver else ConflictError
        return revision

    async def _lock(self) -> _Standing | None:
        rows = await self._connection.execute(
            select(labels.c.semver, labels.c.revision, labels.c.entry_revision)
            .where(self._is_label(labels))
            .with_for_update()
        )
        row = rows.one_or_none()
        if row is None:
            return None
        return _Standing(
            self._semver(row.semver), self._revision(row.revision), self._revision(row.entry_revision)
        )

    async def _entry(self, revision: int) -> LabelEntry:
        row = await self._event(revision)
        previous = None if row.previous_entry is None else self._revision(row.previous_entry)
        return LabelEntry(revision, self._semver(row.to_semver), previous)

    async def _outcome(self, revision: int) -> Label | None:
        """Return the label as the event of a revision left it."""
        move, row = self._move, await self._event(revision)
        if row.entry_revision is None:
            return None
        etag = label_etag(move.bundle_id, move.label, revision)
        return Label(
            move.bundle_id,
            move.label,
            self._semver(row.to_semver),
            etag,
            stored_number(row.occurred_at),
            stored_text(row.actor),
        )

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
        row = rows.one_or_none()
        if row is None:
            raise self._damaged()
        return row

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
        return self._revision(row.revision)

    async def _remember(self, revision: int) -> None:
        move = self._move
        await self._connection.execute(
            delete(label_requests).where(
                label_requests.c.tenant_id == self._tenant_id,
                label_requests.c.occurred_at < move.occurred_at - REQUEST_MEMORY_MICROSECONDS,
            )
        )
        if not await self._insert(
            label_requests,
            request_id=move.request_id,
            request_hash=move.request_hash,
            bundle_id=move.bundle_id,
            label=move.label,
            revision=revision,
            occurred_at=move.occurred_at,
        ):
            raise ConflictError

    async def _insert(self, table: Table, **values: object) -> bool:
        """Insert a row; tell whether there was none."""
        statement = insert_if_absent(self._connection, table).values(tenant_id=self._tenant_id, **values)
        return bool((await self._connection.execute(statement)).rowcount)

    def _revision(self, stored: object) -> int:
        """Return a stored revision; raises DataLossError (PIECE_DAMAGED) for what can't be one."""
        if isinstance(stored, int) and 0 < stored <= MAX_REVISION:
            return stored
        raise self._damaged()

    def _semver(self, stored: object) -> str:
        """Return a stored version; raises DataLossError (PIECE_DAMAGED) for what can't be one."""
        if isinstance(stored, str) and is_semver(stored):
            return stored
        raise self._damaged()

    def _damaged(self) -> DataLossError:
        return damaged_label(self._move.bundle_id, self._move.label)

    def _is_label(self, table: Table) -> ColumnElement[bool]:
        return and_(
            table.c.tenant_id == self._tenant_id,
            table.c.bundle_id == self._move.bundle_id,
            table.c.label == self._move.label,
        )
