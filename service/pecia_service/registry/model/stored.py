"""What the registry answers: pieces together with what only a store knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model.bundle import Bundle
from pecia_service.registry.model.common import Role, Slot, TemplateRef
from pecia_service.registry.model.template import Template

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A published template; `published_at` is in microseconds since the epoch."""

    template: Template
    published_at: int


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A published bundle; `published_at` is in microseconds since the epoch."""

    bundle: Bundle
    published_at: int


@dataclass(frozen=True, slots=True)
class TemplateSummary:
    """A published template without its content, as lists show it, and all that is left of an erased one.

    All of it is what is stored, and nothing is proved: what can't be read is empty, and `role` None. Texts
    may hold lone surrogates. `published_at`, and `erased_at` of an erased one, are in microseconds since the
    epoch.
    """

    template_id: str
    semver: str
    role: Role | None
    constraints: Constraints
    adapter_version: str
    description: str
    content_hash: str
    constraints_hash: str
    definition_hash: str
    content_bytes: int
    published_at: int
    erased_at: int | None = None


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """A published bundle as lists show it: what is stored, and unproved, as in a TemplateSummary."""

    bundle_id: str
    semver: str
    slots: Mapping[Slot, TemplateRef]
    tags: tuple[str, ...]
    description: str
    definition_hash: str
    published_at: int


@dataclass(frozen=True, slots=True)
class Published(Generic[T]):
    """A piece as it is stored; `created` is False when the same definition was there already.

    `published_at` is when it was first published, in microseconds since the epoch.
    """

    piece: T
    published_at: int
    created: bool
