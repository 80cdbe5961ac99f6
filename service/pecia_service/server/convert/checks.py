"""What was measured on a model's answer, and how bundles differ."""

from __future__ import annotations

from pecia.v1 import check_pb2, diff_pb2, registry_service_pb2
from pecia.v1 import prompt_service_pb2 as pb

from pecia_service.registry.diff import BundleDiff
from pecia_service.rendering.checking import CheckResult
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.server.convert.pieces import (
    ROLE_TO_PROTO,
    SLOT_TO_PROTO,
    constraints_to_proto,
    template_ref_to_proto,
)


def check_result_to_proto(result: CheckResult, resolved: ResolvedBundle) -> pb.CheckOutputResponse:
    """Write what was measured, and against what."""
    return pb.CheckOutputResponse(
        passed=result.passed,
        violations=[
            check_pb2.Violation(
                rule=f"CONSTRAINT_RULE_{violation.rule.name}",
                severity=f"SEVERITY_{violation.severity.name}",
                message=violation.message,
                start=violation.start,
                end=violation.end,
                actual=violation.actual,
                limit=violation.limit,
            )
            for violation in result.violations
        ],
        truncated=result.truncated,
        effective_constraints=constraints_to_proto(resolved.constraints),
        bundle_id=resolved.bundle.bundle_id,
        semver=resolved.bundle.semver,
    )


def diff_to_proto(diff: BundleDiff) -> registry_service_pb2.DiffBundlesResponse:
    """Write how two bundle versions differ."""
    return registry_service_pb2.DiffBundlesResponse(
        slots=[
            diff_pb2.SlotDiff(
                slot=SLOT_TO_PROTO[slot.slot],
                before=template_ref_to_proto(slot.before),
                after=template_ref_to_proto(slot.after),
                changed=slot.changed,
                content_diff=slot.content_diff,
                constraints_diff=slot.constraints_diff,
                before_role=ROLE_TO_PROTO[slot.before_role],
                after_role=ROLE_TO_PROTO[slot.after_role],
            )
            for slot in diff.slots
        ],
        identical=diff.identical,
        before_bundle_hash=diff.before_hash,
        after_bundle_hash=diff.after_hash,
    )
