"""The only place where concrete parts are wired together."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from pecia_service.access.authentication import Authenticator
from pecia_service.access.memory import CredentialMemory
from pecia_service.access.store import CredentialStore
from pecia_service.audit.ports import AuditSink, Sources
from pecia_service.audit.retention import Retention
from pecia_service.audit.service import Audit
from pecia_service.audit.sinks.background import BackgroundSink
from pecia_service.audit.sinks.database import DatabaseAuditSink
from pecia_service.audit.sinks.null import NullAuditSink
from pecia_service.audit.sinks.spooled import Durability, SpooledAuditSink
from pecia_service.audit.sinks.tenant import TenantSink
from pecia_service.audit.sinks.turns import Turns
from pecia_service.audit.spool.destination import default_root, destination
from pecia_service.audit.spool.folder import About, OwnerFolder
from pecia_service.audit.spool.log import SpoolLog
from pecia_service.audit.store import AuditStore
from pecia_service.caching.bounded import BoundedCache
from pecia_service.caching.shared_reads import SharedReads
from pecia_service.ids import RandomBits, UuidFactory
from pecia_service.registry.erasure import Erasures, ErasureWatch
from pecia_service.registry.model import Bundle
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.rendering.caches import PieceCaches
from pecia_service.rendering.checking import OutputChecker
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.ports import LabelSource
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.cached import (
    CachedBundleSource,
    CachedLabelSource,
    CachedTemplateSource,
    PieceKey,
    TenantResolvedCache,
)
from pecia_service.rendering.sources.database import (
    DatabaseBundleSource,
    DatabaseLabelSource,
    DatabaseTemplateSource,
)
from pecia_service.rendering.sources.shared import SharedLabelSource
from pecia_service.settings import LARGEST_PROMPT_BYTES, Settings, SettingsError
from pecia_service.storage.engine import Database
from pecia_service.storage.outages import OutageLog
from pecia_service.storage.schema import prepare

_TENANTS_AT_HAND = 1024
_LOOKUPS_PER_CONNECTION = 8
_SURVIVES_POWER_CUTS = frozenset({"fsync", "commit"})


def system_clock() -> int:
    """Return microseconds since the epoch."""
    return time.time_ns() // 1000


def system_ids() -> Callable[[], str]:
    """Return a function that makes UUIDv7s."""
    return UuidFactory(lambda: time.time_ns() // 1_000_000, RandomBits(secrets.token_bytes))


@dataclass(frozen=True, slots=True)
class Application:
    """What the server translates to; `caches` are all that it keeps, by name."""

    generator: Callable[[str], PromptGenerator]
    registry: Registry
    erasures: Erasures
    audit: Audit
    checkers: BoundedCache[bytes, OutputChecker]
    caches: Mapping[str, BoundedCache[Any, Any]]
    sink: AuditSink
    database: Database
    authenticator: Authenticator | None
    """None where authentication is off."""


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Application]:
    """Wire a service from its settings; on the way out flush what is waiting, and close everything.

    Raises SchemaError and UnavailableError for a database that can't be used.
    """
    async with AsyncExitStack() as stack:
        database = Database.open(
            settings.database_url,
            pool_size=settings.database_pool_size,
            connect_timeout=settings.database_connect_timeout,
            statement_timeout=settings.database_statement_timeout,
            statement_cache_size=settings.database_statement_cache,
            # A record leaves the disk of the spool once it is committed: the commit must be as durable.
            durable=settings.audit_durability in _SURVIVES_POWER_CUTS,
        )
        stack.push_async_callback(database.dispose)
        await prepare(database)
        # Who starts a server is told by an exception.
        database.log_outages(OutageLog())
        audit_store = AuditStore(database)
        sink = make_sink(settings, audit_store)
        if isinstance(sink, BackgroundSink):
            sink.start()
        stack.push_async_callback(sink.aclose, settings.shutdown_grace)
        retention = Retention(audit_store, days=settings.audit_retention_days, clock=system_clock)
        retention.start()
        stack.push_async_callback(retention.aclose)
        renderer = Renderer(settings.max_prompt_bytes)
        audit = Audit(
            audit_store,
            sink,
            lambda tenant_id: Sources(
                DatabaseBundleSource(database, tenant_id), DatabaseTemplateSource(database, tenant_id)
            ),
            # What was rendered under a larger limit than today's can still be proved.
            Renderer(LARGEST_PROMPT_BYTES),
            clock=system_clock,
            settle_seconds=settings.audit_settle_seconds,
        )
        authenticator = _authenticator(settings, database) if settings.authenticated else None
        if authenticator is not None:
            stack.push_async_callback(authenticator.aclose)
        caches = PieceCaches.create(
            max_entries=settings.cache_entries,
            max_bytes=settings.cache_bytes,
            label_staleness=settings.label_staleness,
        )
        registry_store = RegistryStore(database)
        watch = ErasureWatch(
            registry_store.erasures, caches.forget, seconds=settings.erasure_seconds, clock=system_clock
        )
        watch.start()
        stack.push_async_callback(watch.aclose)
        yield Application(
            _generators(settings, database, renderer, sink, caches),
            Registry(registry_store, system_clock),
            Erasures(registry_store.erasures, system_clock, caches.forget),
            audit,
            caches.checkers,
            {field.name: getattr(caches, field.name) for field in fields(caches)},
            sink,
            database,
            authenticator,
        )


def _generators(
    settings: Settings, database: Database, renderer: Renderer, sink: AuditSink, caches: PieceCaches
) -> Callable[[str], PromptGenerator]:
    """Return what gives each tenant its generator."""
    new_id = system_ids()
    label_reads: SharedReads[PieceKey, Bundle] = SharedReads()

    turns = Turns(sink)

    @lru_cache(maxsize=_TENANTS_AT_HAND)
    def generator(tenant_id: str) -> PromptGenerator:
        labels = DatabaseLabelSource(database, tenant_id)
        label_source: LabelSource = (
            CachedLabelSource(labels, caches.labels, tenant_id)
            if settings.label_staleness
            else SharedLabelSource(labels, label_reads, tenant_id)
        )
        return PromptGenerator(
            CachedBundleSource(DatabaseBundleSource(database, tenant_id), caches.bundles, tenant_id),
            CachedTemplateSource(DatabaseTemplateSource(database, tenant_id), caches.templates, tenant_id),
            renderer,
            TenantSink(
                turns,
                tenant_id,
                keep_prompt=settings.audit_keep_prompt,
                keep_payload=settings.audit_keep_payload,
            ),
            clock=system_clock,
            new_id=new_id,
            label_source=label_source,
            resolved_cache=TenantResolvedCache(caches.resolved, tenant_id),
        )

    return generator


def _authenticator(settings: Settings, database: Database) -> Authenticator:
    memory = CredentialMemory(
        monotonic=time.monotonic,
        seconds=settings.credential_seconds,
        outage_seconds=settings.credential_outage_seconds,
        # Strangers with invented keys must leave connections to those who are known.
        max_lookups=_LOOKUPS_PER_CONNECTION * settings.database_pool_size,
    )
    return Authenticator(CredentialStore(database), memory, clock=system_clock)


def make_sink(settings: Settings, store: AuditStore) -> AuditSink:
    """Make the audit sink, not started yet; raises SettingsError for a spool folder that can't be used."""
    if settings.audit_sink == "null":
        return NullAuditSink()
    refuse = settings.audit_full == "refuse"
    if settings.audit_durability == "memory":
        return DatabaseAuditSink(
            store,
            max_records=settings.audit_queue_records,
            max_bytes=settings.audit_queue_bytes,
            batch_size=settings.audit_batch_records,
            retry_seconds=settings.audit_retry_seconds,
            refuse=refuse,
            clock=system_clock,
        )
    root = Path(settings.audit_spool_dir) if settings.audit_spool_dir else default_root(settings.database_url)
    about = About(destination(settings.database_url), system_clock(), os.getpid())
    try:
        folder = OwnerFolder.create(root, system_ids(), about)
    except OSError as error:
        raise SettingsError(
            f"PECIA_AUDIT_SPOOL_DIR: the folder {root} can't be used ({error.strerror}); give one that this "
            "process may write to, or set PECIA_AUDIT_DURABILITY=memory"
        ) from None
    return SpooledAuditSink(
        store,
        folder,
        SpoolLog(folder, max_bytes=settings.audit_spool_bytes, segment_bytes=settings.audit_segment_bytes),
        durability=Durability(settings.audit_durability),
        max_records=settings.audit_queue_records,
        max_bytes=settings.audit_queue_bytes,
        batch_size=settings.audit_batch_records,
        refuse=refuse,
        clock=system_clock,
    )
