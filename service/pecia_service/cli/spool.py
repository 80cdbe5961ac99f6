"""`pecia audit spool`: look at the local files in which audit records wait, and deliver them by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pecia_service import logs
from pecia_service.audit.spool.destination import default_root, destination
from pecia_service.audit.spool.survey import OwnerSurvey, survey
from pecia_service.cli.database import DatabaseError, database_errors
from pecia_service.cli.documents import Document
from pecia_service.cli.failures import ExitCode, InputError, finish
from pecia_service.cli.options import json_option
from pecia_service.cli.output import counted
from pecia_service.cli.session import Session, pass_session
from pecia_service.settings import SETTINGS, Settings, SettingsError

_Command = TypeVar("_Command", bound=Callable[..., Any])

_URL = next(setting for setting in SETTINGS if setting.name == "database_url")
_FOLDER = next(setting for setting in SETTINGS if setting.name == "audit_spool_dir")
# A recovery that wrote nothing for so many seconds has ended.
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class _Recovered:
    written: int
    damaged: int
    complete: bool


def _place_options(command: _Command) -> _Command:
    """Add the options that say which spool of which database is meant."""
    for setting, metavar, about in (
        (_FOLDER, "DIR", "The spool's folder; as for pecia serve unless given."),
        (_URL, "URL", "The database that the records belong to."),
    ):
        command = click.option(
            setting.flag,
            setting.name,
            envvar=setting.env,
            default=setting.default,
            show_default=bool(setting.default),
            show_envvar=True,
            metavar=metavar,
            help=about,
        )(command)
    return command


@click.group()
def spool() -> None:
    """Look at the local files in which audit records wait, and deliver them."""


@spool.command()
@_place_options
@json_option
@pass_session
def status(session: Session, *, database_url: str, audit_spool_dir: str, as_json: bool) -> None:
    """Show what waits in the spool, by process. Needs neither a server nor the database.

    \b
    Example:
      pecia audit spool status --database-url sqlite:///pecia.db
    """
    root, url = _place(audit_spool_dir, database_url)
    found = survey(root)
    ours = destination(url)
    output = session.output
    if as_json:
        output.json(
            {
                "folder": str(root),
                "owners": [_document(owner, ours) for owner in found.owners],
                "set_aside": {"pieces": found.damaged_pieces, "bytes": found.damaged_bytes},
            }
        )
        return
    if found.owners:
        output.table(
            ("OWNER", "PROCESS", "DATABASE", "RECORDS", "BYTES", "DAMAGED", "SINCE"),
            [
                (
                    owner.owner_id,
                    _process(owner),
                    _database(owner, ours),
                    str(owner.records),
                    str(owner.waiting_bytes),
                    str(owner.damaged),
                    _since(owner) or "",
                )
                for owner in found.owners
            ],
        )
    else:
        output.note(f"nothing waits in {root}")
    if found.damaged_pieces:
        output.note(
            f"{counted(found.damaged_pieces, 'damaged piece')} ({found.damaged_bytes} bytes) set aside in "
            f"{root / 'damaged'}"
        )


@spool.command(short_help="Write what ended processes left to the database.")
@_place_options
@json_option
@pass_session
def recover(session: Session, *, database_url: str, audit_spool_dir: str, as_json: bool) -> None:
    """Write the records that ended processes left in the spool to the database. Needs no server.

    Servers do this themselves when they start and while they run. Records that the database has already stay
    as they are. Exit code 1 means that something was damaged and set aside.

    \b
    Example:
      pecia audit spool recover --database-url postgresql://pecia@db/pecia
    """
    root, url = _place(audit_spool_dir, database_url)
    recovered = _Recovered(0, 0, complete=True)
    if root.is_dir():
        with database_errors(url):
            recovered = asyncio.run(_recover(root, url))
    if as_json:
        session.output.json({"written": recovered.written, "set_aside": recovered.damaged})
    else:
        session.output.line(f"recovered {counted(recovered.written, 'record')}")
    if not recovered.complete:
        raise DatabaseError("the database stopped answering; what is left stays in the spool, try again")
    if recovered.damaged:
        session.output.note(
            f"warning: {counted(recovered.damaged, 'damaged piece')} set aside in {root / 'damaged'}"
        )
        finish(ExitCode.NEGATIVE)


async def _recover(root: Path, url: str) -> _Recovered:
    # What looking needs is at hand much sooner than what delivering needs.
    from pecia_service.audit.sinks.background import BackgroundSink  # noqa: PLC0415
    from pecia_service.audit.store import AuditStore  # noqa: PLC0415
    from pecia_service.bootstrap import make_sink  # noqa: PLC0415
    from pecia_service.storage.engine import Database  # noqa: PLC0415
    from pecia_service.storage.schema import prepare  # noqa: PLC0415

    logs.configure("error", "auto")
    # The servers that left the records may have promised that they survive a power cut.
    database = Database.open(url, pool_size=1, durable=True)
    try:
        await prepare(database)
        sink = make_sink(Settings.load({}, {_URL.name: url, _FOLDER.name: str(root)}), AuditStore(database))
        assert isinstance(sink, BackgroundSink)
        sink.start()
        try:
            complete, written = False, -1
            while not complete and sink.status().written > written:
                written = sink.status().written
                complete = await sink.flush(_PATIENCE)
        finally:
            await sink.aclose(0)
        status = sink.status()
        return _Recovered(status.written, status.damaged, complete)
    except SettingsError as error:
        raise InputError(str(error)) from None
    finally:
        await database.dispose()


def _place(folder: str, url: str) -> tuple[Path, str]:
    """Return the spool's folder and the database's URL; raises InputError."""
    try:
        parsed = str(_URL.parse(url))
        return (Path(str(_FOLDER.parse(folder))) if folder else default_root(parsed)), parsed
    except ValueError as error:
        source = click.get_current_context().get_parameter_source(_URL.name)
        where = _URL.env if source is ParameterSource.ENVIRONMENT else _URL.flag
        raise InputError(f"{where} {error}") from None


def _document(owner: OwnerSurvey, ours: str) -> Document:
    return {
        "owner": owner.owner_id,
        "alive": owner.alive,
        "pid": owner.about.pid if owner.about else None,
        "database": _database(owner, ours),
        "records": owner.records,
        "bytes": owner.waiting_bytes,
        "damaged": owner.damaged,
        "since": _since(owner),
    }


def _process(owner: OwnerSurvey) -> str:
    state = "alive" if owner.alive else "ended"
    return f"{state} (pid {owner.about.pid})" if owner.about else state


def _database(owner: OwnerSurvey, ours: str) -> str:
    if owner.about is None:
        return "unknown"
    return "this" if owner.about.destination == ours else "another"


def _since(owner: OwnerSurvey) -> str | None:
    if owner.about is None:
        return None
    return datetime.fromtimestamp(owner.about.created_at // 1_000_000, UTC).isoformat()
