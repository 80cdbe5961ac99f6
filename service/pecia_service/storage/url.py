"""Database URLs: which engine they name, what the driver gets, and what a log may show."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

_FORMS = "give sqlite:///path/to/file or postgresql://user:password@host:port/database"

_POSTGRESQL = "postgresql://"

# What a log may show, if each part is where it is thought to be: a second @ can be part of a password that
# was not escaped. libpq takes passwords in the query too.
_SHOWN = re.compile(
    rf"{_POSTGRESQL}(?:(?P<user>[^:/?#@]*)(?P<password>:[^/?#@]*)?@)?"
    r"(?P<hosts>[^/?#@]*)(?P<path>(?:/[^?#@]*)?)(?:[?#][^@]*)?"
)


_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)
_IPV6_HOST = re.compile(r"\[[^]]+\](?::(?P<port>.*))?")
_LARGEST_PORT = 65_535
# No part of the URL is repeated: what looks like a port or a host can be a piece of a password.
_ESCAPES = "write @ : / ? # and % of a user or password as %40 %3A %2F %3F %23 %25"


class EngineKind(enum.Enum):
    """A supported database engine; the value is SQLAlchemy's name of its dialect."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A parsed database URL.

    `location` is the file of SQLite, and of PostgreSQL the whole libpq-style URL with its secrets, which
    `str` and `repr` never show.
    """

    kind: EngineKind
    location: str

    @classmethod
    def parse(cls, url: str) -> DatabaseUrl:
        """Read `sqlite:///path`, `postgresql://…` or `postgres://…`; raises ValueError for anything else.

        A SQLAlchemy driver name (`postgresql+asyncpg`) is accepted and ignored. Databases in memory are
        refused: each connection would have its own. The error's message is a predicate, such as "has an
        unknown scheme; …", and repeats nothing of the URL.
        """
        scheme, separator, rest = url.partition("://")
        match scheme.partition("+")[0]:
            case "sqlite" if separator:
                return cls(EngineKind.SQLITE, _sqlite_file(rest))
            case "postgresql" | "postgres" if separator:
                location = f"{_POSTGRESQL}{rest}"
                _check_postgresql(location)
                return cls(EngineKind.POSTGRESQL, location)
        raise ValueError(f"has an unknown scheme; {_FORMS}")

    def __str__(self) -> str:
        if self.kind is EngineKind.SQLITE:
            return f"sqlite:///{self.location}"
        shown = _SHOWN.fullmatch(self.location)
        if shown is None:
            return f"{_POSTGRESQL}***"
        user, password, hosts, path = shown.group("user", "password", "hosts", "path")
        login = "" if user is None else f"{user}{':***' if password else ''}@"
        return f"{_POSTGRESQL}{login}{hosts}{path}"

    def __repr__(self) -> str:
        return f"DatabaseUrl({str(self)!r})"


def _check_postgresql(url: str) -> None:
    """Raise ValueError for what the driver would fail to read, in hosts and ports as it reads them."""
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError:
        raise ValueError(f"can't be read as a URL: check its brackets and options, and {_ESCAPES}") from None
    if parts.netloc.count("@") > 1:
        raise ValueError(f"has more than one @ before its host; {_ESCAPES}")
    query = dict(options)
    for hosts in (parts.netloc.rpartition("@")[2], query.get("host", "")):
        if hosts:
            for host in hosts.split(","):
                _check_host(host)
    if port := query.get("port"):
        for number in port.split(","):
            _check_port(number)


def _check_host(host: str) -> None:
    if not host:
        raise ValueError(f"has a host without a name; {_FORMS}")
    if host.startswith("/"):
        return
    if not host.startswith("["):
        _check_port(host.partition(":")[2])
        return
    match = _IPV6_HOST.fullmatch(host)
    if match is None:
        raise ValueError("has a host that is no IPv6 address in brackets, such as [::1]")
    _check_port(match["port"] or "")


def _check_port(port: str) -> None:
    """Raise ValueError unless it is empty or a number that a port can have."""
    number = unquote(port)
    if number and not (_NUMBER.fullmatch(number) and 1 <= int(number) <= _LARGEST_PORT):
        raise ValueError(f"has a port that is no number from 1 to {_LARGEST_PORT}; {_ESCAPES}")


def _sqlite_file(rest: str) -> str:
    if not rest.startswith("/"):
        raise ValueError(f"has fewer than three slashes before its path; {_FORMS}")
    path = rest.removeprefix("/")
    if not path or ":memory:" in path or path.startswith("file:"):
        raise ValueError("names no file that the database can keep; give sqlite:///path/to/file")
    if "?" in path or "#" in path:
        raise ValueError("has options, which SQLite's can't; give sqlite:///path/to/file")
    return path
