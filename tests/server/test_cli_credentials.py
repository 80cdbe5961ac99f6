"""From `pecia keys create` to a call over TLS, and what keeps a server with TLS from starting."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from pecia_service.access.model import Scope
from pecia_service.cli.session import Session
from pecia_service.errors import ErrorReason, UnauthenticatedError, UnavailableError
from pecia_service.storage.engine import Database
from support.certificates import Authority
from support.checkout import PYTHONPATH
from support.cli import Ran, run_cli, write_payload, write_pieces
from support.credentials import HandClock, authenticator_of, credentials_of
from support.outage import private_postgres
from support.server import live_server

AUTHORITY = Authority()


async def pecia(*arguments: str | Path, **environment: str) -> Ran:
    """Run a command beside the test's own event loop."""
    return await asyncio.to_thread(run_cli, *arguments, session=Session(), environment=environment)


async def test_a_key_from_the_command_line_opens_a_server(migrated_database_url: str, tmp_path: Path) -> None:
    """Made, used for publishing and rendering over TLS, revoked, and refused."""
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate)
    certificate, key_file = AUTHORITY.server().write(tmp_path)
    root, payload = write_pieces(tmp_path / "pieces"), write_payload(tmp_path)
    scopes = ("--scope", "publish", "--scope", "render", "--scope", "read")
    made = await pecia("keys", "create", *scopes, "--json", "--database-url", migrated_database_url)
    async with live_server(
        migrated_database_url,
        authentication="required",
        credential_seconds="0",
        tls_certificate=str(certificate),
        tls_key=str(key_file),
    ) as live:
        shown = {
            "PECIA_TARGET": live.target,
            "PECIA_CA": str(tmp_path / "ca.pem"),
            "PECIA_API_KEY": made.json["key"],
        }
        published = await pecia("publish", root, **shown)
        rendered = await pecia("render", "companion@1.0.0", "--payload", payload, **shown)
        labelled = await pecia("label", "set", "companion", "production", "1.0.0", **shown)
        without = await pecia("list", "bundles", **{**shown, "PECIA_API_KEY": ""})
        revoke = ("keys", "revoke", made.json["credential_id"], "--database-url", migrated_database_url)
        await pecia(*revoke)
        refused = await pecia("list", "bundles", **shown)
    assert [published.exit_code, rendered.exit_code, "You are Juna." in rendered.stdout] == [0, 0, True]
    codes = [ran.exit_code for ran in (labelled, without, refused)]
    reasons = [ran.stderr.splitlines()[0].rpartition(" ")[2] for ran in (labelled, without, refused)]
    assert codes == [4, 4, 4]
    assert reasons == ["[SCOPE_MISSING]", "[CREDENTIALS_MISSING]", "[CREDENTIALS_REVOKED]"]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("certificate", "problem"),
    [
        ("none.pem", "PECIA_TLS_CERTIFICATE can't be read: {at}/none.pem: No such file or directory"),
        (
            "server-key.pem",
            "PECIA_TLS_CERTIFICATE and PECIA_TLS_KEY must be a certificate and its own key in PEM, "
            "without a password",
        ),
    ],
)
async def test_certificates_that_can_not_be_used_stop_the_start(
    tmp_path: Path, certificate: str, problem: str, workers: str
) -> None:
    """Exit code 2, and one line, however many workers there are: it is a setting that is wrong."""
    AUTHORITY.server().write(tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pecia_service.cli.main",
        *("serve", "--listen", "127.0.0.1:0", "--database-url", f"sqlite:///{tmp_path / 'pecia.db'}"),
        *("--workers", workers),
        *("--tls-certificate", tmp_path / certificate, "--tls-key", tmp_path / "server-key.pem"),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert [process.returncode, errors.decode().splitlines()] == [
        2,
        [f"error: {problem.format(at=tmp_path)}"],
    ]


async def test_who_is_known_outlives_a_database_that_stops() -> None:
    """A real PostgreSQL, stopped and started: strangers wait, and what was revoked meanwhile ends."""
    async with private_postgres() as (server, url):
        database, clock = Database.open(url), HandClock()
        credentials = credentials_of(database, clock)
        known, stranger = [await credentials.create_key("acme", [Scope.RENDER]) for _ in range(2)]
        authenticator = authenticator_of(database, clock)
        await authenticator.authenticate_key(known.text)
        await credentials.revoke(known.credential.credential_id)
        await server.stop()
        clock.move(60)
        caller = await authenticator.authenticate_key(known.text)
        with pytest.raises(UnavailableError):
            await authenticator.authenticate_key(stranger.text)
        await server.start()
        # Credentials wait a second for an answer, which is for a connection that is there.
        await database.ping()
        clock.move(60)
        with pytest.raises(UnauthenticatedError) as raised:
            await authenticator.authenticate_key(known.text)
        again = await authenticator.authenticate_key(stranger.text)
        await authenticator.aclose()
        await database.dispose()
    assert [caller.tenant_id, again.tenant_id] == ["acme", "acme"]
    assert raised.value.reason is ErrorReason.CREDENTIALS_REVOKED
