"""Labels over a channel: compare-and-set, history, rolling back, retries, and renders that follow at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio
from pecia.v1 import label_pb2
from pecia.v1 import prompt_service_pb2 as prompt_pb
from pecia.v1 import registry_service_pb2 as pb
from support.server import LiveServer, live_server
from support.statuses import failure_of, read_failure
from support.wire import label_ref, payload, publish

FIRST_ID = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"
VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
SET, ROLL_BACK, DELETE = (
    label_pb2.LABEL_ACTION_SET,
    label_pb2.LABEL_ACTION_ROLL_BACK,
    label_pb2.LABEL_ACTION_DELETE,
)


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server on a registry with three versions of a bundle."""
    async with live_server(migrated_database_url) as live:
        await publish(live.registry, semvers=VERSIONS)
        yield live


async def set_label(
    server: LiveServer, semver: str, label: str = "production", **fields: Any
) -> label_pb2.Label:
    """Set a label."""
    request = pb.SetLabelRequest(bundle_id="companion", label=label, semver=semver, **fields)
    return (await server.registry.SetLabel(request)).label


async def roll_back(server: LiveServer, etag: str, **fields: Any) -> label_pb2.Label:
    """Roll the label back."""
    request = pb.RollBackLabelRequest(bundle_id="companion", label="production", etag=etag, **fields)
    return (await server.registry.RollBackLabel(request)).label


async def delete(server: LiveServer, **fields: Any) -> None:
    """Delete the label."""
    request = pb.DeleteLabelRequest(bundle_id="companion", label="production", **fields)
    await server.registry.DeleteLabel(request)


async def labels(server: LiveServer, **fields: Any) -> list[label_pb2.Label]:
    """List labels."""
    return list((await server.registry.ListLabels(pb.ListLabelsRequest(**fields))).labels)


async def history(server: LiveServer, label: str = "production") -> list[tuple[int, int, str, str]]:
    """Return the history of a label, newest first: revision, action, from, to."""
    request = pb.ListLabelEventsRequest(bundle_id="companion", label=label)
    events = (await server.registry.ListLabelEvents(request)).events
    assert {"anonymous"} >= {event.actor for event in events}
    return [(event.revision, event.action, event.from_semver, event.to_semver) for event in events]


async def rendered_version(server: LiveServer) -> str:
    """Render by the label and return the exact version that was used."""
    request = prompt_pb.RenderRequest(bundle=label_ref("production"), payload=payload())
    return (await server.prompts.Render(request)).receipt.semver


async def test_a_label_is_created_and_listed(server: LiveServer) -> None:
    """What SetLabel answers is what ListLabels answers then."""
    label = await set_label(server, "1.0.0")
    assert ("companion", "production", "1.0.0") == (label.bundle_id, label.label, label.semver)
    assert ("anonymous", True) == (label.updated_by, bool(label.etag))
    assert [label] == await labels(server, bundle_id="companion")


async def test_labels_are_listed_by_bundle_and_label_in_pages(server: LiveServer) -> None:
    """The order is that of bytes: bundle first, then label; pages go on where they ended."""
    await publish(server.registry, bundle_id="Beta")
    for label in ("b", "B", "a"):
        await set_label(server, "1.0.0", label)
    await server.registry.SetLabel(pb.SetLabelRequest(bundle_id="Beta", label="z", semver="1.0.0"))
    first = await server.registry.ListLabels(pb.ListLabelsRequest(page_size=3))
    rest = await server.registry.ListLabels(
        pb.ListLabelsRequest(page_size=3, page_token=first.next_page_token)
    )
    listed = [(label.bundle_id, label.label) for page in (first, rest) for label in page.labels]
    assert [("Beta", "z"), ("companion", "B"), ("companion", "a"), ("companion", "b")] == listed
    assert [3, 1] == [len(first.labels), len(rest.labels)]


async def test_a_render_follows_a_label_at_once(server: LiveServer) -> None:
    """Each render uses the version that the label points to when it is asked, warm or cold."""
    used = []
    for semver in ("1.0.0", "2.0.0", "1.0.0", "3.0.0"):
        await set_label(server, semver)
        used += [await rendered_version(server), await rendered_version(server)]
    assert ["1.0.0", "1.0.0", "2.0.0", "2.0.0", "1.0.0", "1.0.0", "3.0.0", "3.0.0"] == used


async def test_a_render_of_another_server_follows_at_once(server: LiveServer) -> None:
    """A label that was moved through one server has moved for all of them."""
    await set_label(server, "1.0.0")
    async with live_server(server.settings.database_url) as other:
        used = [await rendered_version(other)]
        await set_label(server, "2.0.0")
        used.append(await rendered_version(other))
    assert ["1.0.0", "2.0.0"] == used


async def test_a_label_may_be_stale_where_that_is_allowed(server: LiveServer) -> None:
    """With the setting, a server remembers for so long where a label pointed."""
    await set_label(server, "1.0.0")
    async with live_server(server.settings.database_url, label_staleness="3600") as lazy:
        used = [await rendered_version(lazy)]
        await set_label(server, "2.0.0")
        used.append(await rendered_version(lazy))
    assert ["1.0.0", "1.0.0"] == used


async def test_setting_a_label_to_where_it_points_changes_nothing(server: LiveServer) -> None:
    """There is no event, and the etag stays."""
    label = await set_label(server, "1.0.0")
    assert label == await set_label(server, "1.0.0")
    assert [(1, SET, "", "1.0.0")] == await history(server)


async def test_a_label_moves_only_from_the_given_etag(server: LiveServer) -> None:
    """A stale etag, and the empty one for a label that exists, are ABORTED and move nothing."""
    first = await set_label(server, "1.0.0", etag="")
    second = await set_label(server, "2.0.0", etag=first.etag)
    failures = [
        await failure_of(set_label(server, "3.0.0", etag=first.etag)),
        await failure_of(set_label(server, "3.0.0", etag="")),
        await failure_of(roll_back(server, first.etag)),
        await failure_of(delete(server, etag=first.etag)),
    ]
    assert {(grpc.StatusCode.ABORTED, "ETAG_MISMATCH")} == {(item.code, item.reason) for item in failures}
    assert first.etag != second.etag
    assert [second] == await labels(server)


async def test_one_of_ten_concurrent_moves_from_one_etag_wins(server: LiveServer) -> None:
    """The others are ABORTED, and the history has one entry more."""
    etag = (await set_label(server, "1.0.0")).etag
    answers = await asyncio.gather(
        *(set_label(server, VERSIONS[1 + number % 2], etag=etag) for number in range(10)),
        return_exceptions=True,
    )
    won = [answer for answer in answers if isinstance(answer, label_pb2.Label)]
    lost = [read_failure(answer).reason for answer in answers if isinstance(answer, aio.AioRpcError)]
    assert ["ETAG_MISMATCH"] * 9 == lost
    assert won == await labels(server)
    assert 2 == len(await history(server))


async def test_rolling_back_walks_back(server: LiveServer) -> None:
    """Each roll-back goes to the version before the current entry, until there is none."""
    for semver in VERSIONS:
        label = await set_label(server, semver)
    walked = []
    for _ in range(2):
        label = await roll_back(server, label.etag)
        walked.append(label.semver)
    failure = await failure_of(roll_back(server, label.etag))
    assert ["2.0.0", "1.0.0"] == walked
    assert (grpc.StatusCode.FAILED_PRECONDITION, "LABEL_HISTORY_EXHAUSTED") == (failure.code, failure.reason)
    assert "1.0.0" == await rendered_version(server)


async def test_a_set_after_a_roll_back_builds_on_what_it_found(server: LiveServer) -> None:
    """The way back leads past what was rolled back."""
    for semver in VERSIONS:
        label = await set_label(server, semver)
    label = await roll_back(server, (await roll_back(server, label.etag)).etag)
    label = await set_label(server, "3.0.0")
    assert "1.0.0" == (await roll_back(server, label.etag)).semver


async def test_history_outlives_deletion(server: LiveServer) -> None:
    """Events stay; a label that is set anew counts on, and has nothing to roll back to."""
    label = await set_label(server, "2.0.0", etag=(await set_label(server, "1.0.0")).etag)
    await roll_back(server, label.etag)
    await delete(server)
    gone = await failure_of(rendered_version(server))
    again = await set_label(server, "3.0.0", etag="")
    assert ("LABEL_NOT_FOUND", "LABEL_HISTORY_EXHAUSTED") == (
        gone.reason,
        (await failure_of(roll_back(server, again.etag))).reason,
    )
    assert [
        (5, SET, "", "3.0.0"),
        (4, DELETE, "1.0.0", ""),
        (3, ROLL_BACK, "2.0.0", "1.0.0"),
        (2, SET, "1.0.0", "2.0.0"),
        (1, SET, "", "1.0.0"),
    ] == await history(server)


async def test_histories_are_listed_by_label_in_pages(server: LiveServer) -> None:
    """Labels are in byte order, the newest event of each first."""
    for label, semver in (("b", "1.0.0"), ("a", "1.0.0"), ("b", "2.0.0"), ("a", "2.0.0")):
        await set_label(server, semver, label)
    listed, token = [], ""
    for _ in range(2):
        request = pb.ListLabelEventsRequest(bundle_id="companion", page_size=3, page_token=token)
        page = await server.registry.ListLabelEvents(request)
        listed += [(event.label, event.revision) for event in page.events]
        token = page.next_page_token
    assert ([("a", 2), ("a", 1), ("b", 2), ("b", 1)], "") == (listed, token)


async def test_a_retry_answers_the_first_outcome(server: LiveServer) -> None:
    """A request id makes a late retry of a set or a roll-back harmless, whatever happened since."""
    first = await set_label(server, "1.0.0", request_id=FIRST_ID)
    second = await set_label(server, "2.0.0")
    assert first == await set_label(server, "1.0.0", request_id=FIRST_ID.upper())
    rolled = await roll_back(server, second.etag, request_id=FIRST_ID.replace("0", "1"))
    last = await set_label(server, "3.0.0")
    assert rolled == await roll_back(server, second.etag, request_id=FIRST_ID.replace("0", "1"))
    assert [last] == await labels(server)


async def test_a_retried_deletion_succeeds(server: LiveServer) -> None:
    """Without a request id it is NOT_FOUND; a label that was set in between stays."""
    await set_label(server, "1.0.0")
    await delete(server, request_id=FIRST_ID)
    assert "LABEL_NOT_FOUND" == (await failure_of(delete(server))).reason
    again = await set_label(server, "2.0.0")
    await delete(server, request_id=FIRST_ID)
    assert [again] == await labels(server)


async def test_a_label_needs_an_existing_version(server: LiveServer) -> None:
    """A version that was never published is NOT_FOUND, and there is no label then."""
    failure = await failure_of(set_label(server, "9.0.0"))
    assert (grpc.StatusCode.NOT_FOUND, "BUNDLE_NOT_FOUND") == (failure.code, failure.reason)
    assert [] == await labels(server)
