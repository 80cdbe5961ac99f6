"""Sentences with too many words are found where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.rendering.checking.sentences import find_long_sentences
from unicode_segmentation_rs import unicode_sentences, unicode_words


def long_sentences(text: str, max_words: int) -> list[tuple[str, int]]:
    """Return the text and the number of words of each sentence that is too long."""
    return [(text[found.start : found.end], found.words) for found in find_long_sentences(text, max_words)]


def test_sentence_of_more_words_is_found() -> None:
    """The limit itself is allowed; one word more is not."""
    assert long_sentences("One two. One two three! One.", 2) == [("One two three!", 3)]


def test_span_has_no_white_space_around_it() -> None:
    """The span begins with the sentence's first character and ends with its last."""
    assert long_sentences("  \n One two.  \r\n\r\n Three four? ", 1) == [("One two.", 2), ("Three four?", 2)]


def test_boundaries_are_those_of_the_annex() -> None:
    """A number or a lower-case letter behind a full stop does not end the sentence (UAX #29)."""
    assert long_sentences("It costs 3.5 euros, approx. four dollars. Ok.", 3) == [
        ("It costs 3.5 euros, approx. four dollars.", 7)
    ]


def test_words_hold_a_letter_or_a_digit() -> None:
    """Punctuation is no word, and an apostrophe does not part one."""
    assert long_sentences("Don't \u2014 can't, 3.5 -- !", 2) == [("Don't \u2014 can't, 3.5 -- !", 3)]


def test_code_points_are_counted() -> None:
    """Characters beyond the BMP and marks count one each."""
    text = "\U0001f600 e\u0301. One two three."
    assert [(found.start, found.end) for found in find_long_sentences(text, 2)] == [(6, 20)]


@pytest.mark.parametrize(
    "text",
    [
        "-\n-a b.",
        "...\n...a b. ...\na b.",
        "!\n!\n! a! a! a b!",
        "\u2026\u2026 ?! a b ?! ?! a b",
        "(.)\n(.) (a b.) (.)",
    ],
)
def test_repeats_in_skipped_punctuation_do_not_mislead(text: str) -> None:
    """What stands between two sentences has no letter, however much it looks like the next one."""
    position = 0
    for found in find_long_sentences(text, 1):
        assert not any(character.isalnum() for character in text[position : found.start].replace("a!", ""))
        assert "a b" in text[found.start : found.end]
        position = found.end


def plain(text: str, max_words: int) -> list[str]:
    """Find long sentences by the segmenter alone."""
    return [
        sentence.strip() for sentence in unicode_sentences(text) if len(unicode_words(sentence)) > max_words
    ]


flooded = st.lists(
    st.tuples(
        st.sampled_from(
            ["a", "A", "b a", "1", ".", "!", ",", ")", "\u201d", " ", "\u2003", "\n", "\u0301", "\u00ad"]
        ),
        st.integers(1, 12),
    ).map(lambda part: part[0] * part[1]),
    max_size=16,
).map("".join)


@given(flooded, st.integers(1, 3))
def test_cutting_floods_changes_no_sentence(text: str, max_words: int) -> None:
    """Sentences are those of the segmenter, also around long runs of spaces and closing marks."""
    assert [sentence for sentence, _ in long_sentences(text, max_words)] == plain(text, max_words)


@given(flooded)
def test_what_is_between_sentences_has_no_letter(text: str) -> None:
    """With no word allowed, all letters and digits of a text are inside the sentences found, in order."""
    position, outside = 0, []
    for found in find_long_sentences(text, 0):
        outside.append(text[position : found.start])
        position = found.end
    outside.append(text[position:])
    assert [part for part in outside if any(map(str.isalnum, part))] == []


@pytest.mark.parametrize(
    "flood", [" ", ")", "' ", " \u0301", ")\u00ad", "\u2003\u00a0", " )", ")" * 9 + " " * 9]
)
def test_floods_take_linear_time(flood: str) -> None:
    """A full stop before a hundred thousand spaces or brackets would keep the segmenter busy for minutes."""
    text = "One two." + flood * (200_000 // len(flood)) + "Three four five."
    assert [words for _, words in long_sentences(text, 4)] in ([5], [])
    assert long_sentences(text, 1)[-1][0].endswith("Three four five.")
