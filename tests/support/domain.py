"""Pieces of the domain with ordinary values, and a clock that ticks."""

from collections.abc import Mapping
from typing import Any

from pecia_service.registry.model import Bundle, Role, Slot, Template, TemplateRef

TENANT = "default"
ACTOR = "ada"

START = 1_750_000_000_000_000
"""The first tick of a TickingClock, in microseconds since the epoch."""


class TickingClock:
    """A clock that moves on by one microsecond each time that it is read."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the time in microseconds since the epoch."""
        now, self.now = self.now, self.now + 1
        return now


def define_template(template_id: str = "greeting", semver: str = "1.0.0", **fields: Any) -> Template:
    """Make a template; what is not given is an ordinary value."""
    values = {"role": Role.SYSTEM, "content": "You are {{semantic_traits.name}}.", **fields}
    return Template.define(template_id=template_id, semver=semver, **values)


def define_templates(prefix: str = "companion") -> list[Template]:
    """Make the four templates that `define_bundle` names."""
    return [define_template(f"{prefix}-{slot.value}", content=f"This is the {slot.value}.") for slot in Slot]


def define_bundle(
    bundle_id: str = "companion", semver: str = "1.0.0", *, prefix: str | None = None, **fields: Any
) -> Bundle:
    """Make a bundle whose slots name `PREFIX-SLOT` at 1.0.0; the prefix is the id unless given."""
    slots: Mapping[Slot, TemplateRef] = {
        slot: TemplateRef(f"{prefix or bundle_id}-{slot.value}", "1.0.0") for slot in Slot
    }
    return Bundle.define(bundle_id=bundle_id, semver=semver, **{"slots": slots, **fields})
