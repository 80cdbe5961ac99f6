"""Counts what became of the calls of one process, and gives the counts away piece by piece."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from load.histogram import Histogram
from load.schedule import Left, Window

LATE_SECONDS: Final = 0.005
"""A call that begins so long after it was due is counted as late."""
_MAX_LABELS: Final = 64
_OTHER: Final = "OTHER"


@dataclass(slots=True)
class Counts:
    """What became of calls; only those that were due in the window count, but for `completed`.

    Attributes:
        completed: Right answers that came within the window, whenever their calls were due.
        answered: Right answers.
        errors: Calls that failed or were answered wrongly, by label.
        unfinished: Calls without an answer when the drain time was over.
        not_begun: Calls of an open loop that nobody was free to begin by then.
        late: Calls that began more than LATE_SECONDS after they were due.
        latest: The longest time, in seconds, between when a call was due and when it began.
        ended: When the last right answer came, on the shared clock.
        latency: Of right answers, and of calls that waited in vain: past their deadline, or to no end.

    """

    completed: int = 0
    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0
    not_begun: int = 0
    late: int = 0
    latest: float = 0.0
    ended: float = 0.0
    latency: Histogram = field(default_factory=Histogram)

    def add(self, other: Counts) -> None:
        """Add what another has counted."""
        self.completed += other.completed
        self.answered += other.answered
        for label, times in other.errors.items():
            self.fail(label, times)
        self.unfinished += other.unfinished
        self.not_begun += other.not_begun
        self.late += other.late
        self.latest = max(self.latest, other.latest)
        self.ended = max(self.ended, other.ended)
        self.latency.merge([other.latency])

    def fail(self, label: str, times: int = 1) -> None:
        """Count failures; labels come from the server, so there may not be any number of them."""
        known = label in self.errors or len(self.errors) < _MAX_LABELS
        self.errors[label if known else _OTHER] += times

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "latency": self.latency.encode(),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Counts:
        """Read what `document` gave."""
        return cls(
            **{
                **document,
                "errors": Counter(document["errors"]),
                "latency": Histogram.decode(document["latency"]),
            }
        )


class Recorder:
    """Counts calls; all times are on the shared clock."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._counts = Counts()

    def begun(self, due: float, now: float) -> None:
        """Count a call that is sent now."""
        if due < self._window.measured:
            return
        lateness = now - due
        if lateness > LATE_SECONDS:
            self._counts.late += 1
        self._counts.latest = max(self._counts.latest, lateness)

    def ended(self, due: float, now: float, failure: str | None) -> None:
        """Count an answer, right if there is no failure."""
        counts = self._counts
        if failure is None and self._window.measured <= now < self._window.until:
            counts.completed += 1
        if due < self._window.measured:
            return
        if failure is None:
            counts.answered += 1
            counts.ended = max(counts.ended, now)
            counts.latency.add(now - due)
            return
        counts.fail(failure)
        if failure.startswith("DEADLINE_EXCEEDED"):
            counts.latency.add(now - due)

    def unfinished(self, due: float, now: float) -> None:
        """Count a call that is given up; it has waited at least until now."""
        if due >= self._window.measured:
            self._counts.unfinished += 1
            self._counts.latency.add(now - due)

    def not_begun(self, left: Left, now: float) -> None:
        """Count calls that were due and never begun; they have waited at least until now."""
        self._counts.not_begun += left.count
        for due, times in left.groups():
            self._counts.latency.add(now - due, times)

    def take(self) -> Counts:
        """Return what was counted since the last time."""
        counts, self._counts = self._counts, Counts()
        return counts
