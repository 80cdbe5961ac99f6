"""Compare what is expected with what is found, and count it."""

from typing import Final

_LONGEST: Final = 300


class WrongError(Exception):
    """A comparison has failed: what was compared, expected and found."""


class Checks:
    """Counts the comparisons of one case; the first wrong one ends it."""

    def __init__(self) -> None:
        self.made = 0
        self.where = "before the first check"

    def equal(self, what: str, expected: object, found: object) -> None:
        """Compare; raises WrongError when they differ."""
        self.made += 1
        if expected != found:
            raise wrong(what, expected, found)


def wrong(what: str, expected: object, found: object) -> WrongError:
    """Return the error that says so, with values cut to a length that a line can hold."""
    return WrongError(f"{what}: expected {_short(expected)}, found {_short(found)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
