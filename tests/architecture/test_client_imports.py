"""What a program pays for importing the client, and for rendering offline."""

import subprocess
import sys

HEAVY = (
    "aiosqlite",
    "alembic",
    "async_lru",
    "asyncpg",
    "click",
    "prometheus_client",
    "rich",
    "sqlalchemy",
    "structlog",
)


def loaded(statement: str) -> set[str]:
    """Return the packages that a fresh interpreter has after a statement."""
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_client_does_not_load_the_service() -> None:
    """It needs the contract's messages and gRPC."""
    packages = loaded("import pecia_client")
    assert {"pecia_client", "pecia", "grpc"} <= packages
    assert {"pecia_service", *HEAVY}.isdisjoint(packages)


def test_rendering_offline_loads_no_part_of_a_server() -> None:
    """Of the service it needs what is pure, and what turns messages into values."""
    packages = loaded("import pecia_client.offline")
    assert "pecia_service" in packages
    assert set(HEAVY).isdisjoint(packages)
