"""Publishing: a version is stored once, whoever comes first, and stays what it was."""

import asyncio
from collections import Counter

import pytest
from pecia_service.errors import (
    AlreadyExistsError,
    Error,
    ErrorReason,
    InvalidInputError,
    NotFoundError,
    PreconditionError,
)
from pecia_service.registry.model import (
    Published,
    Slot,
    StoredTemplate,
    Template,
    TemplateRef,
    compute_bundle_hash,
)
from pecia_service.registry.service import Registry
from support.domain import START, TENANT, define_bundle, define_template, define_templates


async def publish_templates(registry: Registry) -> list[Template]:
    """Publish the four templates of the companion."""
    templates = define_templates()
    for template in templates:
        await registry.publish_template(TENANT, template)
    return templates


async def get_whole(registry: Registry, ref: TemplateRef) -> StoredTemplate:
    """Return a template that has its text."""
    found = await registry.get_template(TENANT, ref)
    assert isinstance(found, StoredTemplate)
    return found


async def test_a_new_template_is_stored_as_it_was_given(registry: Registry) -> None:
    """What is published is what is read back, with the time of publishing."""
    template = define_template(
        content="Grüße 🌱 {{task}}",
        constraints={"FORBIDDEN_TOKENS": ["nie"], "x": [1e17, 0.5, None, {"k": "ä"}]},
        adapter_version="2",
        description="Says hello.",
    )
    published = await registry.publish_template(TENANT, template)
    stored = await get_whole(registry, template.ref)
    assert (published, stored.template, stored.published_at) == (
        Published(template, START, created=True),
        template,
        START,
    )


async def test_the_same_template_again_changes_nothing(registry: Registry) -> None:
    """A retry answers the first time of publishing and says that nothing was created."""
    await registry.publish_template(TENANT, define_template())
    again = await registry.publish_template(TENANT, define_template())
    assert again == Published(define_template(), START, created=False)


async def test_another_template_under_the_same_version_is_refused(registry: Registry) -> None:
    """The error has both hashes, and the first definition stays."""
    first, second = define_template(content="One."), define_template(content="Two.")
    await registry.publish_template(TENANT, first)
    with pytest.raises(AlreadyExistsError) as caught:
        await registry.publish_template(TENANT, second)
    kept = await get_whole(registry, first.ref)
    assert (caught.value.reason, caught.value.metadata, kept.template) == (
        ErrorReason.TEMPLATE_ALREADY_EXISTS,
        {
            "template_id": "greeting",
            "semver": "1.0.0",
            "stored_hash": first.definition_hash,
            "given_hash": second.definition_hash,
        },
        first,
    )


async def test_build_metadata_is_part_of_a_version(registry: Registry) -> None:
    """1.0.0, 1.0.0+a and 1.0.0+b are three versions."""
    for semver in ("1.0.0", "1.0.0+a", "1.0.0+b"):
        await registry.publish_template(TENANT, define_template(semver=semver, content=semver))
    contents = [
        (await get_whole(registry, TemplateRef("greeting", semver))).template.content
        for semver in ("1.0.0", "1.0.0+a", "1.0.0+b")
    ]
    assert contents == ["1.0.0", "1.0.0+a", "1.0.0+b"]


async def test_of_ten_concurrent_publishers_of_a_template_one_wins(registry: Registry) -> None:
    """Nine are told the winner's hash and their own."""
    given = [define_template(content=f"Version of publisher {number}.") for number in range(10)]
    outcomes = await asyncio.gather(
        *(registry.publish_template(TENANT, template) for template in given), return_exceptions=True
    )
    kept = (await get_whole(registry, given[0].ref)).template
    winners = [outcome.piece for outcome in outcomes if isinstance(outcome, Published)]
    losers = [
        (outcome.reason, outcome.metadata["stored_hash"], outcome.metadata["given_hash"])
        for outcome in outcomes
        if isinstance(outcome, Error)
    ]
    assert (winners, losers) == (
        [kept],
        [
            (ErrorReason.TEMPLATE_ALREADY_EXISTS, kept.definition_hash, template.definition_hash)
            for template in given
            if template != kept
        ],
    )


async def test_concurrent_publishers_of_the_same_template_all_succeed(registry: Registry) -> None:
    """One of them created it."""
    outcomes = await asyncio.gather(
        *(registry.publish_template(TENANT, define_template()) for _ in range(10))
    )
    assert Counter(outcome.created for outcome in outcomes) == {True: 1, False: 9}


async def test_a_template_that_does_not_exist_is_not_found(registry: Registry) -> None:
    """Another version of the same id does not count."""
    await registry.publish_template(TENANT, define_template())
    with pytest.raises(NotFoundError) as caught:
        await registry.get_template(TENANT, TemplateRef("greeting", "1.0.1"))
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.TEMPLATE_NOT_FOUND,
        {"template_id": "greeting", "semver": "1.0.1"},
    )


async def test_a_new_bundle_is_stored_with_the_hash_of_what_it_renders(registry: Registry) -> None:
    """The answer, and what is read back, have the bundle_hash that its templates give."""
    templates = dict(zip(Slot, await publish_templates(registry), strict=True))
    bundle = define_bundle(tags=["gpt-4o", "näh 🌱"], description="A friend.")
    published = await registry.publish_bundle(TENANT, bundle)
    stored = await registry.get_bundle(TENANT, "companion", "1.0.0")
    assert (published.created, published.piece, published.published_at) == (
        True,
        stored.bundle,
        stored.published_at,
    )
    assert (stored.bundle.stored_bundle_hash, stored.bundle.definition_hash, stored.bundle.tags) == (
        compute_bundle_hash(bundle, templates),
        bundle.definition_hash,
        ("gpt-4o", "näh 🌱"),
    )


async def test_the_same_bundle_again_changes_nothing(registry: Registry) -> None:
    """A retry answers the first outcome but for `created`."""
    await publish_templates(registry)
    first = await registry.publish_bundle(TENANT, define_bundle())
    again = await registry.publish_bundle(TENANT, define_bundle())
    assert again == Published(first.piece, first.published_at, created=False)


async def test_another_bundle_under_the_same_version_is_refused(registry: Registry) -> None:
    """Tags are part of the definition, though not of the bundle_hash."""
    await publish_templates(registry)
    first, second = define_bundle(tags=["a"]), define_bundle(tags=["b"])
    await registry.publish_bundle(TENANT, first)
    with pytest.raises(AlreadyExistsError) as caught:
        await registry.publish_bundle(TENANT, second)
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.BUNDLE_ALREADY_EXISTS,
        {
            "bundle_id": "companion",
            "semver": "1.0.0",
            "stored_hash": first.definition_hash,
            "given_hash": second.definition_hash,
        },
    )


async def test_of_ten_concurrent_publishers_of_a_bundle_one_wins(registry: Registry) -> None:
    """Nine are told so."""
    await publish_templates(registry)
    given = [define_bundle(description=str(number)) for number in range(10)]
    outcomes = await asyncio.gather(
        *(registry.publish_bundle(TENANT, bundle) for bundle in given), return_exceptions=True
    )
    kinds = Counter(
        outcome.reason if isinstance(outcome, Error) else isinstance(outcome, Published)
        for outcome in outcomes
    )
    assert kinds == {True: 1, ErrorReason.BUNDLE_ALREADY_EXISTS: 9}


@pytest.mark.parametrize("missing", list(Slot))
async def test_a_bundle_needs_its_templates(registry: Registry, missing: Slot) -> None:
    """The error names the slot, and nothing is stored."""
    for slot, template in zip(Slot, define_templates(), strict=True):
        if slot is not missing:
            await registry.publish_template(TENANT, template)
    with pytest.raises(PreconditionError) as caught:
        await registry.publish_bundle(TENANT, define_bundle())
    with pytest.raises(NotFoundError):
        await registry.get_bundle(TENANT, "companion", "1.0.0")
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.TEMPLATE_REFERENCE_MISSING,
        {"slot": missing.value, "template_id": f"companion-{missing.value}", "semver": "1.0.0"},
    )


async def test_one_template_can_fill_several_slots(registry: Registry) -> None:
    """Four references to one template are a bundle."""
    await registry.publish_template(TENANT, define_template())
    bundle = define_bundle(slots=dict.fromkeys(Slot, TemplateRef("greeting", "1.0.0")))
    published = await registry.publish_bundle(TENANT, bundle)
    assert published.created is True


async def test_a_bundle_that_does_not_exist_is_not_found(registry: Registry) -> None:
    """The error names what was asked for."""
    with pytest.raises(NotFoundError) as caught:
        await registry.get_bundle(TENANT, "companion", "1.0.0")
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.BUNDLE_NOT_FOUND,
        {"bundle_id": "companion", "semver": "1.0.0"},
    )


async def test_tenants_do_not_see_each_other(registry: Registry) -> None:
    """Each tenant has its own versions, and a bundle can't name another tenant's templates."""
    await publish_templates(registry)
    own = await registry.publish_template("other", define_template("companion-task", content="Other."))
    with pytest.raises(PreconditionError) as caught:
        await registry.publish_bundle("other", define_bundle())
    assert (own.created, caught.value.metadata["slot"]) == (True, "system")


@pytest.mark.parametrize(
    ("identifier", "semver", "fields"),
    [("a\0", "1.0.0", ["id"]), ("a", "1.0", ["semver"]), ("", "", ["id", "semver"])],
)
async def test_malformed_names_never_reach_the_database(
    registry: Registry, identifier: str, semver: str, fields: list[str]
) -> None:
    """Reading by a name that can't exist is bad input."""
    with pytest.raises(InvalidInputError) as template:
        await registry.get_template(TENANT, TemplateRef(identifier, semver))
    with pytest.raises(InvalidInputError) as bundle:
        await registry.get_bundle(TENANT, identifier, semver)
    assert [
        [violation.field for violation in template.value.violations],
        [violation.field for violation in bundle.value.violations],
    ] == [
        [f"template.{'template_id' if field == 'id' else field}" for field in fields],
        [f"bundle.{'bundle_id' if field == 'id' else field}" for field in fields],
    ]
