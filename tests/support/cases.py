"""Reproducible renders of every kind: bundle, templates and payload as definitions, made from a seed.

Imports nothing but the standard library, and uses of `random` only what is the same on every Python.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

SLOTS: Final = ("system", "personality", "activity", "task")
SEGMENTS: Final = ("mood", "openness", "a", "b-1", "_x", "Deep", "task", "stress", "k0")
VERSIONS: Final = (
    "1.0.0",
    "0.0.1",
    "2.10.3",
    "1.0.0-rc.1",
    "1.0.0-alpha.beta-1",
    "3.0.0+build.7",
    "1.2.3-0+a-b",
)
INJECTIONS: Final = (
    "{{stress}}",
    "{{ task }}",
    "\\{{stress}}",
    "{{",
    "}}",
    '"}}',
    "{{constraints}}",
    "{",
    "\\",
)
WORDS: Final = (
    "Plan",
    "the day.",
    "You are",
    "a companion;",
    "l\u00e4chelnd",
    "\u4f60\u597d",
    "\u05e9\u05dc\u05d5\u05dd",
)
MARKS: Final = (
    *("A\u030a", "e\u0301", "\u212b", "q\u0307\u0323", "\u1112\u1161\u11ab", "\ufb01", "\u00df", "\u0130"),
    *(
        "\r\n",
        "\r",
        "\n",
        "\n\n",
        "\t",
        " ",
        "\ufeff",
        "\u2028",
        "\u0085",
        "\u00a0",
        "\u0001",
        "\u007f",
        "\ufffe",
    ),
    *(
        "\U0001f469\u200d\U0001f680",
        "\U0001f1e9\U0001f1ea",
        "1\ufe0f\u20e3",
        "\U000105d2\u0307",
        "\U0010ffff",
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One render: definitions with the field names of the contract, as golden vectors have them."""

    bundle: dict[str, Any]
    templates: list[dict[str, Any]]
    payload: dict[str, Any]


def generate_cases(count: int, seed: int = 1) -> Iterator[Case]:
    """Give so many cases; all ids differ, and about one of thirty lacks a path that it needs."""
    random = Random(seed)
    for number in range(count):
        yield _Maker(random, number).case()


class _Maker:
    """Makes one case."""

    def __init__(self, random: Random, number: int) -> None:
        self._random = random
        self._number = number
        self._keys = 0

    def case(self) -> Case:
        traits = self._object(self._random.randrange(1, 8))
        templates = [self._template(slot, traits) for slot in SLOTS]
        slots = {
            slot: {"template_id": template["template_id"], "semver": template["semver"]}
            for slot, template in zip(SLOTS, templates, strict=True)
        }
        if self._chance(0.1):
            slots["activity"] = slots["system"]
            templates = [
                template for template in templates if not template["template_id"].endswith("activity")
            ]
        bundle = {
            "bundle_id": f"b{self._number}",
            "semver": self._random.choice(VERSIONS),
            "slots": slots,
            "tags": [f"{self._random.choice(WORDS)}-{index}" for index in range(self._random.randrange(4))],
            "description": self._text(3),
        }
        payload = {
            "semantic_traits": traits,
            "activity_level": self._level(),
            "stress": self._level(),
            "task": self._text(self._random.choice((0, 1, 5, 20, 200))),
        }
        return Case(bundle, templates, payload)

    def _template(self, slot: str, traits: dict[str, Any]) -> dict[str, Any]:
        content = f"{slot}:" if self._chance(0.5) else ""
        for _ in range(self._random.randrange(1, 9)):
            if self._chance(0.5):
                content += self._content_text()
            else:
                content = (
                    self._apart(content) + "\\\\" * self._random.randrange(3) + self._placeholder(traits)
                )
        return {
            "template_id": f"t{self._number}.{slot}",
            "semver": self._random.choice(VERSIONS),
            "role": self._random.choice(("system", "developer", "user")),
            "content": f"{content}.",
            "constraints": self._constraints(),
            "adapter_version": self._random.choice(("", "adapter-1", "A\u030a")),
            "description": self._text(2),
        }

    def _content_text(self) -> str:
        """Make literal text: every `{{` in it is escaped."""
        if self._chance(0.2):
            return (
                " "
                + "\\" * self._random.choice((1, 3, 5))
                + "{{"
                + self._random.choice(("task}}", " x", "{", ""))
            )
        if self._chance(0.2):
            return ' {"a": {"b": [1, {}]}} } }} '
        return self._text(4).replace("{", "(")

    @staticmethod
    def _apart(content: str) -> str:
        """Keep braces and backslashes of the text away from those of the placeholder that follows."""
        return f"{content} " if content.endswith(("{", "\\")) else content

    def _placeholder(self, traits: dict[str, Any]) -> str:
        root = self._random.choice(
            ("task", "activity_level", "stress", "constraints", *("semantic_traits",) * 4)
        )
        default = ""
        path = root
        if root == "semantic_traits" and self._chance(0.9):
            path, found = self._path(traits)
            if self._chance(0.3) or (not found and self._chance(0.95)):
                default = f"{self._space()}|{self._space()}{self._default()}"
        prefix = "json:" if self._chance(0.4) else ""
        return f"{{{{{self._space()}{prefix}{path}{default}{self._space()}}}}}"

    def _path(self, traits: dict[str, Any]) -> tuple[str, bool]:
        """Walk into the traits by keys that a path can name, at times one step too far."""
        path, value = "semantic_traits", traits
        while isinstance(value, dict):
            names = [key for key in value if key in SEGMENTS]
            if not names or self._chance(0.05):
                return f"{path}.missing", False
            name = self._random.choice(names)
            path, value = f"{path}.{name}", value[name]
            if self._chance(0.5):
                return path, True
        return path, True

    def _default(self) -> str:
        return self._random.choice(
            (
                *(
                    '""',
                    '"calm"',
                    '"}}"',
                    '"{{stress}}"',
                    '"a\\"b\\\\c\\/\\n\\u00e5\\ud83d\\ude00"',
                    '"A\u030a"',
                ),
                *(
                    "0",
                    "-0.0",
                    "1.0",
                    "0.5",
                    "1e-7",
                    "1e21",
                    "-12.5e3",
                    "9007199254740991",
                    "true",
                    "false",
                    "null",
                ),
            )
        )

    def _space(self) -> str:
        return self._random.choice(("", "", " ", "\n", "\t ", "\r\n"))

    def _constraints(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self._chance(0.5):
            made["FORBIDDEN_TOKENS"] = [
                self._random.choice(
                    ("Sure", "sure", "SURE", " AI ", "stra\u00dfe", "STRASSE", "A\u030a", "\u00e5", "x")
                )
                for _ in range(self._random.randrange(6))
            ]
        if self._chance(0.3):
            made["MAX_SENTENCE_LENGTH"] = self._random.randrange(1, 1001)
        if self._chance(0.3):
            made["MAX_PARAGRAPHS"] = self._random.choice((1, 2.0, 100))
        if self._chance(0.5):
            made["NO_EMOJI"] = self._chance(0.5)
        if self._chance(0.3):
            made["ASSERTIVENESS_LEVEL"] = self._level()
        if self._chance(0.3):
            made["further"] = self._value(3)
        return made

    def _level(self) -> float:
        return self._random.choice((0, 1, 0.0, -0.0, 1.0, 0.5, 1e-7, 5e-324, self._random.random()))

    def _object(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for _ in range(self._random.randrange(1, 6)):
            self._keys += 1
            if self._keys > 200:
                break
            # A number at the end keeps keys apart whatever normalisation makes of them.
            key = self._random.choice(SEGMENTS) if self._chance(0.6) else f"{self._text(2)}_{self._keys}"
            made[key] = self._value(depth - 1)
        return made

    def _value(self, depth: int) -> Any:
        kind = self._random.randrange(9 if depth > 0 else 6)
        match kind:
            case 0:
                return self._random.choice((None, True, False))
            case 1:
                return self._random.choice((0, 1, -7, 2**53 - 1, -(2**53) + 1))
            case 2:
                return self._double()
            case 3 | 4 | 5:
                return self._text(3)
            case 6:
                return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
            case _:
                return self._object(depth)

    def _double(self) -> float:
        if self._chance(0.5):
            return self._random.choice((-0.0, 1e16, 1e20, 1e21, 1e-6, 1e-7, 0.1, 2.0**53, 5e-324, 0.1 + 0.2))
        value: float = struct.unpack(">d", self._random.randbytes(8))[0]
        return value if math.isfinite(value) else 0.25

    def _text(self, pieces: int) -> str:
        return "".join(self._piece() for _ in range(self._random.randrange(pieces + 1)))

    def _piece(self) -> str:
        kind = self._random.randrange(4)
        if kind == 0:
            return self._random.choice(MARKS)
        if kind == 1:
            return self._random.choice(INJECTIONS)
        if kind == 2:
            return f"{self._random.choice(WORDS)} "
        # Any plane is as likely as any other; surrogates and U+0000 are no text.
        point = self._random.randrange(17) * 0x10000 + self._random.randrange(1, 0x10000)
        return "\u00e5" if 0xD800 <= point <= 0xDFFF else chr(point)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
