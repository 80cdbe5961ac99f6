"""Small checks that servicers share: names that a request must give, references, request ids."""

from __future__ import annotations

from pecia.v1 import bundle_pb2

from pecia_service.errors import ErrorReason, InvalidInputError, invalid_field
from pecia_service.ids import require_uuid
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.model import ResolvedBundle


def missing_field(field: str, advice: str) -> InvalidInputError:
    """Make the error for a required field that is not set."""
    return invalid_field(ErrorReason.FIELD_INVALID, field, f"is missing; {advice}")


def check_request_id(request_id: str) -> None:
    """Raise InvalidInputError (FIELD_INVALID) unless it is empty or a UUID."""
    if request_id:
        require_uuid(request_id, "request_id")


async def resolve_ref(generator: PromptGenerator, ref: bundle_pb2.BundleRef, field: str) -> ResolvedBundle:
    """Return the bundle that a reference names now; raises what the generator raises."""
    match ref.WhichOneof("selector"):
        case "semver":
            return await generator.resolve(ref.bundle_id, ref.semver, field)
        case "label":
            return await generator.resolve_label(ref.bundle_id, ref.label, field)
    raise missing_field(f"{field}.semver", "give a version or a label")
