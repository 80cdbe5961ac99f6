"""Pieces of one tenant from the database: one statement each call, proved when they are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pecia_service.registry.model import Bundle, Template, TemplateRef
from pecia_service.registry.store import PieceStore
from pecia_service.storage.engine import Database


class DatabaseBundleSource:
    """Gives the bundles of a tenant."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        self._pieces = PieceStore(database)
        self._tenant_id = tenant_id

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle.

        Raises NotFoundError (BUNDLE_NOT_FOUND), DataLossError (PIECE_DAMAGED), UnavailableError
        (STORAGE_UNAVAILABLE).
        """
        return (await self._pieces.get_bundle(self._tenant_id, bundle_id, semver)).bundle


class DatabaseTemplateSource:
    """Gives the templates of a tenant."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        self._pieces = PieceStore(database)
        self._tenant_id = tenant_id

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template.

        Raises NotFoundError (TEMPLATE_NOT_FOUND), TemplateErasedError (TEMPLATE_ERASED), DataLossError
        (PIECE_DAMAGED), UnavailableError (STORAGE_UNAVAILABLE).
        """
        ref = TemplateRef(template_id, semver)
        return (await self._pieces.get_template(self._tenant_id, ref)).template

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return those of the templates that exist.

        Raises TemplateErasedError (TEMPLATE_ERASED), DataLossError (PIECE_DAMAGED), UnavailableError
        (STORAGE_UNAVAILABLE).
        """
        return await self._pieces.get_templates(self._tenant_id, refs)


class DatabaseLabelSource:
    """Tells where the labels of a tenant point."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        self._pieces = PieceStore(database)
        self._tenant_id = tenant_id

    async def get_labelled(self, bundle_id: str, label: str) -> Bundle:
        """Return the bundle that a label points to now.

        Raises NotFoundError (LABEL_NOT_FOUND, BUNDLE_NOT_FOUND), DataLossError (PIECE_DAMAGED),
        UnavailableError (STORAGE_UNAVAILABLE).
        """
        return (await self._pieces.get_labelled(self._tenant_id, bundle_id, label)).bundle
