"""What the registry answers: pieces together with what only a store knows of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model.bundle import Bundle
from pecia_service.registry.model.common import Role
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
    """A published template without its content, as lists show it.

    The constraints are proved, the rest is what is stored: proving it takes the content. `published_at` is in
    microseconds since the epoch.
    """

    template_id: str
    semver: str
    role: Role
    constraints: Constraints
    adapter_version: str
    description: str
    content_hash: str
    definition_hash: str
    content_bytes: int
    published_at: int

    @property
    def constraints_hash(self) -> str:
        """SHA-256 of the constraints' canonical form."""
        return self.constraints.constraints_hash


@dataclass(frozen=True, slots=True)
class Published(Generic[T]):
    """A piece as it is stored; `created` is False when the same definition was there already.

    `published_at` is when it was first published, in microseconds since the epoch.
    """

    piece: T
    published_at: int
    created: bool
