"""The messages of `pecia.v1` in one place, for type annotations and enums."""

from pecia.v1.admin_service_pb2 import EraseTemplateResponse
from pecia.v1.audit_pb2 import AuditFilter, AuditRecord, TemplateUse
from pecia.v1.bundle_pb2 import (
    Bundle,
    BundleDefinition,
    BundleRef,
    BundleSlots,
    InlineBundle,
    PayloadPath,
    Slot,
)
from pecia.v1.check_pb2 import ConstraintRule, Severity, Violation
from pecia.v1.constraints_pb2 import Constraints
from pecia.v1.diff_pb2 import SlotDiff
from pecia.v1.error_reason_pb2 import ErrorReason
from pecia.v1.label_pb2 import Label, LabelAction, LabelEvent
from pecia.v1.payload_pb2 import DerivedPayload
from pecia.v1.prompt_service_pb2 import (
    CheckOutputResponse,
    PruneAuditRecordsResponse,
    RenderError,
    RenderFieldViolation,
    RenderOutcome,
    RenderRequest,
    RenderResponse,
    RenderStreamResponse,
    VerifyAuditResponse,
)
from pecia.v1.receipt_pb2 import PromptPart, Receipt
from pecia.v1.registry_service_pb2 import (
    DiffBundlesResponse,
    GetBundleResponse,
    PublishBundleResponse,
    PublishTemplateResponse,
)
from pecia.v1.replay_pb2 import (
    FirstDifference,
    ReceiptClaim,
    ReplayCause,
    ReplayFinding,
    ReplayResult,
    ReplayVerdict,
    VerifyProgress,
    VerifySummary,
)
from pecia.v1.template_pb2 import Role, Template, TemplateDefinition, TemplateErasure, TemplateRef

__all__ = [
    "AuditFilter",
    "AuditRecord",
    "Bundle",
    "BundleDefinition",
    "BundleRef",
    "BundleSlots",
    "CheckOutputResponse",
    "ConstraintRule",
    "Constraints",
    "DerivedPayload",
    "DiffBundlesResponse",
    "EraseTemplateResponse",
    "ErrorReason",
    "FirstDifference",
    "GetBundleResponse",
    "InlineBundle",
    "Label",
    "LabelAction",
    "LabelEvent",
    "PayloadPath",
    "PromptPart",
    "PruneAuditRecordsResponse",
    "PublishBundleResponse",
    "PublishTemplateResponse",
    "Receipt",
    "ReceiptClaim",
    "RenderError",
    "RenderFieldViolation",
    "RenderOutcome",
    "RenderRequest",
    "RenderResponse",
    "RenderStreamResponse",
    "ReplayCause",
    "ReplayFinding",
    "ReplayResult",
    "ReplayVerdict",
    "Role",
    "Severity",
    "Slot",
    "SlotDiff",
    "Template",
    "TemplateDefinition",
    "TemplateErasure",
    "TemplateRef",
    "TemplateUse",
    "VerifyAuditResponse",
    "VerifyProgress",
    "VerifySummary",
    "Violation",
]
