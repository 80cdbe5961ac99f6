"""What one tenant may know of another, and what every RPC answers to somebody who tries it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pecia.v1 import admin_service_pb2 as admin
from pecia.v1 import audit_pb2, replay_pb2, template_pb2
from pecia.v1 import prompt_service_pb2 as prompts
from pecia.v1 import registry_service_pb2 as registry
from pecia.v1.receipt_pb2 import Receipt
from support import wire
from support.tenants import Tenant

MARK = "Zanzibar"
"""Is in every text that tenant acme has, and nowhere else."""

REQUEST_IDS = [f"01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e{number:02}" for number in range(10)]
CONTENTS = {slot: f"{MARK} {content}" for slot, content in wire.CONTENTS.items()}
PAYLOAD = wire.payload(traits={"mood": MARK}, task=f"Plan {MARK}.")
VERSION, LABEL = wire.version_ref(), wire.label_ref("production")
TEMPLATE = template_pb2.TemplateRef(template_id="companion-task", semver="1.0.0")
ERASED = template_pb2.TemplateRef(template_id="erased", semver="1.0.0")


@dataclass(frozen=True)
class Known:
    """What somebody may know of tenant acme: ids, receipts, etags, page tokens."""

    render_id: str
    redacted_id: str
    receipt: Receipt
    etag: str
    tokens: Mapping[str, str]


LISTS: Mapping[str, Message] = {
    "ListTemplates": registry.ListTemplatesRequest(page_size=1),
    "ListBundles": registry.ListBundlesRequest(page_size=1),
    "ListLabels": registry.ListLabelsRequest(page_size=1),
    "ListLabelEvents": registry.ListLabelEventsRequest(bundle_id="companion", page_size=1),
    "ListAuditRecords": prompts.ListAuditRecordsRequest(page_size=1),
    "ListTemplateErasures": admin.ListTemplateErasuresRequest(page_size=1),
}


def tomorrow() -> Timestamp:
    """Return a moment after everything."""
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    return moment


def with_token(method: str, token: str) -> Message:
    """Return a list's request for a page after the first."""
    request = type(LISTS[method])()
    request.CopyFrom(LISTS[method])
    request.page_token = token  # type: ignore[attr-defined]  # every request of a list has it
    return request


async def furnish(tenant: Tenant) -> Known:
    """Give a tenant one of everything, use it so that all caches hold it, and return what can be known."""
    for definition in (
        *wire.templates_of(contents=CONTENTS, description=MARK),
        wire.template("erased", content=f"{MARK} once"),
        wire.template("erased-too", content=f"{MARK} twice"),
    ):
        await tenant.one("PublishTemplate", registry.PublishTemplateRequest(template=definition))
    for semver in ("1.0.0", "1.1.0"):
        bundle = wire.bundle("companion", semver, description=MARK)
        await tenant.one("PublishBundle", registry.PublishBundleRequest(bundle=bundle))
    for label, semver, request_id in (
        ("production", "1.0.0", REQUEST_IDS[0]),
        ("production", "1.1.0", REQUEST_IDS[1]),
        ("staging", "1.1.0", REQUEST_IDS[2]),
    ):
        move = registry.SetLabelRequest(
            bundle_id="companion", label=label, semver=semver, request_id=request_id
        )
        last = await tenant.one("SetLabel", move)
    rendered = []
    for source in ({"bundle": VERSION}, {"bundle": LABEL}, {"inline_bundle": wire.inline_bundle(CONTENTS)}):
        request = prompts.RenderRequest(payload=PAYLOAD, **source)
        rendered.append((await tenant.one("Render", request)).receipt)
    for template_id in ("erased", "erased-too"):
        reference = template_pb2.TemplateRef(template_id=template_id, semver="1.0.0")
        await tenant.one("EraseTemplate", admin.EraseTemplateRequest(template=reference, reason=MARK))
    redact = prompts.RedactAuditRecordRequest(render_id=rendered[1].render_id, request_id=REQUEST_IDS[3])
    await tenant.one("RedactAuditRecord", redact)
    # Compiled constraints, templates and labels are at hand as well.
    await tenant.one("CheckOutput", prompts.CheckOutputRequest(bundle=LABEL, output="Yes."))
    await tenant.one("Replay", prompts.ReplayRequest(render_id=rendered[0].render_id))
    tokens = {
        method: (await tenant.one(method, request)).next_page_token for method, request in LISTS.items()
    }
    assert all(tokens.values())
    return Known(rendered[0].render_id, rendered[1].render_id, rendered[0], last.label.etag, tokens)


NOT_FOUND = {kind: f"NOT_FOUND {kind}_NOT_FOUND" for kind in ("TEMPLATE", "BUNDLE", "LABEL", "AUDIT_RECORD")}
EMPTY: Sequence[object] = [{}]
FOREIGN_TOKEN = "INVALID_ARGUMENT PAGE_TOKEN_INVALID"

Case = tuple[str, Message, object]


def cases(known: Known) -> list[Case]:
    """Return for each method the requests of somebody who has nothing, and the answers that are right."""
    by_version = prompts.RenderRequest(bundle=VERSION, payload=PAYLOAD)
    by_label = prompts.RenderRequest(bundle=LABEL, payload=PAYLOAD)
    outcome = {"outcome": {"error": "BUNDLE_NOT_FOUND"}, "correlation_id": "1"}
    # A claim is what its caller knows already; nothing is added to it.
    gone = {
        "verdict": "REPLAY_VERDICT_UNVERIFIABLE",
        "findings": [
            {"cause": "REPLAY_CAUSE_PIECE_MISSING", "detail": "bundle companion@1.0.0 no longer exists"}
        ],
        "recorded_prompt_hash": known.receipt.prompt_hash,
    }
    claim = replay_pb2.ReceiptClaim(receipt=known.receipt, payload=PAYLOAD)
    of_bundle = audit_pb2.AuditFilter(bundle_id="companion", semver="1.0.0")
    of_prompt = audit_pb2.AuditFilter(prompt_hash=known.receipt.prompt_hash or "0" * 64)
    move = {"bundle_id": "companion", "label": "production", "request_id": REQUEST_IDS[0]}
    return [
        ("Render", by_version, NOT_FOUND["BUNDLE"]),
        ("Render", by_label, NOT_FOUND["LABEL"]),
        (
            "RenderBatch",
            prompts.RenderBatchRequest(requests=[by_version, by_label]),
            [{"outcomes": [{"error": "BUNDLE_NOT_FOUND"}, {"error": "LABEL_NOT_FOUND"}]}],
        ),
        ("RenderStream", prompts.RenderStreamRequest(correlation_id="1", request=by_version), [outcome]),
        ("CheckOutput", prompts.CheckOutputRequest(bundle=VERSION, output="Yes."), NOT_FOUND["BUNDLE"]),
        ("CheckOutput", prompts.CheckOutputRequest(bundle=LABEL, output="Yes."), NOT_FOUND["LABEL"]),
        ("Replay", prompts.ReplayRequest(render_id=known.render_id), NOT_FOUND["AUDIT_RECORD"]),
        ("Replay", prompts.ReplayRequest(render_id=known.redacted_id), NOT_FOUND["AUDIT_RECORD"]),
        ("Replay", prompts.ReplayRequest(claim=claim), [{"result": gone}]),
        ("VerifyAudit", prompts.VerifyAuditRequest(), [{"progress": {}}, {"summary": {}}]),
        ("VerifyAudit", prompts.VerifyAuditRequest(filter=of_bundle), [{"progress": {}}, {"summary": {}}]),
        (
            "GetAuditRecord",
            prompts.GetAuditRecordRequest(render_id=known.render_id),
            NOT_FOUND["AUDIT_RECORD"],
        ),
        ("ListAuditRecords", prompts.ListAuditRecordsRequest(), EMPTY),
        ("ListAuditRecords", prompts.ListAuditRecordsRequest(filter=of_prompt), EMPTY),
        (
            "RedactAuditRecord",
            prompts.RedactAuditRecordRequest(render_id=known.render_id),
            NOT_FOUND["AUDIT_RECORD"],
        ),
        (
            "RedactAuditRecord",
            prompts.RedactAuditRecordRequest(render_id=known.redacted_id, request_id=REQUEST_IDS[3]),
            NOT_FOUND["AUDIT_RECORD"],
        ),
        (
            "PruneAuditRecords",
            prompts.PruneAuditRecordsRequest(before=tomorrow(), validate_only=True),
            [{"done": True}],
        ),
        ("PruneAuditRecords", prompts.PruneAuditRecordsRequest(before=tomorrow()), [{"done": True}]),
        ("GetTemplate", registry.GetTemplateRequest(template=TEMPLATE), NOT_FOUND["TEMPLATE"]),
        ("GetTemplate", registry.GetTemplateRequest(template=ERASED), NOT_FOUND["TEMPLATE"]),
        ("ListTemplates", registry.ListTemplatesRequest(), EMPTY),
        ("ListTemplates", registry.ListTemplatesRequest(template_id="companion-task"), EMPTY),
        ("GetBundle", registry.GetBundleRequest(bundle=VERSION), NOT_FOUND["BUNDLE"]),
        ("GetBundle", registry.GetBundleRequest(bundle=LABEL), NOT_FOUND["LABEL"]),
        ("ListBundles", registry.ListBundlesRequest(), EMPTY),
        ("ListBundles", registry.ListBundlesRequest(bundle_id="companion"), EMPTY),
        (
            "DiffBundles",
            registry.DiffBundlesRequest(before=VERSION, after=wire.version_ref("1.1.0")),
            NOT_FOUND["BUNDLE"],
        ),
        ("DiffBundles", registry.DiffBundlesRequest(before=LABEL, after=LABEL), NOT_FOUND["LABEL"]),
        ("SetLabel", registry.SetLabelRequest(semver="1.0.0", **move), NOT_FOUND["BUNDLE"]),
        (
            "SetLabel",
            registry.SetLabelRequest(bundle_id="companion", label="new", semver="1.0.0"),
            NOT_FOUND["BUNDLE"],
        ),
        ("RollBackLabel", registry.RollBackLabelRequest(etag=known.etag, **move), NOT_FOUND["LABEL"]),
        ("DeleteLabel", registry.DeleteLabelRequest(etag=known.etag, **move), NOT_FOUND["LABEL"]),
        ("ListLabels", registry.ListLabelsRequest(bundle_id="companion"), EMPTY),
        ("ListLabelEvents", registry.ListLabelEventsRequest(bundle_id="companion"), EMPTY),
        (
            "ListLabelEvents",
            registry.ListLabelEventsRequest(bundle_id="companion", label="production"),
            EMPTY,
        ),
        (
            "EraseTemplate",
            admin.EraseTemplateRequest(template=TEMPLATE, reason="mine"),
            NOT_FOUND["TEMPLATE"],
        ),
        ("EraseTemplate", admin.EraseTemplateRequest(template=ERASED, reason="mine"), NOT_FOUND["TEMPLATE"]),
        ("ListTemplateErasures", admin.ListTemplateErasuresRequest(), EMPTY),
        ("ListTemplateErasures", admin.ListTemplateErasuresRequest(template_id="erased"), EMPTY),
        *((method, with_token(method, known.tokens[method]), FOREIGN_TOKEN) for method in LISTS),
        (
            "PublishBundle",
            registry.PublishBundleRequest(bundle=wire.bundle()),
            "FAILED_PRECONDITION TEMPLATE_REFERENCE_MISSING",
        ),
        # What is a name of acme's is free here; the answer says that it was made.
        ("PublishTemplate", registry.PublishTemplateRequest(template=wire.template("erased")), None),
        ("PublishTemplate", registry.PublishTemplateRequest(template=wire.template("companion-task")), None),
    ]
