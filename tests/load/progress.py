"""Show on stderr where a run stands: one line that changes on a terminal, else a line every few seconds."""

from __future__ import annotations

from typing import Final, TextIO

from load.runner import Progress
from load.schedule import Clock

_SECONDS: Final = 5.0
_CLEAR: Final = "\r\x1b[2K"


class Display:
    """Writes progress to a stream."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._phase = ""
        self._written = 0.0

    def show(self, progress: Progress) -> None:
        """Show it, unless a line that stays was written only just now."""
        text = _line(progress)
        if self._terminal:
            self._write(_CLEAR + text)
            return
        phase = f"{progress.plan.name}: {progress.phase}"
        if phase != self._phase or self._clock() - self._written >= _SECONDS:
            self._phase, self._written = phase, self._clock()
            self._write(text + "\n")

    def clear(self) -> None:
        """Leave the terminal as it was."""
        if self._terminal:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _line(progress: Progress) -> str:
    parts = [f"{progress.plan.name}: {progress.phase}"]
    if progress.share is not None:
        parts.append(f"{progress.share:.0%}")
    if (interval := progress.interval) is not None:
        parts.append(
            f"{interval.rate:,.0f}/s, p50 {interval.p50 * 1000:.2f} ms, p99 {interval.p99 * 1000:.2f} ms"
        )
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    return "  ".join(parts)
