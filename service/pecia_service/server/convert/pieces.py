"""Templates, bundles, constraints, payloads and labels."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from pecia.v1 import bundle_pb2, constraints_pb2, label_pb2, payload_pb2, template_pb2

from pecia_service.canonical import JsonValue
from pecia_service.errors import ErrorReason, Findings, invalid_field, size_exceeded
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model import (
    Bundle,
    BundleSummary,
    Label,
    LabelAction,
    LabelEvent,
    Role,
    Slot,
    Template,
    TemplateRef,
    TemplateSummary,
)
from pecia_service.rendering.model import PayloadPath
from pecia_service.rendering.payload import Payload
from pecia_service.server.convert.structs import (
    json_to_struct,
    struct_to_json,
    to_text,
    to_timestamp,
    unknown_field_numbers,
)

ROLE_TO_PROTO: Final = {
    Role.SYSTEM: template_pb2.ROLE_SYSTEM,
    Role.DEVELOPER: template_pb2.ROLE_DEVELOPER,
    Role.USER: template_pb2.ROLE_USER,
}
_ROLE_FROM_PROTO: Final = {number: role for role, number in ROLE_TO_PROTO.items()}
SLOT_TO_PROTO: Final = {
    Slot.SYSTEM: bundle_pb2.SLOT_SYSTEM,
    Slot.PERSONALITY: bundle_pb2.SLOT_PERSONALITY,
    Slot.ACTIVITY: bundle_pb2.SLOT_ACTIVITY,
    Slot.TASK: bundle_pb2.SLOT_TASK,
}
_ACTION_TO_PROTO: Final = {
    LabelAction.SET: label_pb2.LABEL_ACTION_SET,
    LabelAction.ROLL_BACK: label_pb2.LABEL_ACTION_ROLL_BACK,
    LabelAction.DELETE: label_pb2.LABEL_ACTION_DELETE,
}
MAX_PAYLOAD_MESSAGE_BYTES: Final = 1_048_576
MAX_CONSTRAINTS_MESSAGE_BYTES: Final = 262_144

_MAX_INT32: Final = 2**31 - 1

_MAX_LISTED: Final = 24
"""How many field numbers an error lists: of the greatest, as many as a status has room for."""

_TYPED_CONSTRAINTS: Final = (
    ("MAX_SENTENCE_LENGTH", "max_sentence_length"),
    ("MAX_PARAGRAPHS", "max_paragraphs"),
    ("NO_EMOJI", "no_emoji"),
    ("ASSERTIVENESS_LEVEL", "assertiveness_level"),
)


def payload_from_proto(message: payload_pb2.DerivedPayload, field: str = "payload") -> Payload:
    """Check and normalise a payload; raises InvalidInputError: PAYLOAD_UNKNOWN_FIELDS, or as Payload does."""
    _check_message(message, MAX_PAYLOAD_MESSAGE_BYTES, field)
    if numbers := unknown_field_numbers(message):
        listed = ",".join(str(number) for number in numbers[:_MAX_LISTED])
        more = f" and {len(numbers) - _MAX_LISTED} more" if len(numbers) > _MAX_LISTED else ""
        raise invalid_field(
            ErrorReason.PAYLOAD_UNKNOWN_FIELDS,
            field,
            f"holds fields that the contract does not know (numbers {listed}{more}); "
            "nothing else enters a prompt",
            field_numbers=listed,
        )
    traits = None
    if message.HasField("semantic_traits"):
        traits = struct_to_json(
            message.semantic_traits, f"{field}.semantic_traits", ErrorReason.PAYLOAD_INVALID
        )
    return Payload.create(
        semantic_traits=traits,
        activity_level=message.activity_level if message.HasField("activity_level") else None,
        stress=message.stress if message.HasField("stress") else None,
        task=message.task if message.HasField("task") else None,
        field=field,
    )


def _check_message(message: Message, limit: int, field: str) -> None:
    """Refuse what is too large to be within its limits in any form, before anything walks over it."""
    size = message.ByteSize()
    if size > limit:
        raise size_exceeded(field, "bytes as a message", size, limit)


def constraints_from_proto(message: constraints_pb2.Constraints, field: str) -> dict[str, JsonValue]:
    """Return the object with the canonical keys, not yet normalised; raises InvalidInputError."""
    _check_message(message, MAX_CONSTRAINTS_MESSAGE_BYTES, field)
    value = struct_to_json(message.further, f"{field}.further", ErrorReason.CONSTRAINTS_INVALID)
    typed: dict[str, JsonValue] = {}
    if message.forbidden_tokens:
        typed["FORBIDDEN_TOKENS"] = list(message.forbidden_tokens)
    for key, name in _TYPED_CONSTRAINTS:
        if message.HasField(name):
            typed[key] = getattr(message, name)
    for key in ("FORBIDDEN_TOKENS", *(key for key, _ in _TYPED_CONSTRAINTS)):
        if key in value:
            raise invalid_field(
                ErrorReason.CONSTRAINTS_INVALID,
                f"{field}.further",
                f"holds {key}, which has a field of its own",
            )
    return {**value, **typed}


def constraints_to_proto(constraints: Constraints) -> constraints_pb2.Constraints:
    """Write normalised constraints; what says nothing stays unset."""
    message = constraints_pb2.Constraints(
        forbidden_tokens=constraints.forbidden_tokens,
        max_sentence_length=constraints.max_sentence_length,
        max_paragraphs=constraints.max_paragraphs,
        no_emoji=True if constraints.no_emoji else None,
        assertiveness_level=constraints.assertiveness_level,
    )
    if constraints.further:
        message.further.CopyFrom(json_to_struct(constraints.further))
    return message


def template_from_proto(message: template_pb2.TemplateDefinition, field: str) -> Template:
    """Check, normalise and compile a template; raises InvalidInputError with all that is wrong."""
    findings = Findings()
    constraints: dict[str, JsonValue] = {}
    with findings.gather():
        constraints = constraints_from_proto(message.constraints, f"{field}.constraints")
    template = None
    with findings.gather():
        template = Template.define(
            template_id=message.template_id,
            semver=message.semver,
            role=_ROLE_FROM_PROTO.get(message.role),
            content=message.content,
            constraints=constraints,
            adapter_version=message.adapter_version,
            description=message.description,
            field=field,
        )
    findings.raise_if_any()
    assert template is not None
    return template


def template_ref_from_proto(message: template_pb2.TemplateRef, field: str) -> TemplateRef:
    """Check a reference; raises InvalidInputError."""
    return TemplateRef.checked(message.template_id, message.semver, field)


def template_ref_to_proto(ref: TemplateRef) -> template_pb2.TemplateRef:
    """Write a reference, also one that was read from a damaged row."""
    return template_pb2.TemplateRef(template_id=to_text(ref.template_id), semver=to_text(ref.semver))


def template_to_proto(template: Template, published_at: int) -> template_pb2.Template:
    """Write a published template with its content."""
    return template_pb2.Template(
        definition=template_pb2.TemplateDefinition(
            template_id=template.template_id,
            semver=template.semver,
            role=ROLE_TO_PROTO[template.role],
            content=template.content,
            constraints=constraints_to_proto(template.constraints),
            adapter_version=template.adapter_version,
            description=template.description,
        ),
        content_hash=template.content_hash,
        constraints_hash=template.constraints_hash,
        definition_hash=template.definition_hash,
        published_at=to_timestamp(published_at),
        content_bytes=template.content_bytes,
    )


def template_summary_to_proto(summary: TemplateSummary) -> template_pb2.Template:
    """Write a published template without its content, whatever of it was damaged."""
    message = template_pb2.Template(
        definition=template_pb2.TemplateDefinition(
            template_id=to_text(summary.template_id),
            semver=to_text(summary.semver),
            role=template_pb2.ROLE_UNSPECIFIED if summary.role is None else ROLE_TO_PROTO[summary.role],
            constraints=constraints_to_proto(summary.constraints),
            adapter_version=to_text(summary.adapter_version),
            description=to_text(summary.description),
        ),
        content_hash=to_text(summary.content_hash),
        constraints_hash=to_text(summary.constraints_hash),
        definition_hash=to_text(summary.definition_hash),
        published_at=to_timestamp(summary.published_at),
        content_bytes=max(0, min(summary.content_bytes, _MAX_INT32)),
    )
    if summary.erased_at is not None:
        message.erased_at.CopyFrom(to_timestamp(summary.erased_at))
    return message


def bundle_from_proto(message: bundle_pb2.BundleDefinition, field: str) -> Bundle:
    """Check and normalise a bundle; raises InvalidInputError with all that is wrong."""
    slots = {
        slot: TemplateRef(ref.template_id, ref.semver)
        for slot, name in ((slot, slot.value) for slot in Slot)
        if message.slots.HasField(name)
        for ref in (getattr(message.slots, name),)
    }
    return Bundle.define(
        bundle_id=message.bundle_id,
        semver=message.semver,
        slots=slots,
        tags=message.tags,
        description=message.description,
        field=field,
    )


def bundle_definition_to_proto(bundle: Bundle | BundleSummary) -> bundle_pb2.BundleDefinition:
    """Write a bundle's definition, whatever of a summary was damaged."""
    return bundle_pb2.BundleDefinition(
        bundle_id=to_text(bundle.bundle_id),
        semver=to_text(bundle.semver),
        slots=bundle_pb2.BundleSlots(
            **{slot.value: template_ref_to_proto(ref) for slot, ref in bundle.slots.items()}
        ),
        tags=bundle.tags,
        description=to_text(bundle.description),
    )


def bundle_to_proto(bundle: Bundle, published_at: int, bundle_hash: str) -> bundle_pb2.Bundle:
    """Write a published bundle."""
    return bundle_pb2.Bundle(
        definition=bundle_definition_to_proto(bundle),
        bundle_hash=to_text(bundle_hash),
        definition_hash=bundle.definition_hash,
        published_at=to_timestamp(published_at),
    )


def bundle_summary_to_proto(summary: BundleSummary) -> bundle_pb2.Bundle:
    """Write a published bundle without its `bundle_hash`, whatever of it was damaged."""
    return bundle_pb2.Bundle(
        definition=bundle_definition_to_proto(summary),
        definition_hash=to_text(summary.definition_hash),
        published_at=to_timestamp(summary.published_at),
    )


def inline_bundle_from_proto(message: bundle_pb2.InlineBundle, field: str) -> tuple[Bundle, list[Template]]:
    """Check and normalise a bundle and its templates; raises InvalidInputError with all that is wrong."""
    if len(message.templates) > len(Slot):
        raise size_exceeded(f"{field}.templates", "templates", len(message.templates), len(Slot))
    findings = Findings()
    bundle = None
    templates: list[Template] = []
    with findings.gather():
        bundle = bundle_from_proto(message.bundle, f"{field}.bundle")
    for index, definition in enumerate(message.templates):
        with findings.gather():
            templates.append(template_from_proto(definition, f"{field}.templates[{index}]"))
    findings.raise_if_any()
    assert bundle is not None
    return bundle, templates


def payload_path_to_proto(path: PayloadPath) -> bundle_pb2.PayloadPath:
    """Write a path that templates read."""
    return bundle_pb2.PayloadPath(
        path=path.path, slots=[SLOT_TO_PROTO[slot] for slot in path.slots], required=path.required
    )


def label_to_proto(label: Label) -> label_pb2.Label:
    """Write a label, whatever of it was damaged."""
    return label_pb2.Label(
        bundle_id=to_text(label.bundle_id),
        label=to_text(label.label),
        semver=to_text(label.semver),
        etag=label.etag,
        updated_at=to_timestamp(label.updated_at),
        updated_by=to_text(label.updated_by),
    )


def label_event_to_proto(event: LabelEvent) -> label_pb2.LabelEvent:
    """Write an entry of a label's history, whatever of it was damaged."""
    return label_pb2.LabelEvent(
        bundle_id=to_text(event.bundle_id),
        label=to_text(event.label),
        revision=event.revision,
        action=label_pb2.LABEL_ACTION_UNSPECIFIED if event.action is None else _ACTION_TO_PROTO[event.action],
        from_semver=to_text(event.from_semver),
        to_semver=to_text(event.to_semver),
        actor=to_text(event.actor),
        occurred_at=to_timestamp(event.occurred_at),
    )
