"""`pecia audit spool`: look at the local files in which audit records wait, and deliver them by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from pecia_service import logs
from pecia_service.audit.spool.destination import default_root, destination
from pecia_service.audit.spool.survey import OwnerSurvey, survey
from pecia_service.cli.database import (
    DatabaseError,
    checked_url,
    database_errors,
    require_file,
    shown_database,
)
from pecia_service.cli.documents import Document, microseconds_cell, microseconds_text
from pecia_service.cli.failures import ExitCode, InputError, finish
from pecia_service.cli.options import json_option
from pecia_service.cli.output import Output, counted
from pecia_service.cli.session import Session, pass_session
from pecia_service.settings import SETTINGS, Settings, SettingsError

_Command = TypeVar("_Command", bound=Callable[..., Any])

_URL = next(setting for setting in SETTINGS if setting.name == "database_url")
_FOLDER = next(setting for setting in SETTINGS if setting.name == "audit_spool_dir")
# A recovery that wrote nothing for so many seconds has ended.
_PATIENCE = 15.0

_THIS: Final = "this"
_ANOTHER: Final = "another"
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class _Recovered:
    written: int
    damaged: int
    complete: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A spool's folder by its whole path, and the URL of the database that is meant by "this"."""

    root: Path
    url: str


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
    place = _place(audit_spool_dir, database_url)
    root, ours = place.root, destination(place.url)
    output = session.output
    output.note(f"database: {shown_database(place.url)}")
    _note_missing(output, root)
    found = survey(root)
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
                    microseconds_cell(owner.about.created_at) if owner.about else "",
                )
                for owner in found.owners
            ],
        )
    elif root.is_dir():
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
    as they are; what belongs to another database is left, and counted. Exit code 1 means that something was
    damaged and set aside.

    \b
    Example:
      pecia audit spool recover --database-url postgresql://pecia@db/pecia
    """
    place = _place(audit_spool_dir, database_url)
    root, output = place.root, session.output
    recovered = _Recovered(0, 0, complete=True)
    if root.is_dir():
        require_file(place.url)
        output.note(f"database: {shown_database(place.url)}")
        with database_errors(place.url):
            recovered = asyncio.run(_recover(root, place.url))
    else:
        _note_missing(output, root)
    left = _left(root, destination(place.url))
    if as_json:
        output.json({"written": recovered.written, "set_aside": recovered.damaged, "left": left})
    else:
        output.line(f"recovered {counted(recovered.written, 'record')}")
    for database, records in left.items():
        if records:
            whose = "another database" if database == _ANOTHER else "a database that is not known"
            output.note(f"left {counted(records, 'record')} of {whose} in {root}")
    if not recovered.complete:
        raise DatabaseError("the database stopped answering; what is left stays in the spool, try again")
    if recovered.damaged:
        output.note(f"warning: {counted(recovered.damaged, 'damaged piece')} set aside in {root / 'damaged'}")
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


def _place(folder: str, url: str) -> _Place:
    """Return what the options name; raises InputError, also for a folder that they name and that is none."""
    parsed = checked_url(url)
    if not folder.strip():
        return _Place(default_root(parsed).absolute(), parsed)
    source = click.get_current_context().get_parameter_source(_FOLDER.name)
    where = _FOLDER.env if source is ParameterSource.ENVIRONMENT else _FOLDER.flag
    try:
        root = Path(str(_FOLDER.parse(folder))).absolute()
    except ValueError as error:
        raise InputError(f"{where} {error}") from None
    if not root.is_dir():
        raise InputError(f"{where}: there is no folder {root}")
    return _Place(root, parsed)


def _note_missing(output: Output, root: Path) -> None:
    if not root.is_dir():
        output.note(f"no spool folder at {root}")


def _left(root: Path, ours: str) -> dict[str, int]:
    """Count what waits and is not known to be ours, by whether it is known whose it is."""
    left = dict.fromkeys((_ANOTHER, _UNKNOWN), 0)
    for owner in survey(root).owners:
        database = _database(owner, ours)
        if database in left:
            left[database] += owner.records
    return left


def _document(owner: OwnerSurvey, ours: str) -> Document:
    return {
        "owner": owner.owner_id,
        "alive": owner.alive,
        "pid": owner.about.pid if owner.about else None,
        "database": _database(owner, ours),
        "records": owner.records,
        "bytes": owner.waiting_bytes,
        "damaged": owner.damaged,
        "since": microseconds_text(owner.about.created_at) if owner.about else None,
    }


def _process(owner: OwnerSurvey) -> str:
    if owner.alive is None:
        return "unreadable"
    state = "alive" if owner.alive else "ended"
    return f"{state} (pid {owner.about.pid})" if owner.about else state


def _database(owner: OwnerSurvey, ours: str) -> str:
    if owner.about is None:
        return _UNKNOWN
    return _THIS if owner.about.destination == ours else _ANOTHER
