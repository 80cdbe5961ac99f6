"""Shelves of pieces to replay from, and what a replay told."""

from pecia_service.audit.comparison import ReplayCause, ReplayResult
from pecia_service.audit.record import AuditRecord
from pecia_service.registry.model import Slot
from support.audit import PieceShelf, make_pieces

Told = list[tuple[ReplayCause, Slot | None]]


def told(result: ReplayResult) -> Told:
    """Return causes and slots of the findings."""
    return [(finding.cause, finding.slot) for finding in result.findings]


def published() -> PieceShelf:
    """Make a shelf with the published pieces."""
    return PieceShelf(make_pieces())


def shelved_inline(record: AuditRecord) -> PieceShelf:
    """Make a shelf with the pieces of an inline record."""
    shelf = PieceShelf()
    shelf.pieces.update({piece.definition_hash: piece for piece in record.pieces})
    return shelf
