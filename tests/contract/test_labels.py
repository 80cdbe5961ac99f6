"""Labels: compare-and-set, the history and the ways back through it, and requests that are retried."""

import pytest
from pecia_service.errors import (
    AbortedError,
    AlreadyExistsError,
    Error,
    ErrorReason,
    InvalidInputError,
    NotFoundError,
    PreconditionError,
)
from pecia_service.paging import PageRequest
from pecia_service.registry.model import Label, LabelAction, LabelEvent, Slot, TemplateRef
from pecia_service.registry.service import Registry
from pecia_service.registry.store.label_move import REQUEST_MEMORY_MICROSECONDS
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import label_requests
from sqlalchemy import func, select
from support.domain import ACTOR, TENANT, TickingClock, define_bundle, define_template

VERSIONS = ("1.0.0", "2.0.0", "3.0.0", "4.0.0")
REQUEST = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"
OTHER_REQUEST = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e45"


class Labels:
    """The label `live` of the companion, for one who moves it."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    async def set(self, semver: str, etag: str | None = None, request_id: str = "") -> Label:
        """Set it."""
        return await self.registry.set_label(
            TENANT,
            bundle_id="companion",
            label="live",
            semver=semver,
            etag=etag,
            actor=ACTOR,
            request_id=request_id,
        )

    async def roll_back(self, etag: str | None = None, request_id: str = "") -> Label:
        """Roll it back; from wherever it stands, unless an etag is given."""
        etag = (await self.current())[0].etag if etag is None else etag
        return await self.registry.roll_back_label(
            TENANT, bundle_id="companion", label="live", etag=etag, actor=ACTOR, request_id=request_id
        )

    async def delete(self, etag: str = "", request_id: str = "") -> None:
        """Delete it."""
        await self.registry.delete_label(
            TENANT, bundle_id="companion", label="live", etag=etag, actor=ACTOR, request_id=request_id
        )

    async def current(self) -> tuple[Label, ...]:
        """Return it as it is listed, or nothing."""
        return (await self.registry.list_labels(TENANT, "companion", PageRequest())).items

    async def history(self) -> list[LabelEvent]:
        """Return its events, the oldest first."""
        page = await self.registry.list_label_events(TENANT, "companion", "live", PageRequest(200))
        return list(reversed(page.items))

    async def moves(self) -> list[tuple[int, str, str, str]]:
        """Return its events in short, the oldest first."""
        return [
            (event.revision, event.action.value, event.from_semver, event.to_semver)
            for event in await self.history()
            if event.action is not None
        ]


@pytest.fixture
async def labels(registry: Registry) -> Labels:
    """Give the label, not yet set, of a bundle with four versions."""
    await registry.publish_template(TENANT, define_template())
    slots = dict.fromkeys(Slot, TemplateRef("greeting", "1.0.0"))
    for semver in VERSIONS:
        await registry.publish_bundle(TENANT, define_bundle(semver=semver, slots=slots))
    return Labels(registry)


def describe(error: Error) -> tuple[type[Error], ErrorReason, dict[str, str]]:
    """Return what a caller sees of an error."""
    return type(error), error.reason, error.metadata


MISMATCH = (AbortedError, ErrorReason.ETAG_MISMATCH, {"bundle_id": "companion", "label": "live"})
NO_LABEL = (NotFoundError, ErrorReason.LABEL_NOT_FOUND, {"bundle_id": "companion", "label": "live"})
EXHAUSTED = (
    PreconditionError,
    ErrorReason.LABEL_HISTORY_EXHAUSTED,
    {"bundle_id": "companion", "label": "live"},
)
REUSED = (AlreadyExistsError, ErrorReason.REQUEST_ID_REUSED, {"request_id": REQUEST})


async def test_a_label_is_created_and_listed(labels: Labels, clock: TickingClock) -> None:
    """The answer, the list and the history agree on who, when and where."""
    now = clock.now
    label = await labels.set("1.0.0")
    assert (label, await labels.current(), await labels.history()) == (
        Label("companion", "live", "1.0.0", label.etag, now, ACTOR),
        (label,),
        [LabelEvent("companion", "live", 1, LabelAction.SET, "", "1.0.0", ACTOR, now)],
    )


async def test_a_label_moves_and_its_etag_changes(labels: Labels) -> None:
    """Each move gives another etag."""
    etags = [(await labels.set(semver)).etag for semver in ("1.0.0", "2.0.0", "1.0.0")]
    (current,) = await labels.current()
    assert (len(set(etags)), current.semver, current.etag) == (3, "1.0.0", etags[2])


async def test_setting_a_label_to_where_it_points_changes_nothing(labels: Labels) -> None:
    """Neither etag, time nor history."""
    first = await labels.set("1.0.0")
    again = await labels.set("1.0.0", etag=first.etag)
    assert (again, await labels.moves()) == (first, [(1, "set", "", "1.0.0")])


async def test_a_label_needs_its_version(labels: Labels) -> None:
    """A label can't point to a version that does not exist."""
    with pytest.raises(NotFoundError) as caught:
        await labels.set("9.0.0")
    assert (describe(caught.value), await labels.current()) == (
        (
            NotFoundError,
            ErrorReason.BUNDLE_NOT_FOUND,
            {"bundle_id": "companion", "semver": "9.0.0"},
        ),
        (),
    )


async def test_the_right_etag_moves_a_label(labels: Labels) -> None:
    """Empty stands for a label that does not exist."""
    first = await labels.set("1.0.0", etag="")
    second = await labels.set("2.0.0", etag=first.etag)
    assert (first.semver, second.semver) == ("1.0.0", "2.0.0")


@pytest.mark.parametrize("semver", ["1.0.0", "2.0.0"])
async def test_an_empty_etag_wants_no_label(labels: Labels, semver: str) -> None:
    """Even the version that it points to is no excuse."""
    await labels.set("1.0.0")
    with pytest.raises(AbortedError) as caught:
        await labels.set(semver, etag="")
    assert (describe(caught.value), await labels.moves()) == (MISMATCH, [(1, "set", "", "1.0.0")])


async def test_an_etag_wants_a_label(labels: Labels) -> None:
    """An etag of a label that is gone is another than that of none."""
    first = await labels.set("1.0.0")
    await labels.delete()
    with pytest.raises(AbortedError) as caught:
        await labels.set("1.0.0", etag=first.etag)
    assert describe(caught.value) == MISMATCH


async def test_an_old_etag_moves_nothing(labels: Labels) -> None:
    """Set, roll-back and deletion are aborted."""
    old = (await labels.set("1.0.0")).etag
    await labels.set("2.0.0")
    errors = []
    for call in (labels.set("3.0.0", etag=old), labels.roll_back(old), labels.delete(old)):
        with pytest.raises(AbortedError) as caught:
            await call
        errors.append(describe(caught.value))
    assert (errors, len(await labels.moves())) == ([MISMATCH] * 3, 2)


async def test_an_etag_of_another_life_of_a_label_moves_nothing(labels: Labels) -> None:
    """Revisions count on when a label is made anew, so that no etag comes back."""
    old = (await labels.set("1.0.0")).etag
    await labels.delete()
    new = (await labels.set("1.0.0")).etag
    with pytest.raises(AbortedError):
        await labels.set("2.0.0", etag=old)
    assert old != new


async def test_roll_backs_walk_back_through_the_history(labels: Labels) -> None:
    """Three sets roll back twice, and then there is nothing before."""
    for semver in ("1.0.0", "2.0.0", "3.0.0"):
        await labels.set(semver)
    walked = [(await labels.roll_back()).semver, (await labels.roll_back()).semver]
    with pytest.raises(PreconditionError) as caught:
        await labels.roll_back()
    assert (walked, describe(caught.value), await labels.moves()) == (
        ["2.0.0", "1.0.0"],
        EXHAUSTED,
        [
            (1, "set", "", "1.0.0"),
            (2, "set", "1.0.0", "2.0.0"),
            (3, "set", "2.0.0", "3.0.0"),
            (4, "roll_back", "3.0.0", "2.0.0"),
            (5, "roll_back", "2.0.0", "1.0.0"),
        ],
    )


async def test_a_set_after_a_roll_back_builds_on_what_it_found(labels: Labels) -> None:
    """What was rolled back is no version before."""
    for semver in ("1.0.0", "2.0.0", "3.0.0"):
        await labels.set(semver)
    await labels.roll_back()
    await labels.set("4.0.0")
    walked = [(await labels.roll_back()).semver, (await labels.roll_back()).semver]
    with pytest.raises(PreconditionError):
        await labels.roll_back()
    assert walked == ["2.0.0", "1.0.0"]


async def test_a_version_can_be_in_a_history_twice(labels: Labels) -> None:
    """Each set is an entry of its own."""
    for semver in ("1.0.0", "2.0.0", "1.0.0", "3.0.0"):
        await labels.set(semver)
    walked = [(await labels.roll_back()).semver for _ in range(3)]
    assert walked == ["1.0.0", "2.0.0", "1.0.0"]


async def test_a_deleted_label_starts_anew(labels: Labels) -> None:
    """It is gone from the list, its history stays, and no roll-back leads into the time before."""
    await labels.set("1.0.0")
    await labels.set("2.0.0")
    await labels.delete()
    gone = await labels.current()
    await labels.set("3.0.0")
    with pytest.raises(PreconditionError) as caught:
        await labels.roll_back()
    assert (gone, describe(caught.value), await labels.moves()) == (
        (),
        EXHAUSTED,
        [
            (1, "set", "", "1.0.0"),
            (2, "set", "1.0.0", "2.0.0"),
            (3, "delete", "2.0.0", ""),
            (4, "set", "", "3.0.0"),
        ],
    )


async def test_a_label_that_does_not_exist_can_not_be_moved_back_or_deleted(labels: Labels) -> None:
    """Nor can one that was deleted."""
    errors = []
    for _ in range(2):
        for call in (labels.roll_back("some"), labels.delete(), labels.delete("some")):
            with pytest.raises(NotFoundError) as caught:
                await call
            errors.append(describe(caught.value))
        await labels.set("1.0.0")
        await labels.delete()
    assert errors == [NO_LABEL] * 6


async def test_a_deletion_with_the_right_etag_deletes(labels: Labels) -> None:
    """The etag is that of the last move."""
    label = await labels.set("1.0.0")
    await labels.delete(label.etag)
    assert await labels.current() == ()


async def test_a_retried_set_answers_the_first_outcome(labels: Labels) -> None:
    """Also when the label moved on meanwhile, which the retry leaves alone."""
    first = await labels.set("1.0.0", etag="", request_id=REQUEST)
    await labels.set("2.0.0")
    again = await labels.set("1.0.0", etag="", request_id=REQUEST.upper())
    (current,) = await labels.current()
    assert (again, current.semver) == (first, "2.0.0")


async def test_a_retried_set_to_the_same_version_answers_the_first_outcome(labels: Labels) -> None:
    """A request that changed nothing is remembered too."""
    first = await labels.set("1.0.0")
    same = await labels.set("1.0.0", request_id=REQUEST)
    await labels.set("2.0.0")
    again = await labels.set("1.0.0", request_id=REQUEST)
    assert (same, again) == (first, first)


async def test_a_retried_roll_back_walks_once(labels: Labels) -> None:
    """The retry answers where the first went."""
    await labels.set("1.0.0")
    await labels.set("2.0.0")
    etag = (await labels.set("3.0.0")).etag
    first = await labels.roll_back(etag, REQUEST)
    again = await labels.roll_back(etag, REQUEST)
    (current,) = await labels.current()
    assert (first.semver, again, current) == ("2.0.0", first, first)


async def test_a_retried_deletion_succeeds(labels: Labels) -> None:
    """And leaves a label alone that was made anew."""
    await labels.set("1.0.0")
    await labels.delete(request_id=REQUEST)
    await labels.delete(request_id=REQUEST)
    await labels.set("2.0.0")
    await labels.delete(request_id=REQUEST)
    (current,) = await labels.current()
    assert current.semver == "2.0.0"


async def test_a_request_that_failed_is_not_remembered(labels: Labels) -> None:
    """It can be repeated when what was wrong is right."""
    with pytest.raises(AbortedError):
        await labels.set("1.0.0", etag="wrong", request_id=REQUEST)
    label = await labels.set("1.0.0", request_id=REQUEST)
    assert label.semver == "1.0.0"


async def test_a_request_id_is_for_one_request(labels: Labels) -> None:
    """Another action, version, etag or label under the same id is refused."""
    label = await labels.set("1.0.0", request_id=REQUEST)
    errors = []
    for call in (
        labels.set("2.0.0", request_id=REQUEST),
        labels.set("1.0.0", etag="", request_id=REQUEST),
        labels.roll_back(label.etag, REQUEST),
        labels.delete(request_id=REQUEST),
        labels.registry.set_label(
            TENANT,
            bundle_id="companion",
            label="other",
            semver="1.0.0",
            etag=None,
            actor=ACTOR,
            request_id=REQUEST,
        ),
    ):
        with pytest.raises(AlreadyExistsError) as caught:
            await call
        errors.append(describe(caught.value))
    assert (errors, await labels.current()) == ([REUSED] * 5, (label,))


async def test_request_ids_are_remembered_for_a_week(
    labels: Labels, clock: TickingClock, database: Database
) -> None:
    """Then the next request with an id has them forgotten, so that they take no room for ever."""
    await labels.set("1.0.0", request_id=REQUEST)
    clock.now += REQUEST_MEMORY_MICROSECONDS - 2
    await labels.set("2.0.0", request_id=OTHER_REQUEST)
    kept = await database.fetch(select(func.count()).select_from(label_requests))
    clock.now += 2
    await labels.set("3.0.0", request_id="01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e46")
    left = await database.fetch(select(label_requests.c.request_id).order_by(label_requests.c.request_id))
    assert (kept[0][0], [row.request_id for row in left]) == (
        2,
        [OTHER_REQUEST, "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e46"],
    )


async def test_tenants_have_labels_and_requests_of_their_own(labels: Labels) -> None:
    """The same names and ids mean something else for another tenant."""
    await labels.set("1.0.0", request_id=REQUEST)
    with pytest.raises(NotFoundError) as caught:
        await labels.registry.set_label(
            "other",
            bundle_id="companion",
            label="live",
            semver="2.0.0",
            etag="",
            actor=ACTOR,
            request_id=REQUEST,
        )
    assert caught.value.reason is ErrorReason.BUNDLE_NOT_FOUND


async def test_every_bad_field_is_reported_at_once(labels: Labels) -> None:
    """All fields of each request, and nothing else."""
    found = []
    for call in (
        labels.registry.set_label(
            TENANT, bundle_id="ä", label="v1", semver="1", etag=None, actor=ACTOR, request_id="1"
        ),
        labels.registry.roll_back_label(
            TENANT, bundle_id="", label="", etag="", actor=ACTOR, request_id=REQUEST[:-1]
        ),
        labels.registry.delete_label(
            TENANT, bundle_id="", label="1", etag="", actor=ACTOR, request_id=f"{{{REQUEST}}}"
        ),
    ):
        with pytest.raises(InvalidInputError) as caught:
            await call
        found.append([violation.field for violation in caught.value.violations])
    assert found == [
        ["bundle_id", "label", "semver", "request_id"],
        ["bundle_id", "label", "etag", "request_id"],
        ["bundle_id", "label", "request_id"],
    ]


@pytest.mark.parametrize("request_id", ["1", REQUEST[:-1], f"{{{REQUEST}}}", REQUEST.replace("-", "")])
async def test_a_request_id_is_a_uuid(labels: Labels, request_id: str) -> None:
    """Anything else is an invalid field."""
    with pytest.raises(InvalidInputError) as caught:
        await labels.set("1.0.0", request_id=request_id)
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.FIELD_INVALID,
        {"field": "request_id"},
    )
