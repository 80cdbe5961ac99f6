"""A template version: normalised, compiled, hashed, and proved when it is read back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property

from pecia_service.canonical import JsonObject, JsonValue, canonical_json, normalise_text, sha256_hex
from pecia_service.errors import DataLossError, ErrorReason, Findings, InvalidInputError, invalid_field
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.identifiers import require_identifier, require_semver
from pecia_service.registry.model.common import (
    Role,
    TemplateRef,
    check_adapter_version,
    check_bytes,
    check_description,
    damaged,
)
from pecia_service.registry.placeholders import Segment, compile_template

MAX_CONTENT_BYTES = 262_144


@dataclass(frozen=True)
class Template:
    """A template version with its compiled content and its hashes."""

    template_id: str
    semver: str
    role: Role
    content: str
    constraints: Constraints
    adapter_version: str
    description: str
    segments: tuple[Segment, ...]
    content_hash: str
    definition_hash: str

    @classmethod
    def define(
        cls,
        *,
        template_id: str,
        semver: str,
        role: Role | None,
        content: str,
        constraints: JsonObject | None = None,
        adapter_version: str = "",
        description: str = "",
        field: str = "",
    ) -> Template:
        """Make a template from what an author wrote: normalise, check everything, compile, hash.

        `constraints` is an object with the canonical keys. `field` is the path of the template in the
        request, which errors put before its fields' names. Raises InvalidInputError with all that is wrong.
        """
        at = f"{field}." if field else ""
        findings = Findings()
        with findings.gather():
            require_identifier(template_id, f"{at}template_id")
        with findings.gather():
            require_semver(semver, f"{at}semver")
        if role is None:
            findings.add(
                invalid_field(
                    ErrorReason.FIELD_INVALID, f"{at}role", "is missing; give system, developer or user"
                )
            )
        segments: tuple[Segment, ...] = ()
        with findings.gather():
            content = normalise_text(content, f"{at}content").rstrip("\n")
            if not content:
                raise invalid_field(
                    ErrorReason.FIELD_INVALID, f"{at}content", "is empty; give at least one byte"
                )
            check_bytes(content, MAX_CONTENT_BYTES, f"{at}content")
            segments = compile_template(content, f"{at}content")
        normal = Constraints()
        with findings.gather():
            normal = Constraints.normalise(constraints or {}, f"{at}constraints")
        with findings.gather():
            adapter_version = check_adapter_version(adapter_version, f"{at}adapter_version")
        with findings.gather():
            description = check_description(description, f"{at}description")
        findings.raise_if_any()
        assert role is not None
        return cls._make(
            template_id=template_id,
            semver=semver,
            role=role,
            content=content,
            constraints=normal,
            adapter_version=adapter_version,
            description=description,
            segments=segments,
        )

    @classmethod
    def restore(
        cls,
        *,
        template_id: str,
        semver: str,
        role: str,
        content: str,
        constraints: JsonObject,
        adapter_version: str,
        description: str,
        content_hash: str,
        constraints_hash: str,
        definition_hash: str,
    ) -> Template:
        """Make a template from what was stored, and prove it.

        Raises DamagedTemplateError (PIECE_DAMAGED) whose metadata `part` says what does not have its hash:
        content, constraints or definition.
        """
        normal = Constraints.restore(constraints)
        found: Template | None = None
        if normal is not None:
            try:
                found = cls._make(
                    template_id=template_id,
                    semver=semver,
                    role=Role(role),
                    content=content,
                    constraints=normal,
                    adapter_version=adapter_version,
                    description=description,
                    segments=compile_template(content),
                )
            except (InvalidInputError, ValueError):
                found = None
        if sha256_hex(content.encode(errors="surrogatepass")) != content_hash:
            part = "content"
        elif normal is None or normal.constraints_hash != constraints_hash:
            part = "constraints"
        elif found is None or found.definition_hash != definition_hash:
            part = "definition"
        else:
            return found
        raise damaged_template(TemplateRef(template_id, semver), part, found)

    @classmethod
    def _make(
        cls,
        *,
        template_id: str,
        semver: str,
        role: Role,
        content: str,
        constraints: Constraints,
        adapter_version: str,
        description: str,
        segments: tuple[Segment, ...],
    ) -> Template:
        definition: JsonValue = {
            "format": "pecia.template-definition.v1",
            "template_id": template_id,
            "semver": semver,
            "role": role.value,
            "content": content,
            "constraints": constraints.to_json(),
            "adapter_version": adapter_version,
            "description": description,
        }
        return cls(
            template_id,
            semver,
            role,
            content,
            constraints,
            adapter_version,
            description,
            segments,
            content_hash=sha256_hex(content.encode()),
            definition_hash=sha256_hex(canonical_json(definition)),
        )

    @property
    def ref(self) -> TemplateRef:
        """Its identity."""
        return TemplateRef(self.template_id, self.semver)

    @property
    def constraints_hash(self) -> str:
        """SHA-256 of the constraints' canonical form."""
        return self.constraints.constraints_hash

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory: the text, its segments, and what is computed from it."""
        return (
            2 * sys.getsizeof(self.content)
            + 200 * len(self.segments)
            + len(self.constraints.canonical)
            + 2000
        )

    @cached_property
    def content_bytes(self) -> int:
        """The length of the content in UTF-8 bytes."""
        return len(self.content.encode())


class DamagedTemplateError(DataLossError):
    """A stored template is not what was published.

    `found` is what is stored now, for comparison, where that is a template at all.
    """

    def __init__(self, ref: TemplateRef, part: str, found: Template | None) -> None:
        error = damaged("template", ref.template_id, ref.semver, part)
        super().__init__(error.reason, error.message, metadata=error.metadata)
        self.found = found


def damaged_template(ref: TemplateRef, part: str, found: Template | None = None) -> DamagedTemplateError:
    """Make the error for a stored template whose `part` (content, constraints, definition) was changed."""
    return DamagedTemplateError(ref, part, found)


def lost_template(ref: TemplateRef) -> DataLossError:
    """Make the error for a stored template that a published bundle names and that is gone."""
    return DataLossError(
        ErrorReason.PIECE_DAMAGED,
        f"template {ref}, which the bundle names, is gone from the registry; "
        "restore it from a backup, or publish a new version and use that",
        metadata={"piece": "template", "part": "row", "id": ref.template_id, "semver": ref.semver},
    )
