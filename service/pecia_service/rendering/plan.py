"""How prompts of one bundle are put together, worked out once: what is fixed, and where which value goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias, cast

from pecia_service.registry.model import Slot, Template
from pecia_service.registry.placeholders import Literal, Placeholder

Path: TypeAlias = tuple[str, ...]
Pick: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
"""Gives the texts of one part, in order, from all texts."""


@dataclass(frozen=True, slots=True)
class Insertion:
    """A placeholder with the slot and the template that have it first, and how often all of them have it.

    `read` is the number of what it reads.
    """

    placeholder: Placeholder
    slot: Slot
    template: Template
    read: int
    count: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What the renderer does for a bundle; make it with `of`.

    `texts` are fixed; `counts` says how often each occurs, and `characters` how many they are then. `reads`
    are the paths that a payload is asked for, each with whether its value is written as JSON. The `parts`
    pick from the fixed texts, followed by what each of the `insertions` gives.
    """

    texts: tuple[str, ...]
    counts: tuple[int, ...]
    characters: int
    reads: tuple[tuple[Path, bool], ...]
    insertions: tuple[Insertion, ...]
    parts: tuple[Pick, ...]

    @classmethod
    def of(cls, templates: Mapping[Slot, Template], constraints: str) -> Plan:
        """Work out the plan of templates in assembly order; `constraints` is what that placeholder gives."""
        # The order in which they are met first is the order of the errors.
        texts: dict[str, int] = {"": 0}
        places: dict[Placeholder, tuple[Slot, Template]] = {}
        counts: dict[Placeholder, int] = {}
        reads: dict[tuple[Path, bool], int] = {}
        rows: list[list[str | Placeholder]] = []
        for slot, template in templates.items():
            row: list[str | Placeholder] = []
            for segment in template.segments:
                if isinstance(segment, Literal) or segment.path[0] == "constraints":
                    text = segment.text if isinstance(segment, Literal) else constraints
                    texts[text] = texts.get(text, 0) + 1
                    row.append(text)
                else:
                    places.setdefault(segment, (slot, template))
                    counts[segment] = counts.get(segment, 0) + 1
                    reads.setdefault((segment.path, segment.as_json), len(reads))
                    row.append(segment)
            rows.append(row)
        number = {entry: index for index, entry in enumerate((*texts, *places))}
        return cls(
            tuple(texts),
            tuple(texts.values()),
            sum(len(text) * count for text, count in texts.items()),
            tuple(reads),
            tuple(
                Insertion(
                    placeholder,
                    slot,
                    template,
                    reads[placeholder.path, placeholder.as_json],
                    counts[placeholder],
                )
                for placeholder, (slot, template) in places.items()
            ),
            tuple(_pick([number[entry] for entry in row], number[""]) for row in rows),
        )

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory, beside the texts, which the templates have too."""
        places = sum(self.counts) + sum(insertion.count for insertion in self.insertions)
        return 8 * places + 50 * len(self.texts) + 100 * len(self.reads) + 120 * len(self.insertions)

    def fixed_bytes(self) -> int:
        """Return how many bytes of UTF-8 the fixed texts have in all parts together."""
        return sum(len(text.encode()) * count for text, count in zip(self.texts, self.counts, strict=True))


def _pick(numbers: Sequence[int], empty: int) -> Pick:
    # Of a single number itemgetter makes no tuple; texts without characters, behind the others, are harmless.
    return cast(Pick, itemgetter(*numbers, empty, empty))
