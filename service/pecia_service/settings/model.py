"""The settings of a server, read from the environment and flags, and checked together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pecia_service.settings.parsers import is_loopback
from pecia_service.settings.table import CLIENT_VARIABLES, MEBIBYTE, SETTINGS


class SettingsError(ValueError):
    """A setting can't be used; the message is one line that says which, and what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a server; see SETTINGS for their meaning, units and ranges."""

    listen: str
    workers: int
    cpu_scheduling: str
    accept_at_once: int
    tls_certificate: str
    tls_key: str
    tls_client_ca: str
    authentication: str
    insecure_listen: bool
    credential_seconds: float
    credential_outage_seconds: float
    # It holds a password.
    database_url: str = field(repr=False)
    database_pool_size: int
    database_connect_timeout: float
    database_statement_timeout: float
    database_statement_cache: int
    max_request_bytes: int
    max_response_bytes: int
    max_prompt_bytes: int
    stream_in_flight: int
    max_in_flight: int
    max_in_flight_per_caller: int
    max_answer_bytes: int
    max_connections: int
    handshake_seconds: float
    max_streams_per_connection: int
    default_deadline: float
    default_stream_deadline: float
    connection_age: float
    connection_age_grace: float
    keepalive_seconds: float
    keepalive_timeout: float
    keepalive_min_ping: float
    cache_entries: int
    cache_bytes: int
    label_staleness: float
    audit_sink: str
    audit_durability: str
    audit_spool_dir: str
    audit_spool_bytes: int
    audit_segment_bytes: int
    audit_full: str
    audit_keep_prompt: bool
    audit_keep_payload: bool
    audit_queue_records: int
    audit_queue_bytes: int
    audit_batch_records: int
    audit_retry_seconds: float
    audit_settle_seconds: float
    audit_retention_days: int
    erasure_seconds: float
    shutdown_grace: float
    reflection: bool
    channelz: bool
    metrics_listen: str
    tracing: bool
    slow_request_seconds: float
    log_level: str
    log_format: str

    @classmethod
    def load(cls, environment: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Settings:
        """Read settings from `environment`, with `flags` (by setting name) above it.

        Raises SettingsError for a value that can't be used, and for a PECIA_* variable that is no setting.
        """
        known = {setting.env for setting in SETTINGS} | CLIENT_VARIABLES
        for name in environment:
            if name.startswith("PECIA_") and name not in known:
                raise SettingsError(f"{name} is not a setting; see pecia serve --help")
        values: dict[str, object] = {}
        for setting in SETTINGS:
            flag = (flags or {}).get(setting.name)
            text = flag if flag is not None else environment.get(setting.env, setting.default)
            try:
                values[setting.name] = setting.parse(text)
            except ValueError as error:
                where = setting.flag if flag is not None else setting.env
                raise SettingsError(f"{where} {error}") from None
        settings = cls(**values)  # type: ignore[arg-type]  # the table and the fields agree: a test compares them
        room = 2 * settings.max_prompt_bytes + MEBIBYTE
        if settings.max_response_bytes < room:
            raise SettingsError(
                f"PECIA_MAX_RESPONSE_BYTES must be at least {room}: "
                "an answer has the prompt whole and in parts, and PECIA_MAX_PROMPT_BYTES allows so much"
            )
        settings._check_security()
        return settings

    @property
    def tls(self) -> bool:
        """Whether the server speaks TLS."""
        return bool(self.tls_certificate)

    @property
    def authenticated(self) -> bool:
        """Whether callers must say who they are."""
        return self.authentication == "required"

    def _check_security(self) -> None:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise SettingsError(
                "PECIA_TLS_CERTIFICATE and PECIA_TLS_KEY belong together: give both files, or neither"
            )
        if self.tls_client_ca and not self.tls:
            raise SettingsError(
                "PECIA_TLS_CLIENT_CA needs PECIA_TLS_CERTIFICATE and PECIA_TLS_KEY: "
                "client certificates come with TLS only"
            )
        if is_loopback(self.listen) or self.insecure_listen or (self.tls and self.authenticated):
            return
        raise SettingsError(
            f"PECIA_LISTEN is {self.listen}, which other machines can reach: set PECIA_TLS_CERTIFICATE, "
            "PECIA_TLS_KEY and PECIA_AUTHENTICATION=required, listen on a loopback address such as "
            "127.0.0.1:50051, or say PECIA_INSECURE_LISTEN=true"
        )
