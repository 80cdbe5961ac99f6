"""Violations and the result of a check."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ConstraintRule(enum.IntEnum):
    """The constraint that an answer breaks; names and numbers are those of `pecia.v1.ConstraintRule`."""

    FORBIDDEN_TOKEN = 1
    SENTENCE_LENGTH = 2
    PARAGRAPHS = 3
    EMOJI = 4
    ASSERTIVENESS = 5


class Severity(enum.IntEnum):
    """Whether a violation fails the check; names and numbers are those of `pecia.v1.Severity`."""

    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where an answer breaks a constraint.

    The span is [`start`, `end`) in code points of the text as it was given. `actual` and `limit` are in
    words, paragraphs, or a score from 0 to 1; a token or an emoji is 1 where 0 are allowed.
    """

    rule: ConstraintRule
    severity: Severity
    message: str
    start: int
    end: int
    actual: float
    limit: float


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found: violations in the order of their starts, then of their rules.

    `passed` when none has severity ERROR; `truncated` when there were more than are listed.
    """

    passed: bool
    violations: tuple[Violation, ...]
    truncated: bool
