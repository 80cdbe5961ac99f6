"""Templates and bundles: stored once, read by exact version, listed newest first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.errors import AlreadyExistsError, ErrorReason
from pecia_service.paging import Cursor
from pecia_service.registry.model import (
    Bundle,
    BundleSummary,
    Published,
    StoredBundle,
    StoredTemplate,
    Template,
    TemplateErasedError,
    TemplateRef,
    TemplateSummary,
    bundle_not_found,
    label_not_found,
    template_not_found,
)
from pecia_service.registry.store.places import Key, Listed, Place
from pecia_service.registry.store.rows import (
    RowValues,
    bundle_from_row,
    bundle_summary_from_row,
    bundle_to_row,
    template_from_row,
    template_summary_from_row,
    template_to_row,
)
from pecia_service.storage.bound import among, equal
from pecia_service.storage.column_values import stored_number, stored_text
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import bundles, labels, templates
from pecia_service.storage.upsert import insert_if_absent

_SUMMARY_COLUMNS = [column for column in templates.columns if column.name not in ("tenant_id", "content")]

# Lists of references are padded to a multiple of this, so that few distinct statements are prepared.
_REFERENCES_STEP = 4

# The reads of renders and replays, built once: building takes longer than finding the row.
_TEMPLATE: Final = select(templates).where(
    *equal(templates.c.tenant_id, templates.c.template_id, templates.c.semver)
)
_TEMPLATES: Final = select(templates).where(
    *equal(templates.c.tenant_id),
    among(tuple_(templates.c.template_id, templates.c.semver), "references"),
    # SQLite looks into an index for single columns only.
    among(templates.c.template_id, "template_ids"),
    among(templates.c.semver, "semvers"),
)
_BUNDLE: Final = select(bundles).where(*equal(bundles.c.tenant_id, bundles.c.bundle_id, bundles.c.semver))
_OF_LABEL: Final = and_(
    bundles.c.tenant_id == labels.c.tenant_id,
    bundles.c.bundle_id == labels.c.bundle_id,
    bundles.c.semver == labels.c.semver,
)
_LABELLED: Final = (
    select(labels.c.semver.label("labelled_semver"), bundles)
    .select_from(labels.outerjoin(bundles, _OF_LABEL))
    .where(*equal(labels.c.tenant_id, labels.c.bundle_id, labels.c.label))
)


class PieceStore:
    """Templates and bundles in the database.

    Each method raises UnavailableError (STORAGE_UNAVAILABLE), and where it reads pieces DataLossError
    (PIECE_DAMAGED); lists read no pieces but summaries, which nothing proves. Reads are one statement each.
    What needs the text of an erased template raises TemplateErasedError (TEMPLATE_ERASED).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_template(
        self, tenant_id: str, template: Template, published_at: int
    ) -> Published[Template]:
        """Store a template unless its version is there already.

        Raises AlreadyExistsError (TEMPLATE_ALREADY_EXISTS) when that has another definition, and
        TemplateErasedError when it was erased: its row stays, so that no text comes back.
        """
        values = {"tenant_id": tenant_id, **template_to_row(template, published_at)}
        key = _template_key(tenant_id, template.template_id, template.semver)

        async def work(connection: AsyncConnection) -> Published[Template]:
            if (await connection.execute(insert_if_absent(connection, templates).values(values))).rowcount:
                return Published(template, published_at, created=True)
            stored = (
                await connection.execute(
                    select(
                        templates.c.definition_hash, templates.c.published_at, templates.c.erased_at
                    ).where(key)
                )
            ).one()
            if stored.erased_at is not None:
                raise TemplateErasedError(template.ref)
            if stored.definition_hash != template.definition_hash:
                raise _already_exists(
                    "template",
                    ErrorReason.TEMPLATE_ALREADY_EXISTS,
                    {"template_id": template.template_id, "semver": template.semver},
                    stored_text(stored.definition_hash),
                    template.definition_hash,
                )
            return Published(template, stored_number(stored.published_at), created=False)

        return await self._database.write(work)

    async def add_bundle(
        self, tenant_id: str, bundle: Bundle, bundle_hash: str, published_at: int
    ) -> Published[Bundle]:
        """Store a bundle unless its version is there already.

        Raises AlreadyExistsError (BUNDLE_ALREADY_EXISTS) when that has another definition.
        """
        bundle = replace(bundle, stored_bundle_hash=bundle_hash)
        values = {"tenant_id": tenant_id, **bundle_to_row(bundle, published_at)}
        key = _bundle_key(tenant_id, bundle.bundle_id, bundle.semver)

        async def work(connection: AsyncConnection) -> Published[Bundle]:
            if (await connection.execute(insert_if_absent(connection, bundles).values(values))).rowcount:
                return Published(bundle, published_at, created=True)
            stored = (
                await connection.execute(
                    select(bundles.c.definition_hash, bundles.c.bundle_hash, bundles.c.published_at).where(
                        key
                    )
                )
            ).one()
            if stored.definition_hash != bundle.definition_hash:
                raise _already_exists(
                    "bundle",
                    ErrorReason.BUNDLE_ALREADY_EXISTS,
                    {"bundle_id": bundle.bundle_id, "semver": bundle.semver},
                    stored_text(stored.definition_hash),
                    bundle.definition_hash,
                )
            piece = replace(bundle, stored_bundle_hash=stored_text(stored.bundle_hash))
            return Published(piece, stored_number(stored.published_at), created=False)

        return await self._database.write(work)

    async def get_template(self, tenant_id: str, ref: TemplateRef) -> StoredTemplate:
        """Return a template; raises NotFoundError (TEMPLATE_NOT_FOUND)."""
        return _template(await self._template_row(tenant_id, ref))

    async def find_template(self, tenant_id: str, ref: TemplateRef) -> StoredTemplate | TemplateSummary:
        """Return a template, or what is left of an erased one; raises NotFoundError (TEMPLATE_NOT_FOUND)."""
        row = await self._template_row(tenant_id, ref)
        return _template(row) if row["erased_at"] is None else template_summary_from_row(row)

    async def _template_row(self, tenant_id: str, ref: TemplateRef) -> RowValues:
        rows = await self._database.fetch(
            _TEMPLATE, {"tenant_id": tenant_id, "template_id": ref.template_id, "semver": ref.semver}
        )
        if not rows:
            raise template_not_found(ref.template_id, ref.semver)
        return rows[0]._mapping

    async def get_templates(
        self, tenant_id: str, refs: Collection[TemplateRef]
    ) -> dict[TemplateRef, Template]:
        """Return those of the templates that exist."""
        wanted = [(ref.template_id, ref.semver) for ref in dict.fromkeys(refs)]
        if not wanted:
            return {}
        wanted += wanted[-1:] * (-len(wanted) % _REFERENCES_STEP)
        rows = await self._database.fetch(
            _TEMPLATES,
            {
                "tenant_id": tenant_id,
                "references": wanted,
                "template_ids": [template_id for template_id, _ in wanted],
                "semvers": [semver for _, semver in wanted],
            },
        )
        found = (_template(row._mapping).template for row in rows)
        return {template.ref: template for template in found}

    async def get_bundle(self, tenant_id: str, bundle_id: str, semver: str) -> StoredBundle:
        """Return a bundle; raises NotFoundError (BUNDLE_NOT_FOUND)."""
        rows = await self._database.fetch(
            _BUNDLE, {"tenant_id": tenant_id, "bundle_id": bundle_id, "semver": semver}
        )
        if not rows:
            raise bundle_not_found(bundle_id, semver)
        return bundle_from_row(rows[0]._mapping)

    async def get_labelled(self, tenant_id: str, bundle_id: str, label: str) -> StoredBundle:
        """Return the bundle that a label points to now.

        Raises NotFoundError: LABEL_NOT_FOUND, or BUNDLE_NOT_FOUND when the label outlived its bundle.
        """
        rows = await self._database.fetch(
            _LABELLED, {"tenant_id": tenant_id, "bundle_id": bundle_id, "label": label}
        )
        if not rows:
            raise label_not_found(bundle_id, label)
        row = rows[0]._mapping
        if row["semver"] is None:
            raise bundle_not_found(bundle_id, stored_text(row["labelled_semver"]))
        return bundle_from_row(row)

    async def list_templates(
        self, tenant_id: str, template_id: str, after: Cursor | None, limit: int
    ) -> list[Listed[TemplateSummary]]:
        """Return up to `limit` templates that follow `after`; all ids if `template_id` is empty.

        Raises InvalidInputError (PAGE_TOKEN_INVALID) for an `after` that is not one.
        """
        place = Place.read(after)
        statement = _listed(
            select(*_SUMMARY_COLUMNS), templates.c.template_id, tenant_id, template_id, place.key
        )
        rows = await self._database.fetch(place.page(statement, limit))
        return place.listed(
            rows, {"template_id": str, "precedence": str, "semver": str}, template_summary_from_row
        )

    async def list_bundles(
        self, tenant_id: str, bundle_id: str, after: Cursor | None, limit: int
    ) -> list[Listed[BundleSummary]]:
        """Return up to `limit` bundles that follow `after`; all ids if `bundle_id` is empty.

        Raises InvalidInputError (PAGE_TOKEN_INVALID) for an `after` that is not one.
        """
        place = Place.read(after)
        statement = _listed(select(bundles), bundles.c.bundle_id, tenant_id, bundle_id, place.key)
        rows = await self._database.fetch(place.page(statement, limit))
        return place.listed(
            rows, {"bundle_id": str, "precedence": str, "semver": str}, bundle_summary_from_row
        )


def _template(row: RowValues) -> StoredTemplate:
    if row["erased_at"] is not None:
        raise TemplateErasedError(TemplateRef(row["template_id"], row["semver"]))
    return template_from_row(row)


def _template_key(tenant_id: str, template_id: str, semver: str) -> ColumnElement[bool]:
    return and_(
        templates.c.tenant_id == tenant_id,
        templates.c.template_id == template_id,
        templates.c.semver == semver,
    )


def _bundle_key(tenant_id: str, bundle_id: str, semver: str) -> ColumnElement[bool]:
    return and_(
        bundles.c.tenant_id == tenant_id, bundles.c.bundle_id == bundle_id, bundles.c.semver == semver
    )


def _listed(
    statement: Select[Any], id_column: Column[Any], tenant_id: str, identifier: str, after: Key | None
) -> Select[Any]:
    """Order a tenant's versions by id, newest first, then by version where only build metadata differs.

    Leave out what comes up to a key (id, precedence, version).
    """
    table = id_column.table
    statement = statement.where(table.c.tenant_id == tenant_id)
    if identifier:
        statement = statement.where(id_column == identifier)
    if after is not None:
        last_id, last_precedence, last_semver = after
        statement = statement.where(
            # Implied by the rest, but this is what an index can begin from.
            id_column >= last_id,
            or_(
                id_column > last_id,
                table.c.precedence < last_precedence,
                and_(table.c.precedence == last_precedence, table.c.semver > last_semver),
            ),
        )
    return statement.order_by(id_column, table.c.precedence.desc(), table.c.semver)


def _already_exists(
    piece: str, reason: ErrorReason, metadata: dict[str, str], stored_hash: str, given_hash: str
) -> AlreadyExistsError:
    return AlreadyExistsError(
        reason,
        f"the {piece} version was published with another definition; publish yours under another version",
        metadata={**metadata, "stored_hash": stored_hash, "given_hash": given_hash},
    )
