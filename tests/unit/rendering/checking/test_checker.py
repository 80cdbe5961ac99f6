"""A model's answer is measured against constraints."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.registry.constraints import Constraints
from pecia_service.rendering.checking import (
    CheckResult,
    ConstraintRule,
    OutputChecker,
    Severity,
    Violation,
)

MEBIBYTE = 1_048_576

EVERY_RULE = Constraints(
    forbidden_tokens=("AI", "C++", "a b", "as an AI"),
    max_sentence_length=1_000,
    max_paragraphs=100,
    no_emoji=True,
    assertiveness_level=1.0,
)


def check(output: str, **constraints: Any) -> CheckResult:
    """Check an output against constraints, given as the fields of `Constraints`."""
    return OutputChecker(Constraints(**constraints)).check(output)


def test_nothing_is_measured_without_constraints() -> None:
    """Without constraints everything passes."""
    output = "As an AI \U0001f44d\n\n" * 50
    assert check(output) == CheckResult(passed=True, violations=(), truncated=False)


def test_forbidden_token_is_an_error() -> None:
    """A token is reported as the constraints write it, at the place where the answer does."""
    assert check("Well, ai.", forbidden_tokens=("AI",)).violations == (
        Violation(
            ConstraintRule.FORBIDDEN_TOKEN, Severity.ERROR, '"AI" is forbidden; leave it out', 6, 8, 1, 0
        ),
    )


def test_long_sentence_is_an_error() -> None:
    """A sentence is reported with its words and the limit."""
    assert check("Hi. One two three. ", max_sentence_length=2).violations == (
        Violation(
            ConstraintRule.SENTENCE_LENGTH,
            Severity.ERROR,
            "the sentence has 3 words; at most 2 are allowed",
            4,
            18,
            3,
            2,
        ),
    )


def test_paragraphs_beyond_the_limit_are_one_error() -> None:
    """The span goes from the first paragraph too many to the end."""
    assert check("a\n\nb\n\nc\n", max_paragraphs=1).violations == (
        Violation(
            ConstraintRule.PARAGRAPHS,
            Severity.ERROR,
            "there are 3 paragraphs; at most 1 are allowed",
            3,
            8,
            3,
            1,
        ),
    )


def test_paragraphs_within_the_limit_pass() -> None:
    """As many paragraphs as allowed are no violation."""
    assert check("a\n\nb", max_paragraphs=2).violations == ()


def test_emoji_is_an_error() -> None:
    """An emoji is reported with its skin tone."""
    assert check("ok \U0001f44d\U0001f3fd", no_emoji=True).violations == (
        Violation(ConstraintRule.EMOJI, Severity.ERROR, "emoji are not allowed; leave it out", 3, 5, 1, 0),
    )


def test_assertiveness_only_warns() -> None:
    """A text that is too assertive passes all the same, and the whole of it is the span."""
    assert check("It certainly is.", assertiveness_level=0.5) == CheckResult(
        passed=True,
        violations=(
            Violation(
                ConstraintRule.ASSERTIVENESS,
                Severity.WARNING,
                "the text scores 0.67 for assertiveness, above 0.50; hedge more or boost less",
                0,
                16,
                2 / 3,
                0.5,
            ),
        ),
        truncated=False,
    )


def test_score_at_the_level_is_no_warning() -> None:
    """A neutral text scores 0.5, which the level 0.5 allows."""
    assert check("It is.", assertiveness_level=0.5).violations == ()


def test_violations_are_ordered_by_start_then_rule() -> None:
    """Where two rules point at one place, the lower rule comes first."""
    result = check(
        "\U0001f44d AI is. \U0001f44d\n\nAI must surely",
        forbidden_tokens=("AI", "\U0001f44d"),
        max_sentence_length=1,
        max_paragraphs=1,
        no_emoji=True,
        assertiveness_level=0.1,
    )
    assert (result.passed, [(found.start, found.rule.name) for found in result.violations]) == (
        False,
        [
            (0, "FORBIDDEN_TOKEN"),
            (0, "SENTENCE_LENGTH"),
            (0, "EMOJI"),
            (0, "ASSERTIVENESS"),
            (2, "FORBIDDEN_TOKEN"),
            (9, "FORBIDDEN_TOKEN"),
            (9, "EMOJI"),
            (12, "FORBIDDEN_TOKEN"),
            (12, "SENTENCE_LENGTH"),
            (12, "PARAGRAPHS"),
        ],
    )


@pytest.mark.parametrize(("count", "listed", "truncated"), [(1_000, 1_000, False), (1_001, 1_000, True)])
def test_violations_are_bounded(count: int, listed: int, truncated: bool) -> None:
    """A thousand violations are listed, the first ones, and it is said that there are more."""
    result = check("AI " * count, forbidden_tokens=("AI",))
    assert (len(result.violations), result.violations[-1].start, result.truncated, result.passed) == (
        listed,
        2_997,
        truncated,
        False,
    )


def test_output_of_the_largest_size_is_measured() -> None:
    """Bytes of UTF-8 count, and 1,048,576 of them are allowed."""
    assert check("\u00e9" * (MEBIBYTE // 2), max_paragraphs=1).passed


def test_larger_output_is_refused() -> None:
    """One byte more is SIZE_EXCEEDED on the field `output`, and the text is not repeated."""
    with pytest.raises(InvalidInputError) as caught:
        check("\u00e9" * (MEBIBYTE // 2) + "x", max_paragraphs=1)
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.SIZE_EXCEEDED,
        {"field": "output", "size": "1048577", "limit": "1048576"},
    )


def test_output_is_not_normalised() -> None:
    """NUL, a byte-order mark, CRLF and decomposed letters stay and count."""
    result = check("\ufeff\x00\r\ne\u0301 CAFE\u0301", forbidden_tokens=("caf\u00e9",))
    assert [(found.start, found.end) for found in result.violations] == [(7, 12)]


def test_checker_is_used_again() -> None:
    """What is compiled once measures many texts, each for itself."""
    checker = OutputChecker(Constraints(forbidden_tokens=("AI",), assertiveness_level=0.6))
    counts = [len(checker.check(text).violations) for text in ("AI certainly", "", "AI", "AI certainly")]
    assert counts == [2, 0, 1, 2]


def test_weight_is_that_of_what_is_compiled() -> None:
    """Tokens and the scale weigh something, and limits nothing."""
    weights = [
        OutputChecker(constraints).weight
        for constraints in (
            Constraints(max_paragraphs=1),
            Constraints(forbidden_tokens=("AI",)),
            Constraints(forbidden_tokens=("AI",), assertiveness_level=0.5),
        )
    ]
    assert weights[0] == 0 < weights[1] < weights[2]


@given(
    st.text(
        st.sampled_from("AIai C+.\n\r\t\u00e9e\u0301\U0001f44d\u200d\ufe0f1\u20e3\u00df")
        | st.characters(exclude_categories=["Cs"]),
        max_size=60,
    )
)
def test_result_is_ordered_and_inside_the_text(output: str) -> None:
    """Whatever the text, spans lie in it, none is empty, and their order is the documented one."""
    strict = Constraints(("AI", "C+", "caf\u00e9", "ss"), 1, 1, True, 0.0)
    found = OutputChecker(strict).check(output).violations
    places = [(violation.start, violation.rule) for violation in found]
    inside = all(0 <= violation.start < violation.end <= max(1, len(output)) for violation in found if output)
    assert (places, inside) == (sorted(places), True)


TOKEN, SENTENCE, EMOJI = ConstraintRule.FORBIDDEN_TOKEN, ConstraintRule.SENTENCE_LENGTH, ConstraintRule.EMOJI
FLOODS: dict[str, set[ConstraintRule]] = {
    "a ": {SENTENCE},
    "a. ": {SENTENCE},
    "AI ": {TOKEN, SENTENCE},
    "\u4eba": {SENTENCE},
    "\U0001f44d": {EMOJI},
    "\U0001f44d\u200d": {EMOJI},
    "1\ufe0f\u20e3": {EMOJI},
}
HARMLESS_FLOODS = ["a", ".", "{", "\u200d", " ", "\n", "\u2003", ")", "\u0316\u0301", "\u00df", "\ud55c"]


@pytest.mark.parametrize("flood", [*FLOODS, *HARMLESS_FLOODS], ids=ascii)
def test_flood_of_a_mebibyte_takes_linear_time(flood: str) -> None:
    """The largest text of nothing but repeats is measured by every rule; quadratic time would take hours."""
    result = OutputChecker(EVERY_RULE).check(flood * (MEBIBYTE // len(flood.encode())))
    assert {violation.rule for violation in result.violations} == FLOODS.get(flood, set())
