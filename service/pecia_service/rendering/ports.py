"""What the generator needs from the outside: sources of pieces, and a sink for what was rendered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from typing import Any, Protocol, TypeAlias

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


class Recording(Protocol):
    """What is to be awaited once before a render is answered; it raises where the render can't be kept."""

    @property
    def at_once(self) -> bool:
        """Whether it ends with this turn of the event loop, so that nobody is held up by who waits for it."""
        ...

    def __await__(self) -> Generator[Any, None, None]: ...


class RenderSink(Protocol):
    """Takes what was rendered. Never blocks, is no input of any hash."""

    def record(
        self, receipt: Receipt, result: RenderResult, payload: Payload, *, inline: bool
    ) -> Recording | None:
        """Take one render; what is returned, if anything, must be awaited before the render is answered."""
        ...
