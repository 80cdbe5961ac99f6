"""How `pecia replay` and `pecia verify` show what a server answers."""

from collections.abc import Iterator
from typing import Self

import pytest
from pecia_client.messages import (
    FirstDifference,
    ReplayCause,
    ReplayFinding,
    ReplayResult,
    ReplayVerdict,
    Slot,
    TemplateRef,
    VerifyAuditResponse,
    VerifyProgress,
    VerifySummary,
)
from pecia_service.cli import replay
from support.cli import run_cli

RESULT = ReplayResult(
    render_id="id-1",
    verdict=ReplayVerdict.REPLAY_VERDICT_MISMATCH,
    findings=[
        ReplayFinding(
            cause=ReplayCause.REPLAY_CAUSE_TEMPLATE_CONTENT,
            slot=Slot.SLOT_TASK,
            template=TemplateRef(template_id="task", semver="1.0.0"),
            detail="the content was changed",
        ),
        ReplayFinding(cause=ReplayCause.REPLAY_CAUSE_BUNDLE, detail="the bundle was changed"),
    ],
    first_difference=FirstDifference(
        slot=Slot.SLOT_TASK, byte_offset=7, recorded_excerpt="Do\x1b this", replayed_excerpt="Do that"
    ),
    renderer_version_differs=True,
    recorded_prompt_hash="aa",
    replayed_prompt_hash="bb",
)


class FakeClient:
    """Answers what the tests below want to see."""

    def __init__(self, target: str, timeout: float) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def replay(self, *, render_id: str) -> ReplayResult:
        """Answer the result above."""
        return RESULT

    def verify_audit(self, _: object) -> Iterator[VerifyAuditResponse]:
        """Answer two findings between progress and summary."""
        yield VerifyAuditResponse(progress=VerifyProgress(checked=1, total=3))
        yield VerifyAuditResponse(finding=RESULT)
        yield VerifyAuditResponse(finding=RESULT)
        summary = VerifySummary(
            checked=3, matched=1, mismatched=2, unverifiable=0, renderer_version_differs=1
        )
        yield VerifyAuditResponse(summary=summary)


@pytest.fixture(autouse=True)
def fake_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the fake in the client's place."""
    monkeypatch.setattr(replay, "connect", FakeClient)


def test_a_mismatch_names_every_cause_and_the_first_difference() -> None:
    """What can't be shown safely is escaped."""
    ran = run_cli("replay", "id-1")
    assert ran.exit_code == 1
    assert ran.stdout.splitlines() == [
        "verdict               MISMATCH",
        "render_id             id-1",
        "recorded_prompt_hash  aa",
        "replayed_prompt_hash  bb",
        "The recorded renderer version is not this server's.",
        "TEMPLATE_CONTENT: slot task, template task@1.0.0: the content was changed",
        "BUNDLE: the bundle was changed",
        "First difference at byte 7, slot task:",
        "  recorded  Do\\x1b this",
        "  replayed  Do that",
    ]


def test_verify_has_a_row_for_each_record() -> None:
    """With all causes, and a summary below."""
    ran = run_cli("verify")
    lines = ran.stdout.splitlines()
    assert ran.exit_code == 1
    assert lines[1].split(maxsplit=3)[:3] == ["id-1", "MISMATCH", "TEMPLATE_CONTENT;"]
    assert lines[3:] == [
        "3 checked: 1 match, 2 mismatch, 0 unverifiable",
        "1 of the matches is of another renderer version",
    ]


def test_verify_bounds_what_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The summary counts all; the rest is mentioned."""
    monkeypatch.setattr(replay, "MAX_FINDINGS", 1)
    text, as_json = run_cli("verify"), run_cli("verify", "--json").json
    assert "... and 1 more; narrow them down with --since, --until or --bundle\n" in text.stdout
    assert [len(as_json["findings"]), as_json["findings_left_out"]] == [1, 1]
