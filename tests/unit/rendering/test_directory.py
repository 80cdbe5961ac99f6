"""Reading pieces from a directory: what is read, and that every fault is reported with its place."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from pecia_service.registry.model import Role, Slot, TemplateRef
from pecia_service.rendering.sources.directory import (
    MAX_FILE_BYTES,
    DirectoryError,
    Problem,
    Reference,
    read_directory,
)
from support.checkout import ROOT

TEMPLATE = "templates/t/1.0.0.md"
BUNDLE = "bundles/b/1.0.0/bundle.yaml"
SOUND_TEMPLATE = "---\nrole: system\n---\nText.\n"
SOUND_BUNDLE = "slots: {system: t@1.0.0, personality: t@1.0.0, activity: t@1.0.0, task: t@1.0.0}\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Give a function that writes files, by path, into a directory that it returns."""

    def run(files: dict[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return run


def problems_of(root: Path) -> list[str]:
    """Return all problems of a directory as lines."""
    return [str(problem) for problem in read_directory(root).problems]


def test_reads_a_template(write: Write) -> None:
    """Id and version come from the path, the rest from front matter and content."""
    root = write(
        {
            "templates/companion-task/1.2.0-rc.1+x.md": (
                "---\nrole: user\nconstraints: {MAX_PARAGRAPHS: 3, TONE: calm}\nadapter_version: chat-1\n"
                "description: Says what to do.\n---\nDo {{task}}.\n\n---\nThen rest.\n\n"
            )
        }
    )
    contents = read_directory(root)
    assert [] == contents.problems
    [template] = contents.templates
    assert TemplateRef("companion-task", "1.2.0-rc.1+x") == template.ref
    assert (Role.USER, "Do {{task}}.\n\n---\nThen rest.") == (template.role, template.content)
    assert {"MAX_PARAGRAPHS": 3, "TONE": "calm"} == template.constraints.to_json()
    assert ("chat-1", "Says what to do.") == (template.adapter_version, template.description)
    assert {"template companion-task@1.2.0-rc.1+x": "templates/companion-task/1.2.0-rc.1+x.md"} == dict(
        contents.files
    )


def test_reads_a_bundle(write: Write) -> None:
    """Id and version come from the path; tags keep their order."""
    root = write(
        {
            "bundles/companion/2.0.0/bundle.yaml": (
                "slots:\n  task: d@4.0.0\n  system: a@1.0.0\n  personality: b@2.0.0\n  activity: c@3.0.0\n"
                "tags: [gpt-4o, default]\ndescription: For chat.\n"
            )
        }
    )
    contents = read_directory(root)
    assert [] == contents.problems
    [bundle] = contents.bundles
    assert ("companion@2.0.0", ("gpt-4o", "default"), "For chat.") == (
        str(bundle),
        bundle.tags,
        bundle.description,
    )
    assert ["a@1.0.0", "b@2.0.0", "c@3.0.0", "d@4.0.0"] == [str(ref) for ref in bundle.slots.values()]
    assert list(Slot) == list(bundle.slots)


@pytest.mark.parametrize(
    "data",
    [
        SOUND_TEMPLATE.replace("\n", "\r\n").encode(),
        SOUND_TEMPLATE.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + SOUND_TEMPLATE.encode(),
        SOUND_TEMPLATE.removesuffix("\n").encode(),
    ],
    ids=["crlf", "cr", "bom", "no last line end"],
)
def test_editors_leave_no_trace(write: Write, data: bytes) -> None:
    """Line ends, a byte-order mark and a missing last line end make no other template."""
    sound = read_directory(write({TEMPLATE: SOUND_TEMPLATE})).templates
    assert sound == read_directory(write({TEMPLATE: data})).templates


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", ": does not begin with a line --- and YAML front matter; role is required there"),
        ("Text.\n", ": does not begin with a line --- and YAML front matter; role is required there"),
        ("---\nrole: user\nText.\n", ": has no second line --- that ends the front matter"),
        ("---\nrole: user\n ---\nText.\n", ": has no second line --- that ends the front matter"),
        ("---\nrole: user\n---", ": content: is empty; give at least one byte"),
        ("---\nrole: user\n---\n\n\n", ": content: is empty; give at least one byte"),
        ("---\n---\nText.\n", ": role: is missing; give system, developer or user"),
        ("---\n# Nothing\n---\nText.\n", ": role: is missing; give system, developer or user"),
        ("---\nnull\n---\nText.\n", ": role: is missing; give system, developer or user"),
        ("---\nrole:\n---\nText.\n", ":2: role: is missing; give system, developer or user"),
        ("---\nrole: robot\n---\nText.\n", ":2: role: must be one of system, developer, user"),
        ("---\n\nrole: 1\n---\nText.\n", ":3: role: must be text; quote it"),
        (
            "---\nrole: user\nrolle: user\n---\nText.\n",
            ":3: rolle: is not a known key; known are adapter_version, constraints, description, role",
        ),
        ("---\nrole: user\nrole: user\n---\nText.\n", ":3:1: the key role stands twice"),
        ("---\nrole: user\n1: x\n---\nText.\n", ":3:1: a key is not text; quote it"),
        ("---\nrole: user\n? [a]\n: x\n---\nText.\n", ":3:3: a key is not text; quote it"),
        (
            "---\nrole: &r user\ndescription: *r\n---\nText.\n",
            ":3:14: aliases are not allowed; write the value out",
        ),
        (
            "---\nrole: user\nconstraints: {A: &a [x], B: [1, *a, 2]}\n---\nText.\n",
            ":3:33: aliases are not allowed; write the value out",
        ),
        ("---\nrole: 'user\n---\nText.\n", ":3:1: found unexpected end of stream"),
        ("---\n- role\n---\nText.\n", "must be a YAML mapping"),
        ("---\nuser\n---\nText.\n", "must be a YAML mapping"),
        (
            "---\nrole: user\ndescription: 2026-02-30\n---\nText.\n",
            ":3:14: is no such date, number or truth value; quote it",
        ),
        ("---\nrole: user\ndescription: 2026-02-28\n---\nText.\n", ":3: description: must be text; quote it"),
        (
            "---\nrole: user\nconstraints:\n  SINCE: 2026-02-28\n---\nText.\n",
            ":4: constraints.SINCE: is a date, which JSON does not have; quote it as text",
        ),
        (
            "---\nrole: user\nconstraints:\n  SINCE: 2026-02-28 12:00:00\n---\nText.\n",
            ":4: constraints.SINCE: is a datetime, which JSON does not have; quote it as text",
        ),
        (
            "---\nrole: user\nconstraints:\n  RAW: !!binary aGk=\n---\nText.\n",
            ":4: constraints.RAW: is a bytes, which JSON does not have; quote it as text",
        ),
        ("---\nrole: user\ndescription: !!bool maybe\n---\nText.\n", ":3:14: is no such date"),
        ("---\nrole: user\ndescription: !!timestamp now\n---\nText.\n", ":3:14: is no such date"),
        ("---\nrole: user\ndescription: 0b_\n---\nText.\n", ":3:14: is no such date"),
        ("---\nrole: user\ndescription: !!python/name:os.abort ''\n---\nText.\n", "could not determine"),
        ("---\nrole: user\n<<: {description: x}\n---\nText.\n", "could not determine"),
        ("---\nrole: user\nconstraints: [1]\n---\nText.\n", ":3: constraints: must be a mapping such as"),
        (
            "---\nrole: user\nconstraints:\n  FORBIDDEN_TOKENS:\n  - a\n  - 1\n---\nText.\n",
            ":6: constraints.FORBIDDEN_TOKENS[1]: must be text; quote it",
        ),
        ("---\nrole: user\nconstraints: {A: .nan}\n---\nText.\n", ":3: constraints.A: is NaN or infinite"),
        (
            "---\nrole: user\nadapter_version: 1.0\n---\nText.\n",
            ":3: adapter_version: must be text; quote it",
        ),
        (
            f"---\nrole: user\nadapter_version: {'x' * 129}\n---\nText.\n",
            ":3: adapter_version: has 129 characters; at most 128 are allowed",
        ),
        ("---\nrole: user\nconstraints: " + "[" * 1500 + "\n---\nText.\n", ": is nested too deeply"),
        ("---\nrole: user\nconstraints: {A: " + "[" * 9 + "]" * 9 + "}\n---\nText.\n", "levels or more"),
        (
            "---\nrole: user\ndescription: \x07\n---\nText.\n",
            ":3: holds a character that YAML does not allow",
        ),
        ("---\nrole: user\n---\nText.\x00\n", ": content: holds U+0000 at character 5"),
        ("---\nrole: user\n---\nOne.\nSay {{taks}}.\n", ":5:7: content: unknown path"),
        (b"---\nrole: user\n---\nText.\xff\n", ": is not UTF-8 (byte 24); save it as UTF-8"),
        ("---\nrole: user\n---\nText.\n".encode("utf-16"), ": is not UTF-8 (byte 0); save it as UTF-8"),
        ("---\nrole: user\n---\n" + "x" * MAX_FILE_BYTES, f": has more than {MAX_FILE_BYTES} bytes"),
        ("---\nrole: user\n---\n" + "x" * 262_145, ": content: has 262145 bytes; at most 262144 are allowed"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_faults_of_a_template(write: Write, data: str | bytes, expected: str) -> None:
    """A fault of a template file is reported once, with file, line, field and what to do."""
    [problem] = problems_of(write({TEMPLATE: data}))
    assert problem.startswith(TEMPLATE + ":")
    assert expected in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            SOUND_BUNDLE.replace("task: t@1.0.0", "tusk: t@1.0.0"),
            [
                ":1: slots.tusk: is not a slot; the slots are system, personality, activity, task",
                ":1: slots.task: is missing; name a template",
            ],
        ),
        (
            SOUND_BUNDLE.replace("task: t@1.0.0", "task: t"),
            [":1: slots.task: must be ID@VERSION such as companion-system@1.0.0"],
        ),
        (
            SOUND_BUNDLE.replace("task: t@1.0.0", "task: 1.0"),
            [":1: slots.task: must be ID@VERSION such as companion-system@1.0.0"],
        ),
        (
            SOUND_BUNDLE.replace("task: t@1.0.0", "task: t@latest"),
            [":1: slots.task.semver: is not strict SemVer 2.0; write MAJOR.MINOR.PATCH such as 1.2.0"],
        ),
        (
            SOUND_BUNDLE.replace("task: t@1.0.0", "task: '@1.0.0'"),
            [":1: slots.task.template_id: is missing; give a name of the form"],
        ),
        (
            SOUND_BUNDLE.replace("task: t@1.0.0", "task: t@1.0.0@2"),
            [":1: slots.task.semver: is not strict SemVer 2.0"],
        ),
        ("slots: [t@1.0.0]\n", [":1: slots: must be a mapping such as system: companion-system@1.0.0"]),
        (SOUND_BUNDLE + "tags: gpt\n", [":2: tags: must be a list of texts"]),
        (
            SOUND_BUNDLE + "tags:\n- a\n- 4\n- on\n",
            [":4: tags[1]: must be text", ":5: tags[2]: must be text"],
        ),
        (SOUND_BUNDLE + "tags: [a, b, a]\n", [":2: tags[2]: is there twice; give each tag once"]),
        (SOUND_BUNDLE + "description: [x]\n", [":2: description: must be text; quote it"]),
        (SOUND_BUNDLE + "---\n" + SOUND_BUNDLE, [":2:1: but found another document"]),
        (
            SOUND_BUNDLE + "labels: [x]\n",
            [":2: labels: is not a known key; known are description, slots, tags"],
        ),
        ("", [f": slots.{slot.value}: is missing; name a template" for slot in Slot]),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_faults_of_a_bundle(write: Write, text: str, expected: list[str]) -> None:
    """The faults of a bundle file are reported with file, line, field and what to do."""
    found = problems_of(write({BUNDLE: text}))
    assert len(expected) == len(found)
    assert [True] * len(found) == [
        problem.startswith(BUNDLE + start) for problem, start in zip(found, expected, strict=True)
    ]


def test_all_faults_are_reported_at_once(write: Write) -> None:
    """Every fault of every file is there, ordered by path, each with its place."""
    root = write(
        {
            "bundles/b/1.0.0/bundle.yaml": SOUND_BUNDLE + "tags: x\ncolour: red\n",
            "bundles/b/one/bundle.yaml": SOUND_BUNDLE,
            "templates/-t/1.0.0.md": SOUND_TEMPLATE,
            "templates/t/1.0.0.md": (
                "---\nrole: robot\nmood: x\nconstraints:\n  MAX_PARAGRAPHS: 0\n  NO_EMOJI: 'no'\n"
                "description: 1\n---\n{{a}}\n{{b}}\n"
            ),
            "templates/t/1.0.1.md": SOUND_TEMPLATE,
        }
    )
    contents = read_directory(root)
    assert [
        ("templates/-t/1.0.0.md", "template_id", None, None),
        ("templates/t/1.0.0.md", "mood", 3, None),
        ("templates/t/1.0.0.md", "role", 2, None),
        ("templates/t/1.0.0.md", "description", 7, None),
        ("templates/t/1.0.0.md", "content", 9, 3),
        ("templates/t/1.0.0.md", "content", 10, 3),
        ("templates/t/1.0.0.md", "constraints.MAX_PARAGRAPHS", 5, None),
        ("templates/t/1.0.0.md", "constraints.NO_EMOJI", 6, None),
        ("bundles/b/1.0.0/bundle.yaml", "colour", 3, None),
        ("bundles/b/1.0.0/bundle.yaml", "tags", 2, None),
        ("bundles/b/one/bundle.yaml", "semver", None, None),
    ] == [(problem.path, problem.field, problem.line, problem.column) for problem in contents.problems]
    assert ["t@1.0.1"] == [str(template.ref) for template in contents.templates]
    assert [] == contents.bundles


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("templates/1.0.0.md", "is not templates/ID/VERSION.md; rename it"),
        ("templates/t/1.0.0.txt", "is not templates/ID/VERSION.md; rename it"),
        ("templates/t/1.0.0.MD", "is not templates/ID/VERSION.md; rename it"),
        ("templates/README.md", "is not templates/ID/VERSION.md; rename it"),
        ("templates/t/1.0.0.md~", "is not templates/ID/VERSION.md; rename it"),
        ("templates/t/1.0.0.md.orig", "is not templates/ID/VERSION.md; rename it"),
        ("templates/t/old/1.0.0.md", "is not templates/ID/VERSION.md; rename it"),
        ("bundles/bundle.yaml", "is not bundles/ID/VERSION/bundle.yaml; rename it"),
        ("bundles/b/bundle.yaml", "is not bundles/ID/VERSION/bundle.yaml; rename it"),
        ("bundles/b/1.0.0/bundle.yml", "is not bundles/ID/VERSION/bundle.yaml; rename it"),
        ("bundles/b/1.0.0/x/bundle.yaml", "is not bundles/ID/VERSION/bundle.yaml; rename it"),
    ],
)
def test_files_in_wrong_places(write: Write, name: str, message: str) -> None:
    """A file that no piece comes from is not silently left out, and it is said what can be done with it."""
    advice = (
        f"{message}, move it out of {name.partition('/')[0]}, or remove it "
        "(only names that begin with a dot are left alone)"
    )
    assert [f"{name}: {advice}"] == problems_of(write({name: SOUND_TEMPLATE}))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("templates/-t/README.md", ["", "template_id", "semver"]),
        ("bundles/-b/v1/bundle.yaml", ["", "bundle_id", "semver"]),
    ],
)
def test_names_are_checked_when_the_text_can_t_be_read(write: Write, name: str, fields: list[str]) -> None:
    """A path that gives no id and no version is reported together with a text that is of no use."""
    problems = read_directory(write({name: "- no mapping\n"})).problems
    assert [(name, field) for field in fields] == [(problem.path, problem.field) for problem in problems]


def test_dotfiles_and_neighbours_are_left_alone(write: Write) -> None:
    """What begins with a dot, and what lies beside the two directories, is not looked at."""
    root = write(
        {
            TEMPLATE: SOUND_TEMPLATE,
            "templates/.DS_Store": b"\xff",
            "templates/t/.1.0.0.md.swp": b"\xff",
            "templates/.trash/t/2.0.0.md": "x",
            "bundles/.git/config": "x",
            "README.md": "x",
            "payloads/a.json": "{",
        }
    )
    assert ([], 1) == (problems_of(root), len(read_directory(root).templates))


def test_order_is_the_same_on_every_file_system(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in the order of their paths, whatever order the file system gives."""
    names = [f"templates/{name}/1.0.0.md" for name in ("b", "a", "a-b", "a.b", "B")]
    root = write(dict.fromkeys(names, SOUND_TEMPLATE))
    expected = [template.template_id for template in read_directory(root).templates]
    scan = os.scandir

    class Backwards:
        """A directory listing that runs backwards."""

        def __init__(self, path: str) -> None:
            with scan(path) as entries:
                self._entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self._entries

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Backwards)
    # Python 3.11 lists directories by way of this method.
    monkeypatch.setattr(Path, "_scandir", lambda path: Backwards(str(path)), raising=False)
    assert expected == [template.template_id for template in read_directory(root).templates]
    assert ["B", "a", "a-b", "a.b", "b"] == expected


def test_an_unreadable_file_is_a_problem(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be opened is reported, and the others are read."""
    root = write({TEMPLATE: SOUND_TEMPLATE, "templates/t/2.0.0.md": SOUND_TEMPLATE})
    open_path = Path.open

    def refuse(path: Path, mode: str = "r") -> object:
        if path.name == "1.0.0.md":
            raise PermissionError(13, "Permission denied")
        return open_path(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    contents = read_directory(root)
    assert [f"{TEMPLATE}: can't be read: Permission denied"] == [str(item) for item in contents.problems]
    assert ["t@2.0.0"] == [str(template.ref) for template in contents.templates]


def test_long_names_cost_little(write: Write) -> None:
    """A long key over many items takes room like its file, and not like their product."""
    name = "x" * 100_000
    root = write({TEMPLATE: f"---\nrole: user\n? {name}\n: [{'1, ' * 1_000}]\n---\nText.\n"})
    tracemalloc.start()
    [problem] = read_directory(root).problems
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (3, name, True) == (problem.line, problem.field, peak < 100 * len(name))


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_no_directory_of_pieces(tmp_path: Path, name: str) -> None:
    """A directory that has neither of the two directories is a mistake, not an empty one."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(DirectoryError) as caught:
        read_directory(tmp_path / name)
    assert f"{tmp_path / name}: holds neither a templates nor a bundles directory" == str(caught.value)


@pytest.mark.parametrize("name", ["templates", "bundles"])
def test_one_of_the_two_is_enough(tmp_path: Path, name: str) -> None:
    """A directory may hold only templates, or only bundles."""
    (tmp_path / name).mkdir()
    contents = read_directory(tmp_path)
    assert ([], [], []) == (contents.templates, contents.bundles, contents.problems)


def test_missing_references_and_unused_templates(write: Write) -> None:
    """The directory tells which references nothing satisfies, and which templates nothing names."""
    root = write(
        {
            BUNDLE: SOUND_BUNDLE.replace("task: t@1.0.0", "task: t@2.0.0"),
            TEMPLATE: SOUND_TEMPLATE,
            "templates/other/1.0.0.md": SOUND_TEMPLATE,
        }
    )
    contents = read_directory(root)
    assert [Reference(BUNDLE, "slots.task", TemplateRef("t", "2.0.0"), 1)] == contents.missing_references()
    assert ["other@1.0.0"] == [str(template.ref) for template in contents.unused_templates()]


def test_a_faulty_bundle_still_names_its_templates(write: Write) -> None:
    """What its slots say counts, whatever else is wrong, so that one run finds what is missing and unused."""
    bundle = "tags: [a, a]\nslots:\n  system: t@1.0.0\n  personality: nope@1.0.0\n  activity: t@1.0.0\n"
    root = write({BUNDLE: f"{bundle}  tusk: no@1.0.0\n", TEMPLATE: SOUND_TEMPLATE})
    contents = read_directory(root)
    assert {"slots.tusk", "slots.task", "tags[1]"} == {problem.field for problem in contents.problems}
    assert [("slots.personality", "nope@1.0.0", 4), ("slots.tusk", "no@1.0.0", 6)] == [
        (reference.field, str(reference.ref), reference.line) for reference in contents.missing_references()
    ]
    assert [] == contents.unused_templates()


def test_a_faulty_template_is_not_missing(write: Write) -> None:
    """Its file is there, and what is wrong with it is reported for itself."""
    contents = read_directory(write({BUNDLE: SOUND_BUNDLE, TEMPLATE: "x"}))
    assert [TEMPLATE] == [problem.path for problem in contents.problems]
    assert [] == contents.missing_references()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (BUNDLE, "slots: ["),
        (BUNDLE, "slots: t@1.0.0\n"),
        (BUNDLE, SOUND_BUNDLE.replace("task: t@1.0.0", "task: t@latest")),
        (BUNDLE, SOUND_BUNDLE.replace("task: t@1.0.0", "task: t")),
        (BUNDLE, SOUND_BUNDLE.replace(", task: t@1.0.0", "")),
        ("bundles/b/1.0.0/bundle.yml", SOUND_BUNDLE),
    ],
)
def test_no_template_is_unused_while_a_bundle_can_t_be_read(write: Write, name: str, text: str) -> None:
    """What can't be read may name it, and nobody should remove a template that is needed."""
    contents = read_directory(write({name: text, "templates/other/1.0.0.md": SOUND_TEMPLATE}))
    assert [] == contents.unused_templates()
    assert [] != contents.problems


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem("a.md", "", "is bad"), "a.md: is bad"),
        (Problem("a.md", "role", "is bad", 2), "a.md:2: role: is bad"),
        (Problem("a.md", "content", "is bad", 2, 7), "a.md:2:7: content: is bad"),
    ],
)
def test_problems_read_as_editors_expect(problem: Problem, expected: str) -> None:
    """A problem is one line that begins with path, line and column."""
    assert expected == str(problem)


def test_the_example_is_sound() -> None:
    """The companion reads without a problem, and lacks and wastes nothing."""
    contents = read_directory(ROOT / "docs" / "examples" / "companion")
    assert ([], [], []) == (contents.problems, contents.missing_references(), contents.unused_templates())
    assert len(contents.bundles) + len(contents.templates) == len(contents.files) > 10
