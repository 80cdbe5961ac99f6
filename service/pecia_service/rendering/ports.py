"""What the generator needs from the outside: sources of pieces, and a sink for what was rendered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol, TypeAlias

from pecia_service.registry.model import Bundle, Template, TemplateRef
from pecia_service.rendering.model import Receipt, RenderResult, ResolvedBundle
from pecia_service.rendering.payload import Payload


class BundleSource(Protocol):
    """Gives bundles by exact version. A source belongs to one tenant."""

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle; raises NotFoundError (BUNDLE_NOT_FOUND), DataLossError (PIECE_DAMAGED)."""
        ...


class TemplateSource(Protocol):
    """Gives templates by exact version. A source belongs to one tenant."""

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template.

        Raises NotFoundError (TEMPLATE_NOT_FOUND), TemplateErasedError (TEMPLATE_ERASED), DataLossError
        (PIECE_DAMAGED).
        """
        ...

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return those of the templates that exist, in one go.

        Raises TemplateErasedError (TEMPLATE_ERASED), DataLossError (PIECE_DAMAGED).
        """
        ...


class LabelSource(Protocol):
    """Tells where labels point. A source belongs to one tenant."""

    async def get_labelled(self, bundle_id: str, label: str) -> Bundle:
        """Return the bundle that a label points to; raises NotFoundError (LABEL_NOT_FOUND)."""
        ...


LoadResolved: TypeAlias = Callable[[], Awaitable[ResolvedBundle]]


class ResolvedCache(Protocol):
    """Keeps resolved bundles by exact version. A cache belongs to one tenant."""

    def held(self, bundle_id: str, semver: str) -> ResolvedBundle | None:
        """Return what is kept, if it is."""
        ...

    async def get(self, bundle_id: str, semver: str, load: LoadResolved) -> ResolvedBundle:
        """Return what is kept, or load and keep it, once for all who ask meanwhile."""
        ...


class RenderSink(Protocol):
    """Takes what was rendered. Never blocks, is no input of any hash."""

    def record(
        self, receipt: Receipt, result: RenderResult, payload: Payload, *, inline: bool
    ) -> Awaitable[None] | None:
        """Take one render; what is returned must be awaited before the render is answered.

        Both raise what a sink raises that promises to keep the render and can't.
        """
        ...
