"""How a client shows who it is, and to whom it speaks."""

from typing import Any

import pytest
from pecia_client import AsyncClient, Client
from pecia_client.security import Security
from support.certificates import Authority

AUTHORITY = Authority()
PAIR = AUTHORITY.client("web")
KEY = f"pecia_acme.01998d2e6a5f7c398f7a0d5f2b1c9e44.{'S3cr3t-' * 6}x"


def test_without_tls_there_are_no_credentials() -> None:
    """A key alone goes over a plain connection, as within a mesh."""
    security = Security(api_key=KEY)
    assert security.channel_credentials() is None
    assert security.metadata() == (("authorization", f"Bearer {KEY}"),)


@pytest.mark.parametrize(
    "options",
    [
        {"tls": True},
        {"ca": AUTHORITY.certificate},
        {"client_certificate": PAIR.certificate, "client_key": PAIR.key},
    ],
    ids=["tls", "ca", "certificate"],
)
def test_what_belongs_to_tls_implies_it(options: dict[str, Any]) -> None:
    """Nobody gives an authority for a connection that is not encrypted."""
    security = Security(**options)
    assert [security.channel_credentials() is None, security.metadata()] == [False, ()]


@pytest.mark.parametrize("given", [{"client_certificate": PAIR.certificate}, {"client_key": PAIR.key}])
async def test_half_a_pair_is_refused(given: dict[str, Any]) -> None:
    """By both clients, before anything is called."""
    for client in (Client, AsyncClient):
        with pytest.raises(ValueError, match="client_certificate and client_key belong together"):
            client(**given)


@pytest.mark.parametrize("api_key", ["", " ", f"{KEY}\n", f" {KEY}", f"{KEY} {KEY}", "ключ", "\x7f"])
async def test_what_no_header_can_hold_is_refused(api_key: str) -> None:
    """By both clients, with a message that does not repeat it: gRPC's would."""
    for client in (Client, AsyncClient):
        with pytest.raises(ValueError, match=r"^api_key must be one line without spaces") as raised:
            client(api_key=api_key)
        assert KEY not in str(raised.value)


async def test_nothing_shows_a_secret() -> None:
    """A client ends up in logs and tracebacks."""
    security = Security(True, AUTHORITY.certificate, PAIR.certificate, PAIR.key, KEY)
    async with AsyncClient(api_key=KEY) as on_asyncio:
        with Client(api_key=KEY) as blocking:
            shown = repr([security, on_asyncio, blocking])
    assert [KEY in shown, "PRIVATE" in shown] == [False, False]
