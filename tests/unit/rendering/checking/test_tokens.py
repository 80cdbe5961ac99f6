"""Forbidden tokens are found as whole tokens, whatever their case, form and number."""

import pytest
import unicodedata2
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.rendering.checking.folding import NONSTARTER, fold
from pecia_service.rendering.checking.patterns import compile_pattern
from pecia_service.rendering.checking.tokens import TokenMatcher

WORD = compile_pattern(r"\w")


def found(text: str, *tokens: str) -> list[str]:
    """Return the parts of a text that the matches of tokens cover."""
    folded = fold(text)
    spans = [folded.span(match.start, match.end) for match in TokenMatcher(tokens).find(folded.folded)]
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AI", ["AI"]),
        ("(ai), Ai.", ["ai", "Ai"]),
        ("AI's x-ai-y", ["AI", "ai"]),
        ("said aid AI_model AI2 2AI", []),
        ("AI\u0301", []),
        ("\u00e9AI AI\u00e9", []),
    ],
)
def test_token_is_whole(text: str, expected: list[str]) -> None:
    """A letter, digit, underscore or mark that touches the token makes it another word."""
    assert found(text, "AI") == expected


@pytest.mark.parametrize(
    ("token", "text", "expected"),
    [
        ("C++", "C++. c++a C+ (C++)", ["C++", "c++", "C++"]),
        (".*", "a.*b .x", [".*"]),
        ("[x]", "[x] x [X]", ["[x]", "[X]"]),
        ("&&", "a&&b & &", ["&&"]),
        ("--", "a--b", ["--"]),
        ("^", "a^b", ["^"]),
        ("\\", "a\\b", ["\\"]),
        ("!", "!!", ["!", "!"]),
    ],
)
def test_punctuation_is_literal(token: str, text: str, expected: list[str]) -> None:
    """Punctuation means itself, and an edge of punctuation may touch anything."""
    assert found(text, token) == expected


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("Stra\u00dfe", "STRASSE"),
        ("STRASSE", "stra\u00dfe"),
        ("\u03bf\u03b4\u03cc\u03c2", "\u039f\u0394\u038c\u03a3"),
        ("\ufb01t", "FIT"),
        ("\u0390", "\u03aa\u0301"),
        ("\u1fb4", "\u0391\u0345\u0301"),
        ("caf\u00e9", "CAFE\u0301"),
        ("cafe\u0301", "Caf\u00c9"),
        ("q\u0323\u0307", "Q\u0307\u0323"),
        ("\ud55c\uad6d", "\u1112\u1161\u11ab\u1100\u116e\u11a8"),
        ("\u212b", "\u00e5"),
        ("\u03a9", "\u2126"),
    ],
)
def test_case_and_normal_form_do_not_matter(token: str, text: str) -> None:
    """A token is found in any case and in every canonically equivalent form, marks in any order."""
    assert found(f"- {text} -", token) == [text]


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("cafe", "caf\u00e9 cafe\u0301"),
        ("=", "\u2260 =\u0338"),
        ("\uac00", "\uac01"),
        ("I", "\u0130"),
        ("!", "!\u0301"),
    ],
)
def test_character_with_a_further_mark_is_another_character(token: str, text: str) -> None:
    """A mark behind the token, composed or not, belongs to its last character."""
    assert found(text, token) == []


def test_white_space_matches_any_white_space() -> None:
    """Words of a phrase may be apart by any run of white space, but not by nothing."""
    text = "as an AI, As  an\r\n\tai; as\u00a0an\u3000AI, asan AI, as-an AI"
    assert found(text, "as an AI") == ["as an AI", "As  an\r\n\tai", "as\u00a0an\u3000AI"]


def test_white_space_of_a_token_is_any_run() -> None:
    """A token written with a line break or several spaces is found at a single space."""
    assert found("in fact, In\nfact", "in  fact") == ["in fact", "In\nfact"]


def test_scripts_without_spaces_have_no_edges() -> None:
    """In Chinese, Japanese, Thai, where words touch each other, a token is found anywhere."""
    assert found("\u8fd9\u662f\u4eba\u5de5\u667a\u80fd AI\u30a2\u30d7\u30ea", "\u4eba\u5de5", "AI") == [
        "\u4eba\u5de5",
        "AI",
    ]


def test_sound_marks_of_kana_touch_nothing() -> None:
    """The mark of a long vowel belongs to no script, and yet to kana."""
    assert found("\u30a2\u30fc \u30fc\u30a2", "\u30a2") == ["\u30a2", "\u30a2"]


def test_mark_of_a_script_without_spaces_is_a_mark() -> None:
    """KA with a voicing mark is GA, composed or not."""
    assert found("\u304c \u304b\u3099 \u304b", "\u304b") == ["\u304b"]


def test_overlapping_matches_are_all_found() -> None:
    """Two tokens that share a word are two matches."""
    assert found("in New York City", "new york", "york city") == ["New York", "York City"]


def test_match_inside_another_is_left_out() -> None:
    """Of tokens at one place, the longest is found, wherever the shorter one lies in it."""
    tokens = ("york", "new york", "new york city", "city", "new")
    assert found("New York City, York, new Jersey", *tokens) == ["New York City", "York", "new"]


def test_shorter_token_is_found_where_the_longer_one_breaks_off() -> None:
    """A token that only begins does not hide the ones inside it."""
    assert found("a b c x, a b c d", "b", "a b c d", "c x") == ["b", "c x", "a b c d"]


def test_first_of_tokens_that_fold_alike_is_reported() -> None:
    """Tokens that differ in white space or case only are one, named by the first."""
    folded = fold("in fact").folded
    assert [match.token for match in TokenMatcher(["x", "in  fact", "IN FACT"]).find(folded)] == [1]


def test_token_that_begins_with_a_mark_covers_the_whole_character() -> None:
    """Nobody can point at a mark alone: the span begins with its character."""
    assert found("\u2260x", "\u0338x") == ["\u2260x"]


def test_folded_text_of_every_plane_keeps_its_places() -> None:
    """Spans are right behind characters whose folding is longer, shorter, or beyond the BMP."""
    text = "\U0001f44d\u0390\ufb03 \u00df\u0130 \u1112\u1161\u11ab  \u212b \U00010400 AI"
    assert found(text, "ai") == ["AI"]


alphabet = st.sampled_from("aAb!+ \n\u00e9e\u0301\u00df")


def expected_matches(text: str, tokens: list[str]) -> list[tuple[int, int]]:
    """Find tokens in a folded text by trying each at each place."""
    spans = set()
    for token in tokens:
        for start in range(len(text) - len(token) + 1):
            end = start + len(token)
            touched = start > 0 and WORD.match(text[start - 1]) and WORD.match(token[0])
            touches = end < len(text) and WORD.match(text[end]) and WORD.match(token[-1])
            marked = end < len(text) and unicodedata2.combining(text[end])
            if text[start:end] == token and not (touched or touches or marked):
                spans.add((start, end))
    return sorted(
        one
        for one in spans
        if not any(one != other and other[0] <= one[0] and one[1] <= other[1] for other in spans)
    )


@given(
    st.lists(st.text(alphabet, min_size=1, max_size=6).map(str.strip).filter(bool), min_size=1, max_size=8),
    st.text(alphabet, max_size=30),
)
def test_matches_are_those_of_trying_everything(tokens: list[str], text: str) -> None:
    """The automaton finds what comparing each token at each place finds."""
    folded = fold(text).folded
    matches = [(match.start, match.end) for match in TokenMatcher(tokens).find(folded)]
    assert matches == expected_matches(folded, [fold(token).folded for token in tokens])


@given(st.text(max_size=40), st.sampled_from(["NFC", "NFD"]), st.text(alphabet, max_size=5))
def test_normal_form_of_a_text_does_not_matter(text: str, form: str, end: str) -> None:
    """A text and its normal forms fold to the same."""
    assert fold(unicodedata2.normalize(form, text + end)).folded == fold(text + end).folded


def test_marks_are_known_by_what_they_decompose_to() -> None:
    """Every character whose decomposition begins with a mark is folded with the character before it."""
    nonstarter = compile_pattern(NONSTARTER)
    wrong = [
        hex(point)
        for point in range(0x110000)
        if not 0xD800 <= point < 0xE000
        and bool(nonstarter.match(chr(point)))
        != bool(unicodedata2.combining(unicodedata2.normalize("NFD", chr(point))[0]))
    ]
    assert wrong == []


def test_endless_marks_are_cut() -> None:
    """A character with thousands of marks is folded in pieces, and what follows is found."""
    assert found("a" + "\u0301\u0316" * 100_000 + " AI", "AI") == ["AI"]


@pytest.mark.parametrize(
    ("tokens", "text", "count"),
    [
        (["!" * length for length in range(1, 129)], "!" * 100_000, 100_000 - 127),
        (["a!" + "aa!" * length for length in range(42)], "aa!" * 30_000, 0),
        (["a " * length + "b" for length in range(1, 64)], "a " * 50_000, 0),
        (["a" * length + "!" for length in range(1, 128)], ("a" * 126 + "!") * 800, 800),
    ],
)
def test_tokens_inside_each_other_take_linear_time(tokens: list[str], text: str, count: int) -> None:
    """Nested tokens and texts that break off each time end at once, where trying each would take minutes."""
    assert sum(1 for _ in TokenMatcher(tokens).find(fold(text).folded)) == count


def test_weight_grows_with_the_tokens() -> None:
    """A cache can tell a large matcher from a small one."""
    assert TokenMatcher(["a" * 128]).weight > 10 * TokenMatcher(["a"]).weight
