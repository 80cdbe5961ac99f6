"""The checker of histories accepts what could have happened, and rejects known bad histories."""

import math
from collections.abc import Callable

import pytest
from support.faults.linearizable import Call, check
from support.faults.registry_model import (
    NO_LABEL,
    LabelState,
    was_absent,
    was_deleted,
    was_exhausted,
    was_found,
    was_mismatch,
    was_published,
    was_read,
    was_refused,
    was_rolled_back,
    was_set,
)


def label(
    *calls: tuple[float, float, Callable[[LabelState], LabelState | None]],
) -> list[Call[LabelState]]:
    """Make a history of a label."""
    return [Call(began, ended, f"call {number}", step) for number, (began, ended, step) in enumerate(calls)]


def version(*calls: tuple[float, float, Callable[[str], str | None]]) -> list[Call[str]]:
    """Make a history of a version."""
    return [Call(began, ended, f"call {number}", step) for number, (began, ended, step) in enumerate(calls)]


GOOD = {
    "nothing": label(),
    "one after the other": label(
        (0, 1, was_absent()),
        (2, 3, was_set("1.0.0", "", "a")),
        (4, 5, was_read("1.0.0", "a")),
        (6, 7, was_deleted("a")),
        (8, 9, was_absent()),
    ),
    "reads beside a set may see either": label(
        (0, 1, was_set("1.0.0", None, "a")),
        (2, 9, was_set("2.0.0", None, "b")),
        (3, 4, was_read("1.0.0")),
        (5, 6, was_read("2.0.0")),
    ),
    "the order of sets shows later": label(
        (0, 9, was_set("1.0.0", None, "a")),
        (0, 9, was_set("2.0.0", None, "b")),
        (0, 9, was_set("3.0.0", None, "c")),
        (10, 11, was_read("2.0.0", "b")),
    ),
    "a set of unknown outcome took effect": label(
        (0, math.inf, was_set("1.0.0", None, "a")), (1, 2, was_absent()), (3, 4, was_read("1.0.0"))
    ),
    "a set of unknown outcome took none": label(
        (0, math.inf, was_set("1.0.0", None, "a")), (3, 4, was_absent())
    ),
    "a set to the same changes nothing": label(
        (0, 1, was_set("1.0.0", None, "a")), (2, 3, was_set("1.0.0", "a", "a"))
    ),
    "roll-backs walk back": label(
        (0, 1, was_set("1.0.0", None, "a")),
        (2, 3, was_set("2.0.0", None, "b")),
        (4, 5, was_rolled_back("b", "1.0.0", "c")),
        (6, 7, was_exhausted("c")),
    ),
    "one of two with an etag wins": label(
        (0, 1, was_set("1.0.0", "", "a")),
        (2, 5, was_set("2.0.0", "a", "b")),
        (2, 5, was_mismatch("a")),
    ),
}

BAD = {
    "a stale read": label(
        (0, 1, was_set("1.0.0", None, "a")), (2, 3, was_set("2.0.0", None, "b")), (4, 5, was_read("1.0.0"))
    ),
    "a read that goes back": label(
        (0, 1, was_set("1.0.0", None, "a")),
        (2, 9, was_set("2.0.0", None, "b")),
        (3, 4, was_read("2.0.0")),
        (5, 6, was_read("1.0.0")),
    ),
    "a read of what nobody set": label((0, 1, was_read("1.0.0"))),
    "a lost update": label(
        (0, 1, was_set("1.0.0", "", "a")),
        (2, 5, was_set("2.0.0", "a", "b")),
        (2, 5, was_set("3.0.0", "a", "c")),
    ),
    "two creators": label((0, 5, was_set("1.0.0", "", "a")), (0, 5, was_set("2.0.0", "", "b"))),
    "a mismatch of the right etag": label((0, 1, was_set("1.0.0", None, "a")), (2, 3, was_mismatch("a"))),
    "a deletion without effect": label(
        (0, 1, was_set("1.0.0", None, "a")), (2, 3, was_deleted("")), (4, 5, was_read("1.0.0"))
    ),
    "an etag that stays though the version moves": label(
        (0, 1, was_set("1.0.0", None, "a")), (2, 3, was_set("2.0.0", None, "a"))
    ),
    "a roll-back to what was not before": label(
        (0, 1, was_set("1.0.0", None, "a")),
        (2, 3, was_set("2.0.0", None, "b")),
        (4, 5, was_rolled_back("b", "3.0.0", "c")),
    ),
    "a set of unknown outcome before it began": label(
        (0, 1, was_read("1.0.0")), (2, math.inf, was_set("1.0.0", None, "a"))
    ),
}

GOOD_VERSIONS = {
    "of two publishers one wins": version(
        (0, 5, was_published("x")), (0, 5, was_refused("y")), (1, 2, was_found("")), (6, 7, was_found("x"))
    ),
    "the same again": version((0, 1, was_published("x")), (2, 3, was_published("x"))),
}

BAD_VERSIONS = {
    "a publication that is not found": version((0, 1, was_published("x")), (2, 3, was_found(""))),
    "two that win": version((0, 5, was_published("x")), (0, 5, was_published("y"))),
    "a version that changes": version(
        (0, 9, was_published("x")), (1, 2, was_found("x")), (3, 4, was_found("y"))
    ),
    "a refusal by nobody": version((0, 1, was_refused("x")), (2, 3, was_published("x"))),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_could_have_happened_is_accepted(name: str) -> None:
    """Some order explains every answer."""
    assert check(GOOD[name], NO_LABEL).linearizable


@pytest.mark.parametrize("name", BAD)
def test_what_can_not_have_happened_is_rejected(name: str) -> None:
    """No order does."""
    assert not check(BAD[name], NO_LABEL).linearizable


@pytest.mark.parametrize("name", [*GOOD_VERSIONS, *BAD_VERSIONS])
def test_versions_are_judged_too(name: str) -> None:
    """A version is written once."""
    history = (GOOD_VERSIONS | BAD_VERSIONS)[name]
    assert (name in GOOD_VERSIONS) == check(history, "").linearizable


def test_what_was_in_the_way_is_told() -> None:
    """Who looks for the reason sees the calls of which none could come next."""
    assert ("call 2",) == check(BAD["a stale read"], NO_LABEL).stuck_at


def test_a_long_history_is_judged_soon() -> None:
    """Positions that were tried are not tried again, so that overlapping calls don't multiply."""
    calls = [
        Call[LabelState](
            float(number), number + 6.5, f"set {number}", was_set(f"{number}.0.0", None, str(number))
        )
        for number in range(300)
    ]
    late = Call[LabelState](400.0, 401.0, "read", was_read("298.0.0"))
    never = Call[LabelState](400.0, 401.0, "read", was_read("0.0.0"))
    assert check([*calls, late], NO_LABEL).linearizable
    assert not check([*calls[:8], never], NO_LABEL).linearizable
