"""The pages of a service with several workers."""

import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from grpc import aio
from pecia.v1 import registry_service_pb2 as pb
from pecia.v1 import registry_service_pb2_grpc
from pecia_service.server.monitoring.http_server import MonitoringServer, text_answer
from pecia_service.server.monitoring.pages import json_page
from pecia_service.server.workers.monitoring import WorkerPages
from support.pages import Page, Scrape, page, scrape
from support.supervised import refused, supervised

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

METRICS = r"""
# HELP pecia_calls_total Calls of "a\\b".
# TYPE pecia_calls_total counter
pecia_calls_total{method="a\\b\"c\n"} 4.0
# HELP pecia_seconds Seconds.
# TYPE pecia_seconds histogram
pecia_seconds_bucket{le="0.1"} 1.0
pecia_seconds_bucket{le="+Inf"} 2.0
pecia_seconds_count 2.0
pecia_seconds_sum 0.5
# HELP pecia_up Up.
# TYPE pecia_up gauge
pecia_up 1.0
"""
CALLS = {"method": 'a\\b"c\n'}


@asynccontextmanager
async def served(pages: Mapping[str, "WSGIApplication"]) -> AsyncIterator[str]:
    """Serve pages; give HOST:PORT."""
    server = MonitoringServer("127.0.0.1:0", pages)
    server.start()
    try:
        yield server.address
    finally:
        await server.close()


def worker_pages(*, well: bool) -> dict[str, "WSGIApplication"]:
    """Make the pages of a worker."""

    def metrics(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return text_answer(start_response, HTTPStatus.OK, METRICS)

    return {
        "/metrics": metrics,
        "/healthz": json_page(lambda: (well, {"healthy": well})),
        "/readyz": json_page(lambda: (well, {"ready": well})),
    }


@asynccontextmanager
async def together(*workers: str) -> AsyncIterator[str]:
    """Serve the pages of workers that are well, ill, silent (nobody answers) or absent; give HOST:PORT."""
    async with AsyncExitStack() as stack:
        serving = {}
        for index, kind in enumerate(workers):
            if kind == "silent":
                bound = stack.enter_context(socket.socket())
                bound.bind(("127.0.0.1", 0))
                serving[index] = f"127.0.0.1:{bound.getsockname()[1]}"
            elif kind != "absent":
                serving[index] = await stack.enter_async_context(served(worker_pages(well=kind == "well")))
        pages = stack.enter_context(closing(WorkerPages(lambda: serving, lambda: range(len(workers)))))
        yield await stack.enter_async_context(served(pages.pages()))


def judged(answer: Page) -> tuple[int, object]:
    """Give what a probe sees, and why."""
    return answer.status, answer.json


async def test_metrics_have_each_family_once_and_each_sample_with_its_worker() -> None:
    """Prometheus refuses a page that repeats a family; labels of the workers stay as they are."""
    async with together("well", "ill") as address:
        answer = await page(address, "/metrics")
    text = answer.body.decode()
    heads = [line for line in text.splitlines() if line.startswith("#")]
    found = Scrape(text)
    assert {1} == set(Counter(heads).values())
    for worker in ("0", "1"):
        assert [4.0, 1.0, 2.0, 0.5, 1.0] == [
            found.value("pecia_calls_total", worker=worker, **CALLS),
            found.value("pecia_seconds_bucket", worker=worker, le="0.1"),
            found.value("pecia_seconds_count", worker=worker),
            found.value("pecia_seconds_sum", worker=worker),
            found.value("pecia_up", worker=worker),
        ]
    assert {"pecia_calls": "counter", "pecia_seconds": "histogram", "pecia_up": "gauge"}.items() <= {
        family.name: family.type for family in found.families
    }.items()


async def test_the_supervisor_counts_workers_and_restarts() -> None:
    """Here each worker was restarted as often as its number says, and one does not serve."""
    async with together("well", "silent", "absent") as address:
        found = await scrape(address)
    restarts = [found.value("pecia_worker_restarts_total", worker=str(index)) for index in range(3)]
    assert (2.0, [0.0, 1.0, 2.0]) == (found.value("pecia_workers_running"), restarts)
    assert [1.0, 0.0] == [found.value("pecia_up", worker="0"), found.value("pecia_up", worker="1")]


async def test_a_service_is_well_while_one_worker_is() -> None:
    """Each worker is shown as it is."""
    async with together("absent", "silent", "ill", "well") as address:
        ready, healthy = await page(address, "/readyz"), await page(address, "/healthz")
    for answer, verdict in ((ready, "ready"), (healthy, "healthy")):
        workers = {
            "0": {verdict: False, "reasons": ["not_serving"]},
            "1": {verdict: False, "reasons": ["no_answer"]},
            "2": {verdict: False},
            "3": {verdict: True},
        }
        assert (200, {verdict: True, "reasons": [], "workers": workers}) == judged(answer)


async def test_a_service_without_a_worker_that_is_well_is_not() -> None:
    """503, for both probes."""
    async with together("absent", "silent", "ill") as address:
        ready, healthy = await page(address, "/readyz"), await page(address, "/healthz")
    assert [(503, False, ["no_worker"]), (503, False, ["no_worker"])] == [
        (ready.status, ready.json["ready"], ready.json["reasons"]),
        (healthy.status, healthy.json["healthy"], healthy.json["reasons"]),
    ]


async def test_calls_of_all_workers_are_on_the_page_of_the_service(tmp_path: Path) -> None:
    """Over real servers, each call counts once, at the worker that answered it."""
    url = f"sqlite:///{tmp_path / 'pecia.db'}"
    async with supervised(url, "--metrics-listen", "127.0.0.1:0") as service, AsyncExitStack() as stack:
        address = service.lines[-1]["metrics"]
        for _ in range(24):
            channel = await stack.enter_async_context(
                aio.insecure_channel(service.target, [("grpc.use_local_subchannel_pool", 1)])
            )
            await registry_service_pb2_grpc.RegistryServiceStub(channel).ListTemplates(
                pb.ListTemplatesRequest()
            )
        found = await scrape(address)
        ready, healthy = await page(address, "/readyz"), await page(address, "/healthz")
        service.process.terminate()
        code = await service.rest()
    counted = {
        sample.labels["worker"]: sample.value
        for family in found.families
        for sample in family.samples
        if sample.name == "pecia_requests_total" and sample.labels["method"].endswith("/ListTemplates")
    }
    assert ({"0", "1"}, 24.0, 2.0) == (
        set(counted),
        sum(counted.values()),
        found.value("pecia_workers_running"),
    )
    assert [(200, {"0", "1"}), (200, {"0", "1"})] == [
        (answer.status, set(answer.json["workers"])) for answer in (ready, healthy)
    ]
    assert 0 == code


async def test_an_address_of_metrics_that_is_taken_is_refused(tmp_path: Path) -> None:
    """One line and exit code 4, before any worker starts."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        ended = await refused(
            *("--listen", "127.0.0.1:0", "--workers", "2", "--metrics-listen", listen),
            *("--database-url", f"sqlite:///{tmp_path / 'pecia.db'}"),
        )
    line = (
        f"error: can't listen on {listen}: "
        "the port is taken; choose another with --metrics-listen or PECIA_METRICS_LISTEN\n"
    )
    assert (4, line) == ended
