"""Erasing the text of a template: what goes, what stays, what fails from then on, on every engine."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

import pytest
from pecia_service.errors import ErrorReason, InvalidInputError, NotFoundError, PreconditionError
from pecia_service.paging import PageRequest
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.erasure import Erasures
from pecia_service.registry.model import (
    Role,
    Slot,
    StoredTemplate,
    TemplateErasedError,
    TemplateErasure,
    TemplateRef,
    TemplateSummary,
)
from pecia_service.registry.model.erasure import Erased
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.rendering.sources.database import DatabaseTemplateSource
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import metadata, template_erasures, templates
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from support.domain import (
    ACTOR,
    START,
    TENANT,
    TickingClock,
    define_bundle,
    define_template,
    define_templates,
)

SECRET = "mauve-elephant"
"""Stands in everything that an erasure takes out, and in nothing else."""

REF = TemplateRef("greeting", "1.0.0")
TEMPLATE = define_template(
    content=f"You are {SECRET}.",
    constraints={"FORBIDDEN_TOKENS": [f"{SECRET}s"]},
    description=f"About {SECRET}.",
    adapter_version="2",
)
REASON = "It names a customer."


class Forgetful:
    """Takes note of what is to be forgotten."""

    def __init__(self) -> None:
        self.told: list[tuple[str, TemplateRef]] = []

    def __call__(self, erased: Collection[tuple[str, TemplateRef]]) -> None:
        """Forget."""
        self.told += erased


@pytest.fixture
def forget() -> Forgetful:
    """Give what is told to forget."""
    return Forgetful()


@pytest.fixture
def erasures(database: Database, clock: TickingClock, forget: Forgetful) -> Erasures:
    """Give the use cases over an empty database."""
    return Erasures(RegistryStore(database).erasures, clock, forget)


def erase(
    erasures: Erasures,
    ref: TemplateRef = REF,
    *,
    tenant: str = TENANT,
    reason: str = REASON,
    actor: str = ACTOR,
) -> Awaitable[Erased]:
    """Erase a template."""
    return erasures.erase_template(tenant, ref, reason=reason, actor=actor)


async def all_text(database: Database) -> str:
    """Return everything that stands in any column of any table."""

    async def work(connection: AsyncConnection) -> str:
        rows = [
            str(tuple(row))
            for table in metadata.sorted_tables
            for row in (await connection.execute(select(table))).all()
        ]
        return "\n".join(rows)

    return await database.write(work)


async def test_the_text_is_in_no_table(database: Database, registry: Registry, erasures: Erasures) -> None:
    """Content, constraints and description are gone from every column of every table."""
    await registry.publish_template(TENANT, TEMPLATE)
    before = SECRET in await all_text(database)
    await erase(erasures)
    assert (True, False) == (before, SECRET in await all_text(database))


async def test_identity_and_hashes_stay(registry: Registry, erasures: Erasures) -> None:
    """What is left of a template says which it was, and when its text was erased."""
    await registry.publish_template(TENANT, TEMPLATE)
    outcome = await erase(erasures)
    expected = TemplateSummary(
        template_id="greeting",
        semver="1.0.0",
        role=Role.SYSTEM,
        constraints=Constraints(),
        adapter_version="2",
        description="",
        content_hash=TEMPLATE.content_hash,
        constraints_hash=TEMPLATE.constraints_hash,
        definition_hash=TEMPLATE.definition_hash,
        content_bytes=TEMPLATE.content_bytes,
        published_at=START,
        erased_at=outcome.erasure.erased_at,
    )
    listed = (await registry.list_templates(TENANT, "", PageRequest())).items
    assert (await registry.get_template(TENANT, REF), listed) == (expected, (expected,))


async def test_the_act_is_in_the_history(registry: Registry, erasures: Erasures) -> None:
    """With who did it, when and why; the reason is normalised."""
    await registry.publish_template(TENANT, TEMPLATE)
    outcome = await erase(erasures, reason="  It names\r\na customer. ")
    expected = TemplateErasure(REF, TEMPLATE.definition_hash, START + 1, ACTOR, "It names\na customer.")
    listed = await erasures.list_erasures(TENANT, "", PageRequest())
    assert (outcome, listed.items) == (Erased(expected, erased=True), (expected,))


async def test_erasing_again_answers_the_first_erasure(registry: Registry, erasures: Erasures) -> None:
    """And changes nothing, whoever does it."""
    await registry.publish_template(TENANT, TEMPLATE)
    first = await erase(erasures)
    second = await erase(erasures, reason="Again.", actor="bob")
    listed = await erasures.list_erasures(TENANT, "", PageRequest())
    assert (second, listed.items) == (replace(first, erased=False), (first.erasure,))


async def test_concurrent_erasers_agree(registry: Registry, erasures: Erasures) -> None:
    """One of them erases, and all answer its erasure."""
    await registry.publish_template(TENANT, TEMPLATE)
    outcomes = await asyncio.gather(*(erase(erasures, actor=f"eraser {number}") for number in range(12)))
    assert Counter(outcome.erased for outcome in outcomes) == {True: 1, False: 11}
    assert len({outcome.erasure for outcome in outcomes}) == 1


async def test_a_version_that_does_not_exist_is_not_found(erasures: Erasures, registry: Registry) -> None:
    """Neither an unknown one nor another tenant's; nothing is noted down."""
    await registry.publish_template("other", TEMPLATE)
    with pytest.raises(NotFoundError) as caught:
        await erase(erasures)
    listed = await erasures.list_erasures("other", "", PageRequest())
    assert (caught.value.reason, listed.items) == (ErrorReason.TEMPLATE_NOT_FOUND, ())


async def test_other_templates_keep_their_text(registry: Registry, erasures: Erasures) -> None:
    """Other versions, other ids and the same version of another tenant."""
    others = [(TENANT, define_template(semver="1.0.1")), (TENANT, define_template("greetings"))]
    others.append(("other", TEMPLATE))
    for tenant, template in [(TENANT, TEMPLATE), *others]:
        await registry.publish_template(tenant, template)
    await erase(erasures)
    found = [await registry.get_template(tenant, template.ref) for tenant, template in others]
    kept = [stored.template for stored in found if isinstance(stored, StoredTemplate)]
    assert kept == [template for _, template in others]


async def test_this_process_is_told_to_forget(
    registry: Registry, erasures: Erasures, forget: Forgetful
) -> None:
    """Each time, also when the text was gone already, or nothing is known of the outcome."""
    await registry.publish_template(TENANT, TEMPLATE)
    await erase(erasures)
    await erase(erasures)
    unknown = TemplateRef("unknown", "1.0.0")
    with pytest.raises(NotFoundError):
        await erase(erasures, unknown)
    assert forget.told == [(TENANT, REF), (TENANT, REF), (TENANT, unknown)]


async def test_a_cancelled_erasure_is_forgotten_too(
    registry: Registry, erasures: Erasures, forget: Forgetful
) -> None:
    """Whoever stops waiting during the commit has erased, and this process has forgotten."""
    await registry.publish_template(TENANT, TEMPLATE)
    erasing = asyncio.ensure_future(erase(erasures))
    await asyncio.sleep(0)
    erasing.cancel()
    await asyncio.wait({erasing})
    assert (erasing.cancelled(), forget.told) == (True, [(TENANT, REF)])


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("", ErrorReason.FIELD_INVALID),
        (" \r\n ", ErrorReason.FIELD_INVALID),
        ("ä" * 513, ErrorReason.SIZE_EXCEEDED),
        ("a\0", ErrorReason.TEXT_INVALID),
    ],
)
async def test_a_reason_is_needed(
    registry: Registry, erasures: Erasures, forget: Forgetful, reason: str, error: ErrorReason
) -> None:
    """Of 1 to 1,024 bytes; otherwise nothing happens."""
    await registry.publish_template(TENANT, TEMPLATE)
    with pytest.raises(InvalidInputError) as caught:
        await erase(erasures, reason=reason)
    found = await registry.get_template(TENANT, REF)
    assert (caught.value.reason, caught.value.metadata["field"]) == (error, "reason")
    assert (isinstance(found, StoredTemplate), forget.told) == (True, [])


async def test_a_reason_may_be_as_long_as_its_limit(registry: Registry, erasures: Erasures) -> None:
    """1,024 bytes are kept."""
    await registry.publish_template(TENANT, TEMPLATE)
    outcome = await erase(erasures, reason="ä" * 512)
    assert outcome.erasure.reason == "ä" * 512


async def test_malformed_names_are_told_together_with_the_reason(erasures: Erasures) -> None:
    """All that is wrong is told at once."""
    with pytest.raises(InvalidInputError) as caught:
        await erase(erasures, TemplateRef("a b", "v1"), reason="")
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["template.template_id", "template.semver", "reason"]


NEEDS_TEXT: dict[str, Callable[[Registry, Database], Awaitable[object]]] = {
    "publish_template": lambda registry, _: registry.publish_template(TENANT, TEMPLATE),
    "publish another definition": lambda registry, _: registry.publish_template(
        TENANT, define_template(content="Another.")
    ),
    "publish_bundle": lambda registry, _: registry.publish_bundle(
        TENANT, define_bundle(slots=dict.fromkeys(Slot, REF))
    ),
    "source.get_template": lambda _, database: DatabaseTemplateSource(database, TENANT).get_template(
        "greeting", "1.0.0"
    ),
    "source.get_templates": lambda _, database: DatabaseTemplateSource(database, TENANT).get_templates(
        [TemplateRef("companion-task", "1.0.0"), REF]
    ),
}


@pytest.mark.parametrize("call", NEEDS_TEXT.values(), ids=NEEDS_TEXT.keys())
async def test_what_needs_the_text_fails(
    database: Database,
    registry: Registry,
    erasures: Erasures,
    call: Callable[[Registry, Database], Awaitable[object]],
) -> None:
    """With a reason of its own, which names the template."""
    for template in [TEMPLATE, *define_templates()]:
        await registry.publish_template(TENANT, template)
    await erase(erasures)
    with pytest.raises(TemplateErasedError) as caught:
        await call(registry, database)
    error: PreconditionError = caught.value
    assert (error.reason, error.metadata) == (
        ErrorReason.TEMPLATE_ERASED,
        {"template_id": "greeting", "semver": "1.0.0"},
    )
    assert SECRET not in await all_text(database)


@pytest.mark.parametrize(
    "change",
    [
        {"content": SECRET},
        {"constraints_json": f'["{SECRET}"'},
        {"description": f"Changed {SECRET}."},
        {"definition_hash": "no hash"},
        {"role": "root"},
    ],
    ids=str,
)
async def test_a_damaged_template_is_erased_like_any_other(
    database: Database, registry: Registry, erasures: Erasures, change: dict[str, str]
) -> None:
    """Its definition hash is taken as it is."""
    await registry.publish_template(TENANT, TEMPLATE)

    async def damage(connection: AsyncConnection) -> None:
        await connection.execute(update(templates).values(**change))

    await database.write(damage)
    outcome = await erase(erasures)
    found = await registry.get_template(TENANT, REF)
    assert outcome.erasure.definition_hash == change.get("definition_hash", TEMPLATE.definition_hash)
    assert (isinstance(found, TemplateSummary), SECRET in await all_text(database)) == (True, False)


async def test_text_that_was_put_back_is_erased_anew(
    database: Database, registry: Registry, erasures: Erasures
) -> None:
    """As by a table that was restored from a backup: others must hear of it, so this erasure stands."""
    await registry.publish_template(TENANT, TEMPLATE)
    first = await erase(erasures)

    async def restore(connection: AsyncConnection) -> None:
        await connection.execute(update(templates).values(content=TEMPLATE.content, erased_at=None))

    await database.write(restore)
    second = await erase(erasures, reason="It came back.")
    listed = await erasures.list_erasures(TENANT, "", PageRequest())
    assert (second.erased, second.erasure.reason, listed.items) == (
        True,
        "It came back.",
        (second.erasure,),
    )
    assert second.erasure.erased_at > first.erasure.erased_at
    assert SECRET not in await all_text(database)


async def test_an_erasure_that_lost_its_history_is_noted_anew(
    database: Database, registry: Registry, erasures: Erasures
) -> None:
    """When only the history was damaged, erasing again writes it."""
    await registry.publish_template(TENANT, TEMPLATE)
    await erase(erasures)

    async def lose(connection: AsyncConnection) -> None:
        await connection.execute(delete(template_erasures))

    await database.write(lose)
    again = await erase(erasures)
    listed = await erasures.list_erasures(TENANT, "", PageRequest())
    assert (again.erased, listed.items) == (True, (again.erasure,))


async def test_racing_publishers_bring_no_text_back(
    database: Database, registry: Registry, erasures: Erasures
) -> None:
    """Whoever publishes before, during or after an erasure: in the end the text is gone."""
    await registry.publish_template(TENANT, TEMPLATE)
    outcomes = await asyncio.gather(
        *(registry.publish_template(TENANT, TEMPLATE) for _ in range(5)),
        erase(erasures),
        *(registry.publish_template(TENANT, TEMPLATE) for _ in range(5)),
        return_exceptions=True,
    )
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [failure for failure in failures if not isinstance(failure, TemplateErasedError)] == []
    assert SECRET not in await all_text(database)


async def test_a_first_publisher_and_an_eraser_agree(
    database: Database, registry: Registry, erasures: Erasures
) -> None:
    """Either there was nothing to erase, or it is erased: never is there both an erasure and a text."""
    seen: Counter[bool] = Counter()
    for number in range(20):
        template = define_template(f"t{number}", content=TEMPLATE.content)
        outcomes = await asyncio.gather(
            registry.publish_template(TENANT, template), erase(erasures, template.ref), return_exceptions=True
        )
        erased = isinstance(outcomes[1], Erased)
        seen[erased] += 1
        found = await registry.get_template(TENANT, template.ref)
        assert isinstance(outcomes[1], Erased | NotFoundError)
        assert isinstance(found, TemplateSummary) == erased
    assert seen.total() == 20


async def test_erasures_are_listed_by_id_and_version_in_byte_order(
    registry: Registry, erasures: Erasures
) -> None:
    """Page by page, of all templates or of one."""
    names = [
        ("A", "1.0.0"),
        ("a", "1.0.0"),
        ("a", "10.0.0"),
        ("a", "2.0.0"),
        ("a-b", "1.0.0"),
        ("b", "1.0.0"),
    ]
    for template_id, semver in reversed(names):
        template = define_template(template_id, semver)
        await registry.publish_template(TENANT, template)
        await erase(erasures, template.ref)
    pages: list[list[tuple[str, str]]] = []
    token = ""
    while not pages or token:
        page = await erasures.list_erasures(TENANT, "", PageRequest(2, token))
        pages.append([(item.ref.template_id, item.ref.semver) for item in page.items])
        token = page.next_token
    of_one = await erasures.list_erasures(TENANT, "a", PageRequest())
    assert pages == [names[:2], names[2:4], names[4:]]
    assert [item.ref.semver for item in of_one.items] == ["1.0.0", "10.0.0", "2.0.0"]


async def test_a_list_has_its_tenant_and_its_arguments(registry: Registry, erasures: Erasures) -> None:
    """Another tenant's erasures are not listed, and a token of one list is none of another."""
    for tenant in (TENANT, "other"):
        for semver in ("1.0.0", "2.0.0"):
            template = define_template(semver=semver)
            await registry.publish_template(tenant, template)
            await erase(erasures, template.ref, tenant=tenant, actor=tenant)
    page = await erasures.list_erasures("other", "", PageRequest(1))
    refused = []
    for tenant, template_id in ((TENANT, ""), ("other", "greeting")):
        with pytest.raises(InvalidInputError) as caught:
            await erasures.list_erasures(tenant, template_id, PageRequest(1, page.next_token))
        refused.append(caught.value.reason)
    assert {item.erased_by for item in page.items} == {"other"}
    assert refused == [ErrorReason.PAGE_TOKEN_INVALID] * 2


async def test_a_list_wants_well_formed_arguments(erasures: Erasures) -> None:
    """An id that can't be one, and a negative size."""
    reasons = []
    for template_id, size in (("a b", 0), ("", -1)):
        with pytest.raises(InvalidInputError) as caught:
            await erasures.list_erasures(TENANT, template_id, PageRequest(size))
        reasons.append(caught.value.reason)
    assert reasons == [ErrorReason.IDENTIFIER_INVALID, ErrorReason.FIELD_INVALID]
