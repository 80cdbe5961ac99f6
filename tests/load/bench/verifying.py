"""VerifyAudit over a large audit: records a second and core, and whether memory stays where it is."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from load.bench.bench import Bench
from load.bench.caller import WrongAnswerError, ask
from load.bench.figures import Figure, Row
from load.bench.rounds import Measured, Sample
from load.bench.servers import Server
from load.bench.serving import ENGINES, published, serve
from pecia.v1 import prompt_service_pb2 as pb
from support.faults.trend import fit

SECTION: Final = "VerifyAudit"

_PATH: Final = "/pecia.v1.PromptService/VerifyAudit"
_MEBIBYTE: Final = 2**20
# The first progress reports come while the caches of the run fill.
_WARM: Final = 0.2
_SAMPLES_FOR_A_TREND: Final = 40


def verify(engine: str) -> str:
    """Name the row of an engine's speed."""
    return f"VerifyAudit, {engine}"


def growth(engine: str) -> str:
    """Name the row of the growth of memory on an engine."""
    return f"Growth of memory, {engine}"


def verifying(bench: Bench) -> None:
    """Verify an audit several times on either engine, and watch the server's memory meanwhile."""
    count = bench.scale.audit_records
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for engine in ENGINES:
            store = published(bench, stack, engine)
            bench.progress(f"{engine}: filling the audit with {count:,} records")
            store.fill_audit(count)
            servers[engine] = serve(bench, stack, store)
        measured = Measured({verify(engine): [] for engine in ENGINES})
        resident: dict[str, list[int]] = {}
        for _ in range(bench.scale.verifications):
            for engine, server in servers.items():
                sample, resident[engine] = _run(server, count)
                measured.samples[verify(engine)].append(sample)
                bench.progress(f"{verify(engine)}: {sample.rate:,.0f}/CPU s  {sample.wall:,.0f}/s")
        for engine in ENGINES:
            bench.results.rows.append(
                measured.row(SECTION, verify(engine), "records", note=f"{count:,} records, all match")
            )
        for engine in ENGINES:
            bench.results.rows.append(_growth(engine, resident[engine], count))
        bench.results.details["resident bytes while verifying"] = resident


def _run(server: Server, count: int) -> tuple[Sample, list[int]]:
    """Verify once; return the sample, and the server's resident memory at each report of progress."""
    (process,) = (psutil.Process(number) for number in server.processes)
    resident: list[int] = []
    begun, before = time.perf_counter(), server.cpu_seconds()
    summary = None
    for message in ask(server.target, _PATH, pb.VerifyAuditRequest().SerializeToString()):
        event = pb.VerifyAuditResponse.FromString(message)
        if event.HasField("summary"):
            summary = event.summary
        else:
            resident.append(process.memory_info().rss)
    seconds, spent = time.perf_counter() - begun, server.cpu_seconds() - before
    if summary is None or (summary.checked, summary.matched) != (count, count):
        raise WrongAnswerError(f"VerifyAudit found {summary}, of {count} records that all match")
    return Sample(count, seconds, spent), resident


def _growth(engine: str, resident: list[int], count: int) -> Row:
    """Tell by how much memory grew in the last run, which began with a warm process."""
    name = growth(engine)
    warm = resident[round(_WARM * len(resident)) :]
    if len(warm) < _SAMPLES_FOR_A_TREND:
        return Row(SECTION, name, "MiB", missing=f"{count:,} records are too few to see a trend")
    trend = fit(warm)
    grown = Figure(trend.growth / _MEBIBYTE, trend.low / _MEBIBYTE, trend.high / _MEBIBYTE, len(warm))
    note = f"of {warm[-1] / _MEBIBYTE:.0f} MiB, over {_WARM:.0%} to 100% of the run; 95 % confidence"
    return Row(SECTION, name, "MiB", rate=grown, note=note)
