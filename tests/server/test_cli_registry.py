"""`pecia` against a live server: publishing, reading, comparing, and moving labels."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from pecia_client import Client, PeciaError
from pecia_client.messages import PublishTemplateResponse, TemplateDefinition
from support.cli import Ran, run_cli, write_bundle, write_pieces, write_template
from support.server import LiveServer, live_server

Pecia = Callable[..., Awaitable[Ran]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """Give a server on an empty database."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        yield server


@pytest.fixture
def pecia(server: LiveServer) -> Pecia:
    """Give a way to run commands against the server."""

    async def run(*arguments: str | Path) -> Ran:
        return await asyncio.to_thread(run_cli, *arguments, "--target", server.target)

    return run


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """Give a sound directory."""
    return write_pieces(tmp_path / "pieces")


def statuses(ran: Ran) -> dict[str, str]:
    """Give what became of each piece."""
    return {f"{item['kind']} {item['id']}@{item['semver']}": item["status"] for item in ran.json}


async def test_publish_creates_then_leaves_unchanged(pecia: Pecia, pieces: Path) -> None:
    """Publishing again is safe and says that nothing changed."""
    first = await pecia("publish", pieces, "--json")
    second = await pecia("publish", pieces)
    names = [f"template {slot}@1.0.0" for slot in ("activity", "personality", "system", "task")]
    assert statuses(first) == dict.fromkeys([*names, "bundle companion@1.0.0"], "created")
    assert [second.exit_code, second.stdout.splitlines()[-1]] == [0, "5 unchanged"]


async def test_a_conflict_is_shown_with_both_hashes_and_the_rest_is_published(
    pecia: Pecia, pieces: Path
) -> None:
    """A bundle whose template is in conflict is not published with the other text; exit code 1."""
    await pecia("publish", pieces)
    write_template(pieces, "task", "Something else: {{task}}")
    write_template(pieces, "extra", "New")
    write_bundle(pieces, "second")
    write_bundle(pieces, "third", slots={"task": "extra@1.0.0"})
    ran = await pecia("publish", pieces, "--json")
    conflict = next(item for item in ran.json if item["status"] == "CONFLICT")
    assert ran.exit_code == 1
    assert statuses(ran) == {
        "template activity@1.0.0": "unchanged",
        "template extra@1.0.0": "created",
        "template personality@1.0.0": "unchanged",
        "template system@1.0.0": "unchanged",
        "template task@1.0.0": "CONFLICT",
        "bundle companion@1.0.0": "SKIPPED",
        "bundle second@1.0.0": "SKIPPED",
        "bundle third@1.0.0": "created",
    }
    assert conflict["id"] == "task"
    assert len({conflict["stored_hash"], conflict["given_hash"]} - {""}) == 2


async def test_nothing_is_published_when_anything_is_wrong(pecia: Pecia, pieces: Path) -> None:
    """All faults are listed, and the server stays as it was."""
    write_template(pieces, "task", "{{tusk}}")
    write_template(pieces, "system", "Text", head="role: boss")
    ran = await pecia("publish", pieces)
    listed = await pecia("list", "templates", "--json")
    assert [ran.exit_code, ran.stdout.count("error: "), listed.json] == [1, 2, []]
    assert ran.stderr == "error: nothing was published; correct what is listed above\n"


async def test_a_bundle_may_name_what_is_published_already(
    pecia: Pecia, pieces: Path, tmp_path: Path
) -> None:
    """Publish and lint look on the server for templates that the directory lacks."""
    await pecia("publish", pieces)
    other = tmp_path / "other"
    write_bundle(other, "second")
    write_bundle(other, "third", slots={"task": "task@9.0.0"})
    linted = await pecia("lint", other, "--json")
    refused = await pecia("publish", other)
    (other / "bundles" / "third" / "1.0.0" / "bundle.yaml").unlink()
    published = await pecia("publish", other, "--json")
    assert [error["message"] for error in linted.json["errors"]] == [
        "names template task@9.0.0, which does not exist in the directory and on the server; "
        "add it, or correct the reference"
    ]
    assert [refused.exit_code, statuses(published)] == [1, {"bundle second@1.0.0": "created"}]


async def test_lint_with_a_target_finds_taken_versions(pecia: Pecia, pieces: Path) -> None:
    """What publishing would show as a conflict is an error beforehand."""
    await pecia("publish", pieces)
    write_template(pieces, "task", "Something else: {{task}}")
    write_bundle(pieces, rest="description: Changed")
    ran = await pecia("lint", pieces, "--json")
    assert [(error["path"], error["message"].partition(";")[0]) for error in ran.json["errors"]] == [
        ("bundles/companion/1.0.0/bundle.yaml", "is published with another definition"),
        ("templates/task/1.0.0.md", "is published with another definition"),
    ]


async def test_lists_have_the_contract_s_fields(pecia: Pecia, pieces: Path) -> None:
    """By id, newest first, without content."""
    write_bundle(pieces, semver="1.10.0")
    await pecia("publish", pieces)
    templates = await pecia("list", "templates", "task", "--json")
    bundles = await pecia("list", "bundles", "--json")
    table = await pecia("list", "templates")
    assert [item["definition"]["template_id"] for item in templates.json] == ["task"]
    assert "content" not in templates.json[0]["definition"]
    assert templates.json[0]["content_bytes"] == 17
    assert [item["definition"]["semver"] for item in bundles.json] == ["1.10.0", "1.0.0"]
    assert table.stdout.split("\n")[0].split("  ")[0] == "ID"


async def test_a_template_is_shown_with_its_content(pecia: Pecia, pieces: Path) -> None:
    """As it was published."""
    await pecia("publish", pieces)
    text = await pecia("show", "template", "task@1.0.0")
    as_json = await pecia("show", "template", "task@1.0.0", "--json")
    assert text.stdout.endswith("\nDo this: {{task}}\n")
    assert as_json.json["definition"]["content"] == "Do this: {{task}}"
    assert as_json.json["definition"]["role"] == "system"


async def test_a_bundle_is_shown_with_what_it_reads(pecia: Pecia, pieces: Path) -> None:
    """Slots, payload paths with and without default, effective constraints."""
    write_template(pieces, "personality", 'Mood: {{semantic_traits.mood | "even"}}.')
    write_template(
        pieces, "system", "Hi {{constraints}}", head="role: system\nconstraints: {MAX_PARAGRAPHS: 2}"
    )
    await pecia("publish", pieces)
    await pecia("label", "set", "companion", "production", "1.0.0")
    text = await pecia("show", "bundle", "companion@production")
    as_json = await pecia("show", "bundle", "companion@production", "--json")
    rows = [line.split() for line in text.stdout.splitlines()]
    assert ["personality", "personality@1.0.0"] in rows
    assert ["semantic_traits.mood", "no,", "has", "a", "default", "personality"] in rows
    assert ["task", "yes", "task"] in rows
    assert ["constraints", "at", "most", "2", "paragraphs"] in rows
    assert as_json.json["effective_constraints"]["max_paragraphs"] == 2
    assert as_json.json["payload_paths"][1] == {
        "path": "semantic_traits.mood",
        "slots": ["personality"],
        "required": False,
    }


async def test_bundles_are_a_table_for_people(pecia: Pecia, pieces: Path) -> None:
    """With tags and description."""
    write_bundle(pieces, rest="tags: [gpt-4o, default]\ndescription: For chat.")
    await pecia("publish", pieces)
    ran = await pecia("list", "bundles", "companion")
    heading, row = ran.stdout.splitlines()
    assert heading.split() == ["ID", "VERSION", "TAGS", "PUBLISHED", "DESCRIPTION"]
    assert row.split()[:4] == ["companion", "1.0.0", "gpt-4o,", "default"]
    assert row.endswith("  For chat.")


async def test_every_constraint_is_in_words(pecia: Pecia, pieces: Path) -> None:
    """Further keys by their names."""
    constraints = (
        "{FORBIDDEN_TOKENS: [sure, ai], MAX_SENTENCE_LENGTH: 20, MAX_PARAGRAPHS: 2, NO_EMOJI: true, "
        "ASSERTIVENESS_LEVEL: 0.5, REVIEW: {owner: me}}"
    )
    write_template(pieces, "system", "Hi", head=f"role: system\nconstraints: {constraints}")
    await pecia("publish", pieces)
    ran = await pecia("show", "template", "system@1.0.0")
    assert (
        "constraints       forbidden tokens: ai, sure; at most 20 words a sentence; at most 2 paragraphs; "
        "no emoji; assertiveness at most 0.5; further key: REVIEW\n" in ran.stdout
    )


async def test_a_publication_that_breaks_off_says_what_was_done(
    pecia: Pecia, pieces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server went away between templates and bundles: exit code 5, and it can be run again."""

    def away(*_: object) -> None:
        raise PeciaError(grpc.StatusCode.UNAVAILABLE, "away", reason="STORAGE_UNAVAILABLE")

    monkeypatch.setattr(Client, "publish_bundle", away)
    ran = await pecia("publish", pieces)
    assert [ran.exit_code, ran.stderr] == [5, "error: away [STORAGE_UNAVAILABLE]\n"]
    assert ran.stdout.splitlines()[-1] == "4 of 5 published: 4 created"


async def test_nothing_reached_is_nothing_published(
    pecia: Pecia, pieces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away must not look like an empty directory."""

    def away(*_: object) -> None:
        raise PeciaError(grpc.StatusCode.UNAVAILABLE, "away")

    monkeypatch.setattr(Client, "publish_template", away)
    ran = await pecia("publish", pieces)
    assert [ran.exit_code, ran.stdout] == [5, "0 of 5 published\n"]


async def damage_task(server: LiveServer) -> None:
    """Change a stored template behind the service's back."""
    async with server.application.database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE templates SET content = 'Do nothing: {{task}}' WHERE template_id = 'task'"
        )


async def test_publish_names_what_is_damaged_and_goes_on(
    pecia: Pecia, pieces: Path, server: LiveServer
) -> None:
    """A damaged piece has its own row, and what does not depend on it is published: exit code 4."""
    await pecia("publish", pieces)
    await damage_task(server)
    write_template(pieces, "zest", "New")
    write_bundle(pieces, "second", slots={"task": "zest@1.0.0"})
    ran = await pecia("publish", pieces, "--json")
    details = [item["detail"].partition(":")[0] for item in ran.json if "detail" in item]
    assert ran.exit_code == 4
    assert statuses(ran)["bundle companion@1.0.0"] == "DAMAGED"
    assert statuses(ran)["bundle second@1.0.0"] == "created"
    assert details == ["the stored template task@1.0.0 is not what was published"]


async def test_publish_skips_what_needs_a_damaged_template(
    pecia: Pecia, pieces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed too, with the template that is in the way: exit code 4."""
    publish_template = Client.publish_template

    def damaged(client: Client, definition: TemplateDefinition) -> PublishTemplateResponse:
        if definition.template_id == "task":
            raise PeciaError(grpc.StatusCode.DATA_LOSS, "is damaged", reason="PIECE_DAMAGED")
        return publish_template(client, definition)

    monkeypatch.setattr(Client, "publish_template", damaged)
    write_template(pieces, "zest", "New")
    write_bundle(pieces, "second", slots={"task": "zest@1.0.0"})
    ran = await pecia("publish", pieces, "--json")
    assert ran.exit_code == 4
    assert statuses(ran) == {
        "template activity@1.0.0": "created",
        "template personality@1.0.0": "created",
        "template system@1.0.0": "created",
        "template task@1.0.0": "DAMAGED",
        "template zest@1.0.0": "created",
        "bundle companion@1.0.0": "SKIPPED",
        "bundle second@1.0.0": "created",
    }
    assert ran.json[-2]["detail"] == "not published: damaged is its template task@1.0.0"


async def test_lint_with_a_target_finds_damage(pecia: Pecia, pieces: Path, server: LiveServer) -> None:
    """In the directory's own pieces, and in templates of the server that a bundle names."""
    await pecia("publish", pieces)
    await damage_task(server)
    own = await pecia("lint", pieces, "--json")
    (pieces / "templates" / "task" / "1.0.0.md").unlink()
    named = await pecia("lint", pieces, "--json")
    message = "the stored template task@1.0.0 is not what was published"
    assert own.exit_code == 1
    assert [
        (error["path"], error["field"], error["message"].partition(":")[0]) for error in own.json["errors"]
    ] == [
        ("bundles/companion/1.0.0/bundle.yaml", "", message),
        ("templates/task/1.0.0.md", "", message),
    ]
    assert ("slots.task", message) in {
        (error["field"], error["message"].partition(":")[0]) for error in named.json["errors"]
    }


async def test_diff_asks_the_server(pecia: Pecia, pieces: Path) -> None:
    """With the same output and exit code as offline."""
    write_template(pieces, "task", "Do that: {{task}}", semver="2.0.0")
    write_bundle(pieces, semver="2.0.0", slots={"task": "task@2.0.0"})
    await pecia("publish", pieces)
    online = await pecia("diff", "companion@1.0.0", "companion@2.0.0", "--json")
    offline = await pecia("diff", "companion@1.0.0", "companion@2.0.0", "--json", "--offline", pieces)
    assert [online.exit_code, online.json] == [1, offline.json]


async def test_check_asks_the_server(pecia: Pecia, pieces: Path, tmp_path: Path) -> None:
    """With the same output and exit code as offline."""
    write_template(pieces, "system", "Hi", head="role: system\nconstraints: {FORBIDDEN_TOKENS: [sure]}")
    await pecia("publish", pieces)
    answer = tmp_path / "answer.txt"
    answer.write_text("Sure.")
    online = await pecia("check", "companion@1.0.0", answer)
    offline = await pecia("check", "companion@1.0.0", answer, "--offline", pieces)
    assert [online.exit_code, online.stdout] == [1, offline.stdout]


async def test_a_label_moves_and_rolls_back(pecia: Pecia, pieces: Path) -> None:
    """Rolling back reads the current etag by itself; the history stays after deletion."""
    write_bundle(pieces, semver="2.0.0")
    await pecia("publish", pieces)
    await pecia("label", "set", "companion", "production", "1.0.0")
    moved = await pecia("label", "set", "companion", "production", "2.0.0", "--json")
    back = await pecia("label", "rollback", "companion", "production", "--json")
    listed = await pecia("label", "list", "--json")
    deleted = await pecia("label", "delete", "companion", "production", "--json")
    history = await pecia("label", "list", "companion", "--history", "--json")
    assert [moved.json["semver"], back.json["semver"], listed.json] == ["2.0.0", "1.0.0", [back.json]]
    assert deleted.json == {"bundle_id": "companion", "label": "production", "deleted": True}
    assert [(event["revision"], event["action"], event["to_semver"]) for event in history.json] == [
        (4, "DELETE", ""),
        (3, "ROLL_BACK", "1.0.0"),
        (2, "SET", "2.0.0"),
        (1, "SET", "1.0.0"),
    ]


async def test_labels_are_tables_for_people(pecia: Pecia, pieces: Path) -> None:
    """Each with its version; the history says what there was before."""
    await pecia("publish", pieces)
    moved = await pecia("label", "set", "companion", "production", "1.0.0")
    listed = await pecia("label", "list", "companion")
    history = await pecia("label", "list", "companion", "--history")
    deleted = await pecia("label", "delete", "companion", "production")
    assert moved.stdout.splitlines()[:2] == [
        "label       companion@production",
        "version     1.0.0",
    ]
    assert listed.stdout.splitlines()[1].split()[:3] == ["companion", "production", "1.0.0"]
    assert history.stdout.splitlines()[1].split()[:5] == ["production", "1", "SET", "none", "1.0.0"]
    assert deleted.stdout == "companion@production is deleted\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("label", "set", "companion", "production", "9.0.0"), "BUNDLE_NOT_FOUND"),
        (("label", "set", "companion", "production", "1.0.0", "--etag", "stale"), "ETAG_MISMATCH"),
        (("label", "rollback", "companion", "staging"), "LABEL_NOT_FOUND"),
        (("label", "rollback", "companion", "staging", "--etag", "stale"), "LABEL_NOT_FOUND"),
        (("label", "rollback", "companion", "beta"), "LABEL_HISTORY_EXHAUSTED"),
        (("label", "rollback", "companion", "beta", "--etag", "stale"), "ETAG_MISMATCH"),
        (("show", "bundle", "companion@production"), "LABEL_NOT_FOUND"),
        (("show", "template", "task@9.0.0"), "TEMPLATE_NOT_FOUND"),
    ],
)
async def test_a_refusal_is_one_line_with_its_reason(
    pecia: Pecia, pieces: Path, arguments: tuple[str, ...], reason: str
) -> None:
    """Exit code 4, nothing on stdout."""
    await pecia("publish", pieces)
    await pecia("label", "set", "companion", "beta", "1.0.0")
    ran = await pecia(*arguments)
    assert [ran.exit_code, ran.stdout, ran.stderr.count("\n")] == [4, "", 1]
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.endswith(f"[{reason}]\n")


async def test_history_needs_a_bundle(pecia: Pecia) -> None:
    """It is kept by bundle: exit code 2."""
    ran = await pecia("label", "list", "--history")
    assert [ran.exit_code, "--history needs BUNDLE." in ran.stderr] == [2, True]
