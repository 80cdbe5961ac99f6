"""The null sink, and one tenant's way into a sink."""

from pecia_service.audit.ports import AuditSink, SinkStatus
from pecia_service.audit.record import AuditRecord
from pecia_service.audit.sinks.null import NullAuditSink
from pecia_service.audit.sinks.tenant import TenantSink
from pecia_service.audit.sinks.turns import Turns
from support.audit import make_payload, make_receipt, record_render, render


class ListSink(NullAuditSink):
    """Keeps records in a list."""

    keeps_records = True

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    def record(self, record: AuditRecord) -> None:
        """Keep the record."""
        self.records.append(record)


class RefusingSink(NullAuditSink):
    """Keeps nothing, and does not want to be asked."""

    def record(self, record: AuditRecord) -> None:
        """Refuse."""
        raise AssertionError("nothing should be made for a sink that keeps nothing")


async def hand_over(
    sink: AuditSink, *, inline: bool = False, keep_prompt: bool = True, keep_payload: bool = True
) -> None:
    """Hand one render to a sink as the generator does."""
    result = render()
    tenant_sink = TenantSink(Turns(sink), "acme", keep_prompt=keep_prompt, keep_payload=keep_payload)
    recorded = tenant_sink.record(make_receipt(result), result, make_payload(), inline=inline)
    if recorded is not None:
        await recorded


async def test_a_tenants_renders_become_its_records() -> None:
    """The record is that of the render, with the tenant."""
    sink = ListSink()
    await hand_over(sink)
    assert sink.records == [record_render(tenant_id="acme")]


async def test_what_is_kept_is_a_setting() -> None:
    """Prompt, payload and inline pieces are kept as the sink was told."""
    sink = ListSink()
    await hand_over(sink, inline=True, keep_prompt=False, keep_payload=False)
    assert sink.records == [
        record_render(tenant_id="acme", inline=True, keep_prompt=False, keep_payload=False)
    ]


async def test_no_record_is_made_for_the_null_sink() -> None:
    """Hashing a record that nobody keeps would only cost time."""
    sink = RefusingSink()
    await hand_over(sink)
    assert not sink.keeps_records


async def test_the_null_sink_is_always_done() -> None:
    """It holds nothing, and there is nothing to flush or to close."""
    sink = NullAuditSink()
    record = record_render()
    sink.record(record)
    flushed = await sink.flush(0)
    await sink.aclose(0)
    assert (sink.holds(record.render_id), flushed, sink.status()) == (
        False,
        True,
        SinkStatus(queued=0, queued_bytes=0, written=0, dropped=0, failing=False),
    )
