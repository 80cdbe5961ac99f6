"""Create the registry's and the audit's tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None


def _name(column: str) -> sa.Column[str]:
    kind = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=False)


def _text(column: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, sa.Text(), nullable=nullable)


def _number(column: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=nullable, autoincrement=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def upgrade(op: Operations) -> None:
    """Create every table and index."""
    _create_pieces(op)
    _create_labels(op)
    _create_audit(op)


def _create_pieces(op: Operations) -> None:
    op.create_table(
        "templates",
        _name("tenant_id"),
        _name("template_id"),
        _name("semver"),
        _name("precedence"),
        _name("role"),
        _text("content"),
        _text("constraints_json"),
        _text("adapter_version"),
        _text("description"),
        _name("content_hash"),
        _name("constraints_hash"),
        _name("definition_hash"),
        sa.Column("content_bytes", sa.Integer(), nullable=False),
        _number("published_at"),
        _key("templates", "tenant_id", "template_id", "semver"),
    )
    op.create_index(
        "ix_templates_list", "templates", ["tenant_id", "template_id", sa.text("precedence DESC"), "semver"]
    )
    op.create_table(
        "bundles",
        _name("tenant_id"),
        _name("bundle_id"),
        _name("semver"),
        _name("precedence"),
        _name("system_id"),
        _name("system_semver"),
        _name("personality_id"),
        _name("personality_semver"),
        _name("activity_id"),
        _name("activity_semver"),
        _name("task_id"),
        _name("task_semver"),
        _text("tags_json"),
        _text("description"),
        _name("bundle_hash"),
        _name("definition_hash"),
        _number("published_at"),
        _key("bundles", "tenant_id", "bundle_id", "semver"),
    )
    op.create_index(
        "ix_bundles_list", "bundles", ["tenant_id", "bundle_id", sa.text("precedence DESC"), "semver"]
    )


def _create_labels(op: Operations) -> None:
    op.create_table(
        "labels",
        _name("tenant_id"),
        _name("bundle_id"),
        _name("label"),
        _name("semver"),
        _number("revision"),
        _number("entry_revision"),
        _number("updated_at"),
        _text("updated_by"),
        _key("labels", "tenant_id", "bundle_id", "label"),
    )
    op.create_table(
        "label_events",
        _name("tenant_id"),
        _name("bundle_id"),
        _name("label"),
        _number("revision"),
        _name("action"),
        _name("from_semver"),
        _name("to_semver"),
        _number("previous_entry", nullable=True),
        _number("entry_revision", nullable=True),
        _text("actor"),
        _number("occurred_at"),
        _key("label_events", "tenant_id", "bundle_id", "label", "revision"),
    )
    op.create_table(
        "label_requests",
        _name("tenant_id"),
        _name("request_id"),
        _name("request_hash"),
        _name("bundle_id"),
        _name("label"),
        _number("revision"),
        _number("occurred_at"),
        _key("label_requests", "tenant_id", "request_id"),
    )
    op.create_index("ix_label_requests_tenant_id_occurred_at", "label_requests", ["tenant_id", "occurred_at"])


def _create_audit(op: Operations) -> None:
    op.create_table(
        "audit_records",
        _name("tenant_id"),
        _name("render_id"),
        _number("created_at"),
        _name("prompt_hash"),
        _name("bundle_hash"),
        _name("payload_hash"),
        _name("bundle_id"),
        _name("semver"),
        _name("renderer_version"),
        _text("adapter_version"),
        _text("templates_json"),
        sa.Column("inline", sa.Boolean(), nullable=False),
        _name("record_hash"),
        _text("payload", nullable=True),
        _text("prompt", nullable=True),
        _number("redacted_at", nullable=True),
        _key("audit_records", "tenant_id", "render_id"),
    )
    op.create_index(
        "ix_audit_records_tenant_id_created_at_render_id",
        "audit_records",
        ["tenant_id", "created_at", "render_id"],
    )
    op.create_index(
        "ix_audit_records_tenant_id_bundle_id_semver_created_at",
        "audit_records",
        ["tenant_id", "bundle_id", "semver", "created_at"],
    )
    op.create_table(
        "audit_pieces",
        _name("tenant_id"),
        _name("definition_hash"),
        _name("template_id"),
        _name("semver"),
        _name("role"),
        _text("content"),
        _text("constraints_json"),
        _text("adapter_version"),
        _text("description"),
        _name("content_hash"),
        _name("constraints_hash"),
        _key("audit_pieces", "tenant_id", "definition_hash"),
    )
    op.create_table(
        "audit_piece_uses",
        _name("tenant_id"),
        _name("render_id"),
        _name("definition_hash"),
        _key("audit_piece_uses", "tenant_id", "render_id", "definition_hash"),
    )
    op.create_index(
        "ix_audit_piece_uses_tenant_id_definition_hash", "audit_piece_uses", ["tenant_id", "definition_hash"]
    )
