"""The use case of rendering: resolve the pieces, render, and hand the result to the audit sink."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pecia_service.canonical import normalise_name
from pecia_service.errors import ErrorReason, PreconditionError, invalid_field, size_exceeded
from pecia_service.registry.identifiers import require_identifier, require_label, require_semver
from pecia_service.registry.model import (
    Bundle,
    Template,
    TemplateRef,
    check_adapter_version,
    label_not_found,
)
from pecia_service.registry.model.bundle import MAX_TAG_LENGTH
from pecia_service.rendering.model import PromptPart, Receipt, RenderResult, ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.ports import (
    BundleSource,
    LabelSource,
    Recording,
    RenderSink,
    ResolvedCache,
    TemplateSource,
)
from pecia_service.rendering.renderer import Renderer


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What a render is asked beside bundle and payload; make it with `checked`."""

    model_type: str = ""
    adapter_version: str = ""
    validate_only: bool = False

    @classmethod
    def checked(cls, model_type: str, adapter_version: str, *, validate_only: bool) -> RenderOptions:
        """Make options from input; raises InvalidInputError."""
        if not (model_type or adapter_version):
            return _VALIDATE_ONLY if validate_only else _DEFAULT
        model = normalise_name(model_type, "model_type")
        if len(model) > MAX_TAG_LENGTH:
            raise size_exceeded("model_type", "characters", len(model), MAX_TAG_LENGTH)
        return cls(model, check_adapter_version(adapter_version, "adapter_version"), validate_only)

    def check_model(self, bundle: Bundle) -> None:
        """Raise PreconditionError (BUNDLE_UNSUPPORTED_MODEL) for a bundle that lacks the model type."""
        if self.model_type and self.model_type not in bundle.tags:
            raise _unsupported_model(bundle, self.model_type)


_DEFAULT = RenderOptions()
_VALIDATE_ONLY = RenderOptions(validate_only=True)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A render's result and its receipt."""

    result: RenderResult
    receipt: Receipt

    @property
    def prompt(self) -> str:
        """The prompt."""
        return self.result.prompt

    @property
    def parts(self) -> tuple[PromptPart, ...]:
        """What each slot gave."""
        return self.result.parts

    @property
    def prompt_hash(self) -> str:
        """SHA-256 of the prompt's UTF-8."""
        return self.result.prompt_hash


class PromptGenerator:
    """Renders prompts for one tenant from any sources.

    `clock` gives microseconds since the epoch and `new_id` UUIDv7s. `resolved_cache` is asked before the
    sources; without `label_source` there are no labels.
    """

    def __init__(
        self,
        bundle_source: BundleSource,
        template_source: TemplateSource,
        renderer: Renderer,
        audit_sink: RenderSink,
        *,
        clock: Callable[[], int],
        new_id: Callable[[], str],
        label_source: LabelSource | None = None,
        resolved_cache: ResolvedCache | None = None,
    ) -> None:
        self._bundles = bundle_source
        self._templates = template_source
        self._renderer = renderer
        self._sink = audit_sink
        self._clock = clock
        self._new_id = new_id
        self._labels = label_source
        self._cache = resolved_cache

    async def render_from_bundle(
        self, bundle_id: str, bundle_version: str, payload: Payload, options: RenderOptions | None = None
    ) -> Rendered:
        """Render an exact version; raises what `resolve` and the renderer raise."""
        return await self.render(await self.resolve(bundle_id, bundle_version), payload, options)

    async def render_inline(
        self,
        bundle: Bundle,
        templates: Iterable[Template],
        payload: Payload,
        options: RenderOptions | None = None,
    ) -> Rendered:
        """Render pieces that are given here; raises what `resolve_inline` and the renderer raise."""
        return await self.render(resolve_inline(bundle, templates), payload, options, inline=True)

    async def render(
        self,
        resolved: ResolvedBundle,
        payload: Payload,
        options: RenderOptions | None = None,
        *,
        inline: bool = False,
    ) -> Rendered:
        """Render a resolved bundle, and record it unless only validating.

        Raises what `compute` and `record` raise.
        """
        options = options or _DEFAULT
        rendered = self.compute(resolved, payload, options)
        if not options.validate_only:
            recorded = self.record(rendered, payload, inline=inline)
            if recorded is not None:
                await recorded
        return rendered

    def compute(self, resolved: ResolvedBundle, payload: Payload, options: RenderOptions) -> Rendered:
        """Render a resolved bundle without recording it.

        Raises PreconditionError: BUNDLE_UNSUPPORTED_MODEL, PLACEHOLDER_UNRESOLVED, PROMPT_TOO_LARGE.
        """
        bundle = resolved.bundle
        options.check_model(bundle)
        result = self._renderer.render(resolved, payload)
        receipt = Receipt(
            "" if options.validate_only else self._new_id(),
            result.prompt_hash,
            result.bundle_hash,
            result.payload_hash,
            bundle.bundle_id,
            bundle.semver,
            result.renderer_version,
            options.adapter_version,
            self._clock(),
        )
        return Rendered(result, receipt)

    def record(self, rendered: Rendered, payload: Payload, *, inline: bool) -> Recording | None:
        """Hand a render to the audit sink, and return what must be awaited before it is answered.

        What is returned raises ResourceExhaustedError (AUDIT_FULL) and UnavailableError.
        """
        return self._sink.record(rendered.receipt, rendered.result, payload, inline=inline)

    def held(self, bundle_id: str, semver: str) -> ResolvedBundle | None:
        """Return an exact version if it is at hand; None says nothing of the version."""
        return None if self._cache is None else self._cache.held(bundle_id, semver)

    async def resolve(self, bundle_id: str, semver: str, field: str = "bundle") -> ResolvedBundle:
        """Return an exact version, ready to render; `field` is the reference's path that errors name.

        Raises InvalidInputError for malformed names, NotFoundError (BUNDLE_NOT_FOUND), TemplateErasedError
        (TEMPLATE_ERASED), DataLossError (PIECE_DAMAGED), UnavailableError.
        """
        if self._cache is None:
            return await self._load_version(bundle_id, semver, field)
        return await self._cache.get(bundle_id, semver, lambda: self._load_version(bundle_id, semver, field))

    async def resolve_label(self, bundle_id: str, label: str, field: str = "bundle") -> ResolvedBundle:
        """Return the version that a label points to now; raises also NotFoundError (LABEL_NOT_FOUND)."""
        require_identifier(bundle_id, f"{field}.bundle_id")
        require_label(label, f"{field}.label")
        if self._labels is None:
            raise label_not_found(bundle_id, label)
        bundle = await self._labels.get_labelled(bundle_id, label)
        if self._cache is None:
            return await self._load_templates(bundle)
        return await self._cache.get(bundle_id, bundle.semver, lambda: self._load_templates(bundle))

    async def _load_version(self, bundle_id: str, semver: str, field: str) -> ResolvedBundle:
        """Fetch a bundle and its templates: two fetches at most."""
        # Names are checked on the way to the sources only: what a cache holds was checked before.
        require_identifier(bundle_id, f"{field}.bundle_id")
        require_semver(semver, f"{field}.semver")
        return await self._load_templates(await self._bundles.get_bundle(bundle_id, semver))

    async def _load_templates(self, bundle: Bundle) -> ResolvedBundle:
        found = await self._templates.get_templates(list(dict.fromkeys(bundle.slots.values())))
        return ResolvedBundle.resolve(bundle, found)


def resolve_inline(bundle: Bundle, templates: Iterable[Template]) -> ResolvedBundle:
    """Put a bundle and the templates that came with it together.

    Raises PreconditionError (TEMPLATE_REFERENCE_MISSING) for a slot without its template, and
    InvalidInputError (FIELD_INVALID) for a template that is there twice or that no slot names.
    """
    found: dict[TemplateRef, Template] = {}
    wanted = set(bundle.slots.values())
    for index, template in enumerate(templates):
        field = f"inline_bundle.templates[{index}]"
        if template.ref in found:
            raise invalid_field(ErrorReason.FIELD_INVALID, field, f"gives {template.ref} twice; give it once")
        if template.ref not in wanted:
            raise invalid_field(
                ErrorReason.FIELD_INVALID, field, f"gives {template.ref}, which no slot names; leave it out"
            )
        found[template.ref] = template
    return ResolvedBundle.resolve(bundle, found)


def _unsupported_model(bundle: Bundle, model_type: str) -> PreconditionError:
    return PreconditionError(
        ErrorReason.BUNDLE_UNSUPPORTED_MODEL,
        f"bundle {bundle} is not tagged for model type {model_type}; "
        f"its tags are {', '.join(bundle.tags) or 'none'}",
        metadata={"bundle_id": bundle.bundle_id, "semver": bundle.semver, "model_type": model_type},
    )
