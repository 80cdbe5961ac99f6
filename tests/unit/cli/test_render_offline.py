"""`pecia render --offline` renders from a directory, without a server or a database."""

import hashlib
import json
from pathlib import Path

import pytest
from pecia_service.cli.output import Output
from support.cli import run_cli, write_bundle, write_payload, write_pieces, write_template

PROMPT = "You are Juna. {}\n\nMood: calm.\n\nActivity 0.5, stress 0.25.\n\nDo this: Plan the day."


def test_json_has_prompt_parts_and_receipt(tmp_path: Path) -> None:
    """The shape is that of a server's answer; nothing is recorded, so there is no render_id."""
    write_pieces(tmp_path)
    ran = run_cli(
        "render", "companion@1.0.0", "--offline", tmp_path, "--payload", write_payload(tmp_path), "--json"
    )
    answer = ran.json
    assert [ran.exit_code, list(answer), answer["prompt"]] == [0, ["prompt", "parts", "receipt"], PROMPT]
    assert answer["parts"][3] == {"slot": "task", "role": "system", "text": "Do this: Plan the day."}
    bundle_hash = answer["receipt"].pop("bundle_hash")
    assert len(bytes.fromhex(bundle_hash)) == 32
    assert answer["receipt"] == {
        "render_id": "",
        "prompt_hash": hashlib.sha256(PROMPT.encode()).hexdigest(),
        "payload_hash": hashlib.sha256(
            b'{"activity_level":0.5,"semantic_traits":{"mood":"calm"},"stress":0.25,"task":"Plan the day."}'
        ).hexdigest(),
        "bundle_id": "companion",
        "semver": "1.0.0",
        "renderer_version": "1",
        "adapter_version": "",
        "created_at": "2026-11-21T08:30:00.123456Z",
    }


def test_the_prompt_goes_to_stdout_to_the_byte(tmp_path: Path) -> None:
    """`pecia render … | sha256sum` gives the prompt_hash of the receipt, which goes to stderr."""
    write_pieces(tmp_path)
    payload = write_payload(tmp_path, task="naïve 🌱\x1b[0m\n")
    ran = run_cli("render", "companion@1.0.0", "--offline", tmp_path, "--payload", payload)
    expected = PROMPT.replace("Plan the day.", "naïve 🌱\x1b[0m\n")
    assert ran.stdout == expected
    assert f"prompt_hash       {hashlib.sha256(expected.encode()).hexdigest()}\n" in ran.stderr


def test_the_payload_can_come_from_stdin(tmp_path: Path) -> None:
    """`--payload -` reads it there."""
    write_pieces(tmp_path)
    ran = run_cli(
        "render",
        "companion@1.0.0",
        "--offline",
        tmp_path,
        "--payload",
        "-",
        stdin=write_payload(tmp_path).read_bytes(),
    )
    assert ran.stdout == PROMPT


def test_the_adapter_version_goes_into_the_receipt(tmp_path: Path) -> None:
    """As the caller gave it."""
    write_pieces(tmp_path)
    payload = write_payload(tmp_path)
    arguments = ("render", "companion@1.0.0", "--offline", tmp_path, "--payload", payload)
    ran = run_cli(*arguments, "--adapter-version", "chat-3", "--json")
    assert ran.json["receipt"]["adapter_version"] == "chat-3"


@pytest.mark.parametrize(
    ("reference", "options", "exit_code", "error"),
    [
        ("companion@9.0.0", [], 4, "there is no bundle companion@9.0.0 [BUNDLE_NOT_FOUND]"),
        ("companion@1.0.0", ["--model-type", "other"], 4, "[BUNDLE_UNSUPPORTED_MODEL]"),
        ("companion@production", [], 2, "companion@production is a label, and labels live on a server"),
        ("companion", [], 2, "'companion' is not a reference"),
    ],
)
def test_what_a_server_would_refuse_is_refused(
    tmp_path: Path, reference: str, options: list[str], exit_code: int, error: str
) -> None:
    """The exit code tells wrong input from a state that does not allow it."""
    write_pieces(tmp_path)
    ran = run_cli("render", reference, "--offline", tmp_path, "--payload", write_payload(tmp_path), *options)
    assert [ran.exit_code, ran.stdout] == [exit_code, ""]
    assert error in ran.stderr


def test_a_missing_trait_names_slot_and_path(tmp_path: Path) -> None:
    """The template needs it, and the payload lacks it: exit code 4."""
    write_pieces(tmp_path)
    payload = write_payload(tmp_path, semantic_traits={})
    ran = run_cli("render", "companion@1.0.0", "--offline", tmp_path, "--payload", payload)
    assert [ran.exit_code, ran.stderr] == [
        4,
        "error: slot personality: template personality@1.0.0 needs semantic_traits.mood, which the payload "
        "lacks; add it, or give the placeholder a default [PLACEHOLDER_UNRESOLVED]\n",
    ]


def test_all_bad_fields_of_a_payload_are_listed(tmp_path: Path) -> None:
    """One line for the error with the first field, and one for each other field."""
    write_pieces(tmp_path)
    payload = write_payload(tmp_path, stress=7, activity_level=-1)
    ran = run_cli("render", "companion@1.0.0", "--offline", tmp_path, "--payload", payload)
    assert ran.exit_code == 2
    assert ran.stderr.splitlines() == [
        "error: payload.activity_level: must be a number from 0 to 1 (and 1 more) [PAYLOAD_INVALID]",
        "  payload.stress: must be a number from 0 to 1",
    ]


def test_faulty_pieces_are_refused_with_all_their_faults(tmp_path: Path) -> None:
    """Rendering from what can't be published would mislead."""
    write_pieces(tmp_path, {"task": "{{tusk}}"})
    write_template(tmp_path, "system", "Text", head="role: boss")
    ran = run_cli("render", "companion@1.0.0", "--offline", tmp_path, "--payload", write_payload(tmp_path))
    lines = ran.stderr.splitlines()
    assert [ran.exit_code, ran.stdout, len(lines), lines[0]] == [
        2,
        "",
        3,
        "error: can't read template system@1.0.0, template task@1.0.0 from the directory, which has faults",
    ]
    assert lines[1] == "  templates/system/1.0.0.md:2: role: must be one of system, developer, user"


@pytest.mark.parametrize("command", ["render", "diff", "check"])
def test_a_fault_in_another_file_is_only_noted(tmp_path: Path, command: str) -> None:
    """What is half written elsewhere does not keep anyone from working with what is sound."""
    payload = write_payload(tmp_path)
    arguments: dict[str, list[str | Path]] = {
        "render": ["companion@1.0.0", "--payload", payload],
        "diff": ["companion@1.0.0", "companion@1.0.0"],
        "check": ["companion@1.0.0", payload],
    }
    write_pieces(tmp_path)
    sound = run_cli(command, *arguments[command], "--offline", tmp_path)
    write_template(tmp_path, "draft", "{{tusk}}")
    ran = run_cli(command, *arguments[command], "--offline", tmp_path)
    note = f"note: {tmp_path} has 1 fault, none in what was asked for; see pecia lint {tmp_path}\n"
    assert [ran.exit_code, ran.stdout, ran.stderr] == [0, sound.stdout, note + sound.stderr]


def test_a_bundle_without_its_template_is_refused(tmp_path: Path) -> None:
    """The slot and the template are named."""
    write_pieces(tmp_path)
    write_bundle(tmp_path, "second", slots={"task": "task@9.0.0"})
    ran = run_cli("render", "second@1.0.0", "--offline", tmp_path, "--payload", write_payload(tmp_path))
    assert ran.exit_code == 4
    assert "slot task names template task@9.0.0, which does not exist" in ran.stderr


def test_the_payload_file_is_checked_first(tmp_path: Path) -> None:
    """Its faults are those of the input: exit code 2, no traceback."""
    write_pieces(tmp_path)
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({"task": ""}))
    ran = run_cli("render", "companion@1.0.0", "--offline", tmp_path, "--payload", payload)
    assert ran.exit_code == 2
    assert ran.stderr.startswith(f"error: {payload}: a payload has exactly the fields")


def test_a_terminal_gets_a_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the shell's prompt does not stick to the rendered one; a pipe gets the bytes alone."""
    monkeypatch.setattr(Output, "is_terminal", property(lambda _: True))
    write_pieces(tmp_path)
    ran = run_cli("render", "companion@1.0.0", "--offline", tmp_path, "--payload", write_payload(tmp_path))
    assert ran.stdout == PROMPT + "\n"
