"""Database URLs: which engine they name, what the driver gets, and what a log may show."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

_FORMS = "give sqlite:///path/to/file or postgresql://user:password@host:port/database"

_POSTGRESQL = "postgresql://"

# What a log may show, if each part is where it is thought to be: a second @ can be part of a password that
# was not escaped. libpq takes passwords in the query too.
_SHOWN = re.compile(
    rf"{_POSTGRESQL}(?:(?P<user>[^:/?#@]*)(?P<password>:[^/?#@]*)?@)?"
    r"(?P<hosts>[^/?#@]*)(?P<path>(?:/[^?#@]*)?)(?:[?#][^@]*)?"
)


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
        refused: each connection would have its own.
        """
        scheme, separator, rest = url.partition("://")
        match scheme.partition("+")[0]:
            case "sqlite" if separator:
                return cls(EngineKind.SQLITE, _sqlite_file(rest))
            case "postgresql" | "postgres" if separator:
                return cls(EngineKind.POSTGRESQL, f"{_POSTGRESQL}{rest}")
        raise ValueError(f"the database URL has an unknown scheme; {_FORMS}")

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


def _sqlite_file(rest: str) -> str:
    if not rest.startswith("/"):
        raise ValueError(f"a SQLite URL has three slashes and a path; {_FORMS}")
    path = rest.removeprefix("/")
    if not path or ":memory:" in path or path.startswith("file:"):
        raise ValueError("a SQLite database needs a file of its own: give sqlite:///path/to/file")
    if "?" in path or "#" in path:
        raise ValueError("a SQLite URL takes no options: give sqlite:///path/to/file")
    return path
