"""Credentials in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pecia_service.access.model import Credential, CredentialError, CredentialKind, CredentialState, Scope
from pecia_service.storage.column_values import stored_number, stored_text
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import credentials

_c = credentials.c
_SCOPES: Final = {scope.value: scope for scope in Scope}
_KINDS: Final = {kind.value: kind for kind in CredentialKind}


class CredentialStore:
    """Keeps the credentials of all tenants; its methods raise UnavailableError without the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, credential: Credential) -> None:
        """Keep a new credential; raises CredentialError for a certificate's name that works already."""

        async def work(connection: AsyncConnection) -> None:
            if credential.certificate_name is not None:
                await _require_free_name(connection, credential.certificate_name, credential.created_at)
            await connection.execute(insert(credentials).values(_to_row(credential)))

        await self._database.write(work)

    async def revoke(self, credential_id: str, now: int) -> Credential:
        """Revoke a credential for good and return it; one that was revoked keeps its moment.

        Raises CredentialError when there is none of this id.
        """

        async def work(connection: AsyncConnection) -> Credential:
            of_id = _c.credential_id == credential_id
            await connection.execute(
                update(credentials).where(of_id, _c.revoked_at.is_(None)).values(revoked_at=now)
            )
            found = _read((await connection.execute(_select().where(of_id))).mappings().all())
            if not found:
                raise CredentialError(f"there is no credential {credential_id}; see pecia keys list")
            return found[0]

        return await self._database.write(work)

    async def list_credentials(self, tenant_id: str | None) -> list[Credential]:
        """Return the credentials of a tenant, or of all, by tenant, oldest first."""
        statement = _select().order_by(_c.tenant_id, _c.created_at, _c.credential_id)
        if tenant_id is not None:
            statement = statement.where(_c.tenant_id == tenant_id)
        return await self._fetch(statement)

    async def find_key(self, tenant_id: str, credential_id: str) -> list[Credential]:
        """Return the key of a tenant with this id, or nothing."""
        return await self._fetch(
            _select().where(
                _c.tenant_id == tenant_id,
                _c.credential_id == credential_id,
                _c.kind == CredentialKind.KEY.value,
            )
        )

    async def find_certificates(self, names: Sequence[str]) -> list[Credential]:
        """Return every registration of the names, whosever they are, those that were made last first."""
        return await self._fetch(
            _select()
            .where(_c.certificate_name.in_(names), _c.kind == CredentialKind.CERTIFICATE.value)
            .order_by(_c.created_at.desc(), _c.credential_id.desc())
        )

    async def _fetch(self, statement: Select[Any]) -> list[Credential]:
        return _read([row._mapping for row in await self._database.fetch(statement)])


def _select() -> Select[Any]:
    return select(credentials)


async def _require_free_name(connection: AsyncConnection, name: str, now: int) -> None:
    statement = _select().where(_c.certificate_name == name)
    for other in _read((await connection.execute(statement)).mappings().all()):
        if other.state(now) is CredentialState.ACTIVE:
            raise CredentialError(
                f"the certificate name {name} is registered already, for tenant {other.tenant_id}; "
                f"revoke that first: pecia keys revoke {other.credential_id}"
            )


def _to_row(credential: Credential) -> dict[str, object]:
    return {
        "tenant_id": credential.tenant_id,
        "credential_id": credential.credential_id,
        "kind": credential.kind.value,
        "description": credential.description,
        "certificate_name": credential.certificate_name,
        "salt": credential.salt,
        "secret_hash": credential.secret_hash,
        "scopes": " ".join(sorted(scope.value for scope in credential.scopes)),
        "created_at": credential.created_at,
        "expires_at": credential.expires_at,
        "revoked_at": credential.revoked_at,
    }


def _read(rows: Sequence[Mapping[Any, Any]]) -> list[Credential]:
    """Make credentials of their columns, whatever these hold: what is damaged opens nothing."""
    return [_from_row(row) for row in rows if row["kind"] in _KINDS]


def _from_row(row: Mapping[Any, Any]) -> Credential:
    words = stored_text(row["scopes"]).split(" ")
    return Credential(
        credential_id=stored_text(row["credential_id"]),
        tenant_id=stored_text(row["tenant_id"]),
        kind=_KINDS[row["kind"]],
        # A newer version may know more scopes.
        scopes=frozenset(_SCOPES[word] for word in words if word in _SCOPES),
        created_at=stored_number(row["created_at"]),
        description=stored_text(row["description"]),
        certificate_name=_optional_text(row["certificate_name"]),
        salt=_optional_text(row["salt"]),
        secret_hash=_optional_text(row["secret_hash"]),
        # What is no number becomes the year 1970.
        expires_at=_optional_number(row["expires_at"]),
        revoked_at=_optional_number(row["revoked_at"]),
    )


def _optional_text(value: object) -> str | None:
    return None if value is None else stored_text(value)


def _optional_number(value: object) -> int | None:
    return None if value is None else stored_number(value)
