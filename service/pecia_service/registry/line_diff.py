"""Unified diffs of lines, in time and memory that no input can blow up."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

MAX_COMPARED_LINES = 5_000
"""With more lines than this on a side, equal ends taken off, the lines are replaced as a whole."""

MAX_PAIRS = 250_000
"""How many pairs of equal lines are looked at; lines that repeat too often align by their neighbours."""

CONTEXT = 3

_Link: TypeAlias = "tuple[int, int, _Link | None]"


@dataclass(frozen=True, slots=True)
class _Change:
    """Lines `before_start` to `before_end` are replaced by lines `after_start` to `after_end`."""

    before_start: int
    before_end: int
    after_start: int
    after_end: int


def unified_diff(before: Sequence[str], after: Sequence[str], before_name: str, after_name: str) -> str:
    """Return the unified diff of two sequences of lines with three lines of context; "" if they are equal.

    Lines come without their line ends, and every line of the diff has one. Unlike difflib, whose time grows
    with the cube of the lines, this takes O((lines + pairs of equal lines) log lines), both bounded.
    """
    changes = _changes(before, after)
    if not changes:
        return ""
    lines = [f"--- {before_name}", f"+++ {after_name}"]
    for hunk in _hunks(changes):
        lines.extend(_format(hunk, before, after))
    return "\n".join(lines) + "\n"


def _changes(before: Sequence[str], after: Sequence[str]) -> list[_Change]:
    """Return what changes, in order, no two changes touching."""
    whole = _trim(before, after, _Change(0, len(before), 0, len(after)))
    if whole is None:
        return []
    lengths = whole.before_end - whole.before_start, whole.after_end - whole.after_start
    if max(lengths) > MAX_COMPARED_LINES:
        return [whole]
    changes = []
    left, right = whole.before_start, whole.after_start
    for old, new in [*_common(before, after, whole), (whole.before_end, whole.after_end)]:
        # Lines that repeat too often to be paired still belong together next to lines that are paired.
        gap = _trim(before, after, _Change(left, old, right, new))
        if gap is not None:
            changes.append(gap)
        left, right = old + 1, new + 1
    return changes


def _trim(before: Sequence[str], after: Sequence[str], change: _Change) -> _Change | None:
    """Take equal lines off both ends of a change; None when nothing is left."""
    left, old = change.before_start, change.before_end
    right, new = change.after_start, change.after_end
    while left < old and right < new and before[left] == after[right]:
        left, right = left + 1, right + 1
    while left < old and right < new and before[old - 1] == after[new - 1]:
        old, new = old - 1, new - 1
    return _Change(left, old, right, new) if left < old or right < new else None


def _common(before: Sequence[str], after: Sequence[str], within: _Change) -> list[tuple[int, int]]:
    """Return a longest common subsequence, as pairs of line numbers, of the lines that repeat least.

    J. W. Hunt and T. G. Szymanski, "A fast algorithm for computing longest common subsequences", 1977:
    the longest chain of pairs that increase on both sides.
    """
    positions = _positions(before, after, within)
    ends: list[int] = []
    chains: list[_Link] = []
    for old in range(within.before_start, within.before_end):
        # Descending, so that no two pairs of one line get into one chain.
        for new in positions.get(before[old], ()):
            length = bisect_left(ends, new)
            link = (old, new, chains[length - 1] if length else None)
            if length == len(ends):
                ends.append(new)
                chains.append(link)
            elif new < ends[length]:
                ends[length] = new
                chains[length] = link
    pairs = []
    chain = chains[-1] if chains else None
    while chain is not None:
        pairs.append(chain[:2])
        chain = chain[2]
    return pairs[::-1]


def _positions(before: Sequence[str], after: Sequence[str], within: _Change) -> dict[str, list[int]]:
    """Return where each common line is in `after`, descending; the rarest lines that MAX_PAIRS allows."""
    old_counts = Counter(before[within.before_start : within.before_end])
    new_counts = Counter(after[within.after_start : within.after_end])
    costs = {line: count * old_counts[line] for line, count in new_counts.items() if line in old_counts}
    positions: dict[str, list[int]] = {}
    left = MAX_PAIRS
    for line, cost in sorted(costs.items(), key=lambda item: item[1]):
        left -= cost
        if left < 0:
            break
        positions[line] = []
    for new in range(within.after_end - 1, within.after_start - 1, -1):
        if after[new] in positions:
            positions[after[new]].append(new)
    return positions


def _hunks(changes: Sequence[_Change]) -> Iterator[list[_Change]]:
    """Put changes whose context would overlap together."""
    hunk = [changes[0]]
    for change in changes[1:]:
        if change.before_start - hunk[-1].before_end > 2 * CONTEXT:
            yield hunk
            hunk = []
        hunk.append(change)
    yield hunk


def _format(hunk: Sequence[_Change], before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    lead = min(CONTEXT, hunk[0].before_start)
    trail = min(CONTEXT, len(before) - hunk[-1].before_end)
    old_start, old_end = hunk[0].before_start - lead, hunk[-1].before_end + trail
    new_start, new_end = hunk[0].after_start - lead, hunk[-1].after_end + trail
    yield f"@@ -{_range(old_start, old_end)} +{_range(new_start, new_end)} @@"
    position = old_start
    for change in hunk:
        yield from (f" {line}" for line in before[position : change.before_start])
        yield from (f"-{line}" for line in before[change.before_start : change.before_end])
        yield from (f"+{line}" for line in after[change.after_start : change.after_end])
        position = change.before_end
    yield from (f" {line}" for line in before[position:old_end])


def _range(start: int, end: int) -> str:
    """Return a range as unified diffs write it: the first line from 1, and the length unless it is 1."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
