"""Assertiveness is a documented score of words."""

import pytest
from pecia_service.rendering.checking.assertiveness import AssertivenessScale
from pecia_service.rendering.checking.folding import fold
from pecia_service.rendering.checking.lexicon import BOOSTERS, HEDGES


def score(text: str) -> float:
    """Return the score of a text."""
    return AssertivenessScale().score(fold(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 1 / 2),
        ("The sky is blue.", 1 / 2),
        ("It is certainly blue.", 2 / 3),
        ("Perhaps it is blue.", 1 / 3),
        ("Obviously, it is definitely blue. It must be.", 4 / 5),
        ("Maybe it might be blue.", 1 / 4),
        ("Perhaps; no, definitely.", 1 / 2),
        ("CERTAINLY", 2 / 3),
        ("uncertainly, nevermind", 1 / 2),
    ],
)
def test_score_is_the_share_of_boosters_with_one_of_each_added(text: str, expected: float) -> None:
    """The score is (boosters + 1) / (boosters + hedges + 2)."""
    assert score(text) == expected


def test_phrase_hides_the_words_inside_it() -> None:
    """ "Not certain" hedges, although "certain" boosts."""
    assert (score("I am certain."), score("I am not certain.")) == (2 / 3, 1 / 3)


def test_no_phrase_is_listed_twice() -> None:
    """Each phrase either boosts or hedges; the lists are sorted, in lower case, with single spaces."""
    for phrases in (BOOSTERS, HEDGES):
        assert list(phrases) == sorted({" ".join(phrase.lower().split()) for phrase in phrases})
    assert set(BOOSTERS) & set(HEDGES) == set()


def test_weight_is_that_of_its_phrases() -> None:
    """A scale weighs some hundred kilobytes at most."""
    assert 10_000 < AssertivenessScale().weight < 1_000_000
