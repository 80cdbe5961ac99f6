"""The one table of what can be set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pecia_service.settings.parsers import (
    address,
    choice,
    database_url,
    optional_address,
    path,
    seconds,
    switch,
    whole,
)

MEBIBYTE: Final = 1024 * 1024

LARGEST_PROMPT_BYTES: Final = 32 * MEBIBYTE
"""How far the limit of a prompt can be raised."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its attribute in Settings, its default as text, and what it means."""

    name: str
    default: str
    help: str
    parse: Callable[[str], object]

    @property
    def env(self) -> str:
        """The environment variable."""
        return f"PECIA_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The flag of `pecia serve`."""
        return f"--{self.name.replace('_', '-')}"


SETTINGS: Final = (
    Setting(
        "listen",
        "127.0.0.1:50051",
        "Address to serve on; beyond loopback only with TLS and authentication. Port 0 takes a free one.",
        address,
    ),
    Setting("workers", "1", "Processes that serve, on one port.", whole(1, 64)),
    Setting(
        "cpu_scheduling",
        "batch",
        "How Linux lends processors: batch lets a thread go on when another wakes, for more renders a "
        "second; normal may answer sooner where other programs keep the processors busy.",
        choice("batch", "normal"),
    ),
    Setting(
        "accept_at_once",
        "16",
        "Calls that are asked of gRPC at a time: where several come, each costs less; 1 is gRPC's own way.",
        whole(1, 1024),
    ),
    Setting(
        "tls_certificate",
        "",
        "File with the server's certificate chain (PEM); empty serves without TLS.",
        path,
    ),
    Setting("tls_key", "", "File with the private key of the server's certificate (PEM).", path),
    Setting(
        "tls_client_ca",
        "",
        "File with the authorities (PEM) whose client certificates are accepted, and then required (mTLS).",
        path,
    ),
    Setting(
        "authentication",
        "none",
        "Who may call: none lets everybody do everything as the tenant default; required wants an API key or "
        "a registered client certificate (pecia keys).",
        choice("none", "required"),
    ),
    Setting(
        "insecure_listen",
        "false",
        "Listen beyond loopback without TLS and authentication; insecure, for use behind a mesh's own proxy.",
        switch,
    ),
    Setting(
        "credential_seconds",
        "10",
        "Seconds for which a credential's state is remembered: a revoked one works no longer than this.",
        seconds(0, 3600),
    ),
    Setting(
        "credential_outage_seconds",
        "300",
        "Seconds for which a remembered credential still works while the database is away.",
        seconds(0, 86_400),
    ),
    Setting(
        "database_url",
        "sqlite:///pecia.db",
        "Where everything is stored: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
        database_url,
    ),
    Setting("database_pool_size", "10", "Connections to the database at most.", whole(1, 1000)),
    Setting(
        "database_connect_timeout",
        "5",
        "Seconds to wait for a connection before a request is answered UNAVAILABLE.",
        seconds(0.1, 300),
    ),
    Setting(
        "database_statement_timeout",
        "30",
        "Seconds that one SQL statement may take; on SQLite, that it may wait for another process.",
        seconds(0.1, 3600),
    ),
    Setting(
        "database_statement_cache",
        "100",
        "Prepared statements that a connection of PostgreSQL keeps; 0 behind PgBouncer in transaction mode.",
        whole(0, 10_000),
    ),
    Setting(
        "max_request_bytes",
        str(16 * MEBIBYTE),
        "Largest request message; larger ones are RESOURCE_EXHAUSTED.",
        whole(MEBIBYTE // 16, 1024 * MEBIBYTE),
    ),
    Setting(
        "max_response_bytes",
        str(64 * MEBIBYTE),
        "Largest response message; bounds what one RenderBatch may answer.",
        whole(8 * MEBIBYTE, 1024 * MEBIBYTE),
    ),
    Setting(
        "max_prompt_bytes",
        str(3 * MEBIBYTE),
        "Largest prompt in UTF-8 bytes; larger ones are FAILED_PRECONDITION.",
        whole(1024, LARGEST_PROMPT_BYTES),
    ),
    Setting(
        "stream_in_flight",
        "32",
        "Renders of one RenderStream that may be in flight; the server reads no further meanwhile.",
        whole(1, 10_000),
    ),
    Setting(
        "max_in_flight",
        "1000",
        "Calls of a process in flight at once, health and reflection aside; more are RESOURCE_EXHAUSTED.",
        whole(1, 1_000_000),
    ),
    Setting(
        "max_in_flight_per_caller",
        "500",
        "Calls of one caller in flight at once in a process; more are RESOURCE_EXHAUSTED.",
        whole(1, 1_000_000),
    ),
    Setting(
        "max_answer_bytes",
        str(512 * MEBIBYTE),
        "Bytes of answers above 64 KiB that clients have not read yet, at most in a process; more are "
        "RESOURCE_EXHAUSTED.",
        whole(MEBIBYTE, 1024 * 1024 * MEBIBYTE),
    ),
    Setting(
        "max_connections",
        "1000",
        "Connections that a process keeps open at once; more are closed at once.",
        whole(1, 1_000_000),
    ),
    Setting(
        "handshake_seconds",
        "10",
        "Seconds in which a new connection must have begun to speak HTTP/2, and TLS.",
        seconds(0.1, 300),
    ),
    Setting(
        "max_streams_per_connection",
        "1000",
        "Calls that one HTTP/2 connection may have open at once; a client waits with more.",
        whole(1, 1_000_000),
    ),
    Setting(
        "default_deadline",
        "30",
        "Seconds that a call with one answer gets when its client sets no deadline.",
        seconds(0.1, 86_400),
    ),
    Setting(
        "default_stream_deadline",
        "3600",
        "Seconds that a call with a stream of answers gets when its client sets no deadline.",
        seconds(0.1, 604_800),
    ),
    Setting(
        "connection_age",
        "1800",
        "Seconds after which a client is asked to connect anew, so that it is balanced again; 0 is never.",
        seconds(0, 604_800),
    ),
    Setting(
        "connection_age_grace",
        "300",
        "Seconds that calls on a connection that is too old get to finish.",
        seconds(1, 604_800),
    ),
    Setting(
        "keepalive_seconds",
        "60",
        "Seconds of silence on a connection after which the server asks whether the client is there.",
        seconds(1, 86_400),
    ),
    Setting(
        "keepalive_timeout",
        "20",
        "Seconds without an answer to that after which the connection is closed.",
        seconds(1, 3600),
    ),
    Setting(
        "keepalive_min_ping",
        "10",
        "Least seconds between pings of a client; one that pings more often is disconnected.",
        seconds(0, 3600),
    ),
    Setting(
        "cache_entries",
        "4096",
        "Entries that each cache (bundles, templates, resolved bundles) holds at most.",
        whole(1, 10_000_000),
    ),
    Setting(
        "cache_bytes",
        str(128 * MEBIBYTE),
        "Bytes that the entries of each cache weigh at most, that of compiled constraints included.",
        whole(0, 1024 * 1024 * MEBIBYTE),
    ),
    Setting(
        "label_staleness",
        "0",
        "Seconds for which a label's version may be remembered; 0 reads it anew for each request.",
        seconds(0, 3600),
    ),
    Setting(
        "audit_sink",
        "database",
        "Where audit records go: database, or null for nowhere.",
        choice("database", "null"),
    ),
    Setting(
        "audit_durability",
        "spool",
        "When a render is answered: memory (once its record is queued in memory), spool (once it is in a "
        "local file, so that kill -9 loses none), fsync (once it is on the disk, so that a power cut loses "
        "none), or commit (once it is in the database).",
        choice("memory", "spool", "fsync", "commit"),
    ),
    Setting(
        "audit_spool_dir",
        "",
        "Folder of the local files; empty means FILE-spool beside the file of SQLite, else pecia-spool in "
        "the working directory.",
        path,
    ),
    Setting(
        "audit_spool_bytes",
        str(1024 * MEBIBYTE),
        "Bytes of records that may wait in the local files of one process.",
        whole(MEBIBYTE, 1024 * 1024 * MEBIBYTE),
    ),
    Setting(
        "audit_segment_bytes",
        str(8 * MEBIBYTE),
        "Bytes after which a local file is closed and another begun.",
        whole(65_536, 1024 * MEBIBYTE),
    ),
    Setting(
        "audit_full",
        "drop",
        "What happens when no more records can wait: drop (renders go on, their records are dropped and "
        "counted, and readiness fails) or refuse (renders are RESOURCE_EXHAUSTED).",
        choice("drop", "refuse"),
    ),
    Setting("audit_keep_prompt", "true", "Keep the prompt's text in its audit record.", switch),
    Setting("audit_keep_payload", "true", "Keep the payload in its audit record; replay needs it.", switch),
    Setting(
        "audit_queue_records",
        "10000",
        "Audit records that may wait in memory for the database; more are full, or wait in the local files.",
        whole(1, 10_000_000),
    ),
    Setting(
        "audit_queue_bytes",
        str(64 * MEBIBYTE),
        "Bytes of prompts and payloads that may wait in memory for the database.",
        whole(MEBIBYTE, 1024 * 1024 * MEBIBYTE),
    ),
    Setting("audit_batch_records", "500", "Audit records written in one transaction.", whole(1, 10_000)),
    Setting(
        "audit_retry_seconds",
        "300",
        "Seconds for which a batch is tried again while the database is away, with durability memory; others "
        "try until it is there.",
        seconds(0, 86_400),
    ),
    Setting(
        "audit_settle_seconds",
        "5",
        "Age in seconds up to which an absent record counts as still on its way.",
        seconds(0, 3600),
    ),
    Setting(
        "audit_retention_days",
        "0",
        "Days after which audit records are deleted, looked after hourly; 0 keeps them.",
        whole(0, 36_500),
    ),
    Setting(
        "erasure_seconds",
        "5",
        "Seconds after which a process has forgotten the text of a template that another one erased.",
        seconds(0.1, 3600),
    ),
    Setting(
        "shutdown_grace",
        "10",
        "Seconds that requests in flight, and then waiting audit records, get when the server stops.",
        seconds(0, 3600),
    ),
    Setting("reflection", "true", "Serve gRPC reflection, for tools such as grpcurl.", switch),
    Setting(
        "channelz", "false", "Serve gRPC channelz, which shows connections and calls of all callers.", switch
    ),
    Setting(
        "metrics_listen",
        "",
        "HTTP address of /metrics, /healthz and /readyz, such as 127.0.0.1:9464; empty serves none.",
        optional_address,
    ),
    Setting(
        "tracing",
        "false",
        "Trace calls with OpenTelemetry (pip install 'pecia[otel]'); OTEL_* variables say where spans go.",
        switch,
    ),
    Setting(
        "slow_request_seconds",
        "1",
        "Seconds after which an answered call is logged as slow; failed ones are always logged.",
        seconds(0, 3600),
    ),
    Setting("log_level", "info", "Least level that is logged.", choice("debug", "info", "warning", "error")),
    Setting(
        "log_format",
        "auto",
        "json, console, or auto: console on a terminal and else json.",
        choice("auto", "json", "console"),
    ),
)

CLIENT_VARIABLES: Final = frozenset(
    {"PECIA_TARGET", "PECIA_API_KEY", "PECIA_CA", "PECIA_CLIENT_CERTIFICATE", "PECIA_CLIENT_KEY"}
)
"""Variables that the command line reads when it is a client."""
