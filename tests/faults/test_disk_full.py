"""The disk of the spool is full: renders go on or are refused, as is set, until there is room again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from pecia.v1 import prompt_service_pb2 as pb
from support.faults.figures import Fault, Figures
from support.faults.load import rows
from support.faults.scale import mode, size
from support.faults.served import SECONDS, Client, Served, connected, serving
from support.faults.small_disk import can_mount, filled, on_small_disk
from support.pages import page
from support.statuses import read_failure
from support.wire import payload, publish, version_ref

# Room for what waits from all rounds: a database that is locked again at once takes nothing between two.
DISK_BYTES = 96 * 1024 * 1024
SEGMENT_BYTES = 64 * 1024

# More than the rest of a page that a file system may leave in the file that is written to.
TASK = "x" * 5_000

# The full form is there for its figures: a table with a row left out would tell too much.
pytestmark = pytest.mark.skipif(
    mode() != "full" and not can_mount(),
    reason="no file system can be mounted here in a namespace of its own (unshare --mount)",
)


async def render(client: Client, count: int) -> tuple[set[str], list[str]]:
    """Render one prompt after the other; return the ids of those answered, and why others were refused."""
    ids, reasons = set(), []
    request = pb.RenderRequest(bundle=version_ref(), payload=payload(task=TASK))
    for _ in range(count):
        try:
            ids.add((await client.prompts.Render(request)).receipt.render_id)
        except grpc.aio.AioRpcError as error:
            reasons.append(read_failure(error).reason)
    return ids, reasons


async def readiness(server: Served) -> tuple[int, list[str]]:
    """Return what the readiness page says: its status, and why."""
    ready = await page(server.events("serving")[0]["metrics"], "/readyz")
    return ready.status, ready.json["reasons"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("policy", ["drop", "refuse"])
async def test_a_full_disk_is_handled_as_is_set(
    policy: str, migrated_database_url: str, tmp_path: Path, figures: Figures
) -> None:
    """What is dropped or refused is counted exactly, and no record from before or after is missing."""
    rounds, around, within = size(1, 10), size(20, 100), size(50, 200)
    spool = tmp_path / "spool"
    spool.mkdir()
    kept, during, refused = set[str](), set[str](), list[str]()
    pages = []
    async with (
        serving(
            migrated_database_url,
            within=on_small_disk(spool, DISK_BYTES),
            audit_spool_dir=spool,
            audit_full=policy,
            audit_segment_bytes=SEGMENT_BYTES,
            metrics_listen="127.0.0.1:0",
            shutdown_grace=SECONDS,
        ) as server,
        connected(server.target) as client,
    ):
        await publish(client.registry)
        for _ in range(rounds):
            # As long as the database takes nothing, nothing is delivered, which would make room.
            with closing(sqlite3.connect(migrated_database_url.removeprefix("sqlite:///"))) as other:
                other.execute("BEGIN IMMEDIATE")
                before, _ = await render(client, around)
                with filled(server.process.pid, spool):
                    answered, reasons = await render(client, within)
                    pages.append(await readiness(server))
                after, failures = await render(client, around)
                assert [] == failures
            kept |= before | after
            during |= answered
            refused += reasons
        end = await server.stopped(2 * SECONDS)
    recorded = {render_id for render_id, _ in await rows(migrated_database_url)}
    began = [entry for entry in server.events("audit_records_not_taken") if entry["count"] == 1]
    over = server.events("audit_records_taken_again")
    figures.add(
        Fault.DISK_FULL,
        f"policy {policy}, {rounds} times",
        answered=len(kept) + len(during),
        of_these_while_full=len(during),
        dropped=end["audit_dropped"],
        refused=len(refused),
        lost_from_before_and_after=len(kept - recorded),
        log_lines_at_the_change=f"{len(began)} and {len(over)}",
        reason=began[0]["reason"],
    )
    assert set() == kept - recorded
    assert len(kept | during) - len(recorded) == end["audit_dropped"]
    assert recorded <= kept | during
    assert (rounds, rounds) == (len(began), len(over))
    assert all(status == 503 and "audit_full" in reasons for status, reasons in pages)
    if policy == "drop":
        assert (within * rounds, 0) == (len(during), len(refused))
        assert end["audit_dropped"] > 0
    else:
        assert {"AUDIT_FULL"} == set(refused)
        assert 0 == end["audit_dropped"]
