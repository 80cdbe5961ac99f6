"""Labels and their history: lists of them, and moves, each of which is one transaction."""

from __future__ import annotations

from sqlalchemy import or_, select

from pecia_service.paging import Cursor, number_part
from pecia_service.registry.model import Label, LabelAction, LabelEvent
from pecia_service.registry.model.label import LabelMove, label_etag
from pecia_service.registry.store.label_move import MAX_REVISION, Move
from pecia_service.registry.store.places import Listed, Place
from pecia_service.registry.store.rows import RowValues
from pecia_service.storage.column_values import stored_number, stored_text
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import label_events, labels


class LabelStore:
    """Labels in the database. Each method raises UnavailableError (STORAGE_UNAVAILABLE)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def move(self, tenant_id: str, move: LabelMove) -> Label | None:
        """Do what is asked of a label, or answer what the first request with this id did.

        Returns the label as it then is, None once it is deleted. Raises NotFoundError (LABEL_NOT_FOUND,
        BUNDLE_NOT_FOUND), AbortedError (ETAG_MISMATCH), PreconditionError (LABEL_HISTORY_EXHAUSTED),
        AlreadyExistsError (REQUEST_ID_REUSED), DataLossError (PIECE_DAMAGED).
        """
        return await self._database.write(lambda connection: Move(connection, tenant_id, move).run())

    async def list_labels(
        self, tenant_id: str, bundle_id: str, after: Cursor | None, limit: int
    ) -> list[Listed[Label]]:
        """Return up to `limit` labels that follow `after`, by bundle and label; of all bundles if empty.

        Raises InvalidInputError (PAGE_TOKEN_INVALID) for an `after` that is not one.
        """
        place, table = Place.read(after), labels
        statement = select(table).where(table.c.tenant_id == tenant_id)
        if bundle_id:
            statement = statement.where(table.c.bundle_id == bundle_id)
        page = place.page_by(statement, table.c.bundle_id, table.c.label, limit)
        rows = await self._database.fetch(page)
        return place.listed(rows, {"bundle_id": str, "label": str}, _label_from_row)

    async def list_events(
        self, tenant_id: str, bundle_id: str, label: str, after: Cursor | None, limit: int
    ) -> list[Listed[LabelEvent]]:
        """Return up to `limit` events that follow `after`, by label, and the newest of a label first.

        They are those of all labels of the bundle if `label` is empty. Raises InvalidInputError
        (PAGE_TOKEN_INVALID) for an `after` that is not one.
        """
        place, table = Place.read(after), label_events
        statement = select(table).where(table.c.tenant_id == tenant_id, table.c.bundle_id == bundle_id)
        if label:
            statement = statement.where(table.c.label == label)
        if place.key is not None:
            last_label, last_revision = place.key
            statement = statement.where(
                table.c.label >= last_label,
                or_(table.c.label > last_label, table.c.revision < number_part(last_revision)),
            )
        statement = statement.order_by(table.c.label, table.c.revision.desc())
        rows = await self._database.fetch(place.page(statement, limit))
        return place.listed(rows, {"label": str, "revision": int}, _event_from_row)


def _label_from_row(row: RowValues) -> Label:
    """Make a label of its columns, whatever they hold."""
    return Label(
        stored_text(row["bundle_id"]),
        stored_text(row["label"]),
        stored_text(row["semver"]),
        _etag(row),
        stored_number(row["updated_at"]),
        stored_text(row["updated_by"]),
    )


def _etag(row: RowValues) -> str:
    revision = stored_number(row["revision"])
    try:
        return label_etag(row["bundle_id"], row["label"], revision) if 0 < revision <= MAX_REVISION else ""
    except ValueError:
        return ""


def _event_from_row(row: RowValues) -> LabelEvent:
    """Make an event of its columns, whatever they hold."""
    return LabelEvent(
        stored_text(row["bundle_id"]),
        stored_text(row["label"]),
        stored_number(row["revision"]),
        next((action for action in LabelAction if action.value == row["action"]), None),
        stored_text(row["from_semver"]),
        stored_text(row["to_semver"]),
        stored_text(row["actor"]),
        stored_number(row["occurred_at"]),
    )
