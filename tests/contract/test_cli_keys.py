"""`pecia keys` on every engine: what it prints, where, and what a server makes of it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from pecia_service.access.keys import ApiKey
from pecia_service.access.model import Scope
from pecia_service.cli.database import shown_database
from pecia_service.storage.engine import Database
from pecia_service.storage.url import DatabaseUrl
from support.cli import NOW, Ran, run_cli
from support.credentials import HandClock, authenticator_of

NOW_MICROSECONDS = int(NOW.timestamp()) * 1_000_000 + NOW.microsecond


async def keys(database_url: str, *arguments: str) -> Ran:
    """Run `pecia keys` beside the test's own event loop."""
    return await asyncio.to_thread(run_cli, "keys", *arguments, "--database-url", database_url)


async def test_the_key_alone_is_on_stdout(migrated_database_url: str, database: Database) -> None:
    """It can go into a file at once, and it opens what it should."""
    ran = await keys(
        migrated_database_url, "create", "--scope", "render", "--scope", "read", "--tenant", "acme"
    )
    token = ran.stdout.removesuffix("\n")
    caller = await authenticator_of(database, HandClock(NOW_MICROSECONDS)).authenticate_key(token)
    assert [ran.exit_code, caller.tenant_id, caller.scopes] == [0, "acme", {Scope.READ, Scope.RENDER}]


async def test_what_belongs_to_a_key_is_on_stderr(migrated_database_url: str) -> None:
    """Its id, its tenant, its scopes, its end, and that it is not shown again; not the key."""
    ran = await keys(migrated_database_url, "create", "--scope", "read", "--expires-in", "90d")
    key = ApiKey.parse(ran.stdout.removesuffix("\n"))
    assert key is not None
    assert ran.stderr.splitlines()[1:] == [
        "This is the key. It is shown only now; keep it where secrets are kept.",
        f"id       {key.credential_id}",
        "tenant   default",
        "scopes   read",
        "expires  2027-02-19T08:30:00.123456Z",
    ]


async def test_machines_get_one_object(migrated_database_url: str) -> None:
    """With the key in it."""
    ran = await keys(migrated_database_url, "create", "--all-scopes", "--description", "web", "--json")
    document = ran.json
    key = ApiKey.parse(document.pop("key"))
    assert key is not None
    assert document == {
        "credential_id": key.credential_id,
        "tenant_id": "default",
        "kind": "key",
        "state": "active",
        "scopes": sorted(scope.value for scope in Scope),
        "description": "web",
        "certificate_name": None,
        "created_at": "2026-11-21T08:30:00.123456Z",
        "expires_at": None,
        "revoked_at": None,
    }


async def test_a_certificate_is_registered(migrated_database_url: str, database: Database) -> None:
    """Its id is on stdout; there is no key."""
    arguments = ("create", "--scope", "read", "--certificate-name", "spiffe://example.org/web")
    ran = await keys(migrated_database_url, *arguments)
    authenticator = authenticator_of(database, HandClock(NOW_MICROSECONDS))
    caller = await authenticator.authenticate_certificate(["spiffe://example.org/web"])
    assert re.fullmatch(r"[0-9a-f-]{36}\n", ran.stdout)
    assert [caller.principal, "key" in ran.stderr] == ["certificate:spiffe://example.org/web", False]
    again = await keys(migrated_database_url, *arguments)
    assert [again.exit_code, again.stdout] == [4, ""]
    assert again.stderr.partition("\n")[2] == (
        "error: the certificate name spiffe://example.org/web is registered already, for tenant default; "
        f"revoke that first: pecia keys revoke {ran.stdout}"
    )


async def test_a_list_shows_no_secret(migrated_database_url: str) -> None:
    """Neither in a table nor in JSON, whatever became of the keys."""
    made = [(await keys(migrated_database_url, "create", "--scope", "read", "--json")).json for _ in range(2)]
    revoked = await keys(migrated_database_url, "revoke", made[0]["credential_id"], "--json")
    table = await keys(migrated_database_url, "list")
    listed = (await keys(migrated_database_url, "list", "--json")).json
    assert [document["state"] for document in listed] == ["revoked", "active"]
    assert revoked.json == listed[0]
    for document in made:
        secret = document["key"].rpartition(".")[2]
        assert secret not in table.stdout + table.stderr + str(listed)
    assert set(listed[0]) & {"key", "salt", "secret_hash"} == set()


async def test_a_list_can_be_of_one_tenant(migrated_database_url: str) -> None:
    """Others are left out; where it has none, nothing is said of others."""
    await keys(migrated_database_url, "create", "--scope", "read", "--tenant", "acme")
    assert len((await keys(migrated_database_url, "list", "--tenant", "acme", "--json")).json) == 1
    ran = await keys(migrated_database_url, "list", "--tenant", "other")
    assert [ran.stdout, ran.stderr.splitlines()[1:]] == [
        "",
        ["tenant other has no credential; make one with pecia keys create"],
    ]


async def test_a_list_of_nothing_shows_the_way_to_the_first(migrated_database_url: str) -> None:
    """Nobody has a credential yet."""
    ran = await keys(migrated_database_url, "list")
    assert ran.stderr.splitlines()[1:] == ["there is no credential; make one with pecia keys create"]


async def test_a_list_is_by_tenant(migrated_database_url: str) -> None:
    """Times are as in other lists, and a certificate's name has a column of its own."""
    certificate = ("--certificate-name", "spiffe://example.org/web", "--description", "shop")
    await keys(migrated_database_url, "create", "--scope", "read", "--tenant", "b")
    await keys(migrated_database_url, "create", "--scope", "read", "--tenant", "a", *certificate)
    ran = await keys(migrated_database_url, "list")
    heading, *rows = [re.split(r" {2,}", line)[1:] for line in ran.stdout.splitlines()]
    assert heading == [
        "TENANT",
        "KIND",
        "STATE",
        "SCOPES",
        "CREATED",
        "EXPIRES",
        "CERTIFICATE",
        "DESCRIPTION",
    ]
    made = ["active", "read", "2026-11-21 08:30:00Z", "never"]
    assert rows == [["a", "certificate", *made, "spiffe://example.org/web", "shop"], ["b", "key", *made]]


async def test_a_key_can_be_revoked_by_what_is_written_in_it(migrated_database_url: str) -> None:
    """Who finds a key in a log revokes it by the digits between its dots."""
    document = (await keys(migrated_database_url, "create", "--scope", "read", "--json")).json
    ran = await keys(migrated_database_url, "revoke", document["key"].split(".")[-2])
    assert [ran.exit_code, ran.stdout] == [
        0,
        f"{document['credential_id']} is revoked since 2026-11-21T08:30:00.123456Z\n",
    ]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("create",), 2, "Give --scope, as often as needed"),
        (
            ("create", "--all-scopes", "--scope", "read"),
            2,
            "Give --scope, as often as needed",
        ),
        (("create", "--scope", "fly"), 2, "'fly' is not one of"),
        (("create", "--all-scopes", "--tenant", "a b"), 2, "tenant: is not of the form"),
        (("create", "--all-scopes", "--expires-in", "0d"), 2, "must work for at least a second"),
        (("create", "--all-scopes", "--certificate-name", " x"), 2, "a certificate name has 1 to 2048 bytes"),
        (("revoke", "x"), 2, "see pecia keys list"),
        (("revoke", "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"), 4, "there is no credential 01998d2e"),
    ],
)
async def test_what_can_not_be_done_is_said(
    migrated_database_url: str, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    """And nothing is made."""
    ran = await keys(migrated_database_url, *arguments)
    assert [ran.exit_code, ran.stdout, message in ran.stderr] == [exit_code, "", True]
    assert (await keys(migrated_database_url, "list", "--json")).json == []


@pytest.mark.parametrize(
    "arguments",
    [("create", "--scope", "read"), ("list",), ("revoke", "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44")],
    ids=lambda arguments: arguments[0],
)
def test_no_file_is_made_where_no_server_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Exit code 2: a mistyped path would be a database that no server asks. The whole path is shown."""
    monkeypatch.chdir(tmp_path)
    ran = run_cli("keys", *arguments, "--database-url", "sqlite:///none.db")
    assert [ran.exit_code, ran.stdout, ran.stderr.splitlines()] == [
        2,
        "",
        [
            f"error: there is no database sqlite:///{tmp_path}/none.db; name another with --database-url or "
            "PECIA_DATABASE_URL, start the server once, or run: pecia migrate"
        ],
    ]
    assert list(tmp_path.iterdir()) == []


async def test_the_database_is_shown_without_its_password(migrated_database_url: str) -> None:
    """Whoever makes a key sees where; on stderr, also beside JSON."""
    shown = f"database: {DatabaseUrl.parse(migrated_database_url)}"
    made = await keys(migrated_database_url, "create", "--scope", "read", "--json")
    revoked = await keys(migrated_database_url, "revoke", made.json["credential_id"])
    listed = await keys(migrated_database_url, "list")
    assert [ran.stderr.splitlines()[0] for ran in (made, revoked, listed)] == [shown] * 3


def test_a_password_is_masked() -> None:
    """The name of the user and the place stay."""
    assert shown_database("postgresql://pecia:hunter2@db/pecia") == "postgresql://pecia:***@db/pecia"


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_an_empty_postgresql_is_not(database_url: str) -> None:
    """Exit code 4, and the command to run."""
    ran = await keys(database_url, "create", "--scope", "read")
    assert [ran.exit_code, "run: pecia migrate" in ran.stderr] == [4, True]


async def test_a_database_that_is_away_is_one_line() -> None:
    """Exit code 5."""
    ran = await keys("postgresql://pecia@127.0.0.1:1/pecia", "list")
    assert [ran.exit_code, ran.stdout, len(ran.stderr.splitlines())] == [5, "", 1]
