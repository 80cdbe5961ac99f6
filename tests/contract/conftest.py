"""Fixtures of the suites that run on every engine."""

import pytest
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.storage.engine import Database
from support.domain import TickingClock


@pytest.fixture
def clock() -> TickingClock:
    """Give the clock that the registry reads."""
    return TickingClock()


@pytest.fixture
def registry(database: Database, clock: TickingClock) -> Registry:
    """Give a registry over an empty database."""
    return Registry(RegistryStore(database), clock)
