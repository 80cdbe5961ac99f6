"""Credentials on every engine: made, listed, revoked, and what they open."""

from collections.abc import AsyncIterator

import pytest
from pecia_service.access.authentication import MAX_NAMES, Authenticator
from pecia_service.access.keys import ApiKey
from pecia_service.access.model import Caller, CredentialError, CredentialKind, Scope
from pecia_service.access.service import Credentials, NewKey
from pecia_service.access.store import CredentialStore
from pecia_service.errors import ErrorReason, InvalidInputError, UnauthenticatedError, UnavailableError
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import credentials as table
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.credentials import CountingBytes, HandClock, authenticator_of, credentials_of

READ_RENDER = frozenset({Scope.READ, Scope.RENDER})
NAME = "spiffe://example.org/web"
HOUR = 3600


@pytest.fixture
def hands() -> HandClock:
    """Give a clock that stands still."""
    return HandClock()


@pytest.fixture
def credentials(database: Database, hands: HandClock) -> Credentials:
    """Give the use cases over an empty database."""
    return credentials_of(database, hands)


@pytest.fixture
async def authenticator(database: Database, hands: HandClock) -> AsyncIterator[Authenticator]:
    """Give what tells who calls."""
    authenticator = authenticator_of(database, hands)
    yield authenticator
    await authenticator.aclose()


async def refusal(authenticator: Authenticator, shown: str | list[str]) -> tuple[str, dict[str, str]]:
    """Return the reason and metadata with which a key, or a certificate's names, are refused."""
    asking = (
        authenticator.authenticate_key(shown)
        if isinstance(shown, str)
        else authenticator.authenticate_certificate(shown)
    )
    with pytest.raises(UnauthenticatedError) as raised:
        await asking
    return raised.value.reason.name, raised.value.metadata


async def change(database: Database, **columns: object) -> None:
    """Change a column of every row behind the service's back."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(update(table).values(**columns))

    await database.write(work)


async def test_a_key_says_who_calls(credentials: Credentials, authenticator: Authenticator) -> None:
    """Its tenant, its id as the principal, and its scopes."""
    key = await credentials.create_key("acme", READ_RENDER)
    expected = Caller("acme", f"key:{key.credential.credential_id}", READ_RENDER)
    assert await authenticator.authenticate_key(key.text) == expected


async def test_a_certificate_says_who_calls(credentials: Credentials, authenticator: Authenticator) -> None:
    """By the name that is registered, whichever of its names that is."""
    await credentials.register_certificate(NAME, "acme", READ_RENDER)
    caller = await authenticator.authenticate_certificate(["other", NAME])
    assert caller == Caller("acme", f"certificate:{NAME}", READ_RENDER)


async def test_no_column_holds_a_secret(database: Database, hands: HandClock) -> None:
    """Neither the key, nor its secret, nor its random bytes."""
    random_bytes = CountingBytes()
    key = await credentials_of(database, hands, random_bytes).create_key("acme", READ_RENDER)
    parsed = ApiKey.parse(key.text)
    assert parsed is not None
    rows = await database.fetch(select(table))
    stored = " ".join(str(value) for row in rows for value in row)
    secrets = [key.text, parsed.secret, random_bytes.given[0].hex()]
    assert [secret in stored for secret in secrets] == [False] * 3


async def test_what_is_made_does_not_show_its_secret(credentials: Credentials) -> None:
    """Not in a log, a traceback or a message."""
    key = await credentials.create_key("acme", READ_RENDER)
    credential = key.credential
    assert credential.salt
    assert credential.secret_hash
    shown = repr(key)
    assert [part in shown for part in (key.text, credential.salt, credential.secret_hash)] == [False] * 3


async def test_no_two_keys_share_salt_or_secret(credentials: Credentials) -> None:
    """Each has its own."""
    made = [await credentials.create_key("acme", READ_RENDER) for _ in range(3)]
    assert len({key.text for key in made}) == len({key.credential.salt for key in made}) == 3


async def altered(key: NewKey, **changes: str) -> str:
    """Return a key's text with some parts of another's."""
    parsed = ApiKey.parse(key.text)
    assert parsed is not None
    parts = {"tenant_id": parsed.tenant_id, "credential_id": parsed.credential_id, "secret": parsed.secret}
    return ApiKey(**(parts | changes)).text


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "A" * 43},
        {"tenant_id": "other"},
        {"credential_id": "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"},
    ],
    ids=["secret", "tenant", "id"],
)
async def test_a_key_with_another_part_is_invalid(
    credentials: Credentials, authenticator: Authenticator, changes: dict[str, str]
) -> None:
    """Whichever part it is, the answer is the same."""
    key = await credentials.create_key("acme", READ_RENDER)
    await credentials.create_key("other", READ_RENDER)
    assert await refusal(authenticator, await altered(key, **changes)) == (
        "CREDENTIALS_INVALID",
        {"kind": "key"},
    )


@pytest.mark.parametrize(
    "token", ["", "x", "pecia_acme.1.2", "Bearer", "\0", "\ud800", "pecia_" + "a" * 10_000]
)
async def test_what_is_no_key_is_invalid(authenticator: Authenticator, token: str) -> None:
    """Without a question to the database."""
    assert await refusal(authenticator, token) == ("CREDENTIALS_INVALID", {"kind": "key"})


async def test_a_key_opens_nothing_by_its_hash(
    credentials: Credentials, authenticator: Authenticator
) -> None:
    """Who reads the database can't call."""
    key = await credentials.create_key("acme", READ_RENDER)
    assert key.credential.secret_hash is not None
    forged = await altered(key, secret=key.credential.secret_hash[:43])
    assert (await refusal(authenticator, forged))[0] == "CREDENTIALS_INVALID"


async def test_a_key_expires_to_the_microsecond(
    credentials: Credentials, authenticator: Authenticator, hands: HandClock
) -> None:
    """Although it is remembered: expiry is asked of the clock."""
    key = await credentials.create_key("acme", READ_RENDER, lifetime_seconds=5)
    hands.now += 5_000_000 - 1
    await authenticator.authenticate_key(key.text)
    hands.now += 1
    expected = {"kind": "key", "key_id": key.credential.credential_id}
    assert await refusal(authenticator, key.text) == ("CREDENTIALS_EXPIRED", expected)


async def test_a_revoked_key_works_until_it_is_forgotten(
    credentials: Credentials, authenticator: Authenticator, hands: HandClock
) -> None:
    """For the ten seconds of the setting at most."""
    key = await credentials.create_key("acme", READ_RENDER)
    await authenticator.authenticate_key(key.text)
    await credentials.revoke(key.credential.credential_id)
    hands.move(4.9)
    await authenticator.authenticate_key(key.text)
    hands.move(5.1)
    expected = {"kind": "key", "key_id": key.credential.credential_id}
    assert await refusal(authenticator, key.text) == ("CREDENTIALS_REVOKED", expected)


async def test_a_key_that_was_made_since_works(
    database: Database, hands: HandClock, authenticator: Authenticator
) -> None:
    """A registration is remembered as missing no longer than it is as there."""
    await refusal(authenticator, [NAME])
    await credentials_of(database, hands).register_certificate(NAME, "acme", READ_RENDER)
    hands.move(10)
    assert (await authenticator.authenticate_certificate([NAME])).tenant_id == "acme"


async def test_only_who_has_the_secret_learns_what_became_of_a_key(
    credentials: Credentials, authenticator: Authenticator
) -> None:
    """An id alone says nothing: a revoked key with another secret is as unknown as any."""
    key = await credentials.create_key("acme", READ_RENDER)
    await credentials.revoke(key.credential.credential_id)
    forged = await altered(key, secret="A" * 43)
    assert (await refusal(authenticator, forged))[0] == "CREDENTIALS_INVALID"


async def test_revoking_goes_before_expiring(
    credentials: Credentials, authenticator: Authenticator, hands: HandClock
) -> None:
    """Who revoked a key wants that to be seen."""
    key = await credentials.create_key("acme", READ_RENDER, lifetime_seconds=HOUR)
    await credentials.revoke(key.credential.credential_id)
    hands.move(2 * HOUR)
    assert (await refusal(authenticator, key.text))[0] == "CREDENTIALS_REVOKED"


async def test_revoking_twice_keeps_the_moment(credentials: Credentials, hands: HandClock) -> None:
    """Also when the id is written as in a key."""
    key = await credentials.create_key("acme", READ_RENDER)
    first = await credentials.revoke(key.credential.credential_id)
    hands.move(HOUR)
    again = await credentials.revoke(key.credential.credential_id.replace("-", "").upper())
    assert [first.revoked_at, again] == [hands.now - HOUR * 1_000_000, first]


@pytest.mark.parametrize("credential_id", ["", "x", "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44", "0" * 32])
async def test_what_is_not_there_is_not_revoked(credentials: Credentials, credential_id: str) -> None:
    """The message says where to look."""
    key = await credentials.create_key("acme", READ_RENDER)
    with pytest.raises(CredentialError, match="see pecia keys list"):
        await credentials.revoke(credential_id)
    assert await credentials.list_credentials() == [key.credential]


async def test_a_list_has_everything_but_secrets(credentials: Credentials, hands: HandClock) -> None:
    """Of one tenant or of all, oldest first; what was made is what is read."""
    one = await credentials.create_key("b", READ_RENDER, lifetime_seconds=HOUR, description="Wéb")
    hands.move(1)
    two = await credentials.register_certificate(NAME, "a", [Scope.ADMIN])
    hands.move(1)
    three = await credentials.create_key("b", frozenset(Scope))
    assert await credentials.list_credentials() == [two, one.credential, three.credential]
    assert await credentials.list_credentials("b") == [one.credential, three.credential]
    assert await credentials.list_credentials("c") == []


async def test_a_name_works_once(credentials: Credentials, hands: HandClock) -> None:
    """A second registration of any tenant is refused, and says which is there; a dead one is no obstacle."""
    first = await credentials.register_certificate(NAME, "acme", READ_RENDER)
    with pytest.raises(
        CredentialError, match=rf"for tenant acme; .* pecia keys revoke {first.credential_id}$"
    ):
        await credentials.register_certificate(NAME, "other", READ_RENDER)
    await credentials.revoke(first.credential_id)
    await credentials.register_certificate(NAME, "other", READ_RENDER, lifetime_seconds=1)
    hands.move(1)
    await credentials.register_certificate(NAME, "third", READ_RENDER)
    assert len(await credentials.list_credentials()) == 3


@pytest.mark.parametrize("tenants", [("acme", "acme"), ("acme", "other")])
async def test_a_name_that_is_found_twice_lets_nobody_in(
    database: Database, hands: HandClock, authenticator: Authenticator, tenants: tuple[str, str]
) -> None:
    """Two operators may register at once, and nobody can say whose the caller is."""
    credentials = credentials_of(database, hands)
    first = await credentials.register_certificate(NAME, tenants[0], READ_RENDER)

    async def work(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(table))).mappings().one()
        double = dict(row) | {"credential_id": "02", "tenant_id": tenants[1]}
        await connection.execute(insert(table).values(double))

    await database.write(work)
    assert await refusal(authenticator, [NAME]) == ("CREDENTIALS_INVALID", {"kind": "certificate"})
    await credentials.revoke(first.credential_id)
    hands.move(10)
    assert (await authenticator.authenticate_certificate([NAME])).tenant_id == tenants[1]


async def test_the_first_name_that_was_ever_registered_decides(
    credentials: Credentials, authenticator: Authenticator
) -> None:
    """A revoked URI is not made good by the common name beside it."""
    revoked = await credentials.register_certificate(NAME, "acme", READ_RENDER)
    await credentials.revoke(revoked.credential_id)
    await credentials.register_certificate("web", "other", READ_RENDER)
    assert await refusal(authenticator, [NAME, "web"]) == (
        "CREDENTIALS_REVOKED",
        {"kind": "certificate", "key_id": revoked.credential_id},
    )
    assert (await authenticator.authenticate_certificate(["web", NAME])).tenant_id == "other"


async def test_a_name_that_is_registered_anew_works(
    credentials: Credentials, authenticator: Authenticator
) -> None:
    """Beside its revoked registration."""
    old = await credentials.register_certificate(NAME, "acme", READ_RENDER)
    await credentials.revoke(old.credential_id)
    await credentials.register_certificate(NAME, "acme", [Scope.ADMIN])
    assert (await authenticator.authenticate_certificate([NAME])).scopes == {Scope.ADMIN}


@pytest.mark.parametrize(
    "names",
    [
        [],
        [""],
        ["spiffe://example.org/WEB"],
        [f"{NAME} "],
        ["\0", "\ud800", "\n", "x" * 2049],
        [*map(str, range(MAX_NAMES)), NAME],
    ],
    ids=["none", "empty", "case", "space", "hostile", "many"],
)
async def test_other_names_are_not_registered(
    credentials: Credentials, authenticator: Authenticator, names: list[str]
) -> None:
    """Names are compared byte by byte, and a bounded number of them is looked at."""
    await credentials.register_certificate(NAME, "acme", READ_RENDER)
    assert await refusal(authenticator, names) == ("CREDENTIALS_INVALID", {"kind": "certificate"})


async def test_a_certificate_is_no_key(credentials: Credentials, authenticator: Authenticator) -> None:
    """The id of a registration opens nothing, whatever secret is shown with it."""
    registered = await credentials.register_certificate(NAME, "acme", READ_RENDER)
    token = ApiKey("acme", registered.credential_id, "A" * 43).text
    assert (await refusal(authenticator, token))[0] == "CREDENTIALS_INVALID"


@pytest.mark.parametrize("name", ["", " a", "a ", "a\n", "\0", "\ud800", "x" * 2049, "é" * 1025])
async def test_what_no_certificate_can_be_called_is_refused(credentials: Credentials, name: str) -> None:
    """Before anything is stored."""
    with pytest.raises(CredentialError, match=r"^a certificate name has 1 to 2048 bytes"):
        await credentials.register_certificate(name, "acme", READ_RENDER)
    assert await credentials.list_credentials() == []


async def test_the_longest_name_can_be_registered(
    credentials: Credentials, authenticator: Authenticator
) -> None:
    """Every engine indexes it."""
    name = "spiffe://" + "é" * 1019 + "x"
    await credentials.register_certificate(name, "acme", READ_RENDER)
    assert (await authenticator.authenticate_certificate([name])).tenant_id == "acme"


async def test_a_tenant_must_be_an_identifier(credentials: Credentials) -> None:
    """Since it is a part of the key."""
    for make in (
        credentials.create_key("a b", READ_RENDER),
        credentials.register_certificate(NAME, "", READ_RENDER),
    ):
        with pytest.raises(InvalidInputError) as raised:
            await make
        assert raised.value.reason is ErrorReason.IDENTIFIER_INVALID
    assert await credentials.list_credentials() == []


@pytest.mark.parametrize(
    ("scopes", "lifetime_seconds", "description", "message"),
    [
        ([], None, "", "give at least one"),
        ([Scope.READ], 0, "", "at least a second"),
        ([Scope.READ], None, "a\nb", "printable characters on one line"),
        ([Scope.READ], None, "x" * 1001, "at most 1000"),
    ],
)
async def test_a_credential_that_makes_no_sense_is_refused(
    credentials: Credentials,
    scopes: list[Scope],
    lifetime_seconds: int | None,
    description: str,
    message: str,
) -> None:
    """Before anything is stored."""
    with pytest.raises(CredentialError, match=message):
        await credentials.create_key(
            "acme", scopes, lifetime_seconds=lifetime_seconds, description=description
        )
    assert await credentials.list_credentials() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("scopes", ""), ("scopes", "everything"), ("kind", "root"), ("salt", None), ("secret_hash", "")],
)
async def test_what_was_changed_opens_nothing(
    database: Database, credentials: Credentials, authenticator: Authenticator, column: str, value: str | None
) -> None:
    """A credential that is damaged is refused, or may do nothing."""
    key = await credentials.create_key("acme", READ_RENDER)
    await change(database, **{column: value})
    if column == "scopes":
        assert (await authenticator.authenticate_key(key.text)).scopes == frozenset()
    else:
        assert (await refusal(authenticator, key.text))[0] == "CREDENTIALS_INVALID"


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["expires_at", "revoked_at"])
@pytest.mark.parametrize("value", ["never", b"\xff", 1.5])
async def test_a_time_of_another_type_is_over(
    database: Database, credentials: Credentials, authenticator: Authenticator, column: str, value: object
) -> None:
    """SQLite keeps any type in any column, and none of them lets a caller in."""
    key = await credentials.create_key("acme", READ_RENDER)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text(f"UPDATE credentials SET {column} = :value"), {"value": value})

    await database.write(work)
    expected = {"expires_at": "CREDENTIALS_EXPIRED", "revoked_at": "CREDENTIALS_REVOKED"}[column]
    assert (await refusal(authenticator, key.text))[0] == expected


async def test_a_newer_scope_is_left_out(
    database: Database, credentials: Credentials, authenticator: Authenticator
) -> None:
    """What a newer version gave does not keep an older one from working."""
    key = await credentials.create_key("acme", READ_RENDER)
    await change(database, scopes="fly read")
    assert (await authenticator.authenticate_key(key.text)).scopes == {Scope.READ}


async def test_a_key_that_is_known_needs_no_database(
    credentials: Credentials, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch, hands: HandClock
) -> None:
    """For the time of an outage, in which it still expires; others are UNAVAILABLE."""
    key = await credentials.create_key("acme", READ_RENDER, lifetime_seconds=200)
    other = await credentials.create_key("acme", READ_RENDER)
    await authenticator.authenticate_key(key.text)

    async def gone(*_: object) -> None:
        raise UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "the database does not answer; try again")

    monkeypatch.setattr(CredentialStore, "find_key", gone)
    hands.move(100)
    assert (await authenticator.authenticate_key(key.text)).tenant_id == "acme"
    with pytest.raises(UnavailableError):
        await authenticator.authenticate_key(other.text)
    hands.move(100)
    assert (await refusal(authenticator, key.text))[0] == "CREDENTIALS_EXPIRED"


async def test_a_key_has_the_kind_of_a_key(credentials: Credentials) -> None:
    """And a registration that of a certificate."""
    key = await credentials.create_key("acme", READ_RENDER)
    registered = await credentials.register_certificate(NAME, "acme", READ_RENDER)
    kinds = [key.credential.kind, registered.kind]
    assert kinds == [CredentialKind.KEY, CredentialKind.CERTIFICATE]
