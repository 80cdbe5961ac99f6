"""A plan says once what the renderer would otherwise find out for each prompt."""

from pecia_service.registry.placeholders import Placeholder
from pecia_service.rendering.plan import Insertion, Plan
from support.pieces import resolve_contents


def plan_of(*contents: str) -> Plan:
    """Return the plan of a bundle whose four templates have these contents."""
    return resolve_contents(list(contents)).plan


def test_texts_are_kept_once_and_counted() -> None:
    """A text that several templates have is one text; its characters count each time."""
    plan = plan_of("same {{task}}", "same {{task}}", "other", "é")
    assert dict(zip(plan.texts, plan.counts, strict=True)) == {"": 0, "same ": 2, "other": 1, "é": 1}
    assert (plan.characters, plan.fixed_bytes()) == (16, 17)


def test_a_path_is_read_once_for_each_form() -> None:
    """Placeholders that differ only in their defaults share what is read; JSON is a form of its own."""
    plan = plan_of("{{task}}{{task}}", '{{task | "a"}}', "{{json:task}}", "x")
    assert plan.reads == ((("task",), False), (("task",), True))
    assert [(found.placeholder.default, found.read, found.count) for found in plan.insertions] == [
        (None, 0, 2),
        ("a", 0, 1),
        (None, 1, 1),
    ]


def test_an_insertion_names_where_it_is_met_first() -> None:
    """An error about a placeholder names the first slot and template that have it."""
    resolved = resolve_contents(["x", "{{task}}", "{{task}}", "y"])
    slot, template = list(resolved.templates.items())[1]
    assert resolved.plan.insertions == (
        Insertion(Placeholder(("task",), as_json=False, default=None), slot, template, 0, 2),
    )


def test_parts_pick_their_texts_in_order() -> None:
    """Fixed texts and insertions come in the template's order, also a single one, and also none at all."""
    plan = plan_of("a{{task}}b{{stress}}", "only", "{{stress}}", "{{constraints}}")
    texts = (*plan.texts, "T", "S")
    assert ["".join(pick(texts)) for pick in plan.parts] == ["aTbS", "only", "S", "{}"]
