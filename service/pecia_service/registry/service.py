"""The registry's use cases: publish pieces, read and list them, and move labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from pecia_service.errors import ErrorReason, Findings, invalid_field
from pecia_service.ids import require_uuid
from pecia_service.paging import Page, Pager, PageRequest, page_size
from pecia_service.registry.identifiers import require_identifier, require_label, require_semver
from pecia_service.registry.model import (
    Bundle,
    BundleSummary,
    Label,
    LabelAction,
    LabelEvent,
    Published,
    Slot,
    StoredBundle,
    StoredTemplate,
    Template,
    TemplateRef,
    TemplateSummary,
    compute_bundle_hash,
    missing_reference,
)
from pecia_service.registry.model.label import LabelMove
from pecia_service.registry.store import Listed, RegistryStore

T = TypeVar("T")


class Registry:
    """The registry of all tenants; each method takes the tenant first.

    `clock` gives microseconds since the epoch. Besides what it says, every method raises InvalidInputError
    for malformed arguments, DataLossError (PIECE_DAMAGED) where it reads pieces or moves labels, and
    UnavailableError (STORAGE_UNAVAILABLE). Lists answer what is stored, unproved.
    """

    def __init__(self, store: RegistryStore, clock: Callable[[], int]) -> None:
        self._pieces = store.pieces
        self._labels = store.labels
        self._clock = clock

    async def publish_template(self, tenant_id: str, template: Template) -> Published[Template]:
        """Store a template version for good; the same definition again changes nothing.

        Raises AlreadyExistsError (TEMPLATE_ALREADY_EXISTS), and TemplateErasedError (TEMPLATE_ERASED) for a
        version whose text was erased.
        """
        return await self._pieces.add_template(tenant_id, template, self._clock())

    async def publish_bundle(self, tenant_id: str, bundle: Bundle) -> Published[Bundle]:
        """Store a bundle version for good; the same definition again changes nothing.

        The answer has its `stored_bundle_hash`. Raises AlreadyExistsError (BUNDLE_ALREADY_EXISTS) and
        PreconditionError (TEMPLATE_REFERENCE_MISSING, TEMPLATE_ERASED).
        """
        found = await self._pieces.get_templates(tenant_id, bundle.slots.values())
        templates: dict[Slot, Template] = {}
        for slot, ref in bundle.slots.items():
            if ref not in found:
                raise missing_reference(slot, ref)
            templates[slot] = found[ref]
        bundle_hash = compute_bundle_hash(bundle, templates)
        return await self._pieces.add_bundle(tenant_id, bundle, bundle_hash, self._clock())

    async def get_template(self, tenant_id: str, ref: TemplateRef) -> StoredTemplate | TemplateSummary:
        """Return a template version, or what is left of an erased one.

        Raises NotFoundError (TEMPLATE_NOT_FOUND).
        """
        checked = TemplateRef.checked(ref.template_id, ref.semver, "template")
        return await self._pieces.find_template(tenant_id, checked)

    async def get_bundle(self, tenant_id: str, bundle_id: str, semver: str) -> StoredBundle:
        """Return a bundle version; raises NotFoundError (BUNDLE_NOT_FOUND)."""
        findings = Findings()
        with findings.gather():
            require_identifier(bundle_id, "bundle.bundle_id")
        with findings.gather():
            require_semver(semver, "bundle.semver")
        findings.raise_if_any()
        return await self._pieces.get_bundle(tenant_id, bundle_id, semver)

    async def list_templates(
        self, tenant_id: str, template_id: str, page: PageRequest
    ) -> Page[TemplateSummary]:
        """List versions of one template, or of all if empty: by id, newest first."""
        _check_filter(template_id, "template_id")
        limit = page_size(page.size)
        pager = Pager("ListTemplates", tenant_id=tenant_id, template_id=template_id)
        after = pager.read(page.token, 4)
        return _page(
            pager, await self._pieces.list_templates(tenant_id, template_id, after, limit + 1), limit
        )

    async def list_bundles(self, tenant_id: str, bundle_id: str, page: PageRequest) -> Page[BundleSummary]:
        """List versions of one bundle, or of all if empty: by id, newest first."""
        _check_filter(bundle_id, "bundle_id")
        limit = page_size(page.size)
        pager = Pager("ListBundles", tenant_id=tenant_id, bundle_id=bundle_id)
        after = pager.read(page.token, 4)
        return _page(pager, await self._pieces.list_bundles(tenant_id, bundle_id, after, limit + 1), limit)

    async def set_label(
        self,
        tenant_id: str,
        *,
        bundle_id: str,
        label: str,
        semver: str,
        etag: str | None,
        actor: str,
        request_id: str = "",
    ) -> Label:
        """Create a label or move it; setting it to where it points changes nothing.

        `etag`: None moves whatever is there, empty wants that there is no such label. A UUID as `request_id`
        makes a retry answer the first outcome. Raises NotFoundError (BUNDLE_NOT_FOUND), AbortedError
        (ETAG_MISMATCH), AlreadyExistsError (REQUEST_ID_REUSED).
        """
        move = partial(self._move, LabelAction.SET, semver=semver, etag=etag)
        moved = await move(tenant_id, bundle_id, label, actor=actor, request_id=request_id)
        assert moved is not None
        return moved

    async def roll_back_label(
        self, tenant_id: str, *, bundle_id: str, label: str, etag: str, actor: str, request_id: str = ""
    ) -> Label:
        """Move a label to the version before its current entry; repeated, it walks further back.

        `etag` is required. Raises NotFoundError (LABEL_NOT_FOUND), AbortedError (ETAG_MISMATCH),
        PreconditionError (LABEL_HISTORY_EXHAUSTED), AlreadyExistsError (REQUEST_ID_REUSED).
        """
        move = partial(self._move, LabelAction.ROLL_BACK, etag=etag)
        moved = await move(tenant_id, bundle_id, label, actor=actor, request_id=request_id)
        assert moved is not None
        return moved

    async def delete_label(
        self, tenant_id: str, *, bundle_id: str, label: str, etag: str, actor: str, request_id: str = ""
    ) -> None:
        """Remove a label; its history stays. An empty `etag` removes whatever is there.

        Raises NotFoundError (LABEL_NOT_FOUND), AbortedError (ETAG_MISMATCH), AlreadyExistsError
        (REQUEST_ID_REUSED).
        """
        move = partial(self._move, LabelAction.DELETE, etag=etag or None)
        await move(tenant_id, bundle_id, label, actor=actor, request_id=request_id)

    async def list_labels(self, tenant_id: str, bundle_id: str, page: PageRequest) -> Page[Label]:
        """List labels of one bundle, or of all if empty: by bundle, then by label."""
        _check_filter(bundle_id, "bundle_id")
        limit = page_size(page.size)
        pager = Pager("ListLabels", tenant_id=tenant_id, bundle_id=bundle_id)
        after = pager.read(page.token, 3)
        return _page(pager, await self._labels.list_labels(tenant_id, bundle_id, after, limit + 1), limit)

    async def list_label_events(
        self, tenant_id: str, bundle_id: str, label: str, page: PageRequest
    ) -> Page[LabelEvent]:
        """List the history of one label of a bundle, or of all if empty: by label, newest first."""
        require_identifier(bundle_id, "bundle_id")
        if label:
            require_label(label, "label")
        limit = page_size(page.size)
        pager = Pager("ListLabelEvents", tenant_id=tenant_id, bundle_id=bundle_id, label=label)
        after = pager.read(page.token, 3)
        return _page(
            pager, await self._labels.list_events(tenant_id, bundle_id, label, after, limit + 1), limit
        )

    async def _move(
        self,
        action: LabelAction,
        tenant_id: str,
        bundle_id: str,
        label: str,
        *,
        etag: str | None,
        actor: str,
        request_id: str,
        semver: str = "",
    ) -> Label | None:
        findings = Findings()
        with findings.gather():
            require_identifier(bundle_id, "bundle_id")
        with findings.gather():
            require_label(label, "label")
        if action is LabelAction.SET:
            with findings.gather():
                require_semver(semver, "semver")
        if action is LabelAction.ROLL_BACK and not etag:
            findings.add(
                invalid_field(
                    ErrorReason.FIELD_INVALID, "etag", "is missing; read the label and give its etag"
                )
            )
        with findings.gather():
            request_id = require_uuid(request_id, "request_id") if request_id else ""
        findings.raise_if_any()
        return await self._labels.move(
            tenant_id,
            LabelMove(action, bundle_id, label, semver, etag, actor, request_id, occurred_at=self._clock()),
        )


def _check_filter(identifier: str, field: str) -> None:
    if identifier:
        require_identifier(identifier, field)


def _page(pager: Pager, listed: Sequence[Listed[T]], limit: int) -> Page[T]:
    page = pager.page(listed, limit, lambda entry: entry.cursor)
    return Page(tuple(entry.item for entry in page.items), page.next_token)
