"""Settings: one table of what can be set, read from the environment into one frozen object."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pecia_service.storage.url import DatabaseUrl

MEBIBYTE: Final = 1024 * 1024

LARGEST_PROMPT_BYTES: Final = 32 * MEBIBYTE
"""How far the limit of a prompt can be raised."""

_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
# Without its brackets the port of an IPv6 address would be read as the address's last part.
_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[^]]*)\]|(?P<host>[^]:[]*)):(?P<port>[0-9]{1,5})", re.ASCII)


class SettingsError(ValueError):
    """A setting can't be used; the message is one line that says which, and what it should be."""


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


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not _DIGITS.fullmatch(value.strip()) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return parse


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not least <= seconds <= most:
            raise ValueError(f"must be a number of seconds from {least:g} to {most:g}")
        return seconds

    return parse


def _switch(value: str) -> bool:
    match value.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise ValueError("must be true or false")


def _choice(*names: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.strip().lower() not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return value.strip().lower()

    return parse


def _loopback(value: str) -> str:
    """Accept loopback only: there is no authentication that would protect a wider address."""
    match = _ADDRESS.fullmatch(value.strip())
    if match is None or int(match["port"]) > 65_535:
        raise ValueError("must be HOST:PORT such as 127.0.0.1:50051 or [::1]:50051")
    try:
        if match["v6"] is not None:
            loopback = ipaddress.IPv6Address(match["v6"]).is_loopback
        else:
            loopback = match["host"] == "localhost" or ipaddress.IPv4Address(match["host"]).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            "must be a loopback address such as 127.0.0.1:50051: "
            "there is no TLS and no authentication, so other machines must not reach this server"
        )
    return value.strip()


def _database_url(value: str) -> str:
    """Keep the text, once it is known to be a URL."""
    url = value.strip()
    DatabaseUrl.parse(url)
    return url


SETTINGS: Final = (
    Setting(
        "listen", "127.0.0.1:50051", "Address to serve on; loopback only. Port 0 takes a free one.", _loopback
    ),
    Setting(
        "database_url",
        "sqlite:///pecia.db",
        "Where everything is stored: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
        _database_url,
    ),
    Setting("database_pool_size", "10", "Connections to the database at most.", _whole(1, 1000)),
    Setting(
        "database_connect_timeout",
        "5",
        "Seconds to wait for a connection before a request is answered UNAVAILABLE.",
        _seconds(0.1, 300),
    ),
    Setting(
        "database_statement_timeout",
        "30",
        "Seconds that one SQL statement may take; on SQLite, that it may wait for another process.",
        _seconds(0.1, 3600),
    ),
    Setting(
        "database_statement_cache",
        "100",
        "Prepared statements that a connection of PostgreSQL keeps; 0 behind PgBouncer in transaction mode.",
        _whole(0, 10_000),
    ),
    Setting(
        "max_request_bytes",
        str(16 * MEBIBYTE),
        "Largest request message; larger ones are RESOURCE_EXHAUSTED.",
        _whole(MEBIBYTE // 16, 1024 * MEBIBYTE),
    ),
    Setting(
        "max_response_bytes",
        str(64 * MEBIBYTE),
        "Largest response message; bounds what one RenderBatch may answer.",
        _whole(8 * MEBIBYTE, 1024 * MEBIBYTE),
    ),
    Setting(
        "max_prompt_bytes",
        str(3 * MEBIBYTE),
        "Largest prompt in UTF-8 bytes; larger ones are FAILED_PRECONDITION.",
        _whole(1024, LARGEST_PROMPT_BYTES),
    ),
    Setting(
        "stream_in_flight",
        "32",
        "Renders of one RenderStream that may be in flight; the server reads no further meanwhile.",
        _whole(1, 10_000),
    ),
    Setting(
        "cache_entries",
        "4096",
        "Entries that each cache (bundles, templates, resolved bundles) holds at most.",
        _whole(1, 10_000_000),
    ),
    Setting(
        "cache_bytes",
        str(128 * MEBIBYTE),
        "Bytes that the entries of each cache weigh at most, that of compiled constraints included.",
        _whole(0, 1024 * 1024 * MEBIBYTE),
    ),
    Setting(
        "label_staleness",
        "0",
        "Seconds for which a label's version may be remembered; 0 reads it anew for each request.",
        _seconds(0, 3600),
    ),
    Setting(
        "audit_sink",
        "database",
        "Where audit records go: database, or null for nowhere.",
        _choice("database", "null"),
    ),
    Setting("audit_keep_prompt", "true", "Keep the prompt's text in its audit record.", _switch),
    Setting("audit_keep_payload", "true", "Keep the payload in its audit record; replay needs it.", _switch),
    Setting(
        "audit_queue_records",
        "10000",
        "Audit records that may wait for the database; beyond, they are dropped and counted.",
        _whole(1, 10_000_000),
    ),
    Setting(
        "audit_queue_bytes",
        str(64 * MEBIBYTE),
        "Bytes of prompts and payloads that may wait for the database.",
        _whole(MEBIBYTE, 1024 * 1024 * MEBIBYTE),
    ),
    Setting("audit_batch_records", "500", "Audit records written in one transaction.", _whole(1, 10_000)),
    Setting(
        "audit_retry_seconds",
        "300",
        "Seconds for which a batch is tried again while the database is away.",
        _seconds(0, 86_400),
    ),
    Setting(
        "audit_settle_seconds",
        "5",
        "Age in seconds up to which an absent record counts as still on its way.",
        _seconds(0, 3600),
    ),
    Setting(
        "audit_retention_days",
        "0",
        "Days after which audit records are deleted, looked after hourly; 0 keeps them.",
        _whole(0, 36_500),
    ),
    Setting(
        "shutdown_grace",
        "10",
        "Seconds that requests in flight, and then waiting audit records, get when the server stops.",
        _seconds(0, 3600),
    ),
    Setting("reflection", "true", "Serve gRPC reflection, for tools such as grpcurl.", _switch),
    Setting("log_level", "info", "Least level that is logged.", _choice("debug", "info", "warning", "error")),
    Setting(
        "log_format",
        "auto",
        "json, console, or auto: console on a terminal and else json.",
        _choice("auto", "json", "console"),
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a server; see SETTINGS for their meaning, units and ranges."""

    listen: str
    database_url: str
    database_pool_size: int
    database_connect_timeout: float
    database_statement_timeout: float
    database_statement_cache: int
    max_request_bytes: int
    max_response_bytes: int
    max_prompt_bytes: int
    stream_in_flight: int
    cache_entries: int
    cache_bytes: int
    label_staleness: float
    audit_sink: str
    audit_keep_prompt: bool
    audit_keep_payload: bool
    audit_queue_records: int
    audit_queue_bytes: int
    audit_batch_records: int
    audit_retry_seconds: float
    audit_settle_seconds: float
    audit_retention_days: int
    shutdown_grace: float
    reflection: bool
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
        return settings


CLIENT_VARIABLES: Final = frozenset({"PECIA_TARGET"})
"""Variables that the command line reads when it is a client."""
