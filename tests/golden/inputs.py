"""The inputs of the golden vectors about text, JSON, payloads and constraints, by file and list."""

import json
from collections.abc import Mapping
from typing import Any, Final

TEXTS: Final[Mapping[str, str]] = {
    "empty": "",
    "ascii": "Plan the day.",
    "compose": "A\u030a e\u0301",
    "singleton": "\u212b \u2126 \u212a",
    "reorder_marks": "q\u0307\u0323",
    "hangul": "\u1112\u1161\u11ab",
    "composition_exclusion": "\u0958 \u2adc",
    "no_compatibility_mapping": "\ufb01 \u00bd \uff21 \u2460",
    "composition_of_unicode_16": "\U000105d2\u0307",
    "crlf": "a\r\nb",
    "cr": "a\rb",
    "cr_cr_lf": "a\r\r\nb\n\rc",
    "trailing_line_feeds_stay": "a\n\n",
    "byte_order_mark": "\ufeffa",
    "byte_order_marks": "\ufeff\ufeffa",
    "byte_order_mark_inside": "a\ufeff",
    "byte_order_mark_and_mark": "\ufeffA\u030a\r\n",
    "other_line_ends_stay": "a\u2028b\u2029c\u0085d\u000be\u000cf",
    "controls_stay": "\u0001\u001f\u007f",
    "noncharacters_stay": "\ufffe\uffff\U0010ffff",
    "emoji": "\U0001f469\u200d\U0001f680 \U0001f1e9\U0001f1ea \u0031\ufe0f\u20e3",
    "fold_sharp_s": "Stra\u00dfe STRA\u1e9eE",
    "fold_sigma": "\u03a3\u03c3\u03c2",
    "fold_dotted_i": "\u0130 I \u0131",
    "fold_cherokee": "\uab70\u13a0",
    "fold_nothing_newer_than_unicode_14": "\u1c89 \ua7dc \U00010d50 \U00016ea0",
    "refused_nul": "a\u0000b",
}

JSON_VALUES: Final[Mapping[str, str]] = {
    "null": "null",
    "true": "true",
    "text": '"text"',
    "empty_object": "{}",
    "empty_array": "[]",
    "whitespace": ' { "b" : [ 1 , 2 ] , "a" : "x y" } ',
    "whole_number_with_fraction": "1.0",
    "negative_zero": "-0.0",
    "exponents": "[1e0, 1E2, 1e-2, 1e20, 1e21, 1e-6, 1e-7, 1.5e300]",
    "largest_safe_integers": "[9007199254740991, -9007199254740991]",
    "trailing_zeros": "[0.50, 4.50, 2e-3, 100.0]",
    "keys_by_code_units": json.dumps(dict.fromkeys(["z", "\U0001f600", "\ufb33", "\u00e5", "A", ""], 1)),
    "keys_not_by_length": '{"aa": 1, "a": 2, "ab": 3, "B": 4}',
    "numeric_keys": '{"10": 1, "9": 2, "1": 3}',
    "escapes": json.dumps('\b\t\n\f\r"\\/\u0001\u001f\u007f\u2028\u00e5\U0001f600'),
    "needless_escapes": r'"\u0041\u002f\/\u00e5\ud83d\ude00"',
    "not_normalised": json.dumps("A\u030a\r\n\ufeff"),
    "nested": '{"b": [{"d": [], "c": {}}, [[1.0]]], "a": {"b": {"a": null}}}',
    "rfc_8785_example": json.dumps(
        {
            "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27],
            "string": '\u20ac$\u000f\nA\'B"\\\\"/',
            "literals": [None, True, False],
        }
    ),
    "rfc_8785_sorting": json.dumps(
        {
            "\u20ac": "Euro Sign",
            "\r": "Carriage Return",
            "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\U0001f600": "Emoji: Grinning Face",
            "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis",
        }
    ),
}

# The first 24 are those of RFC 8785, appendix B.
_BITS: Final = (
    "0000000000000000 8000000000000000 0000000000000001 8000000000000001 7fefffffffffffff ffefffffffffffff "
    "4340000000000000 c340000000000000 4430000000000000 44b52d02c7e14af5 44b52d02c7e14af6 44b52d02c7e14af7 "
    "444b1ae4d6e2ef4e 444b1ae4d6e2ef4f 444b1ae4d6e2ef50 3eb0c6f7a0b5ed8c 3eb0c6f7a0b5ed8d 41b3de4355555553 "
    "41b3de4355555554 41b3de4355555555 41b3de4355555556 41b3de4355555557 becbf647612f3696 43143ff3c1cb0959 "
    "3ff0000000000000 3fe0000000000000 3fb999999999999a 3fd3333333333333 3fd3333333333334 433fffffffffffff "
    "432fffffffffffff 3ee4f8b588e368f1 3ee4f8b588e368f0 3e7ad7f29abcaf48 4341c37937e08000 4415af1d78b58c40 "
    "000fffffffffffff 0010000000000000 400921fb54442d18 c05edd2f1a9fbe77 5f4a8c1f1b2d3e4f 1a2b3c4d5e6f7081"
)
NUMBERS: Final = tuple(_BITS.split())


def nested(levels: int) -> Any:
    """Make an object with so many levels, itself included."""
    value: Any = 1
    for level in range(levels - 1):
        value = [value] if level % 2 else {"k": value}
    return {"k": value}


def payload(**changes: Any) -> dict[str, Any]:
    """Make a payload with changes; a change to None leaves a field out."""
    fields = {"semantic_traits": {}, "activity_level": 0.5, "stress": 0.25, "task": "Do it.", **changes}
    return {name: value for name, value in fields.items() if value is not None}


PAYLOADS: Final[Mapping[str, Any]] = {
    "worked_example": payload(
        semantic_traits={"openness": 0.8, "mood": "calm"},
        activity_level=1.0,
        stress=0.25,
        task="Plan the day.",
    ),
    "empty": payload(activity_level=0, stress=0, task=""),
    "integers_and_doubles_are_one": payload(
        semantic_traits={"a": 1.0, "b": 2}, activity_level=1, stress=-0.0
    ),
    "numbers": payload(
        semantic_traits={"n": [0.1, 1e-7, 1e16, 1e20, 1e21, -1.5, 9007199254740991, 9007199254740992.0]},
        activity_level=0.1,
        stress=5e-324,
    ),
    "normalised": payload(
        semantic_traits={"A\u030a": ["e\u0301\r\n", {"\ufeffk": "\ufeffv"}]}, task="a\r\nb\r"
    ),
    "task_keeps_trailing_line_feeds": payload(task="a\n\n"),
    "nested": payload(
        semantic_traits={"b": {"z": None, "a": [True, False, {"y": 1, "x": []}]}, "a": "\U0001f600"}
    ),
    "keys_by_code_units": payload(semantic_traits={"\U0001f600": 1, "\ue000": 2, "\uffff": 3, "z": 4}),
    "looks_like_placeholders": payload(semantic_traits={"{{stress}}": "{{task}}"}, task="{{stress}} \\{{"),
    "depth_8": payload(semantic_traits=nested(8)),
    "keys_256": payload(semantic_traits={f"k{index}": index for index in range(256)}),
    "refused_depth_9": payload(semantic_traits=nested(9)),
    "refused_keys_257": payload(semantic_traits={f"k{index}": index for index in range(257)}),
    "refused_missing_traits": payload(semantic_traits=None),
    "refused_missing_activity_level": payload(activity_level=None),
    "refused_missing_stress": payload(stress=None),
    "refused_missing_task": payload(task=None),
    "refused_activity_level": payload(activity_level=1.0000000000000002),
    "refused_stress": payload(stress=-5e-324),
    "refused_nul_in_task": payload(task="a\u0000"),
    "refused_nul_in_key": payload(semantic_traits={"a": {"\u0000": 1}}),
    "refused_key_collision": payload(semantic_traits={"o": {"A\u030a": 1, "\u00c5": 2}}),
}

CONSTRAINTS: Final[Mapping[str, Any]] = {
    "none": {},
    "worked_example": {"FORBIDDEN_TOKENS": ["Sure", "AI", "sure"], "MAX_PARAGRAPHS": 2, "NO_EMOJI": True},
    "all": {
        "FORBIDDEN_TOKENS": ["as an AI", "obviously"],
        "MAX_SENTENCE_LENGTH": 25,
        "MAX_PARAGRAPHS": 3,
        "NO_EMOJI": True,
        "ASSERTIVENESS_LEVEL": 0.5,
    },
    "nothing_said": {"FORBIDDEN_TOKENS": [], "NO_EMOJI": False, "MAX_PARAGRAPHS": None},
    "bounds_low": {"MAX_SENTENCE_LENGTH": 1, "MAX_PARAGRAPHS": 1, "ASSERTIVENESS_LEVEL": 0.0},
    "bounds_high": {"MAX_SENTENCE_LENGTH": 1000.0, "MAX_PARAGRAPHS": 100, "ASSERTIVENESS_LEVEL": 1.0},
    "tokens_by_code_point": {"FORBIDDEN_TOKENS": ["\U0001f600", "\ue000", "\uffff", "z", "Z", "a b"]},
    "tokens_stripped": {"FORBIDDEN_TOKENS": [" a ", "\tb\n", "\u3000c\u00a0", " \ufeff d", " \ufeff d"]},
    "tokens_folded": {
        "FORBIDDEN_TOKENS": ["stra\u00dfe", "STRASSE", "\u03c2", "\u03a3", "A\u030a", "\u00e5"]
    },
    "further_keys": {"TONE": {"warmth": 1.0, "A\u030a": ["x\r\n", None, True, 1e21]}, "max_paragraphs": 2},
    "refused_tokens": {"FORBIDDEN_TOKENS": "AI"},
    "refused_token": {"FORBIDDEN_TOKENS": ["ok", " "]},
    "refused_sentence_length": {"MAX_SENTENCE_LENGTH": 1001},
    "refused_paragraphs": {"MAX_PARAGRAPHS": 1.5},
    "refused_emoji": {"NO_EMOJI": 1},
    "refused_assertiveness": {"ASSERTIVENESS_LEVEL": 1.1},
    "refused_depth": {"TONE": nested(8)},
    "refused_key_collision": {"A\u030a": 1, "\u00c5": 2},
}

EFFECTIVE: Final[Mapping[str, Any]] = {
    "of_nothing": [{}, {}, {}, {}],
    "united": [
        {"FORBIDDEN_TOKENS": ["sure", "b"], "MAX_PARAGRAPHS": 3, "TONE": "dry"},
        {"FORBIDDEN_TOKENS": ["Sure", "a"], "MAX_PARAGRAPHS": 2, "NO_EMOJI": True},
        {"MAX_SENTENCE_LENGTH": 30, "ASSERTIVENESS_LEVEL": 0.75},
        {"MAX_SENTENCE_LENGTH": 40, "ASSERTIVENESS_LEVEL": 0.5, "NO_EMOJI": False},
    ],
    "one_says_all": [{}, {"FORBIDDEN_TOKENS": ["x"], "ASSERTIVENESS_LEVEL": 0}, {}, {}],
}
