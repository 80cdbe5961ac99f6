"""A client of the monitoring pages."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

SECONDS = 30.0


@dataclass(frozen=True)
class Page:
    """What was answered; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def fetch(address: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Page:
    """Ask HOST:PORT for a page, from any thread."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=SECONDS)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return Page(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        )
    finally:
        connection.close()


async def page(address: str, path: str, **options: Any) -> Page:
    """Ask for a page while this event loop goes on."""
    return await asyncio.to_thread(fetch, address, path, **options)


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return the value of one series, 0 where there is none: a counter that was never counted."""
        return self._samples.get((name, frozenset(labels.items())), 0.0)

    def labels(self) -> dict[str, set[str]]:
        """Return the labels that each series name has."""
        found: dict[str, set[str]] = {}
        for name, labels in self._samples:
            found.setdefault(name, set()).update(label for label, _ in labels)
        return found


async def scrape(address: str) -> Scrape:
    """Read /metrics."""
    answer = await page(address, "/metrics")
    assert answer.status == 200, answer.body
    return Scrape(answer.body.decode())
