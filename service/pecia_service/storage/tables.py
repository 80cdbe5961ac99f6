"""The schema: every key begins with the tenant, and nothing needs more than plain PostgreSQL-wire SQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text, desc

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)


def _name(column: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    """Make a column that compares by bytes on every engine; SQLite does so by itself."""
    kind = String().with_variant(String(collation="C"), "postgresql")
    return Column(column, kind, primary_key=primary_key, nullable=nullable)


def _tenant() -> Column[str]:
    return _name("tenant_id", primary_key=True)


templates = Table(
    "templates",
    metadata,
    _tenant(),
    _name("template_id", primary_key=True),
    _name("semver", primary_key=True),
    _name("precedence"),
    _name("role"),
    Column("content", Text, nullable=False),
    Column("constraints_json", Text, nullable=False),
    Column("adapter_version", Text, nullable=False),
    Column("description", Text, nullable=False),
    _name("content_hash"),
    _name("constraints_hash"),
    _name("definition_hash"),
    Column("content_bytes", Integer, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    # Set when content, constraints and description were erased.
    Column("erased_at", BigInteger, nullable=True),
    # The order of lists: by id, newest first.
    Index("ix_templates_list", "tenant_id", "template_id", desc("precedence"), "semver"),
)

bundles = Table(
    "bundles",
    metadata,
    _tenant(),
    _name("bundle_id", primary_key=True),
    _name("semver", primary_key=True),
    _name("precedence"),
    _name("system_id"),
    _name("system_semver"),
    _name("personality_id"),
    _name("personality_semver"),
    _name("activity_id"),
    _name("activity_semver"),
    _name("task_id"),
    _name("task_semver"),
    Column("tags_json", Text, nullable=False),
    Column("description", Text, nullable=False),
    _name("bundle_hash"),
    _name("definition_hash"),
    Column("published_at", BigInteger, nullable=False),
    Index("ix_bundles_list", "tenant_id", "bundle_id", desc("precedence"), "semver"),
)

labels = Table(
    "labels",
    metadata,
    _tenant(),
    _name("bundle_id", primary_key=True),
    _name("label", primary_key=True),
    _name("semver"),
    Column("revision", BigInteger, nullable=False),
    Column("entry_revision", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Text, nullable=False),
)

label_events = Table(
    "label_events",
    metadata,
    _tenant(),
    _name("bundle_id", primary_key=True),
    _name("label", primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    _name("action"),
    _name("from_semver"),
    _name("to_semver"),
    # The set event that a roll-back from this entry leads to; null where the history begins.
    Column("previous_entry", BigInteger, nullable=True),
    # The set event that the label stands on after this event; null after a deletion.
    Column("entry_revision", BigInteger, nullable=True),
    Column("actor", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
)

label_requests = Table(
    "label_requests",
    metadata,
    _tenant(),
    _name("request_id", primary_key=True),
    # What was asked, hashed, so that a reused id is told from a retry.
    _name("request_hash"),
    _name("bundle_id"),
    _name("label"),
    Column("revision", BigInteger, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    # Old requests are forgotten.
    Index(None, "tenant_id", "occurred_at"),
)

audit_records = Table(
    "audit_records",
    metadata,
    _tenant(),
    _name("render_id", primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    _name("prompt_hash"),
    _name("bundle_hash"),
    _name("payload_hash"),
    _name("bundle_id"),
    _name("semver"),
    _name("renderer_version"),
    Column("adapter_version", Text, nullable=False),
    Column("templates_json", Text, nullable=False),
    Column("inline", Boolean, nullable=False),
    _name("record_hash"),
    Column("payload", Text, nullable=True),
    Column("prompt", Text, nullable=True),
    Column("redacted_at", BigInteger, nullable=True),
    Index(None, "tenant_id", "created_at", "render_id"),
    Index(None, "tenant_id", "bundle_id", "semver", "created_at"),
)

audit_pieces = Table(
    "audit_pieces",
    metadata,
    _tenant(),
    _name("definition_hash", primary_key=True),
    _name("template_id"),
    _name("semver"),
    _name("role"),
    Column("content", Text, nullable=False),
    Column("constraints_json", Text, nullable=False),
    Column("adapter_version", Text, nullable=False),
    Column("description", Text, nullable=False),
    _name("content_hash"),
    _name("constraints_hash"),
)

audit_piece_uses = Table(
    "audit_piece_uses",
    metadata,
    _tenant(),
    _name("render_id", primary_key=True),
    _name("definition_hash", primary_key=True),
    Index(None, "tenant_id", "definition_hash"),
)

template_erasures = Table(
    "template_erasures",
    metadata,
    _tenant(),
    _name("template_id", primary_key=True),
    _name("semver", primary_key=True),
    _name("definition_hash"),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    # Every process looks for what was erased of late, whosever it was.
    Index(None, "occurred_at"),
)

credentials = Table(
    "credentials",
    metadata,
    _tenant(),
    _name("credential_id", primary_key=True),
    # "key", or "certificate" for the name of a client certificate.
    _name("kind"),
    Column("description", Text, nullable=False),
    # The certificate's name; null for keys.
    _name("certificate_name", nullable=True),
    # Of a key's secret only this is known; null for certificates.
    _name("salt", nullable=True),
    _name("secret_hash", nullable=True),
    # Separated by spaces, in alphabetical order.
    _name("scopes"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=True),
    Column("revoked_at", BigInteger, nullable=True),
    # A certificate says its name, not its tenant.
    Index(None, "certificate_name"),
)
