"""A sink that keeps what it is handed, for tests of what is recorded."""

from dataclasses import dataclass, field

from pecia_service.rendering.model import Receipt, RenderResult
from pecia_service.rendering.payload import Payload


@dataclass(frozen=True)
class Recorded:
    """One render as a sink got it."""

    receipt: Receipt
    result: RenderResult
    payload: Payload
    inline: bool


@dataclass
class RecordingSink:
    """Keeps every render."""

    renders: list[Recorded] = field(default_factory=list)

    def record(self, receipt: Receipt, result: RenderResult, payload: Payload, *, inline: bool) -> None:
        """Keep one render."""
        self.renders.append(Recorded(receipt, result, payload, inline))
