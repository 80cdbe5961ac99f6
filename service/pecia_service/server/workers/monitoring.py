"""The pages of a service with several workers: what each of them tells, put together by the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final

import orjson
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pecia_service.server.monitoring.pages import json_page

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

LABEL: Final = "worker"
"""The label that tells the workers' samples apart."""

_SECONDS: Final = 3.0
_AT_ONCE: Final = 8


class WorkerPages:
    """Asks the workers that serve for their pages, a few at once, each for at most three seconds.

    `serving` gives HOST:PORT of each such worker's pages by its number, `restarts` how often each worker was
    started anew; both are called from several threads.
    """

    def __init__(
        self, serving: Callable[[], Mapping[int, str]], restarts: Callable[[], Sequence[int]]
    ) -> None:
        self._serving = serving
        self._restarts = restarts
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="worker-pages")

    def pages(self) -> dict[str, WSGIApplication]:
        """Return the pages by their paths."""
        registry = CollectorRegistry()
        registry.register(_Collector(self._metrics))
        return {
            "/metrics": make_wsgi_app(registry),
            "/healthz": json_page(lambda: self._judge("/healthz", "healthy")),
            "/readyz": json_page(lambda: self._judge("/readyz", "ready")),
        }

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, path: str) -> dict[int, tuple[int, bytes] | None]:
        """Get a page of all workers that serve: status and body, None where no answer came."""
        serving = sorted(self._serving().items())
        answers = self._threads.map(lambda address: _get(address, path), [address for _, address in serving])
        return {index: answer for (index, _), answer in zip(serving, answers, strict=True)}

    def _judge(self, path: str, verdict: str) -> tuple[bool, dict[str, object]]:
        """A service is as well as the best of its workers: the others get no connections, or few."""
        workers: dict[str, object] = {
            str(index): {verdict: False, "reasons": ["not_serving"]} for index in range(len(self._restarts()))
        }
        well = False
        for index, answer in self._ask(path).items():
            if answer is None:
                workers[str(index)] = {verdict: False, "reasons": ["no_answer"]}
            else:
                well = well or answer[0] == HTTPStatus.OK
                workers[str(index)] = orjson.loads(answer[1])
        return well, {verdict: well, "reasons": [] if well else ["no_worker"], "workers": workers}

    def _metrics(self) -> Iterator[Metric]:
        answers = self._ask("/metrics")
        running = GaugeMetricFamily("pecia_workers_running", "Workers that serve.")
        running.add_metric([], len(answers))
        yield running
        restarts = CounterMetricFamily(
            "pecia_worker_restarts", "How often a worker was started again after its end.", labels=[LABEL]
        )
        for index, times in enumerate(self._restarts()):
            restarts.add_metric([str(index)], times)
        yield restarts
        yield from merged(
            (index, answer[1].decode()) for index, answer in answers.items() if answer is not None
        )


def merged(pages: Iterable[tuple[int, str]]) -> Iterable[Metric]:
    """Put pages in Prometheus' text format together: each family once, each sample with its worker."""
    families: dict[str, Metric] = {}
    for index, page in pages:
        for family in text_string_to_metric_families(page):
            one = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            one.samples += [
                sample._replace(labels={**sample.labels, LABEL: str(index)}) for sample in family.samples
            ]
    return families.values()


class _Collector(Collector):
    """Asks when it is asked, and not before."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def describe(self) -> Iterable[Metric]:
        """Say nothing of what there will be: that is for the workers to say."""
        return []

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _get(address: str, path: str) -> tuple[int, bytes] | None:
    connection = HTTPConnection(address, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
