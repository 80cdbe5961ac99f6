"""CheckOutput over a channel: each rule with its span, against the bundle that was named or given."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pecia.v1 import check_pb2, constraints_pb2
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import inline_bundle, label_ref, publish, version_ref

CONSTRAINTS = constraints_pb2.Constraints(
    forbidden_tokens=["Sure", "C++"],
    max_sentence_length=4,
    max_paragraphs=1,
    no_emoji=True,
    assertiveness_level=0.5,
)


@pytest.fixture
async def server(migrated_database_url: str) -> AsyncIterator[LiveServer]:
    """Give a server with a bundle that has every constraint."""
    async with live_server(migrated_database_url) as live:
        await publish(live.registry, template_fields={"constraints": CONSTRAINTS})
        yield live


async def check(server: LiveServer, output: str, **fields: Any) -> pb.CheckOutputResponse:
    """Check an output against the published bundle, or what is given."""
    values = fields or {"bundle": version_ref()}
    return await server.prompts.CheckOutput(pb.CheckOutputRequest(output=output, **values))


def told(answer: pb.CheckOutputResponse, output: str) -> list[tuple[str, str]]:
    """Return the rule of each violation and the text of its span."""
    return [
        (
            check_pb2.ConstraintRule.Name(item.rule).removeprefix("CONSTRAINT_RULE_"),
            output[item.start : item.end],
        )
        for item in answer.violations
    ]


@pytest.mark.parametrize(
    ("output", "rule", "span"),
    [
        ("Né, SURE.", "FORBIDDEN_TOKEN", "SURE"),
        ("In C++ then.", "FORBIDDEN_TOKEN", "C++"),
        ("One two three. One two three four five.", "SENTENCE_LENGTH", "One two three four five."),
        ("𝟙 👍 ok.", "EMOJI", "👍"),
    ],
)
async def test_a_violation_has_its_span(server: LiveServer, output: str, rule: str, span: str) -> None:
    """Spans count code points of the output as it was given."""
    answer = await check(server, output)
    assert ([(rule, span)], False) == (told(answer, output), answer.passed)


async def test_too_many_paragraphs_are_a_violation(server: LiveServer) -> None:
    """What was measured and what is allowed are told."""
    answer = await check(server, "One.\n\nTwo.\n\nThree.")
    assert [(check_pb2.CONSTRAINT_RULE_PARAGRAPHS, 3, 1)] == [
        (item.rule, item.actual, item.limit) for item in answer.violations
    ]


async def test_an_answer_that_keeps_to_the_constraints_passes(server: LiveServer) -> None:
    """There are no violations; what was measured against, and the exact version, are told."""
    answer = await check(server, "Perhaps, I think.")
    assert (True, []) == (answer.passed, list(answer.violations))
    assert ("companion", "1.0.0", False) == (answer.bundle_id, answer.semver, answer.truncated)
    expected = constraints_pb2.Constraints()
    expected.CopyFrom(CONSTRAINTS)
    del expected.forbidden_tokens[:]
    expected.forbidden_tokens.extend(["C++", "Sure"])
    assert expected == answer.effective_constraints


async def test_assertiveness_only_warns(server: LiveServer) -> None:
    """The check passes all the same."""
    answer = await check(server, "Definitely always!")
    assert answer.passed
    assert [(check_pb2.CONSTRAINT_RULE_ASSERTIVENESS, check_pb2.SEVERITY_WARNING)] == [
        (item.rule, item.severity) for item in answer.violations
    ]


async def test_a_label_and_an_inline_bundle_can_be_checked_against(server: LiveServer) -> None:
    """A bundle without constraints forbids nothing."""
    await server.registry.SetLabel(
        registry_pb.SetLabelRequest(bundle_id="companion", label="production", semver="1.0.0")
    )
    by_label = await check(server, "Sure.", bundle=label_ref("production"))
    free = await check(server, "Sure.", inline_bundle=inline_bundle())
    assert (False, True) == (by_label.passed, free.passed)


async def test_long_outputs_are_checked_alike(server: LiveServer) -> None:
    """An output that is measured off the event loop has the same violations, a thousand at most."""
    output = "Sure. " * 5_000
    answer = await check(server, output)
    assert [("FORBIDDEN_TOKEN", "Sure")] * 1_000 == told(answer, output)
    assert (5_994, True) == (answer.violations[-1].start, answer.truncated)


async def test_what_is_not_there_can_not_be_checked_against(server: LiveServer) -> None:
    """The reasons are those of a render."""
    failures = [
        await failure_of(check(server, "x", bundle=version_ref("9.0.0"))),
        await failure_of(check(server, "x", bundle=label_ref("staging"))),
    ]
    assert ["BUNDLE_NOT_FOUND", "LABEL_NOT_FOUND"] == [failure.reason for failure in failures]


async def test_checking_records_nothing(server: LiveServer) -> None:
    """It is no render."""
    await check(server, "Sure.")
    assert await server.application.sink.flush(10)
    assert not (await server.prompts.ListAuditRecords(pb.ListAuditRecordsRequest())).records


async def test_compiled_constraints_are_kept_within_the_bytes_of_a_cache(tmp_path: Path) -> None:
    """Long lists of tokens compile to megabytes: what is kept of them is weighed, not just counted."""
    limit = 16 * 1024 * 1024
    async with live_server(f"sqlite:///{tmp_path}/pecia.db", cache_bytes=str(limit)) as server:
        for number in range(6):
            tokens = [f"{number} {index} ".ljust(120, "x") for index in range(150)]
            given = inline_bundle()
            given.templates[0].constraints.forbidden_tokens.extend(tokens)
            response = await server.prompts.CheckOutput(
                pb.CheckOutputRequest(inline_bundle=given, output=f"So: {tokens[7]}.")
            )
            assert not response.passed
        kept = server.application.checkers.statistics()
    assert 0 < kept.weight <= limit
    assert kept.evictions > 0
