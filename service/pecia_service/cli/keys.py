"""`pecia keys`: make, list and revoke the credentials of callers, in the database itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import click

from pecia_service.access.model import (
    DEFAULT_TENANT,
    Credential,
    CredentialError,
    CredentialInputError,
    CredentialState,
    Scope,
)
from pecia_service.access.service import Credentials
from pecia_service.access.store import CredentialStore
from pecia_service.bootstrap import system_ids
from pecia_service.cli.database import (
    checked_url,
    database_errors,
    database_option,
    require_file,
    shown_database,
)
from pecia_service.cli.documents import Document, microseconds_cell, microseconds_text
from pecia_service.cli.failures import InputError, RefusedError
from pecia_service.cli.options import AGE, json_option
from pecia_service.cli.output import Cell, counted, styled
from pecia_service.cli.session import Session, pass_session
from pecia_service.storage.engine import Database
from pecia_service.storage.schema import prepare

_Result = TypeVar("_Result")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STYLES = {CredentialState.ACTIVE: "green", CredentialState.EXPIRED: "yellow", CredentialState.REVOKED: "red"}


@click.group()
def keys() -> None:
    """Make, list and revoke API keys and names of client certificates.

    These commands work on the database itself, where the server runs; no call over the network can make a
    credential. They matter to servers with PECIA_AUTHENTICATION=required.
    """


@keys.command(short_help="Make an API key, or register a client certificate.")
@click.option(
    "--tenant",
    default=DEFAULT_TENANT,
    show_default=True,
    metavar="ID",
    help="The tenant whose pieces and records the caller works with.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What the caller may do; repeat it for more.",
)
@click.option("--all-scopes", is_flag=True, help="The caller may do everything.")
@click.option("--expires-in", type=AGE, help="How long it works, for instance 90d; for ever if left out.")
@click.option("--description", default="", metavar="TEXT", help="Who it is for; pecia keys list shows it.")
@click.option(
    "--certificate-name",
    metavar="NAME",
    help="Make no key, but let in whose client certificate has this name: a URI such as "
    "spiffe://example.org/web, a DNS name, or, where it has neither, the subject's common name.",
)
@database_option
@json_option
@pass_session
def create(
    session: Session,
    *,
    tenant: str,
    scopes: tuple[str, ...],
    all_scopes: bool,
    expires_in: timedelta | None,
    description: str,
    certificate_name: str | None,
    database_url: str,
    as_json: bool,
) -> None:
    """Make an API key and print it to stdout, once: only its salted hash is kept.

    The caller sends it as "authorization: Bearer KEY"; the command line reads it from PECIA_API_KEY. With
    --certificate-name a certificate's name is registered instead, and there is nothing to keep secret.

    docs/access.md says which scope allows what; hosting and checkpoint are reserved, and allow nothing in
    this version.

    \b
    Examples:
      pecia keys create --scope render --scope read --expires-in 90d --description "web" > web.key
      pecia keys create --tenant acme --all-scopes
      pecia keys create --scope render --certificate-name spiffe://example.org/web
    """
    if bool(scopes) == all_scopes:
        raise click.UsageError("Give --scope, as often as needed, or --all-scopes.")
    chosen = frozenset(Scope) if all_scopes else frozenset(map(Scope, scopes))
    seconds = None if expires_in is None else int(expires_in.total_seconds())

    async def work(credentials: Credentials) -> tuple[Credential, str | None]:
        if certificate_name is not None:
            registered = await credentials.register_certificate(
                certificate_name, tenant, chosen, lifetime_seconds=seconds, description=description
            )
            return registered, None
        made = await credentials.create_key(tenant, chosen, lifetime_seconds=seconds, description=description)
        return made.credential, made.text

    credential, key = _run(session, database_url, work)
    output = session.output
    if as_json:
        output.json(_document(credential, session.now()) | ({} if key is None else {"key": key}))
        return
    if key is None:
        output.line(credential.credential_id)
    else:
        output.line(key)
        output.note("This is the key. It is shown only now; keep it where secrets are kept.")
    output.note_properties(_properties(credential))


@keys.command("list")
@click.option("--tenant", metavar="ID", help="Only those of this tenant.")
@database_option
@json_option
@pass_session
def list_keys(session: Session, *, tenant: str | None, database_url: str, as_json: bool) -> None:
    """List credentials by tenant, oldest first, also those revoked or expired; no secret is known.

    \b
    Examples:
      pecia keys list
      pecia keys list --tenant acme --json
    """
    found = _run(session, database_url, lambda credentials: credentials.list_credentials(tenant))
    output, now = session.output, session.now()
    if as_json:
        output.json([_document(credential, now) for credential in found])
        return
    if not found:
        whose = "there is no credential" if tenant is None else f"tenant {tenant} has no credential"
        output.note(f"{whose}; make one with pecia keys create")
        return
    output.table(
        ("ID", "TENANT", "KIND", "STATE", "SCOPES", "CREATED", "EXPIRES", "CERTIFICATE", "DESCRIPTION"),
        [_row(credential, now) for credential in found],
    )
    output.note(counted(len(found), "credential"))


@keys.command()
@click.argument("credential_id", metavar="ID")
@database_option
@json_option
@pass_session
def revoke(session: Session, *, credential_id: str, database_url: str, as_json: bool) -> None:
    """Revoke the credential ID for good. ID may also be written as in a key: the digits between its dots.

    Servers remember credentials for PECIA_CREDENTIAL_SECONDS, 10 unless set, and refuse it after that. Doing
    it twice does no harm.

    \b
    Examples:
      pecia keys revoke 01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44
      pecia keys revoke 01998d2e6a5f7c398f7a0d5f2b1c9e44
    """
    credential = _run(session, database_url, lambda credentials: credentials.revoke(credential_id))
    if as_json:
        session.output.json(_document(credential, session.now()))
    else:
        session.output.line(f"{credential.credential_id} is revoked since {_time(credential.revoked_at)}")


def _run(session: Session, database_url: str, work: Callable[[Credentials], Awaitable[_Result]]) -> _Result:
    url = checked_url(database_url)
    require_file(url)

    async def run() -> _Result:
        async with _open(session, url) as credentials:
            return await work(credentials)

    with database_errors(url), _refusals():
        return asyncio.run(run())


@asynccontextmanager
async def _open(session: Session, url: str) -> AsyncIterator[Credentials]:
    database = Database.open(url, pool_size=1)
    try:
        await prepare(database)
        session.output.note(f"database: {shown_database(url)}")
        yield Credentials(
            CredentialStore(database),
            clock=lambda: _microseconds(session.now()),
            new_id=system_ids(),
            random_bytes=secrets.token_bytes,
        )
    finally:
        await database.dispose()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except CredentialInputError as error:
        raise InputError(str(error)) from None
    except CredentialError as error:
        raise RefusedError(str(error)) from None


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _document(credential: Credential, now: datetime) -> Document:
    return {
        "credential_id": _text(credential.credential_id),
        "tenant_id": _text(credential.tenant_id),
        "kind": credential.kind.value,
        "state": credential.state(_microseconds(now)).value,
        "scopes": _scopes(credential),
        "description": _text(credential.description),
        "certificate_name": _text(credential.certificate_name or "") or None,
        "created_at": _time(credential.created_at),
        "expires_at": _time(credential.expires_at),
        "revoked_at": _time(credential.revoked_at),
    }


def _text(value: str) -> str:
    """Return text that JSON can hold, whatever became of its row."""
    return value.encode(errors="replace").decode()


def _properties(credential: Credential) -> list[tuple[str, str]]:
    rows = [
        ("id", credential.credential_id),
        ("tenant", credential.tenant_id),
        ("scopes", " ".join(_scopes(credential))),
        ("expires", _time(credential.expires_at) or "never (see --expires-in)"),
    ]
    if credential.certificate_name is not None:
        rows.insert(1, ("certificate", credential.certificate_name))
    return rows


def _row(credential: Credential, now: datetime) -> tuple[Cell, ...]:
    state = credential.state(_microseconds(now))
    return (
        credential.credential_id,
        credential.tenant_id,
        credential.kind.value,
        styled(state.value, _STYLES[state]),
        " ".join(_scopes(credential)),
        microseconds_cell(credential.created_at),
        "never" if credential.expires_at is None else microseconds_cell(credential.expires_at),
        credential.certificate_name or "",
        credential.description,
    )


def _scopes(credential: Credential) -> list[str]:
    return sorted(scope.value for scope in credential.scopes)


def _time(microseconds: int | None) -> str | None:
    """Return a moment for machines, and None for none."""
    return None if microseconds is None else microseconds_text(microseconds)
