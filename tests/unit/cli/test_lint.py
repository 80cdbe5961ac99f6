"""`pecia lint` shows everything that publishing would refuse, all at once."""

from pathlib import Path

from support.cli import run_cli, write_bundle, write_pieces, write_template


def faults(root: Path) -> set[tuple[str, int | None, int | None, str]]:
    """Give the places and fields of the errors in a directory."""
    errors = run_cli("lint", root, "--json").json["errors"]
    return {(error["path"], error["line"], error["column"], error["field"]) for error in errors}


def test_a_sound_directory_has_no_errors(tmp_path: Path) -> None:
    """Exit code 0, and a line that says what was read."""
    ran = run_cli("lint", write_pieces(tmp_path))
    assert [ran.exit_code, ran.stdout] == [
        0,
        "0 errors, 0 warnings; 4 templates and 1 bundle could be read\n",
    ]


def test_every_fault_of_every_file_is_shown(tmp_path: Path) -> None:
    """One run names all faults, with file, line, column and field."""
    write_pieces(tmp_path)
    head = "role: boss\nconstraints:\n  MAX_PARAGRAPHS: 0\n  FORBIDDEN_TOKENS: [1]\nfoo: 1"
    write_template(tmp_path, "personality", "Hello {{nope}}\nand {{", head=head)
    write_template(tmp_path, "activity", "Text", head="role: [")
    write_template(tmp_path, "other", "Text", semver="v1")
    write_bundle(
        tmp_path,
        "second",
        slots={"task": "task@1", "more": "task@1.0.0"},
        rest="tags: [a, a, 3]\ndescription: 9",
    )
    (tmp_path / "templates" / "stray.txt").write_text("")
    (tmp_path / "templates" / "task" / "2.0.0.md").write_bytes(b"---\nrole: user\n---\n\xff")
    personality, second = "templates/personality/1.0.0.md", "bundles/second/1.0.0/bundle.yaml"
    assert faults(tmp_path) == {
        (personality, 2, None, "role"),
        (personality, 4, None, "constraints.MAX_PARAGRAPHS"),
        (personality, 5, None, "constraints.FORBIDDEN_TOKENS[0]"),
        (personality, 6, None, "foo"),
        (personality, 8, 9, "content"),
        (personality, 9, 5, "content"),
        ("templates/activity/1.0.0.md", 3, 1, ""),
        ("templates/other/v1.md", None, None, "semver"),
        ("templates/stray.txt", None, None, ""),
        ("templates/task/2.0.0.md", None, None, ""),
        (second, 5, None, "slots.task.semver"),
        (second, 6, None, "slots.more"),
        (second, 7, None, "tags[1]"),
        (second, 7, None, "tags[2]"),
        (second, 8, None, "description"),
    }


def test_a_line_is_written_as_compilers_do(tmp_path: Path) -> None:
    """Editors find path, line and column; the exit code is 1."""
    write_pieces(tmp_path, {"task": "one\n {{tusk}}"})
    ran = run_cli("lint", tmp_path)
    place = tmp_path / "templates" / "task" / "1.0.0.md"
    assert ran.exit_code == 1
    assert ran.stdout.splitlines() == [
        f"{place}:5:4: error: content: unknown path (did you mean task?); it begins with one of task, "
        r"activity_level, stress, constraints, semantic_traits; or write \{{",
        "1 error, 0 warnings; 3 templates and 1 bundle could be read",
    ]


def test_a_reference_out_of_the_directory_is_an_error(tmp_path: Path) -> None:
    """Without a server there is nowhere else to look."""
    write_pieces(tmp_path)
    write_bundle(tmp_path, "second", slots={"task": "task@9.0.0"})
    ran = run_cli("lint", tmp_path, "--json")
    assert ran.exit_code == 1
    assert ran.json["errors"] == [
        {
            "path": "bundles/second/1.0.0/bundle.yaml",
            "field": "slots.task",
            "message": "names template task@9.0.0, which does not exist in the directory; "
            "add it, or correct the reference",
            "line": 5,
            "column": None,
        }
    ]


def test_a_faulty_template_is_not_also_missing(tmp_path: Path) -> None:
    """Its own fault says what to do; a second error would mislead."""
    write_pieces(tmp_path, {"task": "{{tusk}}"})
    assert faults(tmp_path) == {("templates/task/1.0.0.md", 4, 3, "content")}


def test_a_faulty_bundle_s_references_are_looked_up_too(tmp_path: Path) -> None:
    """Mending one fault brings no other to light, and what the bundle names is not called unused."""
    write_pieces(tmp_path)
    write_template(tmp_path, "spare", "Text")
    slots = {"system": "spare@1.0.0", "task": "nope@1.0.0"}
    path = write_bundle(tmp_path, "second", slots=slots, rest="tags: [a, a]").relative_to(tmp_path)
    ran = run_cli("lint", tmp_path, "--json")
    found = [(error["path"], error["field"]) for error in ran.json["errors"]]
    assert [(path.as_posix(), "slots.task"), (path.as_posix(), "tags[1]")] == found
    assert [] == ran.json["warnings"]


def test_an_unused_template_is_a_warning(tmp_path: Path) -> None:
    """It is odd, and yet can be published: exit code 0."""
    write_pieces(tmp_path)
    write_template(tmp_path, "spare", "Text")
    ran = run_cli("lint", tmp_path)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[0] == (
        f"{tmp_path / 'templates/spare/1.0.0.md'}: warning: is not used by any bundle in the directory"
    )


def test_a_directory_without_pieces_is_refused(tmp_path: Path) -> None:
    """A wrong path must not look like a sound directory."""
    ran = run_cli("lint", tmp_path)
    assert [ran.exit_code, ran.stdout] == [2, ""]
    assert "holds neither a templates nor a bundles directory" in ran.stderr


def test_a_server_that_is_away_is_not_a_missing_template(tmp_path: Path) -> None:
    """Exit code 5: nothing was found out."""
    write_pieces(tmp_path)
    write_bundle(tmp_path, "second", slots={"task": "task@9.0.0"})
    ran = run_cli("lint", tmp_path, "--target", "127.0.0.1:1", "--timeout", "5")
    assert [ran.exit_code, ran.stdout] == [5, ""]


def test_a_constraint_that_nobody_enforces_is_a_warning(tmp_path: Path) -> None:
    """A mistyped key would only be kept; the key that is meant is named: exit code 0."""
    head = (
        "role: system\nconstraints: {no_emoji: true, MAX_PARAGRAPH: 2, REVIEW: {owner: me}, NO_EMOJI: true}"
    )
    write_template(write_pieces(tmp_path), "system", "Hi", head=head)
    ran = run_cli("lint", tmp_path, "--json")
    assert ran.exit_code == 0
    assert {warning["field"]: warning["message"] for warning in ran.json["warnings"]} == {
        "constraints.MAX_PARAGRAPH": "is kept but not enforced; did you mean MAX_PARAGRAPHS?",
        "constraints.REVIEW": "is kept but not enforced",
        "constraints.no_emoji": "is kept but not enforced; did you mean NO_EMOJI?",
    }


def test_an_empty_directory_is_a_warning(tmp_path: Path) -> None:
    """It may be the wrong one, and yet nothing in it is wrong: exit code 0."""
    (tmp_path / "templates").mkdir()
    ran = run_cli("lint", tmp_path)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[0] == (
        f"{tmp_path}: warning: holds no template and no bundle; there is nothing to publish"
    )


def test_an_unclosed_placeholder_is_shown_where_it_opens(tmp_path: Path) -> None:
    """Not where the text ends that it swallowed."""
    write_pieces(tmp_path, {"task": "one {{task\nmore text"})
    error = run_cli("lint", tmp_path, "--json").json["errors"][0]
    assert [error["line"], error["column"], error["message"].partition(";")[0]] == [
        4,
        5,
        "{{ is not closed",
    ]
