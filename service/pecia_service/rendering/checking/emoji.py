"""Emoji, each with all that is joined to it (UTS #51)."""

from __future__ import annotations

from collections.abc import Iterator

from pecia_service.rendering.checking.patterns import compile_pattern

_FLAG = r"\p{RI}\p{RI}"
_TAGS = r"[\U000E0020-\U000E007E]++\U000E007F"
_KEYCAP = r"[0-9#*]\uFE0F?+\u20E3"
# A picture with a skin tone, with tags (the flags of Scotland and others), or asked for as an emoji.
_PICTURE = rf"\p{{Extended_Pictographic}}(?:\uFE0F?\p{{Emoji_Modifier}}|{_TAGS}|\uFE0F)?+"
_JOINED = rf"(?:{_FLAG}|{_PICTURE})(?:\u200D(?:{_FLAG}|{_PICTURE}))++"
_TONED = r"\p{Emoji_Modifier_Base}\uFE0F?\p{Emoji_Modifier}"
_TAGGED = rf"\p{{Extended_Pictographic}}{_TAGS}"

_EMOJI = compile_pattern(
    rf"{_JOINED}|{_FLAG}|{_KEYCAP}|{_TONED}|{_TAGGED}|[^\uFE0F]\uFE0F|\p{{Emoji_Presentation}}"
)


def find_emoji(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each emoji, in order.

    These are characters shown as emoji by default (Emoji_Presentation), any character that U+FE0F asks to be
    shown so, keycaps, flags, and sequences with skin tones or joined by U+200D; each sequence is one. Digits,
    and signs such as © on their own, are none.
    """
    if text.isascii():
        return
    for found in _EMOJI.finditer(text):
        yield found.span()
