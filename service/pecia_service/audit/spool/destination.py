"""Which database spooled records belong to, so that no other one gets them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pecia_service.canonical import sha256_hex
from pecia_service.storage.url import DatabaseUrl, EngineKind

_DEFAULT_PORT = "5432"


def destination(url: str) -> str:
    """Return a digest of what identifies a database: SQLite's file, or hosts, ports and name.

    Users, passwords and other options make no difference. Raises ValueError for a URL that is none.
    """
    parsed = DatabaseUrl.parse(url)
    if parsed.kind is EngineKind.SQLITE:
        return sha256_hex(f"sqlite {os.path.realpath(parsed.location)}".encode())
    return sha256_hex(f"postgresql {_identity(parsed.location)}".encode())


def default_root(url: str) -> Path:
    """Return where the spool is unless told otherwise: beside SQLite's file, or in the working directory."""
    parsed = DatabaseUrl.parse(url)
    if parsed.kind is EngineKind.SQLITE:
        # A link to the file is another name of one database, which has one spool.
        file = os.path.realpath(parsed.location) if os.path.islink(parsed.location) else parsed.location
        return Path(f"{file}-spool")
    return Path("pecia-spool")


def _identity(location: str) -> str:
    parts = urlsplit(location)
    options = dict(parse_qsl(parts.query))
    login, _, netloc = parts.netloc.rpartition("@")
    hosts = (options.get("host") or netloc).lower().split(",")
    ports = options.get("port", "").split(",")
    places = []
    for index, host in enumerate(hosts):
        name, _, port = host.partition(":") if not host.startswith("[") else host.rpartition(":")
        if host.endswith("]"):
            name, port = host, ""
        port = port or ports[min(index, len(ports) - 1)] or _DEFAULT_PORT
        places.append(f"{name or 'localhost'}:{port}")
    user = options.get("user") or login.partition(":")[0]
    name = options.get("dbname") or options.get("database") or unquote(parts.path.lstrip("/")) or user
    return f"{','.join(places)}/{name}"
