"""Counts and times the calls of a server."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds in seconds: a warm render is in the first, a default deadline in the last."""


class CallMetrics:
    """A `CallObserver` that keeps Prometheus metrics; for one event loop, at about 2 µs a call.

    `method` is a full method such as /pecia.v1.PromptService/Render; there must be few of them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "pecia_requests_total", "Calls answered.", ("method", "code"), registry=registry
        )
        self._seconds = Histogram(
            "pecia_request_seconds",
            "Time to answer a call; of a stream, to its end.",
            ("method",),
            registry=registry,
            buckets=BUCKETS,
        )
        self._in_flight = Gauge(
            "pecia_requests_in_flight", "Calls being answered.", ("method",), registry=registry
        )
        self._methods: dict[str, _Method] = {}

    def started(self, method: str) -> None:
        """Count a call that begins."""
        self._of(method).in_flight.inc()

    def finished(self, method: str, code: str, seconds: float) -> None:
        """Count a call that ended with a status after some seconds."""
        metrics = self._of(method)
        metrics.in_flight.dec()
        metrics.seconds.observe(seconds)
        counter = metrics.codes.get(code)
        if counter is None:
            counter = metrics.codes[code] = self._requests.labels(method.removeprefix("/"), code)
        counter.inc()

    def _of(self, method: str) -> _Method:
        metrics = self._methods.get(method)
        if metrics is None:
            name = method.removeprefix("/")
            metrics = self._methods[method] = _Method(
                self._in_flight.labels(name), self._seconds.labels(name)
            )
        return metrics


class _Method:
    """The metrics of one method: looking up labels each time would cost more than counting."""

    __slots__ = ("codes", "in_flight", "seconds")

    def __init__(self, in_flight: Gauge, seconds: Histogram) -> None:
        self.in_flight = in_flight
        self.seconds = seconds
        self.codes: dict[str, Counter] = {}
