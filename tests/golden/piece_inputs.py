"""The inputs of the golden vectors about templates, bundles and renders, by file and list."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from golden.inputs import payload

SLOTS: Final = ("system", "personality", "activity", "task")


def template(content: str, template_id: str = "greeting", **fields: Any) -> dict[str, Any]:
    """Make a template's definition."""
    return {"template_id": template_id, "semver": "1.0.0", "role": "system", "content": content, **fields}


TEMPLATES: Final[Mapping[str, Any]] = {
    "plain": template("You are a companion."),
    "all_fields": template(
        "Speak in a {{semantic_traits.mood}} tone.",
        "companion-personality",
        semver="1.2.0-rc.1+build.7",
        role="developer",
        constraints={"FORBIDDEN_TOKENS": ["obviously", "Sure"], "NO_EMOJI": True, "TONE": "dry"},
        adapter_version="adapter-3",
        description="How it speaks.",
    ),
    "user_role": template("{{task}}", role="user"),
    "normalised": template("\ufeffA\u030a\r\nb\r", adapter_version="e\u0301", description="x\r\n"),
    "trailing_line_feeds": template("text \n\n\r\n"),
    "empty_constraints": template("x", constraints={"NO_EMOJI": False, "FORBIDDEN_TOKENS": []}),
    "large_number_in_constraints": template("x", constraints={"WEIGHT": 1e17}),
    "every_placeholder": template(
        "{{task}}{{ json:task }}{{activity_level}}{{stress}}{{constraints}}{{semantic_traits}}"
        '{{semantic_traits.a-1._b|"}}"}}{{\n\tsemantic_traits.c\n|\n-1.5e-3\n}}'
        r"\{{ \\{{task | null}} } }} {"
    ),
    "refused_empty": template("\r\n"),
    "refused_identifier": template("x", "-x"),
    "refused_semver": template("x", semver="1.0"),
    "refused_nul": template("x\u0000"),
    "refused_constraints": template("x", constraints={"MAX_PARAGRAPHS": 0}),
    "refused_no_path": template("line one\n  {{}}"),
    "refused_unknown_path": template("{{name}}"),
    "refused_path_of_scalar": template("{{task.title}}"),
    "refused_unclosed": template("{{task"),
    "refused_three_braces": template("{{{task}}}"),
    "refused_default": template("{{task | 'x'}}"),
    "refused_default_nul": template('{{task | "\\u0000"}}'),
    "refused_default_surrogate": template('{{task | "\\ud800"}}'),
    "refused_default_integer": template("{{task | 9007199254740992}}"),
    "refused_default_number": template("{{task | 1e400}}"),
    "refused_json_and_space": template("{{json: task}}"),
}


def pieces(
    contents: Sequence[str],
    constraints: Sequence[Mapping[str, Any]] = ({}, {}, {}, {}),
    **fields: Any,
) -> dict[str, Any]:
    """Make a bundle's definition and those of its four templates, which are named like their slots."""
    return {
        "bundle": {
            "bundle_id": "companion",
            "semver": "1.2.0",
            "slots": {slot: {"template_id": slot, "semver": "1.0.0"} for slot in SLOTS},
            **fields,
        },
        "templates": [
            template(content, slot, role="user" if slot == "task" else "system", constraints=each)
            for slot, content, each in zip(SLOTS, contents, constraints, strict=True)
        ],
    }


PLAIN: Final = ("You are a companion.", "You are calm.", "It is evening.", "{{task}}")

BUNDLES: Final[Mapping[str, Any]] = {
    "plain": pieces(PLAIN),
    "tags_and_description": pieces(PLAIN, tags=["gpt-4o", " A\u030a "], description="For evenings.\r\n"),
    "constraints": pieces(PLAIN, [{"NO_EMOJI": True}, {}, {"TONE": "dry"}, {"MAX_PARAGRAPHS": 2}]),
    "other_version": pieces(PLAIN, semver="1.2.0+b"),
    "one_template_four_times": {
        "bundle": {
            "bundle_id": "echo",
            "semver": "0.1.0",
            "slots": {slot: {"template_id": "greeting", "semver": "1.0.0"} for slot in SLOTS},
        },
        "templates": [template("{{task}}")],
    },
    "refused_tag_twice": pieces(PLAIN, tags=["a", "b", " a"]),
    "refused_tag_empty": pieces(PLAIN, tags=[" "]),
    "refused_missing_slot": pieces(PLAIN, slots={"system": {"template_id": "system", "semver": "1.0.0"}}),
    "refused_missing_template": {**pieces(PLAIN), "templates": pieces(PLAIN)["templates"][:3]},
}


def render(contents: Sequence[str], fields: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Make the input of a render."""
    return {**pieces(contents, **more), "payload": payload(**fields)}


TRAITS: Final[Mapping[str, Any]] = {
    "mood": "calm",
    "openness": 0.8,
    "whole": 2.0,
    "tiny": 1e-7,
    "huge": 1e21,
    "yes": True,
    "null": None,
    "quote": 'a "b"\n',
    "list": [1.0, "x", None],
    "nested": {"\U0001f600": 1, "\ue000": 2, "deep": {"er": "here"}},
}

RENDERS: Final[Mapping[str, Any]] = {
    "plain": render(PLAIN, {"task": "Plan the day."}),
    "text_and_json": render(
        [
            "{{semantic_traits.mood}} {{json:semantic_traits.mood}} {{semantic_traits.nested.deep.er}}",
            "{{semantic_traits.openness}} {{semantic_traits.whole}} {{semantic_traits.tiny}} "
            "{{semantic_traits.huge}} {{semantic_traits.yes}} {{semantic_traits.null}}",
            "{{semantic_traits.list}} {{json:semantic_traits.list}} {{semantic_traits.nested}}",
            '{"task": {{json:task}}, "quote": {{json:semantic_traits.quote}}, "level": {"a": {{stress}}}}',
        ],
        {"semantic_traits": TRAITS, "task": 'Say "hi"\n', "stress": -0.0},
    ),
    "all_traits": render(["{{semantic_traits}}", "-", "-", "-"], {"semantic_traits": TRAITS}),
    "defaults": render(
        [
            '{{semantic_traits.a | "text"}} {{json:semantic_traits.a | "text"}} {{semantic_traits.a|""}}.',
            "{{semantic_traits.a | 1.0}} {{semantic_traits.a|-0.0}} {{semantic_traits.a | 1e21}}",
            "{{semantic_traits.a | true}} {{semantic_traits.a | null}} {{semantic_traits.mood.x | false}}",
            '{{semantic_traits.a | "}} {{stress}} \\u00e5\\n"}} {{semantic_traits.null | "unused"}}',
        ],
        {"semantic_traits": TRAITS},
    ),
    "empty_parts_stay": render(["{{task}}", "P", "{{task}}", "{{task}}"], {"task": ""}),
    "escapes": render(
        [r"\{{task}}", r"\\{{task}} \\\{{task}} \\\\{{task}}", r"\{{{ } }} { \ \{", r"{ {{task}} }"], {}
    ),
    "values_are_inert": render(
        [
            "{{task}}",
            "{{semantic_traits}}",
            "{{semantic_traits.k}}{{semantic_traits.k}}",
            "{ {{task}}stress}}",
        ],
        {"task": "{{stress}} \\{{", "semantic_traits": {"k": "{{task}}", "{{stress}}": "{{constraints}}"}},
    ),
    "json_template": render(['{"a": {"b": {{json:task}}}, "c": [{{stress}}]}', "{}", "}}", "{"], {}),
    "constraints_stated": render(
        ["{{constraints}}", "{{ json:constraints }}", "A", "T"],
        {},
        constraints=[
            {"FORBIDDEN_TOKENS": ["sure", "b"], "MAX_PARAGRAPHS": 3},
            {"FORBIDDEN_TOKENS": ["Sure"], "TONE": "dry"},
            {"MAX_PARAGRAPHS": 2, "ASSERTIVENESS_LEVEL": 1.0},
            {"NO_EMOJI": True},
        ],
    ),
    "no_normalisation_after_joining": render(["A{{task}}", "-", "-", "-"], {"task": "\u030a"}),
    "every_plane": render(
        ["\u00e5 \u4e2d \U0001f600 \U00020000 \U000e0041 \U0010ffff {{task}}", "\u200f\u05d0", "\u2028", "-"],
        {"task": "\U0001f469\u200d\U0001f680\ufe0f"},
    ),
    "trailing_line_feeds": render(["S\n\n", "P\r\n", "A\r", "{{task}}\n"], {"task": "T\n"}),
    "at_the_limit": {**render(["{{task}}", "p", "a", "t"], {"task": "\u00e5"}), "max_prompt_bytes": 11},
    "refused_beyond_the_limit": {
        **render(["{{task}}", "p", "a", "t"], {"task": "\u00e5"}),
        "max_prompt_bytes": 10,
    },
    "refused_missing_path": render(["S", "P", "{{semantic_traits.mood}}", "T"], {}),
    "refused_path_through_text": render(
        ["S", "P", "A", "{{semantic_traits.mood.x}}"], {"semantic_traits": {"mood": "calm"}}
    ),
    "refused_path_through_null": render(
        ["{{semantic_traits.a.b}}", "P", "A", "T"], {"semantic_traits": {"a": None}}
    ),
}
