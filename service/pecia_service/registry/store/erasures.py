"""Erasures: the row of a template is emptied and the act noted down, in one transaction."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    Text,
    and_,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.paging import Cursor
from pecia_service.registry.model import TemplateRef, template_not_found
from pecia_service.registry.model.erasure import Erased, ErasureNotice, TemplateErasure
from pecia_service.registry.store.places import Listed, Place
from pecia_service.registry.store.rows import RowValues
from pecia_service.storage.column_values import stored_number, stored_text
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import template_erasures, templates

_EMPTY = {"content": "", "constraints_json": "{}", "description": ""}


class ErasureStore:
    """Erased templates in the database. Each method raises UnavailableError (STORAGE_UNAVAILABLE)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(
        self, tenant_id: str, ref: TemplateRef, *, actor: str, reason: str, occurred_at: int
    ) -> Erased:
        """Empty a template's row, whatever it holds; one that is empty already answers its erasure.

        Raises NotFoundError (TEMPLATE_NOT_FOUND).
        """
        is_template = _is(templates, tenant_id, ref)
        is_erasure = _is(template_erasures, tenant_id, ref)

        async def work(connection: AsyncConnection) -> Erased:
            # The lock comes first: who waited for it must see what the one before did.
            row = (
                await connection.execute(select(templates.c.erased_at).where(is_template).with_for_update())
            ).one_or_none()
            if row is None:
                raise template_not_found(ref.template_id, ref.semver)
            noted = select(template_erasures).where(is_erasure)
            first = (await connection.execute(noted)).one_or_none()
            if row.erased_at is not None and first is not None:
                return Erased(_erasure_from_row(first._mapping), erased=False)
            await connection.execute(
                update(templates).where(is_template).values(**_EMPTY, erased_at=occurred_at)
            )
            # One is there only if the text was put back behind the service's back.
            await connection.execute(delete(template_erasures).where(is_erasure))
            # The hash is copied within the database: in a damaged row it may be anything.
            await connection.execute(
                insert(template_erasures).from_select(
                    [column.name for column in template_erasures.columns],
                    select(
                        templates.c.tenant_id,
                        templates.c.template_id,
                        templates.c.semver,
                        templates.c.definition_hash,
                        literal(actor, Text),
                        literal(reason, Text),
                        literal(occurred_at, BigInteger),
                    ).where(is_template),
                )
            )
            return Erased(_erasure_from_row((await connection.execute(noted)).one()._mapping), erased=True)

        return await self._database.write(work)

    async def list_erasures(
        self, tenant_id: str, template_id: str, after: Cursor | None, limit: int
    ) -> list[Listed[TemplateErasure]]:
        """Return up to `limit` erasures that follow `after`, by template and version; of all if empty.

        Raises InvalidInputError (PAGE_TOKEN_INVALID) for an `after` that is not one.
        """
        place, table = Place.read(after), template_erasures
        statement = select(table).where(table.c.tenant_id == tenant_id)
        if template_id:
            statement = statement.where(table.c.template_id == template_id)
        page = place.page_by(statement, table.c.template_id, table.c.semver, limit)
        rows = await self._database.fetch(page)
        return place.listed(rows, {"template_id": str, "semver": str}, _erasure_from_row)

    async def erased_since(self, erased_at: int) -> list[ErasureNotice]:
        """Return what was erased at a time or later, of all tenants."""
        table = template_erasures
        rows = await self._database.fetch(
            select(table.c.tenant_id, table.c.template_id, table.c.semver, table.c.occurred_at).where(
                table.c.occurred_at >= erased_at
            )
        )
        return [
            ErasureNotice(
                stored_text(row.tenant_id),
                TemplateRef(stored_text(row.template_id), stored_text(row.semver)),
                stored_number(row.occurred_at),
            )
            for row in rows
        ]


def _is(table: Table, tenant_id: str, ref: TemplateRef) -> ColumnElement[bool]:
    return and_(
        table.c.tenant_id == tenant_id,
        table.c.template_id == ref.template_id,
        table.c.semver == ref.semver,
    )


def _erasure_from_row(row: RowValues) -> TemplateErasure:
    """Make an erasure of its columns, whatever they hold."""
    return TemplateErasure(
        TemplateRef(stored_text(row["template_id"]), stored_text(row["semver"])),
        stored_text(row["definition_hash"]),
        stored_number(row["occurred_at"]),
        stored_text(row["actor"]),
        stored_text(row["reason"]),
    )
