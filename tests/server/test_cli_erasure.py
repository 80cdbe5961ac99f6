"""`pecia erase` and what other commands say of erased templates, against a live server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from support.cli import Ran, run_cli, write_bundle, write_payload, write_pieces, write_template
from support.server import LiveServer, live_server

Pecia = Callable[..., Awaitable[Ran]]

SECRET = "mauve-elephant"
ERASE = ("erase", "template", "task@1.0.0", "--reason", "It names a customer.")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """Give a server on an empty database."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        yield server


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """Give a directory whose task holds the secret."""
    root = write_pieces(tmp_path / "pieces", {"task": f"Do this for {SECRET}: {{{{task}}}}"})
    write_template(root, "zest", "New")
    return root


@pytest.fixture
async def pecia(server: LiveServer, pieces: Path) -> Pecia:
    """Give a way to run commands against the server, which has the directory's pieces."""

    async def run(*arguments: str | Path, stdin: str = "") -> Ran:
        return await asyncio.to_thread(run_cli, *arguments, "--target", server.target, stdin=stdin)

    await run("publish", pieces)
    return run


async def test_erasing_asks_first(pecia: Pecia) -> None:
    """Anything but yes leaves the text: exit code 1; without an answer it is 2, and names --yes."""
    refused = await pecia(*ERASE, stdin="n\n")
    unanswered = await pecia(*ERASE)
    kept = await pecia("show", "template", "task@1.0.0")
    done = await pecia(*ERASE, stdin="y\n")
    assert [refused.exit_code, unanswered.exit_code, SECRET in kept.stdout, done.exit_code] == [1, 2, True, 0]
    assert "Erase the text of task@1.0.0 for good?" in refused.stderr
    assert unanswered.stderr.splitlines()[-1].endswith("or give --yes")


async def test_erasing_says_since_when(pecia: Pecia) -> None:
    """And by whom; again, it says that it was done before."""
    first = await pecia(*ERASE, "--yes")
    second = await pecia(*ERASE, "--yes")
    moment = first.stdout.removeprefix("task@1.0.0 is erased since ")
    assert [first.exit_code, second.exit_code] == [0, 0]
    assert moment.endswith(" by anonymous\n")
    assert second.stdout == f"task@1.0.0 was erased already, {moment}"


async def test_erasing_answers_json(pecia: Pecia) -> None:
    """The erasure, with the fields of the contract."""
    ran = await pecia(*ERASE, "--yes", "--json")
    erasure = ran.json["erasure"]
    assert [ran.json["erased"], erasure["template"], erasure["reason"], erasure["erased_by"]] == [
        True,
        {"template_id": "task", "semver": "1.0.0"},
        "It names a customer.",
        "anonymous",
    ]


async def test_erasing_needs_a_reason(pecia: Pecia) -> None:
    """An option that is left out, or empty: exit code 2, and nothing is done."""
    missing = await pecia(*ERASE[:3], "--yes")
    empty = await pecia(*ERASE[:4], "", "--yes")
    kept = await pecia("list", "erasures", "--json")
    assert [missing.exit_code, empty.exit_code, kept.json] == [2, 2, []]
    assert "'--reason'" in missing.stderr
    assert empty.stderr == "error: reason: is missing; say why, for the history [FIELD_INVALID]\n"


async def test_an_unknown_template_is_refused(pecia: Pecia) -> None:
    """Exit code 4."""
    ran = await pecia("erase", "template", "task@9.0.0", "--reason", "Why.", "--yes")
    assert [ran.exit_code, ran.stderr] == [
        4,
        "error: there is no template task@9.0.0 [TEMPLATE_NOT_FOUND]\n",
    ]


async def test_the_history_is_listed(pecia: Pecia) -> None:
    """Of all templates or of one, as a table or as JSON; an empty one is said on stderr."""
    before = await pecia("list", "erasures")
    await pecia(*ERASE, "--yes")
    table = await pecia("list", "erasures")
    none = await pecia("list", "erasures", "zest")
    as_json = await pecia("list", "erasures", "task", "--json")
    heading, row = table.stdout.splitlines()
    assert [before.stdout, before.stderr, none.stderr] == [
        "",
        "nothing is erased\n",
        "nothing is erased of zest\n",
    ]
    assert heading.split() == ["ID", "VERSION", "ERASED", "BY", "REASON"]
    assert [row.split()[:2], row.endswith("anonymous  It names a customer.")] == [["task", "1.0.0"], True]
    assert [item["template"]["template_id"] for item in as_json.json] == ["task"]


async def test_an_erased_template_is_shown_as_such(pecia: Pecia) -> None:
    """Its hashes stay; in place of the text stands where to learn more."""
    before = await pecia("show", "template", "task@1.0.0", "--json")
    await pecia(*ERASE, "--yes")
    shown = await pecia("show", "template", "task@1.0.0")
    as_json = await pecia("show", "template", "task@1.0.0", "--json")
    listed = await pecia("list", "templates", "task")
    assert before.json["erased_at"] is None
    assert as_json.json["definition_hash"] == before.json["definition_hash"]
    assert [as_json.json["erased_at"] is None, as_json.json["definition"]["content"]] == [False, ""]
    assert "\nerased_at " in shown.stdout
    assert shown.stdout.splitlines()[-1].endswith("; pecia list erasures task tells by whom and why")
    assert "  erased 20" in listed.stdout
    assert SECRET not in shown.stdout + as_json.stdout + listed.stdout


async def test_other_commands_name_the_reason(pecia: Pecia, tmp_path: Path) -> None:
    """Rendering, checking, showing and comparing its bundle end with exit code 4."""
    await pecia(*ERASE, "--yes")
    payload = write_payload(tmp_path)
    output = tmp_path / "output.txt"
    output.write_text("Fine.")
    for arguments in (
        ("render", "companion@1.0.0", "--payload", payload),
        ("check", "companion@1.0.0", output),
        ("show", "bundle", "companion@1.0.0"),
        ("diff", "companion@1.0.0", "companion@1.0.0"),
    ):
        ran = await pecia(*arguments)
        assert [ran.exit_code, "[TEMPLATE_ERASED]" in ran.stderr, ran.stdout] == [4, True, ""]


async def test_a_replay_of_its_render_can_not_be_verified(pecia: Pecia, tmp_path: Path) -> None:
    """Exit code 3, with the cause."""
    rendered = await pecia("render", "companion@1.0.0", "--payload", write_payload(tmp_path), "--json")
    await pecia(*ERASE, "--yes")
    ran = await pecia("replay", rendered.json["receipt"]["render_id"])
    assert [ran.exit_code, "TEMPLATE_ERASED: slot task, template task@1.0.0: " in ran.stdout] == [3, True]


def statuses(ran: Ran) -> dict[str, str]:
    """Give what became of each piece."""
    return {f"{item['kind']} {item['id']}": item["status"] for item in ran.json}


async def test_publishing_names_what_was_erased_and_goes_on(pecia: Pecia, pieces: Path) -> None:
    """The template has its own row, its bundles are skipped, the rest is published: exit code 4."""
    await pecia(*ERASE, "--yes")
    write_template(pieces, "fresh", "New")
    write_bundle(pieces, "second", slots={"task": "fresh@1.0.0"})
    ran = await pecia("publish", pieces, "--json")
    details = [item["detail"] for item in ran.json if "detail" in item]
    assert ran.exit_code == 4
    assert statuses(ran) == {
        "template activity": "unchanged",
        "template fresh": "created",
        "template personality": "unchanged",
        "template system": "unchanged",
        "template task": "ERASED",
        "template zest": "unchanged",
        "bundle companion": "SKIPPED",
        "bundle second": "created",
    }
    assert [detail.partition(";")[0] for detail in details] == [
        "the text of template task@1.0.0 was erased by an administrator",
        "not published: erased is its template task@1.0.0",
    ]


async def test_lint_finds_what_was_erased(pecia: Pecia, pieces: Path) -> None:
    """In the directory's own pieces, and in templates of the server that a bundle names: exit code 1."""
    await pecia(*ERASE, "--yes")
    own = await pecia("lint", pieces, "--json")
    (pieces / "templates" / "task" / "1.0.0.md").unlink()
    named = await pecia("lint", pieces, "--json")
    assert [own.exit_code, named.exit_code] == [1, 1]
    assert [(error["path"], error["message"].partition(" by ")[0]) for error in own.json["errors"]] == [
        ("bundles/companion/1.0.0/bundle.yaml", "the text of template task@1.0.0 was erased"),
        (
            "templates/task/1.0.0.md",
            "the text of template task@1.0.0 was erased; give it a new version",
        ),
    ]
    assert "slots.task" in {error["field"] for error in named.json["errors"]}
