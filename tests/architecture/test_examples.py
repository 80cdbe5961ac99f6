"""The example content is what its README says: sound, complete, and renderable."""

import json
from pathlib import Path

import pytest
from pecia_service.errors import ErrorReason, PreconditionError
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.directory import read_directory

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "companion"
BUNDLES = {f"{bundle.bundle_id}@{bundle.semver}": bundle for bundle in read_directory(EXAMPLE).bundles}
PAYLOADS = sorted(path.name for path in (EXAMPLE / "payloads").iterdir())


def resolve(name: str) -> ResolvedBundle:
    """Give an example bundle with its templates."""
    templates = {template.ref: template for template in read_directory(EXAMPLE).templates}
    return ResolvedBundle.resolve(BUNDLES[name], templates)


def payload(name: str) -> Payload:
    """Read an example payload."""
    return Payload.create(**json.loads((EXAMPLE / "payloads" / name).read_text(encoding="utf-8")))


def test_nothing_is_wrong_unused_or_missing() -> None:
    """`pecia lint` has nothing to say."""
    contents = read_directory(EXAMPLE)
    assert [contents.problems, contents.missing_references(), contents.unused_templates()] == [[], [], []]


def test_the_readme_lists_every_bundle() -> None:
    """Its table and the directory agree."""
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert {line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")} == set(BUNDLES)


@pytest.mark.parametrize("bundle", sorted(BUNDLES))
@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_renders_with_every_bundle(bundle: str, name: str) -> None:
    """A user can combine them freely, and no part is empty."""
    result = Renderer().render(resolve(bundle), payload(name))
    assert [True] * 4 == [bool(part.text) for part in result.parts]


def test_a_task_with_braces_stays_as_it_is() -> None:
    """The README promises that values are never read as templates."""
    result = Renderer().render(resolve("companion@1.2.0"), payload("busy-morning.json"))
    assert "the slides still say {{stress}} where" in result.prompt


def test_escaped_braces_reach_the_prompt() -> None:
    r"""`\{{first_name}}` is written as `{{first_name}}`."""
    result = Renderer().render(resolve("companion@1.2.0"), payload("calm-evening.json"))
    assert "A marker such as {{first_name}} in it" in result.prompt


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_json_task_holds_json(name: str) -> None:
    """Whatever the task holds, the line of the coach's request parses."""
    given = payload(name)
    prompt = Renderer().render(resolve("companion-coach@1.0.0"), given).prompt
    line = next(line for line in prompt.splitlines() if line.startswith('{"request"'))
    expected = {
        "request": {
            "task": given.task,
            "mood": given.semantic_traits["mood"],
            "day": {"activity": given.activity_level, "stress": given.stress},
        }
    }
    assert json.loads(line) == expected


def test_the_constraints_are_merged_as_the_readme_says() -> None:
    """Tokens of two templates, the shortest sentence of the activity template, no further keys."""
    expected = {
        "ASSERTIVENESS_LEVEL": 0.6,
        "FORBIDDEN_TOKENS": ["as an AI", "calm down", "cheer up", "language model"],
        "MAX_PARAGRAPHS": 3,
        "MAX_SENTENCE_LENGTH": 24,
        "NO_EMOJI": True,
    }
    assert json.loads(resolve("companion@1.2.0").constraints.canonical) == expected


def test_only_the_mood_is_a_required_trait() -> None:
    """The README says which trait a payload cannot leave out."""
    required = {
        path.path
        for bundle in BUNDLES
        for path in resolve(bundle).payload_paths()
        if path.required and path.path.startswith("semantic_traits")
    }
    assert required == {"semantic_traits.mood"}


def test_a_payload_without_mood_is_refused() -> None:
    """The error names the path."""
    bare = Payload.create(semantic_traits={}, activity_level=0.0, stress=0.0, task="x")
    with pytest.raises(PreconditionError) as caught:
        Renderer().render(resolve("companion@1.2.0"), bare)
    assert caught.value.reason is ErrorReason.PLACEHOLDER_UNRESOLVED
    assert caught.value.metadata["path"] == "semantic_traits.mood"
