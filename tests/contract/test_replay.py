"""One changed byte of anything that is stored is detected and named, on every engine."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from pecia_service.audit.comparison import ReplayCause, ReplayResult, ReplayVerdict
from pecia_service.audit.filter import AuditFilter
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.store import AuditStore
from pecia_service.registry.model import Slot
from pecia_service.registry.service import Registry
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import audit_pieces, audit_records, bundles, templates
from sqlalchemy import ColumnElement, Table, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.audit import (
    TENANT,
    make_audit,
    make_bundle,
    make_payload,
    make_template,
    publish_pieces,
    record_render,
)

TEMPLATES = {
    slot: make_template(
        slot, constraints={"MAX_PARAGRAPHS": 3}, adapter_version="adapter-1", description="For a test."
    )
    for slot in Slot
}
PIECES = (make_bundle(TEMPLATES), TEMPLATES)

RECORD, PAYLOAD = ReplayCause.RECORD_DAMAGED, ReplayCause.PAYLOAD
CONTENT, CONSTRAINTS, BUNDLE = ReplayCause.TEMPLATE_CONTENT, ReplayCause.CONSTRAINTS, ReplayCause.BUNDLE
MISSING = ReplayCause.PIECE_MISSING

TEMPLATE_COLUMNS = [
    ("content", CONTENT),
    ("content_hash", CONTENT),
    ("constraints_json", CONSTRAINTS),
    ("constraints_hash", CONSTRAINTS),
    ("role", BUNDLE),
    ("adapter_version", BUNDLE),
    ("description", BUNDLE),
    ("definition_hash", BUNDLE),
]


@pytest.fixture
async def records(database: Database, registry: Registry) -> list[AuditRecord]:
    """Publish, render three times, and keep the records: the second is the one that tests change."""
    await publish_pieces(registry, PIECES)
    made = [record_render(number, pieces=PIECES, payload=make_payload(mood="calm")) for number in range(3)]
    await AuditStore(database).insert_many(made)
    return made


@pytest.fixture
async def inline(database: Database) -> AuditRecord:
    """Keep the record of an inline render."""
    record = record_render(9, pieces=PIECES, inline=True)
    await AuditStore(database).insert_many([record])
    return record


async def findings(database: Database) -> list[ReplayResult]:
    """Verify everything, and return what is not a match."""
    events = [event async for event in make_audit(database).verify(TENANT, AuditFilter())]
    return [event for event in events if isinstance(event, ReplayResult)]


def told(results: Sequence[ReplayResult]) -> list[list[tuple[ReplayCause, Slot | None]]]:
    """Return causes and slots by record."""
    return [[(finding.cause, finding.slot) for finding in result.findings] for result in results]


def of_record(record: AuditRecord) -> ColumnElement[bool]:
    """Select the row of a record."""
    return audit_records.c.render_id == record.render_id


def flip(value: str | int | bool | None, place: int) -> str | int | bool:
    """Change one byte of a column's value: the character at a place, or the lowest bit."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1
    assert isinstance(value, str)
    place %= len(value)
    return value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]


async def tamper(
    database: Database, table: Table, row: ColumnElement[bool], column: str, place: int = 0
) -> None:
    """Change one byte of one column of one row behind the service's back."""

    async def work(connection: AsyncConnection) -> None:
        value = (await connection.execute(select(table.c[column]).where(row))).scalar_one()
        await connection.execute(update(table).where(row).values({column: flip(value, place)}))

    await database.write(work)


@asynccontextmanager
async def tampered(database: Database, record: AuditRecord, column: str, place: int) -> AsyncIterator[None]:
    """Change one byte of a record for a while: changing it twice restores it."""
    await tamper(database, audit_records, of_record(record), column, place)
    yield
    await tamper(database, audit_records, of_record(record), column, place)


async def remove(database: Database, table: Table, row: ColumnElement[bool]) -> None:
    """Delete a row behind the service's back."""

    async def work(connection: AsyncConnection) -> None:
        assert (await connection.execute(delete(table).where(row))).rowcount

    await database.write(work)


async def test_untouched_records_match(database: Database, records: list[AuditRecord]) -> None:
    """Nothing is found where nothing was changed."""
    result = await make_audit(database).replay(TENANT, records[0].render_id)
    assert (result.verdict, await findings(database)) == (ReplayVerdict.MATCH, [])


async def test_an_untouched_inline_record_matches(database: Database, inline: AuditRecord) -> None:
    """Its pieces are those that were kept with it."""
    result = await make_audit(database).replay(TENANT, inline.render_id)
    assert result.verdict is ReplayVerdict.MATCH


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize(
    "column",
    [
        "render_id",
        "created_at",
        "prompt_hash",
        "bundle_hash",
        "payload_hash",
        "bundle_id",
        "semver",
        "renderer_version",
        "adapter_version",
        "inline",
        "record_hash",
    ],
)
async def test_a_byte_of_a_record_is_the_record(
    database: Database, records: list[AuditRecord], column: str, place: int
) -> None:
    """Every column of a record but its texts is covered by its hash."""
    await tamper(database, audit_records, of_record(records[1]), column, place)
    assert told(await findings(database)) == [[(RECORD, None)]]


async def test_a_byte_of_the_template_list_is_the_record(
    database: Database, records: list[AuditRecord]
) -> None:
    """Whether it is still JSON or not."""
    wrong = []
    for place in range(0, 1500, 37):
        async with tampered(database, records[1], "templates_json", place):
            if told(await findings(database)) != [[(RECORD, None)]]:
                wrong.append(place)
    assert wrong == []


@pytest.mark.parametrize(
    "value", ["", "null", "{}", "[1]", "[{}]", '[{"slot":1}]', '[{"slot":"attic"}]', "[" * 5000]
)
async def test_a_template_list_of_any_form_is_the_record(
    database: Database, records: list[AuditRecord], value: str
) -> None:
    """What can't be read is damaged like the rest."""
    use = '"template_id":"a","semver":"b","content_hash":"c","constraints_hash":"d","definition_hash":"e"'
    full = value.replace("}", f",{use}}}") if "slot" in value else value

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            update(audit_records).where(of_record(records[1])).values(templates_json=full)
        )

    await database.write(work)
    assert told(await findings(database)) == [[(RECORD, None)]]


async def test_a_record_that_only_says_it_was_redacted_is_the_record(
    database: Database, records: list[AuditRecord]
) -> None:
    """A redacted record has no texts."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(update(audit_records).where(of_record(records[1])).values(redacted_at=1))

    await database.write(work)
    assert told(await findings(database)) == [[(RECORD, None)]]


async def test_a_byte_of_a_payload_is_the_payload(database: Database, records: list[AuditRecord]) -> None:
    """Also where it makes the payload no payload at all."""
    wrong = []
    for place in range(len(records[1].payload or b"")):
        async with tampered(database, records[1], "payload", place):
            if told(await findings(database)) != [[(PAYLOAD, None)]]:
                wrong.append(place)
    assert wrong == []


async def test_a_byte_of_a_prompt_is_the_record_and_is_shown(
    database: Database, records: list[AuditRecord]
) -> None:
    """The first difference is the byte that was changed."""
    wrong = []
    for place in range(0, len(records[1].prompt or ""), 3):
        async with tampered(database, records[1], "prompt", place):
            [result] = await findings(database)
        assert result.first_difference is not None
        if (told([result]), result.first_difference.byte_offset) != ([[(RECORD, None)]], place):
            wrong.append(place)
    assert wrong == []


@pytest.mark.parametrize("slot", Slot)
@pytest.mark.parametrize(("column", "cause"), TEMPLATE_COLUMNS)
async def test_a_byte_of_a_template_is_named(
    database: Database, records: list[AuditRecord], slot: Slot, column: str, cause: ReplayCause
) -> None:
    """Every record of it tells the part, the slot and the template."""
    row = templates.c.template_id == f"juna-{slot.value}"
    await tamper(database, templates, row, column)
    results = await findings(database)
    named = {finding.template for result in results for finding in result.findings}
    assert (told(results), named) == ([[(cause, slot)]] * len(records), {TEMPLATES[slot].ref})


@pytest.mark.parametrize("column", ["template_id", "semver"])
async def test_a_byte_of_a_templates_name_is_a_missing_template(
    database: Database, records: list[AuditRecord], column: str
) -> None:
    """Under its name there is nothing any more."""
    await tamper(database, templates, templates.c.template_id == "juna-task", column)
    assert told(await findings(database)) == [[(MISSING, Slot.TASK)]] * len(records)


@pytest.mark.parametrize(
    "column",
    [
        *(f"{slot.value}_{part}" for slot in Slot for part in ("id", "semver")),
        "tags_json",
        "description",
        "bundle_hash",
        "definition_hash",
    ],
)
async def test_a_byte_of_a_bundle_is_the_bundle(database: Database, registry: Registry, column: str) -> None:
    """Its slots, its tags and its hashes are covered."""
    _, pieces = PIECES
    bundle = make_bundle(pieces).define(
        bundle_id="juna", semver="1.0.0", slots=PIECES[0].slots, tags=["a"], description="For a test."
    )
    await publish_pieces(registry, (bundle, pieces))
    await AuditStore(database).insert_many([record_render(pieces=(bundle, pieces))])
    await tamper(database, bundles, bundles.c.bundle_id == "juna", column, place=1)
    assert told(await findings(database)) == [[(BUNDLE, None)]]


@pytest.mark.parametrize("column", ["bundle_id", "semver"])
async def test_a_byte_of_a_bundles_name_is_a_missing_bundle(
    database: Database, records: list[AuditRecord], column: str
) -> None:
    """Under its name there is nothing any more."""
    await tamper(database, bundles, bundles.c.bundle_id == "juna", column)
    results = await findings(database)
    assert ({result.verdict for result in results}, told(results)) == (
        {ReplayVerdict.UNVERIFIABLE},
        [[(MISSING, None)]] * len(records),
    )


@pytest.mark.parametrize(
    ("column", "cause"), [*TEMPLATE_COLUMNS[:-1], ("definition_hash", MISSING), ("template_id", BUNDLE)]
)
async def test_a_byte_of_an_inline_piece_is_named(
    database: Database, inline: AuditRecord, column: str, cause: ReplayCause
) -> None:
    """The pieces that a record keeps are covered like published ones; their key is their hash."""
    row = audit_pieces.c.definition_hash == TEMPLATES[Slot.ACTIVITY].definition_hash
    await tamper(database, audit_pieces, row, column)
    assert told(await findings(database)) == [[(cause, Slot.ACTIVITY)]]


async def test_an_inline_piece_that_is_gone_is_missing(database: Database, inline: AuditRecord) -> None:
    """A record without one of its pieces can't be verified."""
    await remove(
        database, audit_pieces, audit_pieces.c.definition_hash == TEMPLATES[Slot.TASK].definition_hash
    )
    results = await findings(database)
    assert (results[0].verdict, told(results)) == (ReplayVerdict.UNVERIFIABLE, [[(MISSING, Slot.TASK)]])


async def test_a_redacted_record_can_not_be_verified(database: Database, records: list[AuditRecord]) -> None:
    """Its texts are gone for good."""
    audit = make_audit(database)
    await audit.redact(TENANT, records[1].render_id)
    [result] = await findings(database)
    assert (result.verdict, told([result])) == (
        ReplayVerdict.UNVERIFIABLE,
        [[(ReplayCause.REDACTED, None)]],
    )


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("column", "cause"),
    [("prompt", RECORD), ("payload", PAYLOAD), ("templates_json", RECORD), ("bundle_id", RECORD)],
)
@pytest.mark.parametrize("form", ["CAST(X'ff' AS TEXT)", "X'00ff'"])
async def test_a_record_that_is_no_utf8_any_more_is_named(
    database: Database, records: list[AuditRecord], column: str, cause: ReplayCause, form: str
) -> None:
    """SQLite keeps any bytes as text, and blobs in columns of text; PostgreSQL refuses both."""
    await run(
        database, f"UPDATE audit_records SET {column} = {form} WHERE render_id = '{records[1].render_id}'"
    )
    assert told(await findings(database)) == [[(cause, None)]]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    "damage", [("content", CONTENT), ("constraints_json", CONSTRAINTS), ("description", BUNDLE)]
)
@pytest.mark.parametrize("form", ["CAST(X'ff' AS TEXT)", "X'00ff'"])
@pytest.mark.usefixtures("records", "inline")
async def test_pieces_that_are_no_utf8_any_more_are_named(
    database: Database, damage: tuple[str, ReplayCause], form: str
) -> None:
    """Published and inline pieces alike."""
    column, cause = damage
    for table in ("templates", "audit_pieces"):
        await run(database, f"UPDATE {table} SET {column} = {form} WHERE template_id = 'juna-task'")
    assert told(await findings(database)) == [[(cause, Slot.TASK)]] * 4


async def run(database: Database, statement: str) -> None:
    """Run a statement of SQLite's own."""

    async def work(connection: AsyncConnection) -> None:
        assert (await connection.execute(text(statement))).rowcount

    await database.write(work)
