"""Templates are checked at once, hashed by a documented form, and proved when they are read back."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from pecia_service.canonical import canonical_json
from pecia_service.errors import DataLossError, ErrorReason, InvalidInputError
from pecia_service.registry.model import Role, Template, TemplateRef
from pecia_service.registry.placeholders import Literal, Placeholder
from support.strategies import clean_text


def define(**fields: Any) -> Template:
    """Define a template that is complete but for what the test gives."""
    return Template.define(
        **{"template_id": "greeting", "semver": "1.0.0", "role": Role.SYSTEM, "content": "Hello.", **fields}
    )


def error_of(**fields: Any) -> InvalidInputError:
    """Return the error that a definition is refused with."""
    with pytest.raises(InvalidInputError) as caught:
        define(**fields)
    return caught.value


def stored(template: Template) -> dict[str, Any]:
    """Return what a store keeps of a template: the arguments of `Template.restore`."""
    return {
        "template_id": template.template_id,
        "semver": template.semver,
        "role": template.role.value,
        "content": template.content,
        "constraints": template.constraints.to_json(),
        "adapter_version": template.adapter_version,
        "description": template.description,
        "content_hash": template.content_hash,
        "constraints_hash": template.constraints_hash,
        "definition_hash": template.definition_hash,
    }


def full_template() -> Template:
    """Define a template that uses every field."""
    return define(
        semver="1.2.0-rc.1+build.7",
        role=Role.DEVELOPER,
        content="Be \u00e5 {{task}}.\n",
        constraints={"FORBIDDEN_TOKENS": ["b", "a"], "weight": 1e17},
        adapter_version="adapter-3",
        description="For tests.",
    )


def test_hashes_are_those_of_the_documented_bytes() -> None:
    """Every hash is the SHA-256 of the canonical form that the contract writes down."""
    template = full_template()
    definition = (
        '{"adapter_version":"adapter-3","constraints":{"FORBIDDEN_TOKENS":["a","b"],"weight":100000000000000000},'
        '"content":"Be \u00e5 {{task}}.","description":"For tests.","format":"pecia.template-definition.v1",'
        '"role":"developer","semver":"1.2.0-rc.1+build.7","template_id":"greeting"}'
    )
    content = "Be \u00e5 {{task}}."
    constraints = '{"FORBIDDEN_TOKENS":["a","b"],"weight":100000000000000000}'
    assert template.content_hash == hashlib.sha256(content.encode()).hexdigest()
    assert template.constraints_hash == hashlib.sha256(constraints.encode()).hexdigest()
    assert template.definition_hash == hashlib.sha256(definition.encode()).hexdigest()


def test_no_constraints_hash_as_the_empty_object() -> None:
    """A template without constraints has the hash of {}."""
    expected = hashlib.sha256(b"{}").hexdigest()
    assert define().constraints_hash == define(constraints={"NO_EMOJI": False}).constraints_hash == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\n", "a"),
        ("a\r\n\r\n\r", "a"),
        ("\n\na\n b \n", "\n\na\n b "),
        ("a \t", "a \t"),
        ("\ufeffA\u030a\r\nb", "\u00c5\nb"),
        ("a\n\u2028", "a\n\u2028"),
    ],
    ids=ascii,
)
def test_content_is_normalised_and_loses_trailing_line_feeds(content: str, expected: str) -> None:
    """Only line feeds at the very end are dropped beyond what normalisation does."""
    assert define(content=content).content == expected


def test_other_text_is_normalised() -> None:
    """Adapter version and description are normalised and keep their line feeds."""
    template = define(adapter_version="\ufeffv1\r", description="A\u030a\r\n")
    assert (template.adapter_version, template.description) == ("v1\n", "\u00c5\n")


def test_content_is_compiled() -> None:
    """A template carries its segments, ready to render."""
    template = define(content="Do {{json:task}}!\n")
    assert template.segments == (Literal("Do "), Placeholder(("task",), True, None), Literal("!"))


@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n", "\ufeff", "\ufeff\r"], ids=ascii)
def test_content_must_not_be_empty(content: str) -> None:
    """A content of which nothing is left is refused."""
    error = error_of(content=content)
    assert error.reason is ErrorReason.FIELD_INVALID
    assert error.message == "content: is empty; give at least one byte"


@pytest.mark.parametrize("character", ["x", "\u00e5", "\U0001f600"], ids=ascii)
def test_content_may_have_262144_bytes(character: str) -> None:
    """The size is that of the UTF-8 after normalisation, without trailing line feeds."""
    largest = character * (262_144 // len(character.encode()))
    assert define(content=f"\ufeff{largest}\r\n\n").content_bytes == 262_144
    error = error_of(content=f"{largest}x")
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "content", "size": "262145", "limit": "262144"}


def test_description_may_have_4096_bytes() -> None:
    """The size is that of the UTF-8 after normalisation."""
    assert define(description="\u00e5" * 2048).description == "\u00e5" * 2048
    error = error_of(description="\u00e5" * 2048 + "x")
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "description", "size": "4097", "limit": "4096"}


def test_adapter_version_may_have_128_characters() -> None:
    """The length is that in code points."""
    assert define(adapter_version="\U0001f600" * 128).adapter_version == "\U0001f600" * 128
    error = error_of(adapter_version="\U0001f600" * 129)
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.metadata == {"field": "adapter_version", "size": "129", "limit": "128"}


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"template_id": ""}, ErrorReason.IDENTIFIER_INVALID, "template_id"),
        ({"template_id": "-a"}, ErrorReason.IDENTIFIER_INVALID, "template_id"),
        ({"semver": "1.0"}, ErrorReason.SEMVER_INVALID, "semver"),
        ({"role": None}, ErrorReason.FIELD_INVALID, "role"),
        ({"content": "\x00"}, ErrorReason.TEXT_INVALID, "content"),
        ({"content": "{{nope}}"}, ErrorReason.TEMPLATE_SYNTAX, "content"),
        ({"constraints": {"NO_EMOJI": 1}}, ErrorReason.CONSTRAINTS_INVALID, "constraints.NO_EMOJI"),
        ({"adapter_version": "\x00"}, ErrorReason.TEXT_INVALID, "adapter_version"),
        ({"description": "\ud800"}, ErrorReason.TEXT_INVALID, "description"),
    ],
    ids=ascii,
)
def test_refuses_each_bad_field(fields: dict[str, Any], reason: ErrorReason, field: str) -> None:
    """Each bad field is refused with its own reason and name, below the template's path if it has one."""
    for at, expected in (("", field), ("templates[2]", f"templates[2].{field}")):
        error = error_of(**fields, field=at)
        assert error.reason is reason
        assert error.metadata["field"] == expected
        assert [violation.field for violation in error.violations] == [expected]


def test_reports_all_that_is_wrong_at_once() -> None:
    """An author sees every bad field in one error, whose reason is the first one's."""
    error = error_of(
        template_id="?",
        semver="1",
        role=None,
        content="{{a}}{{b}}",
        constraints={"NO_EMOJI": 1, "MAX_PARAGRAPHS": 0},
        adapter_version="\x00",
        description="\x00",
    )
    assert error.reason is ErrorReason.IDENTIFIER_INVALID
    assert error.message.endswith("(and 8 more)")
    assert [violation.field for violation in error.violations] == [
        "template_id",
        "semver",
        "role",
        "content",
        "content",
        "constraints.MAX_PARAGRAPHS",
        "constraints.NO_EMOJI",
        "adapter_version",
        "description",
    ]


def test_restores_what_was_stored() -> None:
    """A template read back is the same template."""
    template = full_template()
    assert Template.restore(**stored(template)) == template


@given(clean_text.map(lambda text: text.replace("{", "")).filter(lambda text: text.strip("\ufeff\r\n")))
def test_restores_any_content(content: str) -> None:
    """Whatever text was published comes back under its hashes."""
    template = define(content=content, description=content)
    assert Template.restore(**stored(template)) == template


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        ("content", "Be \u00e5 {{task}}!", "content"),
        ("content", "Be \ud800 {{task}}.", "content"),
        ("content_hash", "0" * 64, "content"),
        ("constraints", {"FORBIDDEN_TOKENS": ["a", "c"], "weight": 1e17}, "constraints"),
        ("constraints", {"FORBIDDEN_TOKENS": ["b", "a"], "weight": 1e17}, "constraints"),
        ("constraints", {"FORBIDDEN_TOKENS": "ab", "weight": 1e17}, "constraints"),
        ("constraints", {}, "constraints"),
        ("constraints_hash", "0" * 64, "constraints"),
        ("role", "system", "definition"),
        ("role", "nobody", "definition"),
        ("template_id", "greeting2", "definition"),
        ("semver", "1.2.0-rc.1", "definition"),
        ("adapter_version", "adapter-4", "definition"),
        ("description", "For tests!", "definition"),
        ("description", "\ud800", "definition"),
        ("definition_hash", "0" * 64, "definition"),
    ],
    ids=ascii,
)
def test_restore_names_what_was_changed(field: str, value: object, part: str) -> None:
    """One changed field of a stored template is DATA_LOSS, and the error names the part."""
    changed = {**stored(full_template()), field: value}
    with pytest.raises(DataLossError) as caught:
        Template.restore(**changed)
    assert caught.value.reason is ErrorReason.PIECE_DAMAGED
    assert caught.value.metadata == {
        "piece": "template",
        "part": part,
        "id": changed["template_id"],
        "semver": changed["semver"],
    }


def test_restore_names_content_that_no_longer_compiles() -> None:
    """Content that was changed together with its hash is still not what was published."""
    content = "{{nope}}"
    changed = {**stored(full_template()), "content": content}
    changed["content_hash"] = hashlib.sha256(content.encode()).hexdigest()
    with pytest.raises(DataLossError) as caught:
        Template.restore(**changed)
    assert caught.value.metadata["part"] == "definition"


def test_restore_finds_one_changed_byte_anywhere() -> None:
    """Each single changed character of the content is found."""
    kept = stored(full_template())
    for index, character in enumerate(kept["content"]):
        changed = kept["content"][:index] + chr(ord(character) ^ 1) + kept["content"][index + 1 :]
        with pytest.raises(DataLossError, match="its content has another hash"):
            Template.restore(**{**kept, "content": changed})


def test_identity_and_size() -> None:
    """A template knows its reference, how many bytes it has, and about how much it weighs in memory."""
    template = define(content="\u00e5" * 1000)
    assert template.ref == TemplateRef("greeting", "1.0.0")
    assert str(template.ref) == "greeting@1.0.0"
    assert template.content_bytes == 2000
    assert template.weight >= template.content_bytes


def test_definition_hash_tells_every_field_apart() -> None:
    """No two definitions that differ in one field have the same hash."""
    variants = [
        define(),
        define(template_id="other"),
        define(semver="1.0.0+b"),
        define(role=Role.USER),
        define(content="Hello!"),
        define(constraints={"NO_EMOJI": True}),
        define(adapter_version="Hello."),
        define(description="Hello."),
    ]
    assert len({template.definition_hash for template in variants}) == len(variants)


def test_constraints_are_in_the_definition_as_their_canonical_object() -> None:
    """The object inside the definition has the bytes that constraints_hash is of."""
    constraints = full_template().constraints
    assert canonical_json(constraints.to_json()) == constraints.canonical
