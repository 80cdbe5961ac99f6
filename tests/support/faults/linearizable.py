"""Whether a recorded history of calls could have happened one call at a time.

After J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects" (1993), with G. Lowe's memory of
what was tried ("Testing for linearizability", 2017): each call takes effect at one moment between its begin
and its end, and what it answered must be what the model answers then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

LIMIT: Final = 500_000
"""Positions that are tried; a history that happened needs little more than one for each call."""

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Call(Generic[State]):
    """A call: when it began and ended, and what it does.

    `apply` returns the state after it, or None if its answer can't have been given in that state. A call
    whose outcome is unknown ends at infinity: it may take effect at any later moment, or never.
    """

    began: float
    ended: float
    name: str
    apply: Callable[[State], State | None]

    @property
    def known(self) -> bool:
        """Whether it was answered."""
        return self.ended != math.inf


@dataclass(frozen=True)
class Verdict:
    """Whether there is an order, and if not, the calls of which none could come next at the furthest."""

    linearizable: bool
    stuck_at: tuple[str, ...] = ()


def check(calls: Sequence[Call[State]], initial: State) -> Verdict:
    """Look for an order of the calls of one object that its model and the calls' times allow.

    Raises RuntimeError when too many orders were tried without an answer.
    """
    ordered = sorted(calls, key=lambda call: call.began)
    tried: set[tuple[int, frozenset[int], State]] = set()
    furthest = -1
    stuck: tuple[str, ...] = ()
    # What is done: every call before `base`, and those in `beyond`.
    stack: list[tuple[int, frozenset[int], State]] = [(0, frozenset(), initial)]
    while stack:
        position = stack.pop()
        if position in tried:
            continue
        tried.add(position)
        if len(tried) > LIMIT:
            raise RuntimeError(
                f"no order of {len(ordered)} calls found; it got to {furthest}, before {stuck}"
            )
        base, beyond, state = position
        candidates = list(_candidates(ordered, base, beyond))
        if not any(ordered[index].known for index in candidates) and _only_unknown(ordered, base, beyond):
            return Verdict(True)
        if base + len(beyond) > furthest:
            furthest, stuck = base + len(beyond), tuple(ordered[index].name for index in candidates)
        for index in reversed(candidates):
            after = ordered[index].apply(state)
            if after is not None:
                stack.append((*_done(base, beyond | {index}), after))
    return Verdict(False, stuck)


def _candidates(ordered: Sequence[Call[State]], base: int, beyond: frozenset[int]) -> Iterator[int]:
    """Yield the calls that could come next: those that began before any that is not done had ended."""
    earliest_end = math.inf
    for index in range(base, len(ordered)):
        if ordered[index].began > earliest_end:
            return
        if index not in beyond:
            earliest_end = min(earliest_end, ordered[index].ended)
            yield index


def _only_unknown(ordered: Sequence[Call[State]], base: int, beyond: frozenset[int]) -> bool:
    return not any(ordered[index].known for index in range(base, len(ordered)) if index not in beyond)


def _done(base: int, beyond: frozenset[int]) -> tuple[int, frozenset[int]]:
    """Move the base past all that is done without a gap."""
    while base in beyond:
        beyond -= {base}
        base += 1
    return base, beyond
