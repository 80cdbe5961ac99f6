"""The prompt that is rendered everywhere: four parts, their values, and the same in other engines' words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pecia_service.canonical import JsonObject
from pecia_service.registry.model import Bundle, Role, Slot, Template
from pecia_service.rendering.model import RenderResult, ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.renderer import Renderer

SEMVER: Final = "1.0.0"

CONTENTS: Final[Mapping[Slot, str]] = {
    Slot.SYSTEM: (
        "You are {{semantic_traits.name}}, the companion of a person whom you have known for some time.\n"
        "You listen first. You answer what was asked before you add anything of your own, and you say so\n"
        "when you don't know something. You never invent facts about the person's life, you never give\n"
        "medical or legal advice, and you never pretend to be human when somebody sincerely asks.\n"
        "Keep to these limits, stated as JSON: {{constraints}}"
    ),
    Slot.PERSONALITY: (
        "Your mood today is {{semantic_traits.mood}}. Your tone is {{semantic_traits.style.tone}} and your\n"
        "pace is {{semantic_traits.style.pace}}. Openness {{semantic_traits.openness}}, warmth\n"
        "{{semantic_traits.warmth}}, playfulness {{semantic_traits.playfulness}}: let these colour the\n"
        "choice of words, never the facts. Address the person as {{semantic_traits.address}}."
    ),
    Slot.ACTIVITY: (
        "The activity level is {{activity_level}} and the stress is {{stress}}, both from 0 to 1.\n"
        "When stress is above 0.6, keep sentences short, offer one thing at a time, and leave out jokes.\n"
        "When activity is below 0.3, do not propose more than one small step."
    ),
    Slot.TASK: (
        "What is to be done now, in the person's own words:\n\n{{task}}\n\n"
        "Answer {{semantic_traits.address}} directly, in plain text without headings."
    ),
}
CONSTRAINTS: Final = {"MAX_PARAGRAPHS": 3, "MAX_SENTENCE_LENGTH": 24, "NO_EMOJI": True}
TRAITS: Final[JsonObject] = {
    "name": "Juna",
    "mood": "calm",
    "style": {"tone": "warm", "pace": "unhurried"},
    "openness": 0.8,
    "warmth": 0.9,
    "playfulness": 0.35,
    "address": "Ada",
}
ACTIVITY_LEVEL: Final = 0.5
STRESS: Final = 0.25

_PLACEHOLDER: Final = re.compile(r"\{\{([a-z_.]+)\}\}")


def task(number: int) -> str:
    """Return the task of a render; all have the same length, and none is like another."""
    return (
        f"Note {number:06d}: plan a quiet afternoon with a walk, a call to my sister, and two hours for the\n"
        "report that is due on Thursday. I slept badly, so don't make it too ambitious."
    )


def templates(prefix: str = "bench") -> dict[Slot, Template]:
    """Define the four templates `PREFIX-SLOT`."""
    return {
        slot: Template.define(
            template_id=f"{prefix}-{slot.value}",
            semver=SEMVER,
            role=Role.USER if slot is Slot.TASK else Role.SYSTEM,
            content=content,
            constraints=dict(CONSTRAINTS) if slot is Slot.SYSTEM else None,
        )
        for slot, content in CONTENTS.items()
    }


def bundle(pieces: Mapping[Slot, Template], bundle_id: str = "bench") -> Bundle:
    """Define the bundle of four templates."""
    return Bundle.define(
        bundle_id=bundle_id, semver=SEMVER, slots={slot: piece.ref for slot, piece in pieces.items()}
    )


def resolved(prefix: str = "bench") -> ResolvedBundle:
    """Return the bundle PREFIX ready to render."""
    pieces = templates(prefix)
    return ResolvedBundle.resolve(bundle(pieces, prefix), {piece.ref: piece for piece in pieces.values()})


def payload(number: int) -> Payload:
    """Make the payload of a render."""
    return Payload.create(
        semantic_traits=TRAITS, activity_level=ACTIVITY_LEVEL, stress=STRESS, task=task(number)
    )


def render(number: int, of: ResolvedBundle) -> RenderResult:
    """Render in this process, to know what a server must answer."""
    return Renderer().render(of, payload(number))


def values(number: int, of: ResolvedBundle) -> dict[str, Any]:
    """Return what the templates read, as engines with nested names take it."""
    return {
        "semantic_traits": TRAITS,
        "activity_level": ACTIVITY_LEVEL,
        "stress": STRESS,
        "task": task(number),
        "constraints": of.constraints.canonical.decode(),
    }


def flat_name(path: str) -> str:
    """Return the name of a path for engines whose names have no dots."""
    return path.replace(".", "_")


def flat_values(number: int, of: ResolvedBundle) -> dict[str, Any]:
    """Return what the templates read by flat names."""
    flat: dict[str, Any] = {}
    for path in dict.fromkeys(path for text in CONTENTS.values() for path in _PLACEHOLDER.findall(text)):
        value: Any = values(number, of)
        for key in path.split("."):
            value = value[key]
        flat[flat_name(path)] = value
    return flat


def written_as(write: Callable[[str], str]) -> dict[Slot, str]:
    """Return the four contents with each placeholder as another engine writes it."""
    return {
        slot: _PLACEHOLDER.sub(lambda match: write(match[1]), content) for slot, content in CONTENTS.items()
    }
