"""A tenant never sees, renders, labels or counts another's: every RPC, tried with another tenant's names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pecia.v1 import admin_service_pb2 as admin
from pecia.v1 import prompt_service_pb2 as prompts
from pecia.v1 import registry_service_pb2 as registry
from pecia.v1.receipt_pb2 import Receipt
from pecia_service.access.model import Scope
from pecia_service.bootstrap import system_clock
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import label_requests
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection
from support import wire
from support.credentials import CountingBytes, HandClock, credentials_of
from support.server import LiveServer, live_server
from support.tenant_cases import (
    CONTENTS,
    LABEL,
    LISTS,
    MARK,
    PAYLOAD,
    REQUEST_IDS,
    TEMPLATE,
    VERSION,
    Known,
    cases,
    furnish,
    tomorrow,
)
from support.tenants import CONTRACT, Tenant, rows_of

NOBODY = Known("", "", Receipt(), "", dict.fromkeys(LISTS, ""))
"""Nothing is known of a tenant."""


@asynccontextmanager
async def two_tenants(live: LiveServer) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """Give tenants acme and other of a server, each with a key for everything."""
    clock, random_bytes = HandClock(system_clock()), CountingBytes()
    credentials = credentials_of(live.application.database, clock, random_bytes)
    acme, other = [
        Tenant(live.channel, (await credentials.create_key(tenant_id, list(Scope))).text)
        for tenant_id in ("acme", "other")
    ]
    yield acme, other


@asynccontextmanager
async def serving(database_url: str) -> AsyncIterator[LiveServer]:
    """Serve with authentication; a record is there when its render is answered, and never on its way."""
    async with live_server(
        database_url,
        authentication="required",
        audit_durability="commit",
        audit_settle_seconds="0",
        label_staleness="60",
    ) as live:
        yield live


async def age_requests(database: Database) -> None:
    """Make the request ids that are remembered so old that they may be forgotten."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(update(label_requests).values(occurred_at=1))

    await database.write(work)


def test_every_rpc_is_tried() -> None:
    """An RPC that is new needs a case above."""
    assert {method for method, _, _ in cases(NOBODY)} == set(CONTRACT)


async def test_another_tenant_s_names_lead_nowhere(migrated_database_url: str) -> None:
    """By every RPC: NOT_FOUND or nothing, though the caches hold it all; and what acme has is as it was."""
    async with serving(migrated_database_url) as live, two_tenants(live) as (acme, other):
        known = await furnish(acme)
        before = await rows_of(live.application.database, "acme")
        wrong, leaks = [], []
        for method, request, expected in cases(known):
            answer = await other.call(method, request)
            if expected is not None and answer.shown != expected:
                wrong.append((method, str(request), answer.shown))
            if MARK in answer.text:
                leaks.append((method, str(request), answer.text))
        after = await rows_of(live.application.database, "acme")
    assert wrong == []
    assert leaks == []
    assert before == after


async def test_nobody_learns_that_another_tenant_has_something(
    migrated_database_url: str, tmp_path: Path
) -> None:
    """Every answer is the one that a server gives where that tenant has nothing at all."""
    answers = []
    known = NOBODY
    for url, is_furnished in (
        (migrated_database_url, True),
        (f"sqlite:///{tmp_path / 'empty.db'}", False),
    ):
        async with serving(url) as live, two_tenants(live) as (acme, other):
            if is_furnished:
                known = await furnish(acme)
            answers.append(
                [(method, (await other.call(method, request)).shown) for method, request, _ in cases(known)]
            )
    assert answers[0] == answers[1]


async def test_the_same_names_are_each_tenant_s_own(migrated_database_url: str) -> None:
    """Texts, labels, request ids and counts: what one does leaves the other's as they are."""
    mine = {slot: f"Timbuktu {content}" for slot, content in wire.CONTENTS.items()}
    async with serving(migrated_database_url) as live, two_tenants(live) as (acme, other):
        known = await furnish(acme)
        await age_requests(live.application.database)
        before = await rows_of(live.application.database, "acme")
        for definition in wire.templates_of(contents=mine):
            published = await other.one(
                "PublishTemplate", registry.PublishTemplateRequest(template=definition)
            )
            assert published.created
        bundle = registry.PublishBundleRequest(bundle=wire.bundle())
        assert (await other.one("PublishBundle", bundle)).created
        # The request ids are those of acme's moves.
        moved = await other.one(
            "SetLabel",
            registry.SetLabelRequest(
                bundle_id="companion", label="production", semver="1.0.0", request_id=REQUEST_IDS[1]
            ),
        )
        rendered = await other.one("Render", prompts.RenderRequest(bundle=LABEL, payload=PAYLOAD))
        # Its pieces have the hashes of acme's.
        inline = prompts.RenderRequest(inline_bundle=wire.inline_bundle(CONTENTS), payload=PAYLOAD)
        copied = await other.one("Render", inline)
        listed = await other.one("ListAuditRecords", prompts.ListAuditRecordsRequest())
        events = await other.one("ListLabelEvents", registry.ListLabelEventsRequest(bundle_id="companion"))
        verified = (await other.call("VerifyAudit", prompts.VerifyAuditRequest())).messages[-1]
        erase = admin.EraseTemplateRequest(template=TEMPLATE, reason="mine")
        assert (await other.one("EraseTemplate", erase)).erased
        pruned = (
            await other.call("PruneAuditRecords", prompts.PruneAuditRecordsRequest(before=tomorrow()))
        ).messages[-1]
        delete = registry.DeleteLabelRequest(
            bundle_id="companion", label="production", etag=moved.label.etag, request_id=REQUEST_IDS[2]
        )
        await other.one("DeleteLabel", delete)
        after = await rows_of(live.application.database, "acme")
        again = await acme.one("Render", prompts.RenderRequest(bundle=VERSION, payload=PAYLOAD))
    assert [moved.label.semver, rendered.receipt.semver] == ["1.0.0", "1.0.0"]
    assert ["Timbuktu" in rendered.prompt, f"{MARK} You" in rendered.prompt] == [True, False]
    assert [record.receipt.render_id for record in listed.records] == [
        copied.receipt.render_id,
        rendered.receipt.render_id,
    ]
    assert [len(events.events), verified.summary.checked] == [1, 2]
    assert [pruned.records, pruned.pieces] == [2, 4]
    assert before == after
    assert again.receipt.prompt_hash == known.receipt.prompt_hash
