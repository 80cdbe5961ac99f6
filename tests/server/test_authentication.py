"""Who is let in over a real channel, and that nothing is done for anybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from grpc import aio
from pecia.v1 import admin_service_pb2, admin_service_pb2_grpc, prompt_service_pb2, registry_service_pb2
from pecia_client import AsyncClient, PeciaError
from pecia_service.access.keys import ApiKey
from pecia_service.access.model import Scope
from pecia_service.access.service import NewKey
from pecia_service.access.store import CredentialStore
from pecia_service.bootstrap import system_clock
from pecia_service.errors import ErrorReason, UnavailableError
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import metadata
from sqlalchemy import func, select
from support import wire
from support.credentials import HandClock, credentials_of
from support.server import LiveServer, live_server
from support.statuses import Failure, read_failure

Metadata = Sequence[tuple[str, str]]
Call = Callable[[LiveServer, Metadata], Awaitable[object]]

RENDER = prompt_service_pb2.RenderRequest(inline_bundle=wire.inline_bundle(), payload=wire.payload())


async def render(live: LiveServer, metadata: Metadata) -> object:
    """Render an inline bundle, which leaves a record."""
    return await live.prompts.Render(RENDER, metadata=metadata)


async def render_stream(live: LiveServer, metadata: Metadata) -> object:
    """Render one over a stream."""
    message = prompt_service_pb2.RenderStreamRequest(correlation_id="1", request=RENDER)
    return [answer async for answer in live.prompts.RenderStream(iter([message]), metadata=metadata)]


async def publish(live: LiveServer, metadata: Metadata) -> object:
    """Publish a template."""
    request = registry_service_pb2.PublishTemplateRequest(template=wire.template("t"))
    return await live.registry.PublishTemplate(request, metadata=metadata)


async def prune(live: LiveServer, metadata: Metadata) -> object:
    """Delete records."""
    request = prompt_service_pb2.PruneAuditRecordsRequest()
    request.before.GetCurrentTime()
    return [answer async for answer in live.prompts.PruneAuditRecords(request, metadata=metadata)]


async def erase(live: LiveServer, metadata: Metadata) -> object:
    """Erase a template."""
    stub: Any = admin_service_pb2_grpc.AdminServiceStub(live.channel)
    return await stub.EraseTemplate(admin_service_pb2.EraseTemplateRequest(), metadata=metadata)


CALLS: Sequence[Call] = (render, render_stream, publish, prune, erase)


def bearer(token: str) -> Metadata:
    """Return the metadata that shows a key."""
    return (("authorization", f"Bearer {token}"),)


async def failure(live: LiveServer, call: Call, metadata: Metadata) -> Failure:
    """Return how a call that must fail does so."""
    with pytest.raises(aio.AioRpcError) as raised:
        await call(live, metadata)
    return read_failure(raised.value)


async def rows(database: Database) -> dict[str, int]:
    """Count the rows of all tables in which there are any, credentials aside."""
    counts = {}
    for name, table in metadata.tables.items():
        if name != "credentials":
            counts[name] = (await database.fetch(select(func.count()).select_from(table)))[0][0]
    return {name: count for name, count in counts.items() if count}


async def make_key(
    database: Database, tenant: str = "acme", scopes: Sequence[Scope] = tuple(Scope), **options: Any
) -> NewKey:
    """Make a key, now unless told when."""
    clock = HandClock(options.pop("now", system_clock()))
    return await credentials_of(database, clock).create_key(tenant, scopes, **options)


@pytest.fixture
async def live(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server that wants credentials, and asks for them anew with each call."""
    async with live_server(
        migrated_database_url, authentication="required", credential_seconds="0"
    ) as server:
        yield server


async def test_a_key_lets_its_tenant_in(live: LiveServer) -> None:
    """What it does is done for that tenant, and is its."""
    key = await make_key(live.application.database)
    for call in (render, render_stream, publish, prune):
        await call(live, bearer(key.text))
    listed = await live.registry.ListTemplates(
        registry_service_pb2.ListTemplatesRequest(), metadata=bearer(key.text)
    )
    assert [template.definition.template_id for template in listed.templates] == ["t"]


async def test_a_principal_is_named_in_the_history(live: LiveServer) -> None:
    """By the id of its key."""
    key = await make_key(live.application.database)
    async with AsyncClient(live.target, api_key=key.text) as client:
        for definition in wire.templates_of():
            await client.publish_template(definition)
        await client.publish_bundle(wire.bundle())
        await client.set_label("companion", "production", "1.0.0")
        events = [event async for event in client.list_label_events("companion")]
    assert [event.actor for event in events] == [f"key:{key.credential.credential_id}"]


Shown = Callable[[Database], Awaitable[Metadata]]


async def nothing(_: Database) -> Metadata:
    """Show no credential."""
    return ()


async def garbage(_: Database) -> Metadata:
    """Show what is no key."""
    return bearer("pecia_acme.1.2")


async def basic(database: Database) -> Metadata:
    """Show a key in another scheme."""
    return (("authorization", f"Basic {(await make_key(database)).text}"),)


async def doubled(database: Database) -> Metadata:
    """Show two keys, each of which works."""
    return [*bearer((await make_key(database)).text), *bearer((await make_key(database)).text)]


async def wrong_secret(database: Database) -> Metadata:
    """Show a key that exists with another secret."""
    credential = (await make_key(database)).credential
    return bearer(ApiKey("acme", credential.credential_id, "A" * 43).text)


async def other_tenant(database: Database) -> Metadata:
    """Show a key under the name of another tenant, which has keys of its own."""
    await make_key(database, "other")
    key = ApiKey.parse((await make_key(database)).text)
    assert key is not None
    return bearer(ApiKey("other", key.credential_id, key.secret).text)


async def unknown(_: Database) -> Metadata:
    """Show a key that was never made."""
    return bearer(ApiKey.make("acme", "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44", bytes(32)).text)


async def expired(database: Database) -> Metadata:
    """Show a key whose hour is over."""
    hours_ago = system_clock() - 7_200_000_000
    return bearer((await make_key(database, now=hours_ago, lifetime_seconds=3600)).text)


async def revoked(database: Database) -> Metadata:
    """Show a key that was revoked."""
    key = await make_key(database)
    await credentials_of(database, HandClock(system_clock())).revoke(key.credential.credential_id)
    return bearer(key.text)


async def hosting_only(database: Database) -> Metadata:
    """Show a key that may do nothing of what is tried."""
    return bearer((await make_key(database, scopes=[Scope.HOSTING])).text)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (nothing, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")),
        (garbage, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")),
        (basic, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")),
        (doubled, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")),
        (wrong_secret, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")),
        (other_tenant, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")),
        (unknown, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")),
        (expired, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")),
        (revoked, (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_REVOKED")),
        (hosting_only, (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")),
    ],
)
async def test_nothing_is_done_for_who_is_not_let_in(
    database: Database,
    migrated_database_url: str,
    call: Call,
    shown: Shown,
    status: tuple[grpc.StatusCode, str],
) -> None:
    """The right status, and neither a piece nor a record afterwards."""
    async with live_server(migrated_database_url, authentication="required") as live:
        failed = await failure(live, call, await shown(database))
    assert (failed.code, failed.reason) == status
    # Records that were on their way are written by now.
    assert await rows(database) == {}


async def test_a_render_of_somebody_else_would_be_seen(
    database: Database, migrated_database_url: str
) -> None:
    """The test above can fail: with a key that works, a record is left."""
    async with live_server(migrated_database_url, authentication="required") as live:
        await render(live, bearer((await make_key(database)).text))
    assert (await rows(database))["audit_records"] == 1


async def test_no_status_repeats_what_was_shown(live: LiveServer) -> None:
    """Statuses end up in logs."""
    database = live.application.database
    for shown in (garbage, basic, doubled, wrong_secret, expired, revoked, hosting_only):
        metadata = await shown(database)
        failed = await failure(live, render, metadata)
        token = metadata[0][1].partition(" ")[2]
        assert token not in repr(failed)
        assert token.rpartition(".")[2] not in failed.message


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_a_revoked_key_is_refused_on_a_connection_that_is_open(live: LiveServer) -> None:
    """A credential is asked for with each call, not with each connection."""
    database = live.application.database
    key = await make_key(database)
    await render(live, bearer(key.text))
    await credentials_of(database, HandClock(system_clock())).revoke(key.credential.credential_id)
    assert (await failure(live, render, bearer(key.text))).reason == "CREDENTIALS_REVOKED"


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_health_and_reflection_need_no_credential(live: LiveServer) -> None:
    """Kubernetes and meshes have none."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub: Any = health_pb2_grpc.HealthStub(live.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_an_outage_keeps_only_strangers_out(
    migrated_database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was let in lately still is; who was not gets UNAVAILABLE, and may try again."""
    async with live_server(migrated_database_url, authentication="required") as live:
        key, other = await make_key(database), await make_key(database)
        await render(live, bearer(key.text))

        async def gone(*_: object) -> None:
            raise UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "no answer", retry_after=1.0)

        monkeypatch.setattr(CredentialStore, "find_key", gone)
        await render(live, bearer(key.text))
        failed = await failure(live, render, bearer(other.text))
    assert [failed.code, failed.reason] == [grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_a_client_sends_its_key_with_every_kind_of_call(live: LiveServer) -> None:
    """Single calls, pages, streams of answers, and streams of both."""
    key = await make_key(live.application.database)
    async with AsyncClient(live.target, api_key=key.text) as client:
        await client.publish_template(wire.template("t"))
        listed = [template async for template in client.list_templates()]
        pruned = [count async for count in client.prune_audit_records(datetime.now(UTC))]
        streamed = [answer async for answer in client.render_stream([("1", RENDER)])]
    assert [len(listed), pruned[-1].done, streamed[0].correlation_id] == [1, True, "1"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_a_client_without_a_key_is_told_so(live: LiveServer) -> None:
    """By an error whose reason can be acted on."""
    async with AsyncClient(live.target) as client:
        with pytest.raises(PeciaError) as raised:
            await client.publish_template(wire.template("t"))
    assert raised.value.reason == "CREDENTIALS_MISSING"
