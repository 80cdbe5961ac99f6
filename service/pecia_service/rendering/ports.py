"""What the generator needs from the outside: sources of pieces, and a sink for what was rendered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from pecia_service.registry.model import Bundle, Template, TemplateRef
from pecia_service.rendering.model import Receipt, RenderResult
from pecia_service.rendering.payload import Payload


class BundleSource(Protocol):
    """Gives bundles by exact version. A source belongs to one tenant."""

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle; raises NotFoundError (BUNDLE_NOT_FOUND), DataLossError (PIECE_DAMAGED)."""
        ...


class TemplateSource(Protocol):
    """Gives templates by exact version. A source belongs to one tenant."""

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template; raises NotFoundError (TEMPLATE_NOT_FOUND), DataLossError (PIECE_DAMAGED)."""
        ...

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return those of the templates that exist, in one go; raises DataLossError (PIECE_DAMAGED)."""
        ...


class RenderSink(Protocol):
    """Takes what was rendered. Never blocks, never fails, is no input of any hash."""

    def record(self, receipt: Receipt, result: RenderResult, payload: Payload, *, inline: bool) -> None:
        """Take one render."""
        ...
