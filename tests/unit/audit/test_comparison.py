"""The first difference of two prompts, and the verdict that findings lead to."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.audit.comparison import (
    EXCERPT_LENGTH,
    FirstDifference,
    ReplayCause,
    ReplayFinding,
    ReplayVerdict,
    first_difference,
    judge,
)
from pecia_service.registry.model import Role, Slot
from pecia_service.rendering.model import PromptPart

# Few characters make long common beginnings likely; they take one to four bytes, some beginning alike.
texts = st.text("ab\n\u00e9\u00e8\u20ac\u20ad\U0001f600\U0001f601", max_size=8)
four_texts = st.lists(texts, min_size=4, max_size=4)


def parts_of(contents: Sequence[str]) -> list[PromptPart]:
    """Make the parts of a prompt."""
    return [PromptPart(slot, Role.SYSTEM, text) for slot, text in zip(Slot, contents, strict=True)]


def difference(recorded: str, *contents: str) -> FirstDifference:
    """Return the first difference, which there must be."""
    found = first_difference(recorded, parts_of(contents))
    assert found is not None
    return found


def naive_offset(one: bytes, other: bytes) -> int:
    """Find the first byte that differs the slow way."""
    for offset, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return offset
    return min(len(one), len(other))


def naive_slot(offset: int, contents: Sequence[str]) -> Slot:
    """Find the slot of a byte of the replayed prompt the slow way."""
    owners: list[Slot] = []
    for slot, text in zip(Slot, contents, strict=True):
        owners += [slot] * (len(text.encode()) + 2)
    return owners[offset] if offset < len(owners) - 2 else Slot.TASK


@given(four_texts)
def test_equal_prompts_have_no_difference(contents: list[str]) -> None:
    """A prompt does not differ from itself."""
    assert first_difference("\n\n".join(contents), parts_of(contents)) is None


@given(texts, four_texts)
def test_the_offset_is_that_of_the_first_byte(recorded: str, contents: list[str]) -> None:
    """Offset and slot are those that a comparison byte by byte finds."""
    prompt = "\n\n".join(contents)
    found = first_difference(recorded, parts_of(contents))
    if recorded == prompt:
        assert found is None
        return
    assert found is not None
    offset = naive_offset(recorded.encode(), prompt.encode())
    assert (found.byte_offset, found.slot) == (offset, naive_slot(offset, contents))


@given(four_texts, st.integers(0, 40), st.sampled_from("ab\n\u00e9\U0001f600"))
def test_one_changed_character_is_found(contents: list[str], index: int, character: str) -> None:
    """A prompt with one character replaced differs at that character or not at all."""
    prompt = "\n\n".join(contents)
    index %= len(prompt)
    recorded = prompt[:index] + character + prompt[index + 1 :]
    found = first_difference(recorded, parts_of(contents))
    if recorded == prompt:
        assert found is None
        return
    assert found is not None
    assert len(prompt[:index].encode()) <= found.byte_offset < len(prompt[: index + 1].encode())


@given(st.text(max_size=300), st.text(max_size=300))
def test_excerpts_are_bounded_and_part_of_their_prompts(recorded: str, replayed: str) -> None:
    """An excerpt has at most 80 code points and stands in the prompt that it is of."""
    found = first_difference(recorded, parts_of(["", "", "", replayed]))
    assert found is not None or recorded == "\n\n\n\n\n\n" + replayed
    if found is not None:
        assert max(len(found.recorded_excerpt), len(found.replayed_excerpt)) <= EXCERPT_LENGTH
        assert found.recorded_excerpt in recorded
        assert found.replayed_excerpt in "\n\n\n\n\n\n" + replayed


def test_excerpts_are_around_the_place() -> None:
    """Forty code points before the difference are shown, and forty from it on."""
    same = "s" * 100
    found = difference(f"{same}recorded{'r' * 100}", f"{same}played{'p' * 100}", "", "", "")
    assert (found.recorded_excerpt, found.replayed_excerpt) == (
        "s" * 40 + "recorded" + "r" * 32,
        "s" * 40 + "played" + "p" * 34,
    )


@pytest.mark.parametrize(
    ("recorded", "slot"),
    [
        ("A\n\nB\n\nC\n\nX", Slot.TASK),
        ("A\n\nB\n\nX\n\nD", Slot.ACTIVITY),
        ("A\n\nB\n\nC\n\nD, and more", Slot.TASK),
        ("A\n\nB\n\nC", Slot.ACTIVITY),
        ("A, and more\n\nB\n\nC\n\nD", Slot.SYSTEM),
        ("A\nB\n\nC\n\nD", Slot.SYSTEM),
        ("A\n\n", Slot.PERSONALITY),
        ("", Slot.SYSTEM),
    ],
)
def test_the_slot_is_that_of_the_replayed_prompt(recorded: str, slot: Slot) -> None:
    """A separator counts to the slot before it, and what lies behind the end to the last."""
    assert difference(recorded, "A", "B", "C", "D").slot is slot


def test_characters_that_begin_alike_differ_in_a_later_byte() -> None:
    """The offset is in bytes, inside of a character where only its last byte differs."""
    assert difference("a\u00e9", "a\u00e8", "", "", "").byte_offset == 2


def test_a_prompt_that_is_no_longer_text_can_be_compared() -> None:
    """A byte that is no UTF-8 is shown as a question mark."""
    found = difference("a\udcffb", "axb", "", "", "")
    assert (found.byte_offset, found.recorded_excerpt) == (1, "a?b")


def finding(cause: ReplayCause) -> ReplayFinding:
    """Make a finding."""
    return ReplayFinding(cause, "for a test")


def test_no_finding_is_a_match() -> None:
    """Without findings a record is reproduced."""
    assert judge([]) == (ReplayVerdict.MATCH, ())


@pytest.mark.parametrize("cause", [cause for cause in ReplayCause if cause.proves_damage])
def test_proven_damage_outweighs_a_gap(cause: ReplayCause) -> None:
    """Damage makes a mismatch, whatever else is gone, and comes first."""
    missing = [finding(ReplayCause.PIECE_MISSING), finding(ReplayCause.REDACTED)]
    verdict, ordered = judge([*missing, finding(cause)])
    assert (verdict, ordered[0]) == (ReplayVerdict.MISMATCH, finding(cause))


@pytest.mark.parametrize(
    "cause", [ReplayCause.REDACTED, ReplayCause.PAYLOAD_MISSING, ReplayCause.PIECE_MISSING]
)
def test_a_gap_alone_is_unverifiable(cause: ReplayCause) -> None:
    """What is gone proves nothing."""
    assert judge([finding(cause)]) == (ReplayVerdict.UNVERIFIABLE, (finding(cause),))
