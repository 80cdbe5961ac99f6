"""The renderer fills placeholders, joins once, and hashes what it joined."""

import hashlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.canonical import JsonValue
from pecia_service.errors import ErrorReason, PreconditionError
from pecia_service.registry.model import Role, Slot
from pecia_service.rendering.renderer import DEFAULT_MAX_PROMPT_BYTES, RENDERER_VERSION, Renderer
from support.pieces import make_payload, resolve_contents
from support.strategies import clean_text, json_objects

TRAITS: dict[str, JsonValue] = {
    "text": "calm",
    "quoted": 'a "b"\n\u00e5',
    "empty": "",
    "number": 0.1,
    "whole": 2.0,
    "tiny": 1e-7,
    "huge": 1e21,
    "yes": True,
    "no": False,
    "null": None,
    "list": [1.0, "x", None],
    "object": {"\U0001f600": 1, "\ue000": 2, "b": {"a": []}},
}


def render_one(content: str, task: str = "task", traits: dict[str, JsonValue] | None = None) -> str:
    """Render one template's content, and return the text that it gave."""
    result = Renderer().render(resolve_contents([content, "p", "a", "t"]), make_payload(task, traits))
    return result.parts[0].text


def test_joins_the_parts_in_order() -> None:
    """System, personality, activity and task are joined by two line feeds."""
    result = Renderer().render(resolve_contents(["S", "P", "A", "T"]), make_payload())
    assert result.prompt == "S\n\nP\n\nA\n\nT"
    assert [(part.slot, part.text) for part in result.parts] == list(zip(Slot, "SPAT", strict=True))


def test_empty_parts_keep_their_place() -> None:
    """A part that renders to nothing leaves its separators."""
    result = Renderer().render(
        resolve_contents(["{{task}}", "P", "{{task}}", "{{semantic_traits.x}}"]), make_payload("", {"x": ""})
    )
    assert result.prompt == "\n\nP\n\n\n\n"
    assert [part.text for part in result.parts] == ["", "P", "", ""]


def test_parts_carry_the_roles_of_their_templates() -> None:
    """The role comes from the template and not from the slot."""
    result = Renderer().render(resolve_contents(["S", "P", "A", "T"]), make_payload())
    assert {part.role for part in result.parts} == {Role.SYSTEM}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{{task}}", 'Say "hi"\n'),
        ("{{json:task}}", r'"Say \"hi\"\n"'),
        ("{{activity_level}} {{json:activity_level}}", "0.5 0.5"),
        ("{{stress}}", "0.25"),
        ("{{semantic_traits.text}}", "calm"),
        ("{{json:semantic_traits.text}}", '"calm"'),
        ("{{json:semantic_traits.quoted}}", '"a \\"b\\"\\n\u00e5"'),
        ("[{{semantic_traits.empty}}]", "[]"),
        ("{{semantic_traits.number}}", "0.1"),
        ("{{semantic_traits.whole}}", "2"),
        ("{{semantic_traits.tiny}} {{semantic_traits.huge}}", "1e-7 1e+21"),
        ("{{semantic_traits.yes}} {{semantic_traits.no}}", "true false"),
        ("{{semantic_traits.null}} {{json:semantic_traits.null}}", "null null"),
        ('{{semantic_traits.null | "default"}}', "null"),
        ('{{semantic_traits.empty | "default"}}.', "."),
        ('{{semantic_traits.no | "default"}}', "false"),
        ('{{semantic_traits.text | "default"}}', "calm"),
        ('{{semantic_traits.missing | "default"}}', "default"),
        ('{{json:semantic_traits.missing | "default"}}', '"default"'),
        ("{{semantic_traits.missing | 1.0}}", "1"),
        ('{{semantic_traits.text.missing | "default"}}', "default"),
        ("{{semantic_traits.list}}", '[1,"x",null]'),
        ("{{json:semantic_traits.list}}", '[1,"x",null]'),
        ("{{semantic_traits.object}}", '{"b":{"a":[]},"\U0001f600":1,"\ue000":2}'),
        ("{{semantic_traits.object.b.a}}", "[]"),
        ("{{semantic_traits.missing | 1}} {{semantic_traits.missing | 2}}", "1 2"),
        (
            "{{semantic_traits.text}} {{json:semantic_traits.text}} {{semantic_traits.text}}",
            'calm "calm" calm',
        ),
        (r"\{{task}} \\{{stress}}", r"{{task}} \0.25"),
        ('{"t":{{json:task}},"n":{"a":{{stress}}}}', '{"t":"Say \\"hi\\"\\n","n":{"a":0.25}}'),
        ("{{constraints}} {{json:constraints}}", "{} {}"),
    ],
)
def test_inserts_values(content: str, expected: str) -> None:
    """Text is inserted as it is, anything else as canonical JSON, and with json: text too."""
    assert render_one(content, 'Say "hi"\n', TRAITS) == expected


def test_levels_are_written_as_canonical_numbers() -> None:
    """A level given as 1.0 or -0.0 is written as JSON writes it."""
    resolved = resolve_contents(["{{activity_level}}", "{{stress}}", "-", "-"])
    payload = make_payload(activity_level=1.0, stress=-0.0)
    assert Renderer().render(resolved, payload).prompt == "1\n\n0\n\n-\n\n-"


def test_states_the_effective_constraints_where_it_is_asked_to() -> None:
    """`{{constraints}}` is the canonical JSON of what all four templates say, in any of them."""
    resolved = resolve_contents(
        ["S", "P {{constraints}}", "A", "T"],
        {
            Slot.SYSTEM: {"FORBIDDEN_TOKENS": ["b"], "TONE": "dry"},
            Slot.TASK: {"FORBIDDEN_TOKENS": ["a"], "MAX_PARAGRAPHS": 2},
        },
    )
    expected = 'S\n\nP {"FORBIDDEN_TOKENS":["a","b"],"MAX_PARAGRAPHS":2}\n\nA\n\nT'
    assert Renderer().render(resolved, make_payload()).prompt == expected


def test_puts_nothing_into_a_prompt_that_no_template_asks_for() -> None:
    """Constraints and payload stay out of a prompt without placeholders."""
    resolved = resolve_contents(["S", "P", "A", "T"], {Slot.SYSTEM: {"NO_EMOJI": True}})
    assert Renderer().render(resolved, make_payload("SECRET", {"k": "SECRET"})).prompt == "S\n\nP\n\nA\n\nT"


INJECTIONS = ("{{stress}}", "{{ task }}", "{{constraints}}", r"\{{stress}}", "{{", "}}", '"}}{{stress}}')


@pytest.mark.parametrize("injected", INJECTIONS)
def test_values_are_never_scanned(injected: str) -> None:
    """What looks like a placeholder inside a task or a trait stays text."""
    content = "{{task}}|{{semantic_traits.k}}|{{stress}}"
    assert render_one(content, injected, {"k": injected}) == f"{injected}|{injected}|0.25"


@pytest.mark.parametrize("injected", INJECTIONS)
def test_trait_keys_are_never_scanned(injected: str) -> None:
    """What looks like a placeholder inside a key stays text in the canonical JSON."""
    escaped = injected.replace("\\", r"\\").replace('"', r"\"")
    assert render_one("{{semantic_traits}}", traits={injected: injected}) == f'{{"{escaped}":"{escaped}"}}'


def test_values_do_not_form_placeholders_with_their_surroundings() -> None:
    """Braces of the template and braces of values never meet."""
    assert render_one("{ {{task}}stress}}", "{{") == "{ {{stress}}"
    assert render_one("{{task}}{{semantic_traits.k}}", "{", {"k": "{stress}}"}) == "{{stress}}"


def test_defaults_are_never_scanned() -> None:
    """What looks like a placeholder inside a default stays text."""
    assert render_one('{{semantic_traits.k | "{{stress}}"}}') == "{{stress}}"


def test_a_joined_prompt_is_not_normalised() -> None:
    """A combining mark at the start of a value stays apart from the letter before it."""
    assert render_one("A{{task}}", "\u030a") == "A\u030a"


@given(clean_text, json_objects)
def test_a_value_is_inserted_as_it_is_in_the_payload(task: str, traits: dict[str, JsonValue]) -> None:
    """Any task between two literals comes out between them, to the character."""
    payload = make_payload(task, traits)
    result = Renderer().render(resolve_contents(["<{{task}}>", "p", "a", "t"]), payload)
    assert result.parts[0].text == f"<{payload.task}>"


@given(clean_text, json_objects)
def test_prompt_hash_is_the_hash_of_the_prompt(task: str, traits: dict[str, JsonValue]) -> None:
    """`sha256sum` of the prompt's UTF-8 is the prompt_hash, and nothing else is in it."""
    resolved = resolve_contents(["{{task}}", "{{semantic_traits}}", "{{json:task}}", "t"])
    payload = make_payload(task, traits)
    result = Renderer().render(resolved, payload)
    assert result.prompt == "\n\n".join(part.text for part in result.parts)
    assert result.prompt_hash == hashlib.sha256(result.prompt.encode()).hexdigest()
    assert result.payload_hash == payload.payload_hash
    assert result.bundle_hash == resolved.bundle_hash
    assert result.renderer_version == RENDERER_VERSION


def test_rendering_again_gives_the_same() -> None:
    """A renderer keeps nothing of one render for the next."""
    renderer, payload = Renderer(), make_payload("x", TRAITS)
    resolved = resolve_contents(["{{semantic_traits}}", "{{task}}", "{{constraints}}", "{{stress}}"])
    other = resolve_contents(["{{stress}}", "a", "b", "c"])
    first = renderer.render(resolved, payload)
    renderer.render(other, make_payload("y"))
    assert renderer.render(resolved, payload) == first


@pytest.mark.parametrize(
    ("slot", "path"),
    [
        (Slot.SYSTEM, "semantic_traits.missing"),
        (Slot.PERSONALITY, "semantic_traits.text.length"),
        (Slot.ACTIVITY, "semantic_traits.null.x"),
        (Slot.TASK, "semantic_traits.object.b.c"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "json:"])
def test_a_missing_path_is_refused_by_name(slot: Slot, path: str, prefix: str) -> None:
    """The error names slot, template and path; nobody guesses a value."""
    contents = [f"{{{{{prefix}{path}}}}}" if each is slot else "x" for each in Slot]
    with pytest.raises(PreconditionError) as caught:
        Renderer().render(resolve_contents(contents), make_payload(traits=TRAITS))
    assert caught.value.reason is ErrorReason.PLACEHOLDER_UNRESOLVED
    assert caught.value.metadata == {
        "slot": slot.value,
        "template_id": slot.value,
        "semver": "1.0.0",
        "path": path,
    }
    assert caught.value.message == (
        f"slot {slot.value}: template {slot.value}@1.0.0 needs {path}, which the payload lacks; "
        "add it, or give the placeholder a default"
    )


@pytest.mark.parametrize("character", ["x", "\u00e5", "\u2028", "\U0001f600"], ids=ascii)
@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_a_prompt_may_be_as_large_as_the_limit(character: str, surplus: int) -> None:
    """The size is that of the UTF-8 with separators; at the limit it renders, one byte beyond it does not."""
    task = character * 100
    size = len(task.encode()) + len("\n\np\n\na\n\nt")
    renderer = Renderer(max_prompt_bytes=size - surplus)
    resolved = resolve_contents(["{{task}}", "p", "a", "t"])
    if surplus <= 0:
        assert len(renderer.render(resolved, make_payload(task)).prompt.encode()) == size
        return
    with pytest.raises(PreconditionError) as caught:
        renderer.render(resolved, make_payload(task))
    assert caught.value.reason is ErrorReason.PROMPT_TOO_LARGE
    assert caught.value.metadata == {"size": str(size), "limit": str(size - 1)}


@given(st.text(alphabet="x\u00e5\u2028\U0001f600", min_size=1, max_size=30), st.integers(1, 130))
def test_refuses_exactly_the_prompts_beyond_the_limit(task: str, limit: int) -> None:
    """Whatever the mix of characters, the limit counts bytes."""
    resolved, payload = resolve_contents(["{{task}}", "p", "a", "t"]), make_payload(task)
    size = len(f"{task}\n\np\n\na\n\nt".encode())
    if size <= limit:
        assert len(Renderer(limit).render(resolved, payload).prompt.encode()) == size
        return
    with pytest.raises(PreconditionError) as caught:
        Renderer(limit).render(resolved, payload)
    assert caught.value.metadata == {"size": str(size), "limit": str(limit)}


def test_is_measured_before_it_is_joined() -> None:
    """A template that repeats a large value thousands of times is refused without making the prompt."""
    resolved, payload = resolve_contents(["{{task}}" * 3000, "p", "a", "t"]), make_payload("x" * 65_536)
    tracemalloc.start()
    try:
        with pytest.raises(PreconditionError) as caught:
            Renderer().render(resolved, payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = int(caught.value.metadata["size"])
    assert caught.value.reason is ErrorReason.PROMPT_TOO_LARGE
    assert size == 3000 * 65_536 + len("\n\np\n\na\n\nt")
    assert peak < size / 100


def test_the_default_limit_is_3_mib() -> None:
    """A server without a setting renders up to 3 MiB."""
    repeats = DEFAULT_MAX_PROMPT_BYTES // 65_536 - 1
    room = 65_536 - len("\n\np\n\na\n\nt")
    resolved = resolve_contents(["{{task}}" * repeats + "x" * room, "p", "a", "t"])
    result = Renderer().render(resolved, make_payload("x" * 65_536))
    assert len(result.prompt) == 3 * 1024 * 1024
