"""Database URLs: which engine, what for the driver, and what for a log."""

import pytest
from pecia_service.storage.url import DatabaseUrl, EngineKind


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("sqlite:///pecia.db", "pecia.db"),
        ("sqlite:////var/lib/pecia/pecia.db", "/var/lib/pecia/pecia.db"),
        ("sqlite+aiosqlite:///a%20b ä.db", "a%20b ä.db"),
    ],
)
def test_a_sqlite_url_names_a_file(url: str, location: str) -> None:
    """Relative with three slashes, absolute with four; nothing is unescaped."""
    parsed = DatabaseUrl.parse(url)
    assert (parsed.kind, parsed.location, str(parsed)) == (
        EngineKind.SQLITE,
        location,
        f"sqlite:///{location}",
    )


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("postgres://h/d", "postgresql://h/d"),
        ("postgresql://u:p@h:1/d?sslmode=require", "postgresql://u:p@h:1/d?sslmode=require"),
        ("postgresql+asyncpg://h1:1,h2:2/d", "postgresql://h1:1,h2:2/d"),
    ],
)
def test_a_postgresql_url_is_for_the_driver(url: str, location: str) -> None:
    """Its parameters and hosts stay."""
    parsed = DatabaseUrl.parse(url)
    assert (parsed.kind, parsed.location) == (EngineKind.POSTGRESQL, location)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://h/d", "postgresql://h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:secret@h:1/d", "postgresql://u:***@h:1/d"),
        ("postgresql://u:se:cret@h1:1,h2/d", "postgresql://u:***@h1:1,h2/d"),
        ("postgresql://u@[::1]:5432/d", "postgresql://u@[::1]:5432/d"),
        ("postgresql://u@h/d?password=secret&sslpassword=secret", "postgresql://u@h/d"),
        ("postgresql://u:secret@h/d#secret", "postgresql://u:***@h/d"),
        ("postgresql:///d", "postgresql:///d"),
    ],
)
def test_a_log_shows_no_secret(url: str, shown: str) -> None:
    """Neither as text nor where a program prints what it holds."""
    parsed = DatabaseUrl.parse(url)
    assert (str(parsed), repr(parsed)) == (shown, f"DatabaseUrl({shown!r})")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:se@cret@h/d",
        "postgresql://u:se/cret@h/d",
        "postgresql://u:se?cret@h/d",
        "postgresql://u:se#cret@h/d",
        "postgresql://h/d?password=se@cret",
        "postgresql://u:12/34@h/d",
    ],
)
def test_a_log_shows_nothing_of_a_url_that_can_be_read_in_two_ways(url: str) -> None:
    """A password that was not escaped could be taken for a host."""
    assert str(DatabaseUrl(EngineKind.POSTGRESQL, url)) == "postgresql://***"


@pytest.mark.parametrize(
    "url",
    [
        *("", "pecia.db", "sqlite", "sqlite:", "sqlite:/a", "sqlite://", "sqlite:///", "sqlite://a.db"),
        *("sqlite:///:memory:", "sqlite:///file::memory:?cache=shared", "sqlite:///file:a.db"),
        *(
            "sqlite:///a.db?mode=ro",
            "sqlite:///a.db#x",
            "mysql://h/d",
            "postgresql",
            "postgresql:/h/d",
            "postgre://h",
        ),
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    """With a form that is possible."""
    with pytest.raises(ValueError, match="give sqlite:///path/to/file"):
        DatabaseUrl.parse(url)


def test_what_is_refused_is_not_repeated() -> None:
    """A URL with a wrong scheme can still hold a password."""
    with pytest.raises(ValueError, match="unknown scheme") as caught:
        DatabaseUrl.parse("mysql://u:secret@h/d")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:secret@h:port/d", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secret@h:99999/d", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secret@h:0/d", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secret@h1:1,h2:x/d", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secret@[::1]:x/d", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secret@/d?host=h:x", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secret@h/d?port=5432,x", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secr/et@h/d", "a port that is no number from 1 to 65535"),
        ("postgresql://u:secr@et@h/d", "more than one @"),
        ("postgresql://u:secret@h1,/d", "a host without a name"),
        ("postgresql://u:secret@[::1", "can't be read as a URL"),
        ("postgresql://u:secret@[::1]x/d", "is no IPv6 address|can't be read as a URL"),
        ("postgresql://u:secret@h/d?sslmode", "can't be read as a URL"),
    ],
)
def test_what_the_driver_can_not_read_is_refused(url: str, message: str) -> None:
    """Before it is tried, and without a piece of the password."""
    with pytest.raises(ValueError, match=message) as caught:
        DatabaseUrl.parse(url)
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql:///d",
        "postgresql://u@/d",
        "postgresql://u:p%40%3A%2F@h:65535/d",
        "postgresql://u@h:/d",
        "postgresql://u@[::1]/d",
        "postgresql://u@h1:1,[::1]:2/d",
        "postgresql://u@/d?host=/var/run/postgresql&port=5433",
        "postgresql://u@%2Fvar%2Frun/d",
    ],
)
def test_what_the_driver_can_read_is_accepted(url: str) -> None:
    """Sockets, several hosts, and passwords with escapes too."""
    assert url == DatabaseUrl.parse(url).location
