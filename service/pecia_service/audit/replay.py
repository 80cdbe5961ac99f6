"""Replay: render a record or a claim again from what is stored now, and say what is not as it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pecia_service.audit.comparison import (
    FirstDifference,
    ReplayCause,
    ReplayFinding,
    ReplayResult,
    first_difference,
    judge,
)
from pecia_service.audit.filter import require_digest
from pecia_service.audit.record import AuditRecord, Damage, damage
from pecia_service.audit.resolution import Resolution, Resolver, resolve_given
from pecia_service.errors import ErrorReason, Findings, PreconditionError, invalid_field
from pecia_service.registry.identifiers import require_identifier, require_semver
from pecia_service.registry.model import Bundle, Template
from pecia_service.rendering.model import Receipt, RenderResult
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.renderer import RENDERER_VERSION, Renderer


@dataclass(frozen=True, slots=True)
class ReplayClaim:
    """A receipt with what it says was rendered; make it with `create`.

    Without `bundle` the published one is meant.
    """

    receipt: Receipt
    payload: Payload
    bundle: Bundle | None = None
    templates: tuple[Template, ...] = ()

    @classmethod
    def create(
        cls,
        receipt: Receipt,
        payload: Payload,
        bundle: Bundle | None = None,
        templates: Iterable[Template] = (),
        *,
        field: str = "claim",
    ) -> ReplayClaim:
        """Check a claim; `field` is its path in the request.

        Raises InvalidInputError with all that is wrong with what is compared: IDENTIFIER_INVALID and
        SEMVER_INVALID for the bundle's name, FIELD_INVALID for hashes and an empty renderer version.
        """
        at = f"{field}.receipt"
        findings = Findings()
        for name in ("prompt_hash", "bundle_hash", "payload_hash"):
            with findings.gather():
                require_digest(getattr(receipt, name), f"{at}.{name}")
        with findings.gather():
            require_identifier(receipt.bundle_id, f"{at}.bundle_id")
        with findings.gather():
            require_semver(receipt.semver, f"{at}.semver")
        if not receipt.renderer_version:
            findings.add(
                invalid_field(
                    ErrorReason.FIELD_INVALID,
                    f"{at}.renderer_version",
                    "is missing; copy it from the receipt",
                )
            )
        findings.raise_if_any()
        return cls(receipt, payload, bundle, tuple(templates))


class Replayer:
    """Replays records and claims in one run; what a run resolves once it does not resolve again."""

    def __init__(self, resolver: Resolver, renderer: Renderer) -> None:
        self._resolver = resolver
        self._renderer = renderer

    async def replay(self, record: AuditRecord) -> ReplayResult:
        """Render a record again and compare; raises UnavailableError."""
        found = damage(record)
        resolution = await self._resolver.resolve_record(record)
        findings: list[ReplayFinding]
        payload = _restore(record.payload)
        if found.record:
            # Its names and hashes can't be trusted, so that nothing but damage that proves itself is told.
            findings = [_record_damaged(record), *resolution.damaged]
        else:
            findings = [
                *_text_findings(record, found, payload),
                *_piece_findings(resolution, record.receipt),
            ]
        return self._compare(record.receipt, resolution, payload, findings, record.prompt)

    async def replay_claim(self, claim: ReplayClaim) -> ReplayResult:
        """Render a claim and compare; raises UnavailableError."""
        receipt = claim.receipt
        if claim.bundle is None:
            resolution = await self._resolver.resolve_published(receipt.bundle_id, receipt.semver)
        else:
            resolution = resolve_given(claim.bundle, claim.templates)
        findings = _piece_findings(resolution, receipt)
        if claim.payload.payload_hash != receipt.payload_hash:
            findings.append(ReplayFinding(ReplayCause.PAYLOAD, "the given payload has another hash"))
        return self._compare(receipt, resolution, claim.payload, findings, None)

    def _compare(
        self,
        receipt: Receipt,
        resolution: Resolution,
        payload: Payload | None,
        findings: list[ReplayFinding],
        prompt: str | None,
    ) -> ReplayResult:
        """Render what can be rendered, and blame the renderer for what nothing else explains."""
        result: RenderResult | None = None
        difference: FirstDifference | None = None
        if resolution.resolved is not None and payload is not None:
            try:
                result = self._renderer.render(resolution.resolved, payload)
            except PreconditionError as error:
                if not findings:
                    findings.append(_renderer_refuses(error))
        if result is not None:
            if not findings and result.prompt_hash != receipt.prompt_hash:
                findings.append(
                    ReplayFinding(
                        ReplayCause.RENDERER,
                        "pieces and payload are intact, yet their prompt has another hash: "
                        "another renderer made the recorded one",
                    )
                )
            # Most are equal, and where they differ need not be looked for.
            if prompt is not None and prompt != result.prompt:
                difference = first_difference(prompt, result.parts)
        verdict, ordered = judge(findings)
        return ReplayResult(
            receipt.render_id,
            verdict,
            ordered,
            difference,
            receipt.renderer_version != RENDERER_VERSION,
            receipt.prompt_hash,
            result.prompt_hash if result else "",
        )


def _restore(canonical: bytes | None) -> Payload | None:
    return None if canonical is None else Payload.restore(canonical)


def _record_damaged(record: AuditRecord) -> ReplayFinding:
    if record.redacted_at is not None and not (record.prompt is None and record.payload is None):
        detail = "the record says that it was redacted, yet it has a prompt or a payload"
    else:
        detail = "the record no longer has its record_hash: its receipt, templates or flags were changed"
    return ReplayFinding(ReplayCause.RECORD_DAMAGED, detail)


def _text_findings(record: AuditRecord, found: Damage, payload: Payload | None) -> list[ReplayFinding]:
    """Tell what is wrong with the prompt and the payload of a record that is sound otherwise."""
    findings = []
    if found.prompt:
        findings.append(
            ReplayFinding(
                ReplayCause.RECORD_DAMAGED, "the stored prompt no longer has the recorded prompt_hash"
            )
        )
    if record.redacted_at is not None:
        findings.append(ReplayFinding(ReplayCause.REDACTED, "prompt and payload were erased by redaction"))
    elif record.payload is None:
        findings.append(
            ReplayFinding(
                ReplayCause.PAYLOAD_MISSING, "the payload was not kept; replay the receipt together with it"
            )
        )
    elif found.payload:
        findings.append(
            ReplayFinding(ReplayCause.PAYLOAD, "the stored payload no longer has the recorded payload_hash")
        )
    elif payload is None or payload.canonical != record.payload:
        findings.append(ReplayFinding(ReplayCause.PAYLOAD, "the stored payload is not in its canonical form"))
    return findings


def _piece_findings(resolution: Resolution, receipt: Receipt) -> list[ReplayFinding]:
    findings = [*resolution.damaged, *resolution.differing, *resolution.missing]
    if not findings and resolution.resolved and resolution.resolved.bundle_hash != receipt.bundle_hash:
        findings.append(
            ReplayFinding(
                ReplayCause.BUNDLE, "the bundle and its templates do not have the receipt's bundle_hash"
            )
        )
    return findings


def _renderer_refuses(error: PreconditionError) -> ReplayFinding:
    return ReplayFinding(
        ReplayCause.RENDERER, f"pieces and payload are intact, yet the renderer refuses them: {error.message}"
    )
