"""Concurrent movers of one label: each move builds on the one before, and none is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress

import pytest
from pecia_service.errors import AbortedError, Error, ErrorReason, NotFoundError
from pecia_service.paging import PageRequest
from pecia_service.registry.model import Label, LabelEvent, Slot, TemplateRef
from pecia_service.registry.service import Registry
from pecia_service.registry.store import RegistryStore
from pecia_service.storage.engine import Database
from support.domain import TENANT, TickingClock, define_bundle, define_template

VERSIONS = [f"{number}.0.0" for number in range(12)]
REQUEST = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"


async def publish_versions(registry: Registry) -> None:
    """Publish the versions of the companion."""
    await registry.publish_template(TENANT, define_template())
    slots = dict.fromkeys(Slot, TemplateRef("greeting", "1.0.0"))
    for semver in VERSIONS:
        await registry.publish_bundle(TENANT, define_bundle(semver=semver, slots=slots))


@pytest.fixture(autouse=True)
async def _published(registry: Registry) -> None:
    await publish_versions(registry)


def set_label(
    registry: Registry, semver: str, etag: str | None = None, *, actor: str = "", request_id: str = ""
) -> Awaitable[Label]:
    """Set the label `live` of the companion."""
    return registry.set_label(
        TENANT,
        bundle_id="companion",
        label="live",
        semver=semver,
        etag=etag,
        actor=actor or semver,
        request_id=request_id,
    )


async def current(registry: Registry) -> tuple[Label, ...]:
    """Return the label as it is listed, or nothing."""
    return (await registry.list_labels(TENANT, "", PageRequest())).items


async def history(registry: Registry) -> list[LabelEvent]:
    """Return the label's events, the oldest first."""
    page = await registry.list_label_events(TENANT, "companion", "live", PageRequest(200))
    assert page.next_token == ""
    return list(reversed(page.items))


def reasons(outcomes: list[object]) -> Counter[object]:
    """Count the outcomes: labels by their type, errors by their reason."""
    return Counter(outcome.reason if isinstance(outcome, Error) else type(outcome) for outcome in outcomes)


def assert_unbroken(events: list[LabelEvent]) -> None:
    """Check that each event begins where the one before ended."""
    revisions = [event.revision for event in events]
    assert revisions == list(range(1, len(events) + 1))
    assert [event.from_semver for event in events] == ["", *(event.to_semver for event in events[:-1])]


async def test_of_concurrent_creators_with_an_etag_one_wins(registry: Registry) -> None:
    """All the others are aborted."""
    outcomes = await asyncio.gather(
        *(set_label(registry, semver, "") for semver in VERSIONS), return_exceptions=True
    )
    (label,) = await current(registry)
    winners = [outcome for outcome in outcomes if isinstance(outcome, Label)]
    assert (winners, reasons(list(outcomes))) == (
        [label],
        {Label: 1, ErrorReason.ETAG_MISMATCH: len(VERSIONS) - 1},
    )


async def test_of_concurrent_movers_with_an_etag_one_wins(registry: Registry) -> None:
    """The history has one move."""
    first = await set_label(registry, "0.0.0")
    outcomes = await asyncio.gather(
        *(set_label(registry, semver, first.etag) for semver in VERSIONS[1:]), return_exceptions=True
    )
    (label,) = await current(registry)
    events = await history(registry)
    assert (label in outcomes, reasons(list(outcomes)), [event.to_semver for event in events]) == (
        True,
        {Label: 1, ErrorReason.ETAG_MISMATCH: len(VERSIONS) - 2},
        ["0.0.0", label.semver],
    )


async def test_concurrent_movers_without_an_etag_all_win_in_turn(registry: Registry) -> None:
    """Each is in the history once, and the last of them is where the label points."""
    await asyncio.gather(*(set_label(registry, semver) for semver in VERSIONS))
    events = await history(registry)
    (label,) = await current(registry)
    assert_unbroken(events)
    assert (sorted(event.to_semver for event in events), label.semver) == (
        sorted(VERSIONS),
        events[-1].to_semver,
    )


async def test_concurrent_movers_wait_for_each_other(migrated_database_url: str) -> None:
    """A label that exists is locked, so that nobody has to try again."""
    delays: list[float] = []

    async def sleep(delay: float) -> None:
        delays.append(delay)

    database = Database.open(migrated_database_url, sleep=sleep)
    registry = Registry(RegistryStore(database), TickingClock())
    await publish_versions(registry)
    await set_label(registry, VERSIONS[0])
    await asyncio.gather(*(set_label(registry, semver) for semver in VERSIONS[1:]))
    await database.dispose()
    assert delays == []


async def test_movers_that_read_and_try_again_lose_no_update(registry: Registry) -> None:
    """A counter made of a label counts every increment."""
    await set_label(registry, "0.0.0")

    async def increment() -> None:
        while True:
            (label,) = await current(registry)
            following = f"{int(label.semver.partition('.')[0]) + 1}.0.0"
            try:
                await set_label(registry, following, label.etag)
            except AbortedError:
                continue
            return

    await asyncio.gather(*(increment() for _ in VERSIONS[1:]))
    assert [event.to_semver for event in await history(registry)] == VERSIONS


async def test_concurrent_creators_and_deleters_leave_an_unbroken_history(registry: Registry) -> None:
    """Revisions go on over every life of the label."""

    async def delete() -> None:
        with suppress(NotFoundError):
            await registry.delete_label(TENANT, bundle_id="companion", label="live", etag="", actor="d")

    for _ in range(3):
        await asyncio.gather(
            *(call for semver in VERSIONS[:8] for call in (set_label(registry, semver), delete()))
        )
    events = await history(registry)
    assert_unbroken(events)
    assert [label.semver for label in await current(registry)] == [
        event.to_semver for event in events[-1:] if event.to_semver
    ]


async def test_concurrent_retries_of_one_creation_have_one_outcome(registry: Registry) -> None:
    """A client that sends its request twice, to be sure, is told the same twice."""
    outcomes = await asyncio.gather(
        *(set_label(registry, "1.0.0", "", actor="a", request_id=REQUEST) for _ in range(8))
    )
    assert (len(set(outcomes)), len(await history(registry))) == (1, 1)


async def test_concurrent_retries_of_one_move_have_one_outcome(registry: Registry) -> None:
    """The etag, which is old as soon as the first has moved the label, does not matter to the others."""
    first = await set_label(registry, "1.0.0")
    outcomes = await asyncio.gather(
        *(set_label(registry, "2.0.0", first.etag, actor="a", request_id=REQUEST) for _ in range(8))
    )
    assert (len(set(outcomes)), len(await history(registry))) == (1, 2)


async def test_concurrent_retries_of_one_deletion_all_succeed(registry: Registry) -> None:
    """That the label is gone does not matter to those who come later."""
    first = await set_label(registry, "1.0.0")
    await asyncio.gather(
        *(
            registry.delete_label(
                TENANT,
                bundle_id="companion",
                label="live",
                etag=first.etag,
                actor="a",
                request_id=REQUEST,
            )
            for _ in range(8)
        )
    )
    assert (await current(registry), len(await history(registry))) == ((), 2)


async def test_concurrent_requests_with_one_id_are_told_apart(registry: Registry) -> None:
    """One of them takes the id."""
    outcomes = await asyncio.gather(
        *(set_label(registry, semver, request_id=REQUEST) for semver in VERSIONS), return_exceptions=True
    )
    assert reasons(list(outcomes)) == {Label: 1, ErrorReason.REQUEST_ID_REUSED: len(VERSIONS) - 1}
