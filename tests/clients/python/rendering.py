"""Cases about renders: of every vector, many at once, in a stream, and again from the record."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from clients.python.checks import Checks, wrong
from clients.python.vectors import payload_canonical, payload_hash, sha256
from clients.python.world import CALL_SECONDS, World, inline_of, refused
from pecia.v1.audit_pb2 import AuditRecord
from pecia.v1.bundle_pb2 import Slot
from pecia.v1.prompt_service_pb2 import RenderRequest, RenderResponse
from pecia.v1.replay_pb2 import ReplayCause, ReplayVerdict
from pecia.v1.template_pb2 import Role
from pecia_client import PeciaError, render_request

BATCH: Final = 64
BATCH_FAILS: Final = 40
STREAM: Final = 100
RECORD_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.1
INVALID_ARGUMENT: Final = 3


def render(world: World, checks: Checks) -> str:
    """Render every vector as an inline bundle."""
    for vector in world.vectors.read("renders", "renders"):
        checks.where = vector["name"]
        if "error" in vector:
            _refused_render(world, checks, vector)
            continue
        given, expected = vector["input"], vector["expected"]
        answer = world.client.render(inline_bundle=inline_of(given), payload=given["payload"])
        checks.equal("prompt", expected["prompt"], answer.prompt)
        if len(answer.parts) != len(expected["parts"]):
            raise wrong("number of parts", len(expected["parts"]), len(answer.parts))
        for part, found in zip(expected["parts"], answer.parts, strict=True):
            checks.equal("slot", part["slot"], Slot.Name(found.slot).removeprefix("SLOT_").lower())
            checks.equal("role", part["role"], Role.Name(found.role).removeprefix("ROLE_").lower())
            checks.equal("text", part["text"], found.text)
        own = sha256(answer.prompt.encode())
        checks.equal("prompt_hash of the receipt", own, answer.receipt.prompt_hash)
        checks.equal("prompt_hash", expected["prompt_hash"], own)
        own = payload_hash(given["payload"])
        checks.equal("payload_hash of the receipt", own, answer.receipt.payload_hash)
        checks.equal("payload_hash", expected["payload_hash"], own)
        checks.equal("bundle_hash", expected["bundle_hash"], answer.receipt.bundle_hash)
        checks.equal("renderer_version", expected["renderer_version"], answer.receipt.renderer_version)
    return ""


def _refused_render(world: World, checks: Checks, vector: Mapping[str, Any]) -> None:
    given = vector["input"]
    inline, payload = inline_of(given), dict(given["payload"])
    if vector["error"]["reason"] == "PROMPT_TOO_LARGE":
        # No server has as low a limit as the vector's, so the prompt grows beyond the default one.
        inline.templates[0].content = "{{task}}" * 64
        payload["task"] = "x" * 65_536
    error = refused(lambda: world.client.render(inline_bundle=inline, payload=payload))
    checks.equal("code", "FAILED_PRECONDITION", error.code.name)
    checks.equal("reason", vector["error"]["reason"], error.reason)


def batch(world: World, checks: Checks) -> str:
    """Render many at once, of which one fails."""
    bundle = world.require_published()
    payloads = [world.payload(f"item {index}") for index in range(BATCH)]
    del payloads[BATCH_FAILS]["stress"]
    outcomes = world.client.render_batch(render_request(bundle, payload=payload) for payload in payloads)
    checks.where = "answer"
    checks.equal("number of outcomes", BATCH, len(outcomes))
    for index, (payload, outcome) in enumerate(zip(payloads, outcomes, strict=True)):
        checks.where = f"outcome {index}"
        if index != BATCH_FAILS:
            _check_hashes(checks, outcome.response, payload_hash(payload))
            continue
        checks.equal("code", INVALID_ARGUMENT, outcome.error.code)
        checks.equal("reason", "PAYLOAD_INVALID", PeciaError.from_render_error(outcome.error).reason)
        fields = [violation.field for violation in outcome.error.field_violations]
        checks.equal("field violations", ["payload.stress"], fields)
    return ""


def stream(world: World, checks: Checks) -> str:
    """Render in a stream; each request has one answer, in any order."""
    bundle = world.require_published()
    payloads = {f"{world.prefix}-{index}": world.payload(f"item {index}") for index in range(STREAM)}

    def requests() -> Iterator[tuple[str, RenderRequest]]:
        for correlation_id, payload in payloads.items():
            yield correlation_id, render_request(bundle, payload=payload)

    answers = list(world.client.render_stream(requests(), timeout=CALL_SECONDS))
    checks.where = "answers"
    checks.equal("number", STREAM, len(answers))
    checks.equal("correlation ids", sorted(payloads), sorted(answer.correlation_id for answer in answers))
    for answer in answers:
        checks.where = f"answer {answer.correlation_id}"
        _check_hashes(checks, answer.outcome.response, payload_hash(payloads[answer.correlation_id]))
    return ""


def _check_hashes(checks: Checks, response: RenderResponse, payload_hash: str) -> None:
    checks.equal("prompt_hash", sha256(response.prompt.encode()), response.receipt.prompt_hash)
    checks.equal("payload_hash", payload_hash, response.receipt.payload_hash)


def replay(world: World, checks: Checks) -> str:
    """Render, read the record, and replay it by its id and by its receipt."""
    client, payload = world.client, world.payload()
    rendered = client.render(world.require_published(), payload=payload)
    own = sha256(rendered.prompt.encode())
    checks.where = "record"
    record = _wait_for_record(world, rendered.receipt.render_id)
    checks.equal("prompt_hash", own, record.receipt.prompt_hash)
    checks.equal("prompt", rendered.prompt, record.prompt)
    checks.equal("canonical_payload", payload_canonical(payload), record.canonical_payload)
    checks.where = "replay by render_id"
    result = client.replay(render_id=rendered.receipt.render_id)
    checks.equal("verdict", ReplayVerdict.REPLAY_VERDICT_MATCH, result.verdict)
    checks.equal("recorded_prompt_hash", own, result.recorded_prompt_hash)
    checks.equal("replayed_prompt_hash", own, result.replayed_prompt_hash)
    checks.where = "replay by receipt"
    result = client.replay(receipt=rendered.receipt, payload=payload)
    checks.equal("verdict", ReplayVerdict.REPLAY_VERDICT_MATCH, result.verdict)
    checks.equal("replayed_prompt_hash", own, result.replayed_prompt_hash)
    checks.where = "replay by receipt with another payload"
    result = client.replay(receipt=rendered.receipt, payload=world.payload(f"{payload['task']}!"))
    checks.equal("verdict", ReplayVerdict.REPLAY_VERDICT_MISMATCH, result.verdict)
    causes = [finding.cause for finding in result.findings]
    checks.equal("first cause", [ReplayCause.REPLAY_CAUSE_PAYLOAD], causes[:1])
    return ""


def _wait_for_record(world: World, render_id: str) -> AuditRecord:
    until = time.monotonic() + RECORD_SECONDS
    while True:
        try:
            return world.client.get_audit_record(render_id)
        except PeciaError as error:
            if error.code.name not in {"UNAVAILABLE", "NOT_FOUND"} or time.monotonic() > until:
                raise
        # The record is on its way to the database, and nothing tells when it has come.
        time.sleep(POLL_SECONDS)
