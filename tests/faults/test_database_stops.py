"""The database stops under load and returns: renders go on, and every record reaches it in the end."""

import asyncio
import time
from pathlib import Path

from support.faults.figures import Fault, Figures, milliseconds
from support.faults.load import DEADLINE, Load, account
from support.faults.scale import size
from support.faults.served import SECONDS, Client, connected, serving
from support.faults.trend import quantile
from support.outage import private_postgres
from support.wire import publish

CALLERS = 4

# Far more than a render takes on any machine. What waits for the database itself waits for longer: it comes
# back only when every caller has ended, the last ones by the clients' deadline, and then renders have failed.
BOUND_SECONDS = DEADLINE / 2


async def render_for(seconds: float, client: Client, load: Load) -> list[float]:
    """Render for so long from several callers, and return how long each answer took."""
    stop = asyncio.Event()
    first = len(load.seconds)
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await asyncio.gather(*(load.unary(client, stop) for _ in range(CALLERS)), load.stream(client, stop))
    return load.seconds[first:]


async def test_the_database_stops_and_returns_under_load(tmp_path: Path, figures: Figures) -> None:
    """No render of a cached bundle fails or waits, and each that was answered has its one record."""
    outage, around = size(3, 60), size(1, 10)
    load = Load("outage")
    async with (
        private_postgres() as (postgres, url),
        # What waits longer than the outage itself needs the time to be written.
        serving(url, audit_spool_dir=tmp_path, shutdown_grace=SECONDS, database_connect_timeout=1) as server,
        connected(server.target) as client,
    ):
        await publish(client.registry)
        await render_for(0.2, client, load)
        before = await render_for(around, client, load)
        stopped = time.monotonic()
        await postgres.stop()
        during = await render_for(outage, client, load)
        await postgres.start()
        away = time.monotonic() - stopped
        after = await render_for(around, client, load)
        end = await server.stopped(2 * SECONDS)
        result = await account(url, load.acknowledged)
    phases = {"before": before, "during": during, "after": after}
    figures.add(
        Fault.OUTAGE,
        f"PostgreSQL away for {away:.0f} s, {CALLERS} callers and a stream",
        **{
            f"p50/p99/max {name}": "/".join(
                milliseconds(value) for value in (quantile(times, 0.5), quantile(times, 0.99), max(times))
            )
            for name, times in phases.items()
        },
        renders_during=len(during),
        failed=load.failures.total(),
        acknowledged=result.acknowledged,
        lost=result.lost,
        twice=result.twice,
    )
    assert (0, 0, 0, 0) == (load.failures.total(), result.lost, result.wrong, result.twice)
    assert (result.acknowledged, 0) == (result.recorded, end["audit_dropped"])
    assert max(during) < BOUND_SECONDS
