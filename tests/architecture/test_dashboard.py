"""The dashboard, the alerts and the guide name what a running server serves, and all of it."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.server.monitoring.http_server import MonitoringServer
from pecia_service.server.workers.monitoring import WorkerPages
from support.checkout import ROOT
from support.monitored import monitored_server
from support.pages import SECONDS, Scrape, scrape
from support.wire import inline_bundle, payload

DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
RULES = ROOT / "deploy" / "prometheus-rules.yaml"
GUIDE = ROOT / "docs" / "monitoring.md"
# What Prometheus itself puts on each series that it scrapes.
TARGET_LABELS = {"instance", "job"}
# What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}
ROWS = ["Traffic", "Errors", "Latency", "In flight", "Caches", "Audit", "Database", "Process"]


@pytest.fixture(scope="module")
def dashboard() -> Any:
    """Give the dashboard."""
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Scrape]:
    """Give the metrics of a service with one worker, which has answered a call."""
    async with monitored_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        await server.prompts.Render(pb.RenderRequest(inline_bundle=inline_bundle(), payload=payload()))
        assert await server.application.sink.flush(SECONDS)
        workers = WorkerPages(lambda: {0: server.address}, lambda: [0])
        supervisor = MonitoringServer("127.0.0.1:0", workers.pages())
        supervisor.start()
        try:
            yield await scrape(supervisor.address)
        finally:
            await supervisor.close()
            workers.close()


def panels(dashboard: Any) -> list[Any]:
    """Return the panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def dashboard_queries(dashboard: Any) -> list[str]:
    """Return each query of the dashboard, with values for its variables."""
    found = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    found += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    for name, value in VARIABLES.items():
        found = [query.replace(name, value) for query in found]
    return found


def rules() -> list[Any]:
    """Return the alerts."""
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def parsed(query: str) -> list[Any]:
    """Return every node of a query's tree; raises ValueError for what is no PromQL."""
    nodes: list[Any] = []
    promql_parser.walk(promql_parser.parse(query), nodes.append)
    return nodes


def unknown_names(query: str, served: dict[str, set[str]]) -> Iterator[str]:
    """Yield the metrics and labels in a query that no series has."""
    nodes = parsed(query)
    selectors = [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]
    labels = TARGET_LABELS.union(*(served.get(selector.name or "", set()) for selector in selectors))
    for selector in selectors:
        if selector.name not in served:
            yield f"{selector.name} in {query}"
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name not in served[selector.name] | TARGET_LABELS:
                yield f"{selector.name}{{{matcher.name}}} in {query}"
    for node in nodes:
        modifier = getattr(node, "modifier", None)
        if isinstance(modifier, promql_parser.AggModifier):
            yield from (f"{label} in {query}" for label in modifier.labels if label not in labels)


async def test_every_query_names_what_a_server_serves(served: Scrape, dashboard: Any) -> None:
    """Each metric, and each label that it selects or sums by."""
    names = served.labels()
    queries = dashboard_queries(dashboard) + [rule["expr"] for rule in rules()]
    assert [] == [unknown for query in queries for unknown in unknown_names(query, names)]
    assert len(queries) > 40


@pytest.mark.parametrize(
    ("query", "unknown"),
    [
        ("rate(pecia_nothing_total[5m])", ["pecia_nothing_total"]),
        ('pecia_requests_total{status="OK"}', ["pecia_requests_total{status}"]),
        ("sum by (status) (rate(pecia_requests_total[5m]))", ["status"]),
        ("sum by (method) (rate(pecia_requests_total[5m]))", []),
        ("absent(pecia_ready) or pecia_ready + on (instance) pecia_nothing", ["pecia_nothing"]),
    ],
)
async def test_a_name_that_is_wrong_is_found(served: Scrape, query: str, unknown: list[str]) -> None:
    """Wherever in a query it is."""
    assert [f"{name} in {query}" for name in unknown] == list(unknown_names(query, served.labels()))


async def test_every_metric_is_shown(served: Scrape, dashboard: Any) -> None:
    """What nobody can see is not measured for anybody."""
    shown = {
        node.name
        for query in dashboard_queries(dashboard)
        for node in parsed(query)
        if isinstance(node, promql_parser.VectorSelector)
    }
    shown |= {re.sub("_(bucket|sum|count)$", "", name) for name in shown if name}
    families = {family_name(family) for family in served.families if family.name.startswith("pecia_")}
    assert {"pecia_build_info"} == families - shown
    assert "label_values(pecia_build_info, instance)" == dashboard["templating"]["list"][1]["definition"]


def of_every_worker(family: Any) -> set[str]:
    """Return the label that the supervisor puts on what its workers tell."""
    return set() if family.name in {"pecia_workers_running", "pecia_worker_restarts"} else {"worker"}


def family_name(family: Any) -> str:
    """Return the name of a metric as it is queried."""
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


async def test_the_guide_has_every_metric_with_its_type_and_labels(served: Scrape) -> None:
    """And no others."""
    rows = re.findall(
        r"^\| `(pecia_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE
    )
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    expected = {
        family_name(family): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - of_every_worker(family),
        )
        for family in served.families
        if family.name.startswith("pecia_")
    }
    assert expected == documented
    assert len(rows) == len(documented)


def test_every_alert_says_what_to_do() -> None:
    """In the guide, by its name; and in the alert what happened, and how bad it is."""
    guide = GUIDE.read_text(encoding="utf-8")
    names = [rule["alert"] for rule in rules()]
    assert names == re.findall(r"^\| `(Pecia\w+)` \| \S", guide, re.MULTILINE)
    assert {"critical", "warning"} == {rule["labels"]["severity"] for rule in rules()}
    assert [] == [rule["alert"] for rule in rules() if not rule["annotations"]["summary"].endswith(".")]


def test_what_an_alert_tells_of_is_in_its_query() -> None:
    """A label that is summed away would be empty in the message."""
    missing = [
        (rule["alert"], label)
        for rule in rules()
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
        if f"by ({label})" not in rule["expr"]
    ]
    assert [] == missing


def test_the_dashboard_has_its_rows(dashboard: Any) -> None:
    """In the order in which one looks."""
    assert ROWS == [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]


def test_the_dashboard_can_be_imported_anywhere(dashboard: Any) -> None:
    """The data source and the instances are chosen in it, and every query follows."""
    assert ["datasource", "instance"] == [item["name"] for item in dashboard["templating"]["list"]]
    sources = {
        thing["datasource"]["uid"] for panel in panels(dashboard) for thing in [panel, *panel["targets"]]
    }
    assert {"${datasource}"} == sources
    queries = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    selectors = [
        selector for query in queries for selector in re.findall(r"(?:pecia|process)_\w+(.?)", query)
    ]
    assert {"{"} == set(selectors)
    assert sum(query.count('instance=~"$instance"') for query in queries) == len(selectors)


def test_panels_do_not_overlap(dashboard: Any) -> None:
    """Each has an id and a place of its own, within the 24 columns."""
    taken = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert 24 == max(x for x, _ in taken) + 1
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
