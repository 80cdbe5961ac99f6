"""The registry's rows in the database; every method takes the tenant first."""

from __future__ import annotations

from pecia_service.registry.store.erasures import ErasureStore
from pecia_service.registry.store.labels import LabelStore
from pecia_service.registry.store.pieces import PieceStore
from pecia_service.registry.store.places import Listed
from pecia_service.storage.engine import Database


class RegistryStore:
    """The registry's stores over one database."""

    def __init__(self, database: Database) -> None:
        self.pieces = PieceStore(database)
        self.labels = LabelStore(database)
        self.erasures = ErasureStore(database)


__all__ = ["ErasureStore", "LabelStore", "Listed", "PieceStore", "RegistryStore"]
