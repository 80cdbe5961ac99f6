"""`pecia` against a live server: rendering, replaying, and the audit records."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from pecia_client import Client, PeciaError
from pecia_client.messages import AuditRecord
from pecia_service.cli.session import Session
from support.cli import Ran, run_cli, write_bundle, write_payload, write_pieces
from support.server import LiveServer, live_server

Pecia = Callable[..., Awaitable[Ran]]

UNKNOWN_ID = "01888d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """Give a server on an empty database."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        yield server


@pytest.fixture
async def pecia(server: LiveServer, tmp_path: Path) -> Pecia:
    """Give a way to run commands against the server, which has companion@1.0.0 and its label production."""

    async def run(*arguments: str | Path, stdin: str = "") -> Ran:
        return await asyncio.to_thread(
            run_cli, *arguments, "--target", server.target, stdin=stdin, session=Session()
        )

    pieces = write_pieces(tmp_path / "pieces")
    write_bundle(pieces, "other")
    await run("publish", pieces)
    await run("label", "set", "companion", "production", "1.0.0")
    return run


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """Give a payload's file."""
    return write_payload(tmp_path)


async def render(pecia: Pecia, payload: Path, bundle: str = "companion@production") -> str:
    """Render and give the render_id."""
    ran = await pecia("render", bundle, "--payload", payload, "--json")
    render_id: str = ran.json["receipt"]["render_id"]
    return render_id


def files(folder: Path, pattern: str) -> list[str]:
    """Give the names of files in a folder."""
    return sorted(path.name for path in folder.glob(pattern))


async def test_a_render_has_the_shape_and_hashes_of_offline(
    pecia: Pecia, payload: Path, tmp_path: Path
) -> None:
    """Only the render_id and the time are another."""
    online = (await pecia("render", "companion@production", "--payload", payload, "--json")).json
    arguments = ("render", "companion@1.0.0", "--payload", payload, "--json")
    offline = (await pecia(*arguments, "--offline", tmp_path / "pieces")).json
    assert online["receipt"]["render_id"] != ""
    for answer in (online, offline):
        del answer["receipt"]["render_id"], answer["receipt"]["created_at"]
    assert online == offline


async def test_stdout_has_the_prompt_to_the_byte(pecia: Pecia, payload: Path) -> None:
    """Its SHA-256 is the receipt's prompt_hash."""
    ran = await pecia("render", "companion@1.0.0", "--payload", payload)
    receipt = dict(line.split(maxsplit=1) for line in ran.stderr.splitlines())
    assert receipt["prompt_hash"] == hashlib.sha256(ran.stdout.encode()).hexdigest()
    assert receipt["bundle"] == "companion@1.0.0"


async def test_validating_leaves_no_record(pecia: Pecia, payload: Path) -> None:
    """The prompt is there, a render_id is not."""
    ran = await pecia("render", "companion@1.0.0", "--payload", payload, "--validate-only", "--json")
    listed = await pecia("audit", "list", "--json")
    assert [ran.exit_code, ran.json["receipt"]["render_id"], listed.json] == [0, "", []]


async def test_bad_fields_are_listed_as_offline(pecia: Pecia, tmp_path: Path) -> None:
    """The same words and exit code, whoever checks."""
    payload = write_payload(tmp_path, stress=7, activity_level=-1)
    online = await pecia("render", "companion@1.0.0", "--payload", payload)
    offline = await pecia("render", "companion@1.0.0", "--payload", payload, "--offline", tmp_path / "pieces")
    assert [online.exit_code, online.stderr] == [2, offline.stderr]


async def test_a_recorded_render_replays(pecia: Pecia, payload: Path) -> None:
    """Right after it was made, although its record may still be on its way: exit code 0."""
    render_id = await render(pecia, payload)
    ran = await pecia("replay", render_id)
    assert [ran.exit_code, ran.stdout.splitlines()[0].split()] == [0, ["verdict", "MATCH"]]


async def test_a_receipt_replays_with_its_payload_only(pecia: Pecia, payload: Path, tmp_path: Path) -> None:
    """What render printed is the receipt; another payload is a MISMATCH: exit code 1."""
    rendered = tmp_path / "rendered.json"
    rendered.write_text((await pecia("render", "companion@1.0.0", "--payload", payload, "--json")).stdout)
    same = await pecia("replay", "--receipt", rendered, "--payload", payload, "--json")
    other = write_payload(tmp_path, task="Plan the night.")
    changed = await pecia("replay", "--receipt", rendered, "--payload", other, "--json")
    assert [same.exit_code, same.json["verdict"]] == [0, "MATCH"]
    assert [changed.exit_code, changed.json["verdict"]] == [1, "MISMATCH"]
    assert changed.json["findings"][0]["cause"] == "PAYLOAD"


async def test_an_offline_receipt_replays_on_the_server(pecia: Pecia, payload: Path, tmp_path: Path) -> None:
    """The directory and the server hold the same pieces."""
    rendered = tmp_path / "rendered.json"
    arguments = ("render", "companion@1.0.0", "--payload", payload, "--json")
    rendered.write_text((await pecia(*arguments, "--offline", tmp_path / "pieces")).stdout)
    ran = await pecia("replay", "--receipt", rendered, "--payload", payload)
    assert ran.exit_code == 0


@pytest.mark.parametrize(
    "arguments", [(), ("--receipt", "{file}"), ("--payload", "{file}"), ("x", "--receipt", "{file}")]
)
async def test_replay_needs_one_subject(pecia: Pecia, payload: Path, arguments: tuple[str, ...]) -> None:
    """A render_id, or a receipt with its payload: exit code 2."""
    ran = await pecia("replay", *(argument.format(file=payload) for argument in arguments))
    assert [ran.exit_code, "Give either RENDER_ID, or --receipt" in ran.stderr] == [2, True]


async def test_an_unknown_render_is_not_found(pecia: Pecia) -> None:
    """Exit code 4."""
    ran = await pecia("replay", UNKNOWN_ID)
    assert [ran.exit_code, ran.stderr.endswith("[AUDIT_RECORD_NOT_FOUND]\n")] == [4, True]


async def test_verify_says_what_can_not_be_verified(pecia: Pecia, payload: Path) -> None:
    """Exit code 0 when all match, 3 when one is redacted; a filter narrows down."""
    render_id = await render(pecia, payload)
    await pecia("audit", "show", await render(pecia, payload, "other@1.0.0"))
    await pecia("audit", "show", render_id)
    sound = await pecia("verify")
    await pecia("audit", "redact", render_id, "--yes")
    redacted = await pecia("verify", "--json")
    table = await pecia("verify")
    narrowed = await pecia("verify", "--bundle", "other@1.0.0", "--json")
    assert [sound.exit_code, sound.stdout] == [0, "2 checked: 2 match, 0 mismatch, 0 unverifiable\n"]
    assert [redacted.exit_code, redacted.json["summary"]["unverifiable"]] == [3, 1]
    assert [item["render_id"] for item in redacted.json["findings"]] == [render_id]
    assert table.stdout.splitlines()[1].split()[:3] == [render_id, "UNVERIFIABLE", "REDACTED"]
    assert [narrowed.exit_code, narrowed.json["summary"]["checked"]] == [0, 1]


async def test_verify_names_a_tampered_record(pecia: Pecia, payload: Path, server: LiveServer) -> None:
    """One byte of a stored prompt is enough: exit code 1."""
    render_id = await render(pecia, payload)
    await pecia("audit", "show", render_id)
    async with server.application.database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE audit_records SET prompt = replace(prompt, 'You are Juna', 'You are Luna')"
        )
    verified = await pecia("verify", "--json")
    replayed = await pecia("replay", render_id)
    assert [verified.exit_code, verified.json["summary"]["mismatched"]] == [1, 1]
    assert replayed.exit_code == 1
    assert "First difference at byte 8, slot system:" in replayed.stdout


async def test_a_record_is_shown_with_prompt_and_payload(pecia: Pecia, payload: Path) -> None:
    """And without them once it is redacted."""
    render_id = await render(pecia, payload)
    shown = await pecia("audit", "show", render_id, "--json")
    text = await pecia("audit", "show", render_id)
    redacted = await pecia("audit", "redact", render_id, "--yes", "--json")
    after = await pecia("audit", "show", render_id)
    assert shown.json["prompt"].startswith("You are Juna.")
    assert json.loads(shown.json["canonical_payload"])["task"] == "Plan the day."
    assert text.stdout.endswith("Do this: Plan the day.\n")
    assert [redacted.json["prompt"], redacted.json["prompt_kept"]] == ["", False]
    assert "kept              redacted\n" in after.stdout
    assert "Prompt:" not in after.stdout


async def test_a_damaged_record_is_shown_as_such(pecia: Pecia, payload: Path, server: LiveServer) -> None:
    """A prompt that has not its receipt's hash must not pass for what was rendered: exit code 1."""
    render_id = await render(pecia, payload)
    sound = await pecia("audit", "show", render_id, "--json")
    async with server.application.database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE audit_records SET prompt = replace(prompt, 'You are Juna', 'You are Luna')"
        )
    text = await pecia("audit", "show", render_id)
    as_json = await pecia("audit", "show", render_id, "--json")
    assert [sound.exit_code, sound.json["damaged"]] == [0, []]
    assert [text.exit_code, "damaged           prompt\n" in text.stdout] == [1, True]
    assert text.stderr.startswith(f"warning: prompt of {render_id} changed after it was recorded")
    assert [as_json.exit_code, as_json.json["damaged"]] == [1, ["prompt"]]


async def test_redaction_asks_first(pecia: Pecia, payload: Path) -> None:
    """Anything but yes leaves the record as it is: exit code 1."""
    render_id = await render(pecia, payload)
    refused = await pecia("audit", "redact", render_id, stdin="n\n")
    kept = await pecia("audit", "show", render_id, "--json")
    done = await pecia("audit", "redact", render_id, stdin="y\n")
    assert [refused.exit_code, kept.json["prompt_kept"], done.exit_code] == [1, True, 0]


async def test_records_are_listed_newest_first_up_to_a_limit(pecia: Pecia, payload: Path) -> None:
    """Without prompts; the note says that there are more."""
    ids = [await render(pecia, payload) for _ in range(3)]
    for render_id in ids:
        await pecia("audit", "show", render_id)
    limited = await pecia("audit", "list", "--limit", "2")
    every = await pecia("audit", "list", "--limit", "0", "--json")
    none = await pecia("audit", "list", "--until", "2020-01-01", "--json")
    assert [line.split()[0] for line in limited.stdout.splitlines()[1:]] == [ids[2], ids[1]]
    assert limited.stderr == "the newest 2 are listed; --limit 0 lists all\n"
    assert [record["receipt"]["render_id"] for record in every.json] == ids[::-1]
    assert "prompt" not in every.json[0]
    assert none.json == []


async def test_export_writes_full_records_as_lines(pecia: Pecia, payload: Path, tmp_path: Path) -> None:
    """To stdout or to a file that appears when it is complete."""
    ids = [await render(pecia, payload) for _ in range(2)]
    shown = [(await pecia("audit", "show", render_id, "--json")).json for render_id in ids]
    to_stdout = await pecia("audit", "export")
    to_file = await pecia("audit", "export", "--output", tmp_path / "audit.jsonl")
    assert [json.loads(line) for line in to_stdout.stdout.splitlines()] == shown[::-1]
    assert [to_file.stdout, to_file.stderr] == ["", "2 records exported\n"]
    assert (tmp_path / "audit.jsonl").read_text(encoding="utf-8") == to_stdout.stdout
    assert files(tmp_path, "*.partial") == []


async def test_a_failed_export_leaves_no_file(pecia: Pecia, tmp_path: Path) -> None:
    """A file of that name would look complete."""
    name = tmp_path / "audit.jsonl"
    ran = await pecia("audit", "export", "--output", name, "--prompt-hash", "not-a-hash")
    assert [ran.exit_code, files(tmp_path, "audit.jsonl*")] == [2, []]


async def test_export_leaves_out_what_was_pruned_meanwhile(
    pecia: Pecia, payload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and the rest is exported."""
    ids = [await render(pecia, payload) for _ in range(2)]
    for render_id in ids:
        await pecia("audit", "show", render_id)
    read = Client.get_audit_record

    def one_is_gone(client: Client, render_id: str) -> AuditRecord:
        if render_id == ids[0]:
            raise PeciaError(grpc.StatusCode.NOT_FOUND, "gone", reason="AUDIT_RECORD_NOT_FOUND")
        return read(client, render_id)

    monkeypatch.setattr(Client, "get_audit_record", one_is_gone)
    ran = await pecia("audit", "export")
    assert [json.loads(line)["receipt"]["render_id"] for line in ran.stdout.splitlines()] == [ids[1]]
    assert ran.stderr == "1 record exported\n1 pruned meanwhile and left out\n"


async def test_prune_counts_asks_and_deletes(pecia: Pecia, payload: Path) -> None:
    """A dry run deletes nothing, and neither does anything but yes."""
    await pecia("audit", "show", await render(pecia, payload))
    arguments = ("audit", "prune", "--before", "9999-12-31")
    counted = await pecia(*arguments, "--dry-run")
    refused = await pecia(*arguments, stdin="n\n")
    kept = await pecia("audit", "list", "--json")
    pruned = await pecia(*arguments, "--yes", "--json")
    left = await pecia("audit", "list", "--json")
    assert counted.stdout == "1 record would be deleted\n"
    assert [refused.exit_code, len(kept.json)] == [1, 1]
    assert "Delete 1 audit record made before 9999-12-31" in refused.stderr
    assert [pruned.json["records"], pruned.json["dry_run"], left.json] == [1, False, []]


async def test_prune_by_age_keeps_what_is_younger(pecia: Pecia, payload: Path) -> None:
    """Age counts back from now."""
    await pecia("audit", "show", await render(pecia, payload))
    ran = await pecia("audit", "prune", "--older-than", "1d", "--yes")
    assert ran.stdout == "deleted 0 records and 0 inline pieces\n"


async def test_without_an_answer_nothing_is_deleted(pecia: Pecia) -> None:
    """A script has nobody to ask; the message names --yes: exit code 2."""
    ran = await pecia("audit", "prune", "--older-than", "1d", stdin="")
    assert [ran.exit_code, ran.stderr.splitlines()[-1]] == [
        2,
        "error: nothing was confirmed; answer the question, or give --yes",
    ]


async def test_nothing_selected_is_said(pecia: Pecia) -> None:
    """On stderr, so that scripts still read an empty answer."""
    verified = await pecia("verify", "--bundle", "nope")
    listed = await pecia("list", "bundles", "nope")
    assert verified.stderr == "no audit record is selected, so nothing was verified\n"
    assert [listed.stdout, listed.stderr] == ["", "no bundle nope\n"]


@pytest.mark.parametrize("options", [(), ("--older-than", "1d", "--before", "2026-01-01")])
async def test_prune_needs_one_bound(pecia: Pecia, options: tuple[str, ...]) -> None:
    """Either an age or a time: exit code 2."""
    ran = await pecia("audit", "prune", *options)
    assert [ran.exit_code, "Give either --older-than or --before." in ran.stderr] == [2, True]
