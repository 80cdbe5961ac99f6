"""The audit's use cases: replay, verify, read, redact, prune. The tenant comes first everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from pecia_service.audit.comparison import ReplayResult, ReplayVerdict
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.ports import AuditSink, Sources
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.replay import ReplayClaim, Replayer
from pecia_service.audit.resolution import Resolver
from pecia_service.audit.store import AuditEntry, AuditStore
from pecia_service.errors import (
    Error,
    ErrorReason,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)
from pecia_service.ids import require_uuid, uuid7_time_ms
from pecia_service.paging import Page, Pager, PageRequest, number_part, page_size
from pecia_service.rendering.renderer import Renderer

DEFAULT_SETTLE_SECONDS = 5.0
PROGRESS_RECORDS = 1_000

_PENDING_RETRY_SECONDS = 1.0
# After so much work other requests get a turn: records, and characters of their prompts.
_TURN_RECORDS = 16
_TURN_CHARACTERS = 256 * 1024


@dataclass(frozen=True, slots=True)
class VerifyProgress:
    """How many records were replayed, of how many that were there when the work began."""

    checked: int
    total: int


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """The outcomes of a verification; `renderer_version_differs` counts among the matches."""

    checked: int = 0
    matched: int = 0
    mismatched: int = 0
    unverifiable: int = 0
    renderer_version_differs: int = 0

    def plus(self, result: ReplayResult) -> VerifySummary:
        """Count one more."""
        verdict = result.verdict
        matched = verdict is ReplayVerdict.MATCH
        return VerifySummary(
            self.checked + 1,
            self.matched + matched,
            self.mismatched + (verdict is ReplayVerdict.MISMATCH),
            self.unverifiable + (verdict is ReplayVerdict.UNVERIFIABLE),
            self.renderer_version_differs + (matched and result.renderer_version_differs),
        )


VerifyEvent: TypeAlias = VerifyProgress | ReplayResult | VerifySummary
"""What a verification tells: how it stands, a record that is not MATCH, and at the end the summary."""


@dataclass(frozen=True, slots=True)
class PruneProgress:
    """How many records and inline pieces were deleted so far, or would be; `done` with the last."""

    records: int
    pieces: int
    done: bool


class Audit:
    """Proves, shows and erases what was recorded.

    `sources` gives a tenant's sources, past the caches that renders share; `clock` gives microseconds since
    the epoch. A record that is absent counts as still on its way until its render is `settle_seconds` old.
    """

    def __init__(
        self,
        store: AuditStore,
        sink: AuditSink,
        sources: Callable[[str], Sources],
        renderer: Renderer,
        *,
        clock: Callable[[], int],
        settle_seconds: float = DEFAULT_SETTLE_SECONDS,
    ) -> None:
        self._store = store
        self._sink = sink
        self._sources = sources
        self._renderer = renderer
        self._clock = clock
        self._settle_seconds = settle_seconds

    async def replay(self, tenant_id: str, render_id: str) -> ReplayResult:
        """Render a record again and compare; raises as `get`."""
        record = await self.get(tenant_id, render_id)
        return await self._replayer(tenant_id).replay(record)

    async def replay_claim(self, tenant_id: str, claim: ReplayClaim) -> ReplayResult:
        """Render what a receipt claims and compare; needs no record. Raises UnavailableError."""
        return await self._replayer(tenant_id).replay_claim(claim)

    async def verify(self, tenant_id: str, wanted: AuditFilter) -> AsyncGenerator[VerifyEvent, None]:
        """Replay all records that a filter selects, oldest first, in constant memory.

        Gives progress at the start and each 1,000 records, a result for each record that is not MATCH, and
        the summary last. Raises PreconditionError (AUDIT_DISABLED), UnavailableError.
        """
        self._require_records()
        extent = await self._store.extent(tenant_id, wanted)
        summary = VerifySummary()
        yield VerifyProgress(0, extent.total)
        if extent.last is not None:
            replayer = self._replayer(tenant_id)
            turn = _Turn()
            async with aclosing(self._store.scan(tenant_id, wanted, extent.last)) as pages:
                async for page in pages:
                    for record in page:
                        result = await replayer.replay(record)
                        summary = summary.plus(result)
                        if result.verdict is not ReplayVerdict.MATCH:
                            yield result
                        if summary.checked % PROGRESS_RECORDS == 0:
                            yield VerifyProgress(summary.checked, extent.total)
                        await turn.give(record)
        yield summary

    async def get(self, tenant_id: str, render_id: str) -> AuditRecord:
        """Return a record with the texts that are kept.

        Raises InvalidInputError (FIELD_INVALID) for what is no UUID, NotFoundError (AUDIT_RECORD_NOT_FOUND),
        PreconditionError (AUDIT_DISABLED), UnavailableError (AUDIT_RECORD_PENDING, STORAGE_UNAVAILABLE).
        """
        self._require_records()
        key = require_uuid(render_id, "render_id")
        # Asked first: the record may be written between the two questions.
        held = self._sink.holds(key)
        record = await self._store.get(tenant_id, key)
        if record is None:
            raise self._absent(key, held=held)
        return record

    async def list(self, tenant_id: str, wanted: AuditFilter, page: PageRequest) -> Page[AuditEntry]:
        """List records without their texts, newest first.

        Raises InvalidInputError (FIELD_INVALID, PAGE_TOKEN_INVALID), PreconditionError (AUDIT_DISABLED),
        UnavailableError.
        """
        self._require_records()
        limit = page_size(page.size)
        pager = Pager("ListAuditRecords", tenant_id=tenant_id, filter=repr(wanted))
        cursor = pager.read(page.token, 2)
        before = None if cursor is None else (number_part(cursor[0]), cursor[1])
        entries = await self._store.page(tenant_id, wanted, limit=limit + 1, before=before)
        return pager.page(entries, limit, _cursor)

    async def redact(self, tenant_id: str, render_id: str) -> AuditRecord:
        """Erase prompt and payload of a record for good, and return it as it is then; raises as `get`."""
        self._require_records()
        key = require_uuid(render_id, "render_id")
        held = self._sink.holds(key)
        record = await self._store.redact(tenant_id, key, self._clock())
        if record is None:
            raise self._absent(key, held=held)
        return record

    async def prune(
        self, tenant_id: str, before: int, *, validate_only: bool = False
    ) -> AsyncGenerator[PruneProgress, None]:
        """Delete the records made before a time (microseconds), and the inline pieces that none needs then.

        Gives running counts, the last with `done`. What is deleted stays so when the work is stopped. With
        `validate_only` it counts and deletes nothing. Raises PreconditionError (AUDIT_DISABLED),
        UnavailableError.
        """
        self._require_records()
        if validate_only:
            yield PruneProgress(await self._store.count(tenant_id, AuditFilter(end=before)), 0, done=True)
            return
        progress = PruneProgress(0, 0, done=False)
        while (pruned := await self._store.prune_batch(tenant_id, before)).records:
            progress = PruneProgress(
                progress.records + pruned.records, progress.pieces + pruned.pieces, done=False
            )
            yield progress
        yield replace(progress, done=True)

    def _replayer(self, tenant_id: str) -> Replayer:
        resolver = Resolver(self._sources(tenant_id), partial(self._store.load_pieces, tenant_id))
        return Replayer(resolver, self._renderer)

    def _require_records(self) -> None:
        if not self._sink.keeps_records:
            raise PreconditionError(
                ErrorReason.AUDIT_DISABLED,
                "this server keeps no audit records; set PECIA_AUDIT_SINK to database",
                metadata={"setting": "PECIA_AUDIT_SINK"},
            )

    def _absent(self, key: str, *, held: bool) -> Error:
        """Make the error for a record that is not in the store."""
        metadata = {"render_id": key}
        if held or self._sink.holds(key) or self._is_young(key):
            return UnavailableError(
                ErrorReason.AUDIT_RECORD_PENDING,
                f"the record of render {key} may still be on its way; try again",
                metadata=metadata,
                retry_after=_PENDING_RETRY_SECONDS,
            )
        return NotFoundError(
            ErrorReason.AUDIT_RECORD_NOT_FOUND, f"there is no audit record of render {key}", metadata=metadata
        )

    def _is_young(self, key: str) -> bool:
        """Tell whether the render is so recent that another process may still hold its record."""
        made_at = uuid7_time_ms(key)
        return made_at is not None and abs(self._clock() / 1_000 - made_at) <= self._settle_seconds * 1_000


class _Turn:
    """Counts work on the event loop, and lets others have a turn after some."""

    def __init__(self) -> None:
        self._records = 0
        self._characters = 0

    async def give(self, record: AuditRecord) -> None:
        self._records += 1
        self._characters += len(record.prompt or "")
        if self._records >= _TURN_RECORDS or self._characters >= _TURN_CHARACTERS:
            self._records = self._characters = 0
            await asyncio.sleep(0)


def _cursor(entry: AuditEntry) -> tuple[str, str]:
    return str(entry.record.receipt.created_at), entry.record.render_id
