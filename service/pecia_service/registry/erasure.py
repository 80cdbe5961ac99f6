"""Erasing the text of templates that should never have been published, and noticing that others did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeAlias

import structlog

from pecia_service.errors import Findings, UnavailableError
from pecia_service.paging import Page, Pager, PageRequest, page_size
from pecia_service.registry.identifiers import require_identifier
from pecia_service.registry.model import TemplateErasure, TemplateRef
from pecia_service.registry.model.erasure import Erased, ErasureNotice, check_reason
from pecia_service.registry.store import ErasureStore

Forget: TypeAlias = Callable[[Collection[tuple[str, TemplateRef]]], None]
"""Lets go of the text of templates, each given with its tenant, in this process."""

OVERLAP_MICROSECONDS: Final = 3600 * 1_000_000
"""How far the clocks of two processes may be apart, with the time from an erasure's start to its commit."""


class Erasures:
    """Erases templates, of all tenants; each method takes the tenant first.

    `clock` gives microseconds since the epoch. Besides what it says, every method raises InvalidInputError
    for malformed arguments, and UnavailableError (STORAGE_UNAVAILABLE).
    """

    def __init__(self, store: ErasureStore, clock: Callable[[], int], forget: Forget) -> None:
        self._store = store
        self._clock = clock
        self._forget = forget
        self._log = structlog.get_logger(__name__)

    async def erase_template(self, tenant_id: str, ref: TemplateRef, *, reason: str, actor: str) -> Erased:
        """Take the text out of a template for good; again, it changes nothing and answers the first erasure.

        This process has forgotten the text when it returns. Raises NotFoundError (TEMPLATE_NOT_FOUND).
        """
        findings = Findings()
        with findings.gather():
            ref = TemplateRef.checked(ref.template_id, ref.semver, "template")
        with findings.gather():
            reason = check_reason(reason, "reason")
        findings.raise_if_any()
        try:
            erased = await self._store.erase(
                tenant_id, ref, actor=actor, reason=reason, occurred_at=self._clock()
            )
        finally:
            # Also when nobody waits for the answer any more, or the commit may have worked.
            self._forget([(tenant_id, ref)])
        if erased.erased:
            self._log.info("template_erased", tenant_id=tenant_id, template=str(ref), erased_by=actor)
        return erased

    async def list_erasures(
        self, tenant_id: str, template_id: str, page: PageRequest
    ) -> Page[TemplateErasure]:
        """List the erasures of versions of one template, or of all if empty: by id, then by version."""
        if template_id:
            require_identifier(template_id, "template_id")
        limit = page_size(page.size)
        pager = Pager("ListTemplateErasures", tenant_id=tenant_id, template_id=template_id)
        after = pager.read(page.token, 3)
        listed = await self._store.list_erasures(tenant_id, template_id, after, limit + 1)
        found = pager.page(listed, limit, lambda entry: entry.cursor)
        return Page(tuple(entry.item for entry in found.items), found.next_token)


class ErasureWatch:
    """Forgets in this process, within `seconds`, what others erase.

    An outage of the database only delays that: what was erased meanwhile is found after it. `clock` gives
    microseconds since the epoch.
    """

    def __init__(
        self,
        store: ErasureStore,
        forget: Forget,
        *,
        seconds: float,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._forget = forget
        # Half of the time is for the pause, so that the rest is left for the look itself.
        self._interval = seconds / 2
        self._clock = clock
        self._sleep = sleep
        self._looked_at = clock()
        self._known: frozenset[ErasureNotice] = frozenset()
        self._log = structlog.get_logger(__name__)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to look, before anything is loaded that can be erased."""
        self._task = asyncio.get_running_loop().create_task(self._repeat(), name="erasure-watch")

    async def aclose(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def look(self) -> int:
        """Forget what was erased since the last look that worked, and return how many templates that were.

        Raises UnavailableError.
        """
        now = self._clock()
        found = frozenset(await self._store.erased_since(self._looked_at - OVERLAP_MICROSECONDS))
        fresh = found - self._known
        if fresh:
            self._forget([(notice.tenant_id, notice.ref) for notice in fresh])
        self._looked_at, self._known = now, found
        return len(fresh)

    async def _repeat(self) -> None:
        while True:
            await self._sleep(self._interval)
            try:
                if forgotten := await self.look():
                    self._log.info("erased_templates_forgotten", templates=forgotten)
            except UnavailableError:
                # The database logs its outages itself.
                continue
            except Exception as error:  # noqa: BLE001 - the next look is another chance, whatever it was
                self._log.error("erasure_watch_failed", error=type(error).__name__)
