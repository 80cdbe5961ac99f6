"""Unified diffs tell what changed, and no input makes them slow."""

import difflib
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.registry import line_diff
from pecia_service.registry.line_diff import MAX_COMPARED_LINES, unified_diff

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")

lines = st.lists(st.sampled_from(["", "a", "b", "c", "- d", "+ e", "@@", "\\"]), max_size=30)


def diff(before: list[str], after: list[str]) -> str:
    """Diff two lists of lines."""
    return unified_diff(before, after, "t@1.0.0", "t@2.0.0")


def body(text: str) -> list[str]:
    """Return a diff's lines without its two headers."""
    assert text.endswith("\n")
    return text.split("\n")[2:-1]


def apply(before: list[str], text: str) -> list[str]:
    """Apply a unified diff as a patch program would, checking every range and context line."""
    if not text:
        return before
    after: list[str] = []
    old = 0
    rest = body(text)
    while rest:
        match = HUNK.fullmatch(rest.pop(0))
        assert match is not None
        old_length, new_length = (int(match[group] or 1) for group in (2, 4))
        old_start = int(match[1]) - (1 if old_length else 0)
        after += before[old:old_start]
        assert len(after) == int(match[3]) - (1 if new_length else 0)
        old, old_end, new_end = old_start, old_start + old_length, len(after) + new_length
        while old < old_end or len(after) < new_end:
            sign, line = rest[0][0], rest.pop(0)[1:]
            if sign in " -":
                assert before[old] == line
                old += 1
            if sign in " +":
                after.append(line)
        assert (old, len(after)) == (old_end, new_end)
    return after + before[old:]


def changed_lines(text: str) -> int:
    """Count the lines that a diff removes or adds."""
    return sum(line[0] in "-+" for line in body(text)) if text else 0


def test_diff_is_written_as_patch_programs_read_it() -> None:
    """Headers, ranges and three lines of context are those of a unified diff."""
    before = [f"line {number}" for number in range(1, 11)]
    after = [*before[:4], "new", "newer", *before[5:]]
    assert diff(before, after) == (
        "--- t@1.0.0\n+++ t@2.0.0\n@@ -2,7 +2,8 @@\n line 2\n line 3\n line 4\n-line 5\n+new\n+newer\n"
        " line 6\n line 7\n line 8\n"
    )


def test_equal_lines_have_no_diff() -> None:
    """Where nothing differs there is no diff, not even headers."""
    assert diff(["a", "b"], ["a", "b"]) == ""


@given(st.lists(st.text("ab", max_size=5), unique=True, max_size=30))
def test_ranges_are_those_of_difflib(before: list[str]) -> None:
    """One changed line among lines that do not repeat gives what difflib gives."""
    after = [*before[: len(before) // 2], "changed", *before[len(before) // 2 + 1 :]]
    expected = difflib.unified_diff(before, after, "t@1.0.0", "t@2.0.0", lineterm="")
    assert diff(before, after) == "".join(f"{line}\n" for line in expected)


@given(lines, lines)
def test_diff_turns_one_side_into_the_other(before: list[str], after: list[str]) -> None:
    """Whoever applies the diff to the lines before gets the lines after."""
    assert apply(before, diff(before, after)) == after


@given(lines, lines)
def test_diff_is_as_short_as_can_be(before: list[str], after: list[str]) -> None:
    """No alignment leaves more lines alone: the length is that of a longest common subsequence."""
    best = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i, old in enumerate(before):
        for j, new in enumerate(after):
            best[i + 1][j + 1] = best[i][j] + 1 if old == new else max(best[i][j + 1], best[i + 1][j])
    assert changed_lines(diff(before, after)) == len(before) + len(after) - 2 * best[-1][-1]


@pytest.mark.parametrize(("apart", "hunks"), [(6, 1), (7, 2)])
def test_changes_share_a_hunk_while_their_context_touches(apart: int, hunks: int) -> None:
    """Up to six equal lines between two changes stay in one hunk."""
    between = [f"line {number}" for number in range(apart)]
    text = diff(["a", *between, "b"], ["c", *between, "d"])
    assert sum(line.startswith("@@") for line in body(text)) == hunks


def test_many_lines_are_still_compared() -> None:
    """With 5,000 lines between equal ends, single changes are shown as such."""
    count = MAX_COMPARED_LINES
    before = ["head", *(f"line {number}" for number in range(count)), "tail"]
    after = [f"new {line}" if number % 2 or number == count else line for number, line in enumerate(before)]
    after[-1] = "tail"
    text = diff(before, after)
    assert (changed_lines(text), apply(before, text)) == (count + 2, after)


@pytest.mark.parametrize("swap", [False, True])
def test_too_many_lines_are_replaced_as_a_whole(swap: bool) -> None:
    """Beyond 5,000 lines on a side, what is between the equal ends is replaced in one piece."""
    count = MAX_COMPARED_LINES + 1
    before = ["head", *(f"line {number}" for number in range(count)), "tail"]
    after = ["head", "first", "line 7", "last", "tail"]
    if swap:
        before, after = after, before
    text = diff(before, after)
    assert (changed_lines(text), body(text).count("@@ -1,5003 +1,5 @@"), apply(before, text)) == (
        count + 3,
        0 if swap else 1,
        after,
    )


def test_equal_ends_do_not_count() -> None:
    """One changed line among a hundred thousand is one changed line."""
    before = [f"line {number}" for number in range(100_000)]
    after = [*before[:50_000], "new", *before[50_001:]]
    assert changed_lines(diff(before, after)) == 2


def test_lines_that_repeat_often_take_no_cubic_time() -> None:
    """Every second of many lines, each just rarer than what difflib calls popular: it would take minutes."""
    count = MAX_COMPARED_LINES
    before = [f"line {number % 100}" for number in range(count)]
    after = [line if number % 2 else f"new {number}" for number, line in enumerate(before)]
    text = diff(before, after)
    assert (changed_lines(text), apply(before, text)) == (count, after)


def test_pairs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often lines repeat, no more pairs are looked at than the bound allows."""
    looked_at = 0
    positions = line_diff._positions

    def counting(before: list[str], after: list[str], within: line_diff._Change) -> dict[str, list[int]]:
        nonlocal looked_at
        found = positions(before, after, within)
        looked_at += sum(len(found.get(line, ())) for line in before[within.before_start : within.before_end])
        return found

    monkeypatch.setattr(line_diff, "_positions", counting)
    source = random.Random(7)
    before = [source.choice("abcdefgh") for _ in range(MAX_COMPARED_LINES)]
    after = [source.choice("abcdefgh") for _ in range(MAX_COMPARED_LINES)]
    before[2_500] = after[2_400] = "once"
    text = diff(before, after)
    assert (0 < looked_at <= line_diff.MAX_PAIRS, " once" in body(text), apply(before, text)) == (
        True,
        True,
        after,
    )


def test_lines_too_common_to_pair_align_by_their_neighbours() -> None:
    """A line repeated beyond the bound is kept next to a rare line that is kept."""
    often = ["often"] * 1_200
    before = ["a", *often, "rare", *often, "b"]
    after = ["c", *often, "rare", *often, "d"]
    assert changed_lines(diff(before, after)) == 4
