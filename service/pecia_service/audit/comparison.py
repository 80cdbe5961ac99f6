"""Replay outcomes, and the first place where two prompts differ."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from pecia_service.registry.model import Slot, TemplateRef
from pecia_service.rendering.model import PromptPart
from pecia_service.rendering.renderer import SEPARATOR

EXCERPT_LENGTH = 80
"""How many code points an excerpt has at most."""

_BEFORE = EXCERPT_LENGTH // 2


class ReplayVerdict(enum.Enum):
    """Whether a record could be reproduced; names are those of `pecia.v1.ReplayVerdict`."""

    MATCH = enum.auto()
    MISMATCH = enum.auto()
    UNVERIFIABLE = enum.auto()


class ReplayCause(enum.Enum):
    """What a finding points at; names are those of `pecia.v1.ReplayCause`, the most telling first."""

    RECORD_DAMAGED = enum.auto()
    PAYLOAD = enum.auto()
    TEMPLATE_CONTENT = enum.auto()
    CONSTRAINTS = enum.auto()
    BUNDLE = enum.auto()
    RENDERER = enum.auto()
    REDACTED = enum.auto()
    PAYLOAD_MISSING = enum.auto()
    PIECE_MISSING = enum.auto()
    TEMPLATE_ERASED = enum.auto()

    @property
    def proves_damage(self) -> bool:
        """Whether it makes the verdict MISMATCH; the others say that something is gone."""
        return self.value < ReplayCause.REDACTED.value


@dataclass(frozen=True, slots=True)
class ReplayFinding:
    """One reason for a verdict other than MATCH; `detail` holds no text of a prompt or payload."""

    cause: ReplayCause
    detail: str
    slot: Slot | None = None
    template: TemplateRef | None = None


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first place where two prompts differ.

    `slot` is that of the replayed prompt; a separator counts to the slot before it. `byte_offset` is that of
    the first UTF-8 byte that differs. Excerpts have at most 80 code points around that place.
    """

    slot: Slot
    byte_offset: int
    recorded_excerpt: str
    replayed_excerpt: str


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The outcome for one record or receipt; `findings` is empty for MATCH, else the most telling is first.

    `replayed_prompt_hash` is empty when nothing could be rendered.
    """

    render_id: str
    verdict: ReplayVerdict
    findings: tuple[ReplayFinding, ...]
    first_difference: FirstDifference | None
    renderer_version_differs: bool
    recorded_prompt_hash: str
    replayed_prompt_hash: str


def judge(findings: Sequence[ReplayFinding]) -> tuple[ReplayVerdict, tuple[ReplayFinding, ...]]:
    """Return the verdict that findings lead to, and the findings in order; proven damage outweighs a gap."""
    ordered = tuple(sorted(findings, key=lambda finding: finding.cause.value))
    if not ordered:
        return ReplayVerdict.MATCH, ordered
    if ordered[0].cause.proves_damage:
        return ReplayVerdict.MISMATCH, ordered
    return ReplayVerdict.UNVERIFIABLE, ordered


def first_difference(recorded: str, replayed: Sequence[PromptPart]) -> FirstDifference | None:
    """Return where a recorded prompt and the parts of a replayed one first differ; None if they are equal."""
    prompt = SEPARATOR.join(part.text for part in replayed)
    if recorded == prompt:
        return None
    same = _common_prefix(recorded, prompt)
    # Two characters can begin with the same bytes.
    rest = _common_prefix(_utf8(recorded[same : same + 1]), _utf8(prompt[same : same + 1]))
    return FirstDifference(
        _slot_at(same, replayed),
        len(_utf8(prompt[:same])) + rest,
        _excerpt(recorded, same),
        _excerpt(prompt, same),
    )


def _common_prefix(one: str | bytes, other: str | bytes) -> int:
    """Return how many leading elements are equal, by bisection: slices compare at the speed of memory."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _utf8(text: str) -> bytes:
    # What was stored may have been changed to something that is no longer valid text.
    return text.encode(errors="surrogatepass")


def _slot_at(index: int, parts: Sequence[PromptPart]) -> Slot:
    """Return the slot of a code point of the joined prompt; what lies behind its end counts to the last."""
    end = 0
    for part in parts[:-1]:
        end += len(part.text) + len(SEPARATOR)
        if index < end:
            return part.slot
    return parts[-1].slot


def _excerpt(text: str, index: int) -> str:
    start = max(0, index - _BEFORE)
    return text[start : start + EXCERPT_LENGTH].encode(errors="replace").decode()
