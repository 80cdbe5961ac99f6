"""TLS and client certificates over a real channel, also those that change under a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from pecia_client import AsyncClient, Client, PeciaError
from pecia_service.access.model import Scope
from pecia_service.bootstrap import system_clock
from pecia_service.storage.tables import templates
from sqlalchemy import select
from support import wire
from support.certificates import Authority, Pair
from support.credentials import HandClock, credentials_of
from support.server import LiveServer, live_server

NAME = "spiffe://example.org/web"
AUTHORITY = Authority()
STRANGERS = Authority("Strangers")
UNREACHED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


@dataclass
class Place:
    """A folder with a server's certificate, and what a server needs to use it."""

    folder: Path
    authority: Authority

    def write(self, pair: Pair | None = None) -> None:
        """Put a certificate of the authority, or the pair, in place."""
        (pair or self.authority.server()).write(self.folder)

    @property
    def overrides(self) -> dict[str, str]:
        """The settings for TLS without client certificates."""
        return {
            "tls_certificate": str(self.folder / "server.pem"),
            "tls_key": str(self.folder / "server-key.pem"),
        }

    @property
    def mutual(self) -> dict[str, str]:
        """The settings for TLS with client certificates, and authentication."""
        (self.folder / "clients.pem").write_bytes(self.authority.certificate)
        return self.overrides | {
            "tls_client_ca": str(self.folder / "clients.pem"),
            "authentication": "required",
            "credential_seconds": "0",
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a folder with a good certificate in it."""
    place = Place(tmp_path, AUTHORITY)
    place.write()
    return place


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give a database that the server migrates."""
    return f"sqlite:///{tmp_path / 'pecia.db'}"


@asynccontextmanager
async def connected(live: LiveServer, **options: Any) -> AsyncIterator[AsyncClient]:
    """Give a client with a connection of its own, which trusts the authority unless told otherwise."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncClient(live.target, **{"ca": AUTHORITY.certificate, "options": own, **options}) as client:
        yield client


def shown(pair: Pair) -> dict[str, Any]:
    """Return a certificate as a client takes it."""
    return {"client_certificate": pair.certificate, "client_key": pair.key}


async def publish(client: AsyncClient, template_id: str = "t") -> None:
    """Call something that is seen afterwards."""
    await client.publish_template(wire.template(template_id))


async def refusal(client: AsyncClient) -> tuple[grpc.StatusCode, str]:
    """Return how a call that must fail does so."""
    with pytest.raises(PeciaError) as raised:
        await publish(client)
    return raised.value.code, raised.value.reason


async def published(live: LiveServer, tenant_id: str = "default") -> int:
    """Count a tenant's templates in the database."""
    statement = select(templates.c.template_id).where(templates.c.tenant_id == tenant_id)
    return len(await live.application.database.fetch(statement))


async def register(live: LiveServer, name: str, tenant: str = "acme", **options: Any) -> str:
    """Register a certificate's name, now unless told when, and return its id."""
    clock = HandClock(options.pop("now", system_clock()))
    credentials = credentials_of(live.application.database, clock)
    return (await credentials.register_certificate(name, tenant, frozenset(Scope), **options)).credential_id


async def test_a_client_with_the_authority_gets_through(place: Place, url: str) -> None:
    """Blocking clients as those on asyncio."""
    async with live_server(url, **place.overrides) as live, connected(live) as client:
        await publish(client)
        assert await published(live) == 1


@pytest.mark.parametrize("options", [{"ca": STRANGERS.certificate}, {"ca": None}, {"ca": None, "tls": True}])
async def test_who_does_not_trust_the_server_sends_nothing(
    place: Place, url: str, options: dict[str, Any]
) -> None:
    """Another authority, no TLS, and the well-known authorities: UNAVAILABLE, and nothing is stored."""
    async with live_server(url, **place.overrides) as live, connected(live, timeout=3, **options) as client:
        code, reason = await refusal(client)
        assert (code in UNREACHED, reason) == (True, "")
        assert await published(live) == 0


async def test_a_registered_certificate_says_who_calls(place: Place, url: str) -> None:
    """Its tenant is the one that it is registered for."""
    async with live_server(url, **place.mutual) as live:
        await register(live, NAME)
        async with connected(live, **shown(AUTHORITY.client("web", uris=[NAME]))) as client:
            await publish(client)
        assert [await published(live, "acme"), await published(live)] == [1, 0]


@pytest.mark.parametrize(
    ("registered", "certificate", "let_in"),
    [
        (NAME, AUTHORITY.client(uris=[NAME], dns=["web.example"]), True),
        ("web.example", AUTHORITY.client(uris=[NAME], dns=["web.example"]), True),
        ("web", AUTHORITY.client("web"), True),
        # Whoever signs a name that it checked may not check the common name beside it.
        ("web", AUTHORITY.client("web", dns=["other.example"]), False),
        (NAME, AUTHORITY.client(NAME, dns=["other.example"]), False),
        ("web", AUTHORITY.client("Web"), False),
        (NAME, AUTHORITY.client(uris=[f"{NAME}/x"]), False),
    ],
    ids=["uri", "dns", "common-name", "common-name-beside", "uri-as-common-name", "case", "longer"],
)
async def test_a_name_of_the_certificate_must_be_registered(
    place: Place, url: str, registered: str, certificate: Pair, let_in: bool
) -> None:
    """A URI, a DNS name, or the common name where there is no other, letter by letter."""
    async with live_server(url, **place.mutual) as live:
        await register(live, registered)
        async with connected(live, **shown(certificate)) as client:
            if let_in:
                await publish(client)
            else:
                assert await refusal(client) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
        assert await published(live, "acme") == let_in


async def test_an_expired_or_revoked_registration_lets_nobody_in(place: Place, url: str) -> None:
    """Although the certificate itself is good; each with its own reason, and nothing is stored."""
    async with (
        live_server(url, **place.mutual) as live,
        connected(live, **shown(AUTHORITY.client("web"))) as client,
    ):
        await register(live, "web", now=system_clock() - 7_200_000_000, lifetime_seconds=3600)
        assert await refusal(client) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
        credential_id = await register(live, "web")
        await publish(client)
        await credentials_of(live.application.database, HandClock()).revoke(credential_id)
        assert await refusal(client) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_REVOKED")
        assert await published(live, "acme") == 1


async def test_a_key_goes_before_the_certificate(place: Place, url: str) -> None:
    """So that what is behind one certificate may still call as several tenants."""
    async with live_server(url, **place.mutual) as live:
        await register(live, "web")
        clock = HandClock(system_clock())
        key = await credentials_of(live.application.database, clock).create_key("other", [Scope.PUBLISH])
        options = shown(AUTHORITY.client("web"))
        async with connected(live, api_key=key.text, **options) as client:
            await publish(client)
        async with connected(live, api_key="pecia_other.1.2", **options) as client:
            assert (await refusal(client))[1] == "CREDENTIALS_INVALID"
        assert [await published(live, "acme"), await published(live, "other")] == [0, 1]


@pytest.mark.parametrize(
    "certificate", [None, STRANGERS.client("web", uris=[NAME])], ids=["none", "strangers"]
)
async def test_a_certificate_of_another_authority_gets_no_connection(
    place: Place, url: str, certificate: Pair | None
) -> None:
    """Nor does a client without one: the handshake fails, whatever names are in it."""
    async with live_server(url, **place.mutual) as live:
        await register(live, NAME)
        options = {} if certificate is None else shown(certificate)
        async with connected(live, timeout=3, **options) as client:
            code, reason = await refusal(client)
        assert (code in UNREACHED, reason) == (True, "")
        assert await published(live, "acme") == 0


async def test_a_new_certificate_needs_no_restart(place: Place, url: str) -> None:
    """The next handshake sees it; a connection that is open lives on."""
    async with live_server(url, **place.overrides) as live, connected(live) as before:
        await publish(before, "before")
        place.write(STRANGERS.server())
        async with connected(live, ca=STRANGERS.certificate) as after:
            await publish(after, "after")
        async with connected(live, timeout=3) as client:
            assert (await refusal(client))[1] == ""
        await publish(before, "open")
        assert await published(live) == 3


async def test_new_authorities_of_clients_need_no_restart(place: Place, url: str) -> None:
    """Who was a stranger gets a connection, once its authority is in the file."""
    async with live_server(url, **place.mutual) as live:
        await register(live, NAME)
        (place.folder / "clients.pem").write_bytes(AUTHORITY.certificate + STRANGERS.certificate)
        async with connected(live, **shown(STRANGERS.client(uris=[NAME]))) as client:
            await publish(client)
        assert await published(live, "acme") == 1


@pytest.mark.parametrize("broken", ["half", "gone", "garbage"])
async def test_a_broken_file_keeps_the_certificate_that_worked(place: Place, url: str, broken: str) -> None:
    """Until the files are whole again."""
    key = place.folder / "server-key.pem"
    async with live_server(url, **place.overrides) as live:
        if broken == "half":
            key.write_bytes(STRANGERS.server().key)
        elif broken == "gone":
            key.unlink()
        else:
            key.write_bytes(b"\0 no key")
        async with connected(live) as client:
            await publish(client, "still")
        place.write(STRANGERS.server())
        async with connected(live, ca=STRANGERS.certificate) as client:
            await publish(client, "again")
        assert await published(live) == 2


async def test_a_blocking_client_speaks_tls(place: Place, url: str) -> None:
    """With a certificate and a key of its own."""
    import asyncio

    async with live_server(url, **place.mutual) as live:
        await register(live, "web")

        def publish_blocking() -> str:
            pair = AUTHORITY.client("web")
            with Client(live.target, ca=AUTHORITY.certificate, **shown(pair)) as client:
                return client.publish_template(wire.template("t")).template.definition.template_id

        assert await asyncio.to_thread(publish_blocking) == "t"
