"""Create what authentication and the erasure of templates need."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"


def _name(column: str, *, nullable: bool = False) -> sa.Column[str]:
    kind = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=nullable)


def _text(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.Text(), nullable=False)


def _number(column: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=nullable, autoincrement=False)


def upgrade(op: Operations) -> None:
    """Create the tables, and the column that marks an erased template."""
    op.add_column("templates", _number("erased_at", nullable=True))
    op.create_table(
        "template_erasures",
        _name("tenant_id"),
        _name("template_id"),
        _name("semver"),
        _name("definition_hash"),
        _text("actor"),
        _text("reason"),
        _number("occurred_at"),
        sa.PrimaryKeyConstraint("tenant_id", "template_id", "semver", name="pk_template_erasures"),
    )
    op.create_index("ix_template_erasures_occurred_at", "template_erasures", ["occurred_at"])
    op.create_table(
        "credentials",
        _name("tenant_id"),
        _name("credential_id"),
        _name("kind"),
        _text("description"),
        _name("certificate_name", nullable=True),
        _name("salt", nullable=True),
        _name("secret_hash", nullable=True),
        _name("scopes"),
        _number("created_at"),
        _number("expires_at", nullable=True),
        _number("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "credential_id", name="pk_credentials"),
    )
    op.create_index("ix_credentials_certificate_name", "credentials", ["certificate_name"])
