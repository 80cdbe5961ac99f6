"""Paragraphs are what blank lines part."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.rendering.checking.paragraphs import count_paragraphs


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" \n\t\n\n", 0),
        ("a", 1),
        ("a\nb\nc", 1),
        ("a\n\nb", 2),
        ("a\r\n\r\nb", 2),
        ("a\r\nb", 1),
        ("a\r\rb", 2),
        ("a\n\r\nb\n\rc", 3),
        ("a\n \t\u00a0\u3000\nb", 2),
        ("a\n\n\n\n\nb", 2),
        ("\n\n\na\n\nb\n\n\n", 2),
        ("a  \n  \n  b", 2),
        ("a\u2029\u2029b", 1),
        ("a\u200b\n\u200b\nb", 1),
    ],
)
def test_paragraphs_are_parted_by_blank_lines(text: str, count: int) -> None:
    """Lines of white space only are blank, with any line ends; blank lines at the ends part nothing."""
    assert count_paragraphs(text, 100).count == count


def test_excess_starts_at_the_first_paragraph_too_many() -> None:
    """The first paragraph beyond the limit is pointed at, where its text begins."""
    text = "\n\none\n\ntwo\n \n  three\n\nfour"
    found = count_paragraphs(text, 2)
    assert (found.count, found.excess_start, text[found.excess_start :]) == (4, 15, "three\n\nfour")


def test_limit_itself_is_allowed() -> None:
    """As many paragraphs as the limit says are none too many."""
    assert count_paragraphs("one\n\ntwo", 2).excess_start is None


@given(st.text("a \t\n", max_size=40))
def test_count_is_that_of_reading_line_by_line(text: str) -> None:
    """Counting goes as for somebody who reads the lines one after the other."""
    blank = [not line.strip() for line in ["", *text.split("\n")]]
    begins = [before and not here for before, here in pairwise(blank)]
    assert count_paragraphs(text, 1).count == sum(begins)


@pytest.mark.parametrize("flood", ["\n", " ", "\n ", "\r", "\r\n", "a\n\n"])
def test_floods_take_linear_time(flood: str) -> None:
    """Hundreds of thousands of line ends and spaces are counted at once."""
    text = "a" + flood * 200_000 + "\n\nb"
    assert count_paragraphs(text, 1).count == (200_001 if flood == "a\n\n" else 2)
