"""Small templates, bundles and payloads as messages, for tests over a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from pecia.v1 import bundle_pb2, payload_pb2, registry_service_pb2_grpc, template_pb2
from pecia.v1 import registry_service_pb2 as registry_pb

SLOTS = ("system", "personality", "activity", "task")
CONTENTS = {
    "system": "You are Juna. {{constraints}}",
    "personality": 'Mood: {{semantic_traits.mood|"even"}}.',
    "activity": "Activity {{activity_level}}, stress {{stress}}.",
    "task": "Do this: {{task}}",
}


def template(
    template_id: str, semver: str = "1.0.0", content: str = "Text.", **fields: Any
) -> template_pb2.TemplateDefinition:
    """Make a template definition; its role is system unless given."""
    fields.setdefault("role", template_pb2.ROLE_SYSTEM)
    return template_pb2.TemplateDefinition(template_id=template_id, semver=semver, content=content, **fields)


def bundle(
    bundle_id: str = "companion",
    semver: str = "1.0.0",
    *,
    prefix: str | None = None,
    versions: Mapping[str, str] | None = None,
    **fields: Any,
) -> bundle_pb2.BundleDefinition:
    """Make a bundle definition whose slots name `PREFIX-SLOT` at 1.0.0, or at the versions given by slot."""
    stem = prefix or bundle_id
    slots = {
        slot: template_pb2.TemplateRef(
            template_id=f"{stem}-{slot}", semver=(versions or {}).get(slot, "1.0.0")
        )
        for slot in SLOTS
    }
    return bundle_pb2.BundleDefinition(
        bundle_id=bundle_id, semver=semver, slots=bundle_pb2.BundleSlots(**slots), **fields
    )


def templates_of(
    prefix: str = "companion", contents: Mapping[str, str] | None = None, **fields: Any
) -> list[template_pb2.TemplateDefinition]:
    """Make the four templates that `bundle` names."""
    texts = {**CONTENTS, **(contents or {})}
    return [template(f"{prefix}-{slot}", content=texts[slot], **fields) for slot in SLOTS]


def inline_bundle(
    contents: Mapping[str, str] | None = None, bundle_id: str = "companion", **fields: Any
) -> bundle_pb2.InlineBundle:
    """Make a bundle with its templates."""
    return bundle_pb2.InlineBundle(
        bundle=bundle(bundle_id, **fields), templates=templates_of(bundle_id, contents)
    )


def payload(traits: Mapping[str, Any] | None = None, **fields: Any) -> payload_pb2.DerivedPayload:
    """Make a payload; what is not given is an ordinary value."""
    values = {"activity_level": 0.5, "stress": 0.25, "task": "Plan the day.", **fields}
    message = payload_pb2.DerivedPayload(**values)
    json_format.ParseDict(dict(traits or {}), message.semantic_traits)
    message.semantic_traits.SetInParent()
    return message


def version_ref(semver: str = "1.0.0", bundle_id: str = "companion") -> bundle_pb2.BundleRef:
    """Name an exact version."""
    return bundle_pb2.BundleRef(bundle_id=bundle_id, semver=semver)


def label_ref(label: str, bundle_id: str = "companion") -> bundle_pb2.BundleRef:
    """Name a label."""
    return bundle_pb2.BundleRef(bundle_id=bundle_id, label=label)


async def publish(
    registry: registry_service_pb2_grpc.RegistryServiceAsyncStub,
    contents: Mapping[str, str] | None = None,
    *,
    bundle_id: str = "companion",
    semvers: tuple[str, ...] = ("1.0.0",),
    template_fields: Mapping[str, Any] | None = None,
    **fields: Any,
) -> None:
    """Publish the four templates of a bundle, and the bundle in each of the versions."""
    for definition in templates_of(bundle_id, contents, **(template_fields or {})):
        await registry.PublishTemplate(registry_pb.PublishTemplateRequest(template=definition))
    for semver in semvers:
        await registry.PublishBundle(
            registry_pb.PublishBundleRequest(bundle=bundle(bundle_id, semver, **fields))
        )
