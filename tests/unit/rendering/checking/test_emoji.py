"""Emoji are found, each as one, and what only looks like one is not."""

import pytest
from pecia_service.rendering.checking.emoji import find_emoji

THUMB = "\U0001f44d"
FLAG = "\U0001f1e9\U0001f1ea"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    "emoji",
    [
        pytest.param(THUMB, id="shown as emoji by default"),
        pytest.param("\u231a", id="in the BMP"),
        pytest.param("\u2600\ufe0f", id="asked for by U+FE0F"),
        pytest.param("\u00a9\ufe0f", id="copyright asked for by U+FE0F"),
        pytest.param("1\ufe0f\u20e3", id="keycap"),
        pytest.param("#\u20e3", id="keycap without U+FE0F"),
        pytest.param(FLAG, id="flag"),
        pytest.param(SCOTLAND, id="flag of tags"),
        pytest.param("\U0001f44d\U0001f3fd", id="skin tone"),
        pytest.param("\u261d\U0001f3fd", id="skin tone on a sign"),
        pytest.param("\u261d\ufe0f\U0001f3fd", id="skin tone behind U+FE0F"),
        pytest.param(FAMILY, id="joined"),
        pytest.param("\u2764\u200d\U0001f525", id="joined to a sign"),
        pytest.param("\u2764\ufe0f\u200d\U0001f525", id="joined behind U+FE0F"),
        pytest.param("\U0001f3c3\U0001f3fd\u200d\u2640\ufe0f", id="joined behind a skin tone"),
        pytest.param("\U0001f3f3\ufe0f\u200d\U0001f308", id="rainbow flag"),
        pytest.param("\U0001faf1\U0001f3fb\u200d\U0001faf2\U0001f3ff", id="two skin tones"),
    ],
)
def test_emoji_is_one_span(emoji: str) -> None:
    """An emoji between letters is one span from its first code point to its last."""
    assert list(find_emoji(f"a{emoji}b")) == [(1, 1 + len(emoji))]


@pytest.mark.parametrize(
    "text",
    [
        "0123456789#*",
        "\u00a9 \u00ae \u2122",
        "\u2600 \u2764 \u2192 \u2713",
        "\u200d\u20e3",
        "\ufe0f\ufe0f",
        "",
    ],
)
def test_signs_are_no_emoji(text: str) -> None:
    """Digits and signs that are shown as text by default are allowed."""
    assert list(find_emoji(text)) == []


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        (THUMB * 3, [1, 1, 1]),
        (FLAG + "\U0001f1eb\U0001f1f7\U0001f1ec", [2, 2, 1]),
        (FAMILY + FAMILY, [5, 5]),
        (THUMB + "\u200d" + "a", [1]),
        ("\U0001f3f4\U000e0067", [1]),
        ("1\ufe0f\u20e3" * 2, [3, 3]),
    ],
)
def test_emoji_in_a_row_are_told_apart(text: str, lengths: list[int]) -> None:
    """Emoji that are not joined are spans of their own, and so is what an incomplete sequence begins with."""
    assert [end - start for start, end in find_emoji(text)] == lengths


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (THUMB * 200_000, 200_000),
        ((THUMB + "\u200d") * 200_000, 1),
        ("\u200d" * 200_000, 0),
        ("\U0001f1e9" * 200_001, 100_001),
        ("\U0001f3f4" + "\U000e0067" * 200_000, 1),
        ("a\ufe0f" * 200_000, 200_000),
    ],
)
def test_floods_take_linear_time(text: str, count: int) -> None:
    """Hundreds of thousands of emoji and of parts of them are counted at once."""
    assert sum(1 for _ in find_emoji(text)) == count
