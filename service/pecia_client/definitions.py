"""Build the definitions of templates, bundles and constraints from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pecia.v1.bundle_pb2 import BundleDefinition, BundleSlots, InlineBundle
from pecia.v1.constraints_pb2 import Constraints
from pecia.v1.template_pb2 import Role, TemplateDefinition

from pecia_client.payload import number, struct_from_mapping, text
from pecia_client.references import parse_template_ref

_ROLES: Mapping[str, Role] = {
    "system": Role.ROLE_SYSTEM,
    "developer": Role.ROLE_DEVELOPER,
    "user": Role.ROLE_USER,
}
_SLOTS = ("system", "personality", "activity", "task")
_UINT32_MAX = 2**32 - 1


def template_definition(
    template_id: str,
    semver: str,
    content: str,
    *,
    role: str,
    constraints: Mapping[str, object] | None = None,
    adapter_version: str = "",
    description: str = "",
) -> TemplateDefinition:
    """Build a template; `role` is system, developer or user, `constraints` has the canonical keys.

    Raises:
        ValueError: The role is none of the three, or a constraint has the wrong type.

    """
    if role not in _ROLES:
        raise ValueError(f"role {role!r} is not one of {', '.join(_ROLES)}")
    definition = TemplateDefinition(
        template_id=template_id,
        semver=semver,
        role=_ROLES[role],
        content=text(content, "content"),
        adapter_version=text(adapter_version, "adapter_version"),
        description=text(description, "description"),
    )
    if constraints:
        definition.constraints.CopyFrom(constraints_from_mapping(constraints))
    return definition


def bundle_definition(
    bundle_id: str,
    semver: str,
    slots: Mapping[str, str],
    *,
    tags: Iterable[str] = (),
    description: str = "",
) -> BundleDefinition:
    """Build a bundle; `slots` maps system, personality, activity and task to `ID@VERSION`.

    Raises:
        ValueError: A slot is missing or unknown, or a reference is not `ID@VERSION`.

    """
    if set(slots) != set(_SLOTS):
        raise ValueError(
            f"slots must be exactly {', '.join(_SLOTS)}, not {', '.join(sorted(slots)) or 'none'}"
        )
    return BundleDefinition(
        bundle_id=bundle_id,
        semver=semver,
        slots=BundleSlots(**{slot: parse_template_ref(slots[slot]) for slot in _SLOTS}),
        tags=[text(tag, "tags") for tag in tags],
        description=text(description, "description"),
    )


def inline_bundle(bundle: BundleDefinition, templates: Iterable[TemplateDefinition]) -> InlineBundle:
    """Put a bundle and the templates that its slots name, each once, into one message."""
    return InlineBundle(bundle=bundle, templates=templates)


def constraints_from_mapping(mapping: Mapping[str, object]) -> Constraints:
    """Build constraints from their canonical keys; every other key is kept as a further one.

    The canonical keys are FORBIDDEN_TOKENS, MAX_SENTENCE_LENGTH, MAX_PARAGRAPHS, NO_EMOJI and
    ASSERTIVENESS_LEVEL.

    Raises:
        ValueError: A value has the wrong type; ranges are the server's to check.

    """
    constraints = Constraints()
    further: dict[str, object] = {}
    for key, value in mapping.items():
        match key:
            case "FORBIDDEN_TOKENS":
                constraints.forbidden_tokens.extend(_tokens(value))
            case "MAX_SENTENCE_LENGTH":
                constraints.max_sentence_length = _count(value, key)
            case "MAX_PARAGRAPHS":
                constraints.max_paragraphs = _count(value, key)
            case "NO_EMOJI":
                if not isinstance(value, bool):
                    raise ValueError(f"{key} must be true or false, not {type(value).__name__}")
                constraints.no_emoji = value
            case "ASSERTIVENESS_LEVEL":
                constraints.assertiveness_level = number(value, key)
            case _:
                further[key] = value
    if further:
        constraints.further.CopyFrom(struct_from_mapping(further, "constraints"))
    return constraints


def _tokens(value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"FORBIDDEN_TOKENS must be a list, not {type(value).__name__}")
    return [text(token, "FORBIDDEN_TOKENS") for token in value]


def _count(value: object, key: str) -> int:
    if isinstance(value, float) and value.is_integer():
        # To JSON 2.0 is the same number as 2.
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _UINT32_MAX:
        raise ValueError(f"{key} must be a whole number that is not negative")
    return value
