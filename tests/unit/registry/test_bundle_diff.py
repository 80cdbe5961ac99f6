"""Two bundle versions are compared slot by slot."""

from collections.abc import Mapping
from typing import Any

from pecia_service.registry.diff import Side, diff_bundles
from pecia_service.registry.model import Role, Slot, Template, TemplateRef, compute_bundle_hash
from support.pieces import make_bundle, make_template


def side(templates: Mapping[Slot, Template], semver: str = "1.0.0") -> Side:
    """Make one side of a comparison; slots that the test does not give hold the same text."""
    every = {slot: templates.get(slot) or make_template(slot.value) for slot in Slot}
    bundle = make_bundle({slot: template.ref for slot, template in every.items()}, semver=semver)
    return Side(bundle, every, compute_bundle_hash(bundle, every))


def task_diff(before: dict[str, Any], after: dict[str, Any]) -> Any:
    """Compare two bundles that differ in the template of their task only, and return that slot."""
    sides = [side({Slot.TASK: make_template("task", **fields)}) for fields in (before, after)]
    return diff_bundles(*sides).slots[-1]


def test_same_bundle_is_identical() -> None:
    """A bundle compared with itself has four slots without a change, in assembly order."""
    one = side({})
    diff = diff_bundles(one, one)
    found = [(slot.slot, slot.changed, slot.content_diff, slot.constraints_diff) for slot in diff.slots]
    assert (diff.identical, found) == (True, [(slot, False, "", "") for slot in Slot])


def test_other_version_of_the_same_pieces_is_not_identical() -> None:
    """The version is part of what is rendered: the hashes differ, and the slots do not."""
    one, other = side({}), side({}, semver="2.0.0")
    diff = diff_bundles(one, other)
    assert (diff.identical, diff.before_hash, diff.after_hash, [slot.changed for slot in diff.slots]) == (
        False,
        one.bundle_hash,
        other.bundle_hash,
        [False] * 4,
    )


def test_changed_content_is_shown_as_a_unified_diff() -> None:
    """The diff names both templates and shows the changed line with its neighbours."""
    slot = task_diff({"content": "one\ntwo\nthree"}, {"semver": "1.1.0", "content": "one\n2\nthree"})
    assert (slot.before, slot.after, slot.changed, slot.content_diff) == (
        TemplateRef("task", "1.0.0"),
        TemplateRef("task", "1.1.0"),
        True,
        "--- task@1.0.0\n+++ task@1.1.0\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
    )


def test_lines_end_at_line_feeds_only() -> None:
    """What Python, but nobody who reads a diff, takes for line ends stays inside its line."""
    slot = task_diff({"content": "a\u2028b\x0cc\x85d"}, {"content": "a\u2028b\x0cc\x85e"})
    assert slot.content_diff.split("\n")[2:] == [
        "@@ -1 +1 @@",
        "-a\u2028b\x0cc\x85d",
        "+a\u2028b\x0cc\x85e",
        "",
    ]


def test_constraints_are_compared_key_by_key() -> None:
    """The canonical constraints are diffed with one key a line, in the order of RFC 8785."""
    slot = task_diff(
        {"constraints": {"\U0001f600": 1, "\uff5e": 2, "MAX_PARAGRAPHS": 2, "FORBIDDEN_TOKENS": ["b", "A"]}},
        {"constraints": {"\U0001f600": 1, "\uff5e": 2, "MAX_PARAGRAPHS": 3, "FORBIDDEN_TOKENS": ["b", "A"]}},
    )
    assert (slot.changed, slot.content_diff, slot.constraints_diff) == (
        True,
        "",
        '--- task@1.0.0\n+++ task@1.0.0\n@@ -1,4 +1,4 @@\n "FORBIDDEN_TOKENS":["A","b"]\n'
        '-"MAX_PARAGRAPHS":2\n+"MAX_PARAGRAPHS":3\n "\U0001f600":1\n "\uff5e":2\n',
    )


def test_new_constraints_are_added_to_none() -> None:
    """Constraints where there were none are added lines."""
    slot = task_diff({}, {"constraints": {"NO_EMOJI": True}})
    assert slot.constraints_diff.split("\n")[2:] == ["@@ -0,0 +1 @@", '+"NO_EMOJI":true', ""]


def test_role_alone_is_a_change() -> None:
    """Another role with the same text and constraints is a change without a diff."""
    slot = task_diff({"role": Role.SYSTEM}, {"role": Role.USER})
    assert (slot.changed, slot.before_role, slot.after_role, slot.content_diff, slot.constraints_diff) == (
        True,
        Role.SYSTEM,
        Role.USER,
        "",
        "",
    )


def test_other_template_with_the_same_text_is_no_change() -> None:
    """Another name and version for the same role, text and constraints is told by the references only."""
    sides = [side({Slot.TASK: make_template(name)}) for name in ("task", "errand")]
    slot = diff_bundles(*sides).slots[-1]
    assert (slot.changed, str(slot.before), str(slot.after)) == (False, "task@1.0.0", "errand@1.0.0")
