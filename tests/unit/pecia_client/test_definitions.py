"""Definitions from plain values."""

from collections.abc import Mapping

import pytest
from pecia_client import bundle_definition, constraints_from_mapping, inline_bundle, template_definition
from pecia_client.messages import Constraints, InlineBundle, Role, TemplateRef

SLOTS = {"system": "s@1.0.0", "personality": "p@1.0.0", "activity": "a@1.0.0", "task": "t@1.0.0"}


def test_a_template_carries_every_field() -> None:
    """Each argument reaches the field of its name."""
    template = template_definition(
        "t", "1.0.0", "Hi {{task}}", role="developer", constraints={"NO_EMOJI": True}, adapter_version="a-1",
        description="d",
    )  # fmt: skip
    expected = ("t", "1.0.0", "Hi {{task}}", Role.ROLE_DEVELOPER, Constraints(no_emoji=True), "a-1", "d")
    assert expected == (
        template.template_id,
        template.semver,
        template.content,
        template.role,
        template.constraints,
        template.adapter_version,
        template.description,
    )


def test_an_unknown_role_is_refused() -> None:
    """There are three roles, and the error names them."""
    with pytest.raises(ValueError, match="not one of system, developer, user"):
        template_definition("t", "1.0.0", "x", role="assistant")


def test_a_bundle_carries_every_field() -> None:
    """Each argument reaches the field of its name, tags in their order."""
    bundle = bundle_definition("b", "2.0.0", SLOTS, tags=["z", "a"], description="d")
    assert (bundle.bundle_id, bundle.semver, list(bundle.tags), bundle.description) == (
        "b",
        "2.0.0",
        ["z", "a"],
        "d",
    )
    assert bundle.slots.activity == TemplateRef(template_id="a", semver="1.0.0")


@pytest.mark.parametrize("slots", [{}, {"system": "s@1.0.0"}, SLOTS | {"extra": "x@1.0.0"}])
def test_slots_are_exactly_four(slots: Mapping[str, str]) -> None:
    """A missing or an unknown slot is refused."""
    with pytest.raises(ValueError, match="slots must be exactly system, personality, activity, task"):
        bundle_definition("b", "1.0.0", slots)


def test_an_inline_bundle_holds_bundle_and_templates() -> None:
    """The message is what Render takes in place of a reference."""
    bundle = bundle_definition("b", "1.0.0", SLOTS)
    template = template_definition("t", "1.0.0", "x", role="user")
    assert InlineBundle(bundle=bundle, templates=[template]) == inline_bundle(bundle, [template])


def test_constraints_have_five_known_keys_and_keep_the_rest() -> None:
    """Known keys become typed fields; every other key goes to `further`."""
    constraints = constraints_from_mapping(
        {
            "FORBIDDEN_TOKENS": ["AI"],
            "MAX_SENTENCE_LENGTH": 20,
            "MAX_PARAGRAPHS": 2.0,
            "NO_EMOJI": False,
            "ASSERTIVENESS_LEVEL": 1,
            "REVIEW": {"owner": "safety"},
        }
    )
    expected = Constraints(
        forbidden_tokens=["AI"],
        max_sentence_length=20,
        max_paragraphs=2,
        no_emoji=False,
        assertiveness_level=1.0,
        further={"REVIEW": {"owner": "safety"}},
    )
    assert expected == constraints


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("FORBIDDEN_TOKENS", "AI"),
        ("FORBIDDEN_TOKENS", [1]),
        ("MAX_SENTENCE_LENGTH", 1.5),
        ("MAX_PARAGRAPHS", True),
        ("MAX_PARAGRAPHS", -1),
        ("NO_EMOJI", 1),
        ("ASSERTIVENESS_LEVEL", "high"),
    ],
)
def test_a_constraint_of_the_wrong_type_is_refused(key: str, value: object) -> None:
    """The error names the key."""
    with pytest.raises(ValueError, match=key):
        constraints_from_mapping({key: value})
