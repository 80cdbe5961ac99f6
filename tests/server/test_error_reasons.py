"""Every ErrorReason is provoked over a real channel, and is what error_reason.proto says of it."""

import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import ANY

import grpc
import pytest
from grpc import aio
from pecia.v1 import admin_service_pb2 as admin_pb
from pecia.v1 import constraints_pb2, error_reason_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia_service.ids import uuid7
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.storage.tables import templates
from sqlalchemy import update
from support import refusals
from support.checkout import ROOT
from support.outage import private_postgres
from support.server import LiveServer, live_server, served
from support.statuses import read_failure
from support.wire import (
    bundle,
    inline_bundle,
    label_ref,
    payload,
    publish,
    template,
    version_ref,
)

SECRET = "mauve-elephant"
"""Stands in payloads, templates and faults; no status may repeat it."""

INNARDS = (
    "SELECT",
    "INSERT",
    "sqlalchemy",
    "sqlite",
    "postgresql",
    "Traceback",
    ".py",
    "/tmp",
    "RuntimeError",
)

UNKNOWN_RENDER = uuid7(1_600_000_000_000, 1)
REQUEST_ID = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"
RENDER = "/pecia.v1.PromptService/Render"
MAX_PROMPT_BYTES = 4096

_DOCUMENTED = re.compile(
    r"// (?P<code>[A-Z_]+): .*\n(?:  //.*\n)*?"
    r"  // Example: (?P<example>\{.*\})\n  ERROR_REASON_(?P<reason>\w+) ="
)


@dataclass(frozen=True)
class Provocation:
    """A call that must fail, and the metadata that it must fail with."""

    call: Callable[[LiveServer], Awaitable[object]]
    metadata: dict[str, Any]


def documented() -> dict[str, tuple[str, set[str]]]:
    """Read each reason's status and metadata keys from the comments of its proto file."""
    text = (ROOT / "protos/pecia/v1/error_reason.proto").read_text(encoding="utf-8")
    return {
        match["reason"]: (match["code"], set(json.loads(match["example"])))
        for match in _DOCUMENTED.finditer(text)
    }


def render(server: LiveServer, **fields: Any) -> Awaitable[pb.RenderResponse]:
    """Render; what is not given is in order."""
    request = {"bundle": version_ref(), "payload": payload({"name": SECRET}, task=SECRET), **fields}
    if "inline_bundle" in request:
        del request["bundle"]
    return server.prompts.Render(pb.RenderRequest(**request))


def publish_template(server: LiveServer, content: str = SECRET, **fields: Any) -> Awaitable[object]:
    """Publish a template beside those that are there."""
    definition = template("extra", content=content, **fields)
    return server.registry.PublishTemplate(registry_pb.PublishTemplateRequest(template=definition))


async def reuse_version(server: LiveServer) -> None:
    """Publish a template version a second time with another content."""
    await publish_template(server)
    await publish_template(server, f"another {SECRET}")


def publish_other_bundle(server: LiveServer) -> Awaitable[object]:
    """Publish the bundle version that is there with another definition."""
    definition = bundle(description=SECRET)
    return server.registry.PublishBundle(registry_pb.PublishBundleRequest(bundle=definition))


def publish_incomplete_bundle(server: LiveServer) -> Awaitable[object]:
    """Publish a bundle whose last template does not exist."""
    definition = bundle(semver="2.0.0", versions={"task": "9.0.0"}, description=SECRET)
    return server.registry.PublishBundle(registry_pb.PublishBundleRequest(bundle=definition))


def set_label(server: LiveServer, **fields: Any) -> Awaitable[registry_pb.SetLabelResponse]:
    """Set the label production."""
    values = {"bundle_id": "companion", "label": "production", "semver": "1.0.0", **fields}
    return server.registry.SetLabel(registry_pb.SetLabelRequest(**values))


async def reuse_request_id(server: LiveServer) -> None:
    """Move two labels with one request id."""
    await set_label(server, request_id=REQUEST_ID)
    await set_label(server, request_id=REQUEST_ID, label="staging")


async def roll_back_first(server: LiveServer) -> None:
    """Roll a label back that has moved only once."""
    etag = (await set_label(server)).label.etag
    await server.registry.RollBackLabel(
        registry_pb.RollBackLabelRequest(bundle_id="companion", label="production", etag=etag)
    )


def send_garbage(server: LiveServer) -> Any:
    """Send bytes that are no message: a string field whose text is not UTF-8."""
    task = b"\xff" + SECRET.encode()
    raw = b"\x1a" + bytes([len(task) + 2]) + b"\x22" + bytes([len(task)]) + task
    call: Any = server.channel.unary_unary(RENDER)
    return call(raw)


def send_unknown_fields(server: LiveServer) -> Awaitable[object]:
    """Render a payload that carries a raw vector beside its fields."""
    given = payload(task=SECRET)
    given.MergeFromString(b"\x8a\x01\x04abcd" + b"\x48\x01")
    return render(server, payload=given)


def get_record(server: LiveServer, render_id: str) -> Awaitable[object]:
    """Read an audit record."""
    return server.prompts.GetAuditRecord(pb.GetAuditRecordRequest(render_id=render_id))


async def damage_a_piece(server: LiveServer) -> None:
    """Read a template that was changed behind the service's back."""
    async with server.application.database.engine.begin() as connection:
        await connection.execute(
            update(templates).where(templates.c.template_id == "companion-task").values(content=SECRET)
        )
    await render(server)


async def render_erased(server: LiveServer) -> None:
    """Render a bundle of which a template was erased, after it was rendered with it."""
    await render(server)
    await server.admin.EraseTemplate(
        admin_pb.EraseTemplateRequest(
            template={"template_id": "companion-task", "semver": "1.0.0"}, reason=SECRET
        )
    )
    await render(server)


async def disable_audit(server: LiveServer) -> None:
    """Ask a server that keeps no records for one."""
    async with live_server(server.settings.database_url, audit_sink="null") as silent:
        await get_record(silent, UNKNOWN_RENDER)


async def fill_the_audit(server: LiveServer) -> None:
    """Render where no record can be taken any more, and nothing is rendered without one."""
    async with live_server(server.settings.database_url, audit_full="refuse") as full:
        await full.application.sink.aclose(0)
        await render(full)


async def stop_the_database(_server: LiveServer) -> None:
    """Render when the database is gone."""
    async with private_postgres() as (postgres, url), live_server(url) as server:
        await postgres.stop()
        await render(server)


async def break_the_server(server: LiveServer) -> None:
    """Render with a part of the server that raises what nobody expects."""

    def broken(_tenant_id: str) -> PromptGenerator:
        raise RuntimeError(f"{SECRET} at /tmp/secret.py: SELECT 1")

    faulty = replace(server.application, generator=broken)
    async with served(server.settings, faulty) as live:
        await render(live)


TABLE = {
    "REQUEST_MALFORMED": Provocation(send_garbage, {"method": RENDER}),
    "FIELD_INVALID": Provocation(
        lambda server: server.registry.ListBundles(registry_pb.ListBundlesRequest(page_size=-1)),
        {"field": "page_size"},
    ),
    "IDENTIFIER_INVALID": Provocation(
        lambda server: render(server, bundle=version_ref(bundle_id="a bundle")), {"field": "bundle.bundle_id"}
    ),
    "SEMVER_INVALID": Provocation(
        lambda server: render(server, bundle=version_ref("v1")), {"field": "bundle.semver"}
    ),
    "TEXT_INVALID": Provocation(
        lambda server: render(server, payload=payload(task=f"{SECRET}\0")), {"field": "payload.task"}
    ),
    "SIZE_EXCEEDED": Provocation(
        lambda server: render(server, payload=payload(task=SECRET * 5000)),
        {"field": "payload.task", "size": str(len(SECRET) * 5000), "limit": "65536"},
    ),
    "PAYLOAD_INVALID": Provocation(
        lambda server: render(server, payload=payload(task=SECRET, stress=1.5)), {"field": "payload.stress"}
    ),
    "PAYLOAD_UNKNOWN_FIELDS": Provocation(send_unknown_fields, {"field": "payload", "field_numbers": "9,17"}),
    "KEY_COLLISION": Provocation(
        lambda server: render(server, payload=payload({"\u00e9": SECRET, "e\u0301": SECRET})),
        {"field": "payload.semantic_traits"},
    ),
    "TEMPLATE_SYNTAX": Provocation(
        lambda server: publish_template(server, f"{SECRET}\nIs {{{{mood}}}}"),
        {"field": "template.content", "line": "2", "column": "6"},
    ),
    "CONSTRAINTS_INVALID": Provocation(
        lambda server: publish_template(
            server, constraints=constraints_pb2.Constraints(max_paragraphs=101, forbidden_tokens=[SECRET])
        ),
        {"field": "template.constraints.MAX_PARAGRAPHS"},
    ),
    "PAGE_TOKEN_INVALID": Provocation(
        lambda server: server.registry.ListLabels(registry_pb.ListLabelsRequest(page_token=SECRET)),
        {"field": "page_token"},
    ),
    "TEMPLATE_NOT_FOUND": Provocation(
        lambda server: server.registry.GetTemplate(
            registry_pb.GetTemplateRequest(template={"template_id": "companion-task", "semver": "9.0.0"})
        ),
        {"template_id": "companion-task", "semver": "9.0.0"},
    ),
    "BUNDLE_NOT_FOUND": Provocation(
        lambda server: render(server, bundle=version_ref("9.0.0")),
        {"bundle_id": "companion", "semver": "9.0.0"},
    ),
    "LABEL_NOT_FOUND": Provocation(
        lambda server: render(server, bundle=label_ref("production")),
        {"bundle_id": "companion", "label": "production"},
    ),
    "AUDIT_RECORD_NOT_FOUND": Provocation(
        lambda server: get_record(server, UNKNOWN_RENDER), {"render_id": UNKNOWN_RENDER}
    ),
    "TEMPLATE_ALREADY_EXISTS": Provocation(
        reuse_version, {"template_id": "extra", "semver": "1.0.0", "stored_hash": ANY, "given_hash": ANY}
    ),
    "BUNDLE_ALREADY_EXISTS": Provocation(
        publish_other_bundle,
        {"bundle_id": "companion", "semver": "1.0.0", "stored_hash": ANY, "given_hash": ANY},
    ),
    "REQUEST_ID_REUSED": Provocation(reuse_request_id, {"request_id": REQUEST_ID}),
    "ETAG_MISMATCH": Provocation(
        lambda server: set_label(server, etag="another"), {"bundle_id": "companion", "label": "production"}
    ),
    "TEMPLATE_REFERENCE_MISSING": Provocation(
        publish_incomplete_bundle, {"slot": "task", "template_id": "companion-task", "semver": "9.0.0"}
    ),
    "PLACEHOLDER_UNRESOLVED": Provocation(
        lambda server: render(server, inline_bundle=inline_bundle({"task": "{{semantic_traits.mood}}"})),
        {
            "slot": "task",
            "template_id": "companion-task",
            "semver": "1.0.0",
            "path": "semantic_traits.mood",
        },
    ),
    "BUNDLE_UNSUPPORTED_MODEL": Provocation(
        lambda server: render(server, model_type="gpt-4o"),
        {"bundle_id": "companion", "semver": "1.0.0", "model_type": "gpt-4o"},
    ),
    "PROMPT_TOO_LARGE": Provocation(
        lambda server: render(server, payload=payload(task=SECRET * 300)),
        {"size": ANY, "limit": str(MAX_PROMPT_BYTES)},
    ),
    "LABEL_HISTORY_EXHAUSTED": Provocation(
        roll_back_first, {"bundle_id": "companion", "label": "production"}
    ),
    "AUDIT_DISABLED": Provocation(disable_audit, {"setting": "PECIA_AUDIT_SINK"}),
    "PIECE_DAMAGED": Provocation(
        damage_a_piece,
        {"piece": "template", "part": "content", "id": "companion-task", "semver": "1.0.0"},
    ),
    "TEMPLATE_ERASED": Provocation(render_erased, {"template_id": "companion-task", "semver": "1.0.0"}),
    "AUDIT_FULL": Provocation(fill_the_audit, {"setting": "PECIA_AUDIT_FULL"}),
    "CREDENTIALS_MISSING": Provocation(refusals.show_nothing, {"method": RENDER}),
    "CREDENTIALS_INVALID": Provocation(refusals.show_another, {"kind": "key"}),
    "CREDENTIALS_EXPIRED": Provocation(refusals.show_an_expired_key, {"kind": "key", "key_id": ANY}),
    "CREDENTIALS_REVOKED": Provocation(refusals.show_a_revoked_key, {"kind": "key", "key_id": ANY}),
    "SCOPE_MISSING": Provocation(refusals.lack_the_scope, {"method": RENDER, "scope": "render"}),
    "TOO_MANY_REQUESTS": Provocation(
        refusals.call_too_often, {"limit": "1", "setting": "PECIA_MAX_IN_FLIGHT_PER_CALLER"}
    ),
    "DEADLINE_PASSED": Provocation(
        refusals.take_too_long, {"seconds": "0.1", "setting": "PECIA_DEFAULT_DEADLINE"}
    ),
    "SERVER_STOPPING": Provocation(refusals.outstay, {"method": "/pecia.v1.PromptService/RenderStream"}),
    "STORAGE_UNAVAILABLE": Provocation(stop_the_database, {}),
    "AUDIT_RECORD_PENDING": Provocation(
        lambda server: get_record(server, uuid7(time.time_ns() // 1_000_000, 1)), {"render_id": ANY}
    ),
    "INTERNAL_FAULT": Provocation(break_the_server, {"method": RENDER, "request_id": ANY}),
}


def test_every_reason_is_documented_and_provoked() -> None:
    """The table and the comments speak of each reason of the contract."""
    values = error_reason_pb2.ErrorReason.DESCRIPTOR.values
    names = {value.name.removeprefix("ERROR_REASON_") for value in values} - {"UNSPECIFIED"}
    assert (names, names) == (set(TABLE), set(documented()))


@pytest.mark.parametrize("reason", TABLE)
async def test_a_failed_call_tells_its_documented_reason(reason: str, migrated_database_url: str) -> None:
    """Code, reason, domain, metadata and details are the documented ones, and nothing else leaks out."""
    code, keys = documented()[reason]
    async with live_server(migrated_database_url, max_prompt_bytes=str(MAX_PROMPT_BYTES)) as server:
        await publish(server.registry)
        with pytest.raises(aio.AioRpcError) as caught:
            await TABLE[reason].call(server)
    failure = read_failure(caught.value)
    assert (grpc.StatusCode[code], reason, "pecia") == (failure.code, failure.reason, failure.domain)
    assert TABLE[reason].metadata == failure.metadata
    assert keys == set(failure.metadata)
    fields = [failure.metadata["field"]] if "field" in keys else []
    assert fields == [field for field, _ in failure.violations]
    assert (code in {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}) == bool(failure.retry_after)
    told = f"{caught.value.details()} {caught.value.trailing_metadata()}"
    assert [] == [secret for secret in (SECRET, *INNARDS) if secret in told]
