r"""The placeholder compiler: `{{…}}` to segments, and everything else refused with its place."""

import itertools
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.registry.placeholders import (
    MAX_REPORTED,
    PATH_ROOTS,
    Literal,
    Placeholder,
    Segment,
    compile_template,
)
from support.strategies import any_text

ESCAPE = r"or \{{"


def placeholder(path: str, default: str | None = None, *, as_json: bool = False) -> Placeholder:
    """Make the placeholder for a dotted path."""
    return Placeholder(tuple(path.split(".")), as_json, default)


def faults(content: str) -> list[str]:
    """Return the descriptions of all faults that a content has."""
    with pytest.raises(InvalidInputError) as caught:
        compile_template(content)
    assert caught.value.reason is ErrorReason.TEMPLATE_SYNTAX
    return [violation.description for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{{task}}", [placeholder("task")]),
        ("{{activity_level}}", [placeholder("activity_level")]),
        ("{{stress}}", [placeholder("stress")]),
        ("{{constraints}}", [placeholder("constraints")]),
        ("{{semantic_traits}}", [placeholder("semantic_traits")]),
        ("{{semantic_traits.a}}", [placeholder("semantic_traits.a")]),
        ("{{semantic_traits._a-1.B_.c-}}", [placeholder("semantic_traits._a-1.B_.c-")]),
        ("{{semantic_traits.task.stress}}", [placeholder("semantic_traits.task.stress")]),
        ("{{ \t\n task \n\t }}", [placeholder("task")]),
        ("{{json:task}}", [placeholder("task", as_json=True)]),
        ("{{ json:semantic_traits.a }}", [placeholder("semantic_traits.a", as_json=True)]),
        ("{{task|1}}", [placeholder("task", "1")]),
        ("{{ json:task \n| \t1 \n}}", [placeholder("task", "1", as_json=True)]),
        ("a{{task}}b", [Literal("a"), placeholder("task"), Literal("b")]),
        ("{{task}}{{task}}", [placeholder("task"), placeholder("task")]),
        ("\U0001f600{{task}}\u00e5", [Literal("\U0001f600"), placeholder("task"), Literal("\u00e5")]),
    ],
    ids=ascii,
)
def test_parses_placeholders(content: str, expected: Sequence[Segment]) -> None:
    """Every form of the grammar gives its segments."""
    assert compile_template(content) == tuple(expected)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "}",
        "}}",
        "{ {task}}",
        "{task}",
        "a } b }} c",
        '{"a": {"b": 1}}',
        "\\",
        "\\\\",
        "\\{",
        "\\n {\\ {",
    ],
)
def test_lone_braces_mean_nothing(content: str) -> None:
    """A lone brace, closing braces and backslashes elsewhere are plain text."""
    assert compile_template(content) == (Literal(content),)


@given(any_text.filter(lambda text: "{{" not in text and text))
def test_text_without_opening_is_one_literal(text: str) -> None:
    """Text that holds no `{{` is copied as it is, in one piece."""
    assert compile_template(text) == (Literal(text),)


def test_nothing_is_no_segment() -> None:
    """An empty content compiles to nothing."""
    assert compile_template("") == ()


def test_json_templates_keep_their_braces() -> None:
    """A template can hold JSON around placeholders; the placeholder's own braces end first."""
    content = '{"task": {{json:task}}, "traits": {"mood": {{json:semantic_traits.mood | "calm"}}}}'
    assert compile_template(content) == (
        Literal('{"task": '),
        placeholder("task", as_json=True),
        Literal(', "traits": {"mood": '),
        placeholder("semantic_traits.mood", '"calm"', as_json=True),
        Literal("}}"),
    )


@pytest.mark.parametrize("backslashes", range(9))
def test_backslashes_before_an_opening(backslashes: int) -> None:
    """Each pair of backslashes is one; an odd one makes the braces literal."""
    kept = "\\" * (backslashes // 2)
    compiled = compile_template("a" + "\\" * backslashes + "{{task}}b")
    if backslashes % 2:
        assert compiled == (Literal(f"a{kept}{{{{task}}}}b"),)
    else:
        assert compiled == (Literal(f"a{kept}"), placeholder("task"), Literal("b"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (r"\{{", "{{"),
        (r"\{{{", "{{{"),
        (r"\{{\{{", "{{{{"),
        (r"\{{task}}", "{{task}}"),
        (r"\\\{{x}}", r"\{{x}}"),
        (r"\a\{{", r"\a{{"),
        (r"\ {", r"\ {"),
    ],
)
def test_escaped_braces_are_text(content: str, expected: str) -> None:
    """What follows literal braces is text and needs not be a placeholder."""
    assert compile_template(content) == (Literal(expected),)


@given(st.text(alphabet="\\{}ab", max_size=30))
def test_every_text_can_be_escaped(text: str) -> None:
    """Doubling the backslashes before each `{{` and adding one gives a content that compiles to the text."""
    escaped, position = "", 0
    while (opening := text.find("{{", position)) >= 0:
        before = text[position:opening]
        bare = before.rstrip("\\")
        escaped += bare + "\\" * (2 * (len(before) - len(bare)) + 1) + "{{"
        position = opening + 2
    literals = compile_template(escaped + text[position:])
    assert "".join(segment.text for segment in literals if isinstance(segment, Literal)) == text


@pytest.mark.parametrize(
    ("literal", "as_text", "as_json"),
    [
        ('""', "", '""'),
        ('"calm"', "calm", '"calm"'),
        (r'"a\"b\\c\/d"', 'a"b\\c/d', r'"a\"b\\c/d"'),
        (r'"\b\f\n\t"', "\b\f\n\t", r'"\b\f\n\t"'),
        (r'"\u0041\u030a"', "\u00c5", '"\u00c5"'),
        (r'"\ud83d\ude00"', "\U0001f600", '"\U0001f600"'),
        (r'"a\r\nb\rc"', "a\nb\nc", r'"a\nb\nc"'),
        (r'"\ufeffx"', "x", '"x"'),
        ('"}}"', "}}", '"}}"'),
        ('"{{stress}}"', "{{stress}}", '"{{stress}}"'),
        ('"|"', "|", '"|"'),
        ("0", "0", "0"),
        ("-0", "0", "0"),
        ("-0.0", "0", "0"),
        ("0.50", "0.5", "0.5"),
        ("1.0", "1", "1"),
        ("-12.5e-1", "-1.25", "-1.25"),
        ("1E2", "100", "100"),
        ("1e-7", "1e-7", "1e-7"),
        ("1e21", "1e+21", "1e+21"),
        ("9007199254740993.0", "9007199254740992", "9007199254740992"),
        ("9007199254740991", "9007199254740991", "9007199254740991"),
        ("-9007199254740991", "-9007199254740991", "-9007199254740991"),
        ("1e-400", "0", "0"),
        ("true", "true", "true"),
        ("false", "false", "false"),
        ("null", "null", "null"),
    ],
    ids=ascii,
)
def test_defaults_are_json_scalars(literal: str, as_text: str, as_json: str) -> None:
    """A default is normalised and ready to insert: text as it is, after json: as JSON, the rest canonical."""
    assert compile_template(f"{{{{task | {literal}}}}}") == (placeholder("task", as_text),)
    assert compile_template(f"{{{{json:task|{literal}}}}}") == (placeholder("task", as_json, as_json=True),)


NO_PATH = r"no path after {{; write {{task}}, or \{{ for literal braces"
UNCLOSED = r"{{ is not closed; write }}, or \{{"
UNKNOWN = (
    "unknown path; it begins with one of task, activity_level, stress, constraints, semantic_traits; "
    r"or write \{{"
)
NOT_CLOSED = r"expected }} (or | and a default) here; close the placeholder, or write \{{"
NO_DEFAULT = 'a default is a JSON literal: "text" in double quotes, a number, true, false or null'
BAD_DEFAULT = (
    "this default is not valid JSON, its number is too large, or its text holds U+0000 or a lone surrogate"
)
LARGE_INTEGER = "this integer is beyond 2**53 - 1; write it as text in double quotes"


@pytest.mark.parametrize(
    ("content", "column", "description"),
    [
        ("{{", 1, NO_PATH),
        ("ab{{", 3, NO_PATH),
        ("{{}}", 1, NO_PATH),
        ("{{ }}", 1, NO_PATH),
        ("{{{task}}}", 1, NO_PATH),
        ("{{#if}}", 1, NO_PATH),
        ("{{ 1 }}", 1, NO_PATH),
        ("{{.task}}", 1, NO_PATH),
        ("{{json: task}}", 1, NO_PATH),
        ("{{\u00e5}}", 1, NO_PATH),
        ("{{\rtask}}", 1, NO_PATH),
        ("{{\u00a0task}}", 1, NO_PATH),
        ("{{name}}", 3, UNKNOWN),
        ("{{  Task}}", 5, UNKNOWN),
        ("{{json}}", 3, UNKNOWN),
        ("{{json:traits}}", 8, UNKNOWN),
        ("{{semantic_trait.a}}", 3, UNKNOWN),
        ("{{task.a}}", 3, "task has no parts; write {{task}}"),
        ("{{constraints.MAX_PARAGRAPHS}}", 3, "constraints has no parts; write {{constraints}}"),
        ("{{task", 1, UNCLOSED),
        ("{{task}", 1, UNCLOSED),
        ("{{task} }", 1, UNCLOSED),
        ("{{task x}}", 8, NOT_CLOSED),
        ("{{task:json}}", 7, NOT_CLOSED),
        ("{{semantic_traits.}}", 18, NOT_CLOSED),
        ("{{semantic_traits..a}}", 18, NOT_CLOSED),
        ("{{semantic_traits.1}}", 18, NOT_CLOSED),
        ("{{semantic_traits.\u00e5}}", 18, NOT_CLOSED),
        ("{{semantic_traits.a .b}}", 21, NOT_CLOSED),
        ("{{semantic_traits[0]}}", 18, NOT_CLOSED),
        ('{{task | "a"', 1, UNCLOSED),
        ("{{task | 1 2}}", 12, NOT_CLOSED),
        ("{{task | 1 | 2}}", 12, NOT_CLOSED),
        ("{{task |}}", 9, NO_DEFAULT),
        ("{{task | }}", 10, NO_DEFAULT),
        ("{{task | calm}}", 10, NO_DEFAULT),
        ("{{task | 'calm'}}", 10, NO_DEFAULT),
        ('{{task | "calm}}', 10, NO_DEFAULT),
        ('{{task | "a\nb"}}', 10, NO_DEFAULT),
        ('{{task | "a\tb"}}', 10, NO_DEFAULT),
        ('{{task | "a"b}}', 10, NO_DEFAULT),
        ("{{task | [1]}}", 10, NO_DEFAULT),
        ("{{task | {}}}", 10, NO_DEFAULT),
        ("{{task | True}}", 10, NO_DEFAULT),
        ("{{task | nullx}}", 10, NO_DEFAULT),
        ("{{task | NaN}}", 10, NO_DEFAULT),
        ("{{task | -Infinity}}", 10, NO_DEFAULT),
        ("{{task | .5}}", 10, NO_DEFAULT),
        ("{{task | 5.}}", 10, NO_DEFAULT),
        ("{{task | 01}}", 10, NO_DEFAULT),
        ("{{task | +1}}", 10, NO_DEFAULT),
        ("{{task | 1e}}", 10, NO_DEFAULT),
        ("{{task | 1.2.3}}", 10, NO_DEFAULT),
        ("{{task | 0x1}}", 10, NO_DEFAULT),
        ("{{task | \u0661}}", 10, NO_DEFAULT),
        ("{{task || 1}}", 9, NO_DEFAULT),
        (r'{{task | "\x"}}', 10, BAD_DEFAULT),
        (r'{{task | "\u12"}}', 10, BAD_DEFAULT),
        (r'{{task | "\u0000"}}', 10, BAD_DEFAULT),
        (r'{{task | "\ud800"}}', 10, BAD_DEFAULT),
        (r'{{task | "\ude00\ud83d"}}', 10, BAD_DEFAULT),
        ("{{task | 1e400}}", 10, BAD_DEFAULT),
        ("{{task | -1e309}}", 10, BAD_DEFAULT),
        ("{{task | 9007199254740992}}", 10, LARGE_INTEGER),
        ("{{task | -9007199254740992}}", 10, LARGE_INTEGER),
        ("{{task | 18446744073709551616}}", 10, LARGE_INTEGER),
        (r"\\{{", 3, NO_PATH),
        (r"\{{}}{{", 6, NO_PATH),
        ("\U0001f600\u00e5{{", 3, NO_PATH),
    ],
    ids=ascii,
)
def test_refuses_anything_else(content: str, column: int, description: str) -> None:
    """Each fault is named with its line, its column in code points, and what to write instead."""
    found = re.sub(r" \(did you mean \w+\?\)", "", faults(content)[0])
    assert found == f"line 1, column {column}: {description}"


@pytest.mark.parametrize(
    ("path", "meant"), [("tusk", "task"), ("Stress", "stress"), ("semantic_trait.a", "semantic_traits")]
)
def test_the_nearest_root_is_suggested(path: str, meant: str) -> None:
    """A mistyped path is the likeliest fault of a new template."""
    assert f"unknown path (did you mean {meant}?); " in faults(f"{{{{{path}}}}}")[0]


def test_every_root_is_named_in_the_hint() -> None:
    """Whoever writes an unknown path is told all that there are."""
    assert all(root in UNKNOWN for root in PATH_ROOTS)


def test_lines_and_columns_count_from_the_last_line_feed() -> None:
    """Lines and columns are those of an editor, both from 1."""
    assert faults("first\n\n  {{nope}}\n{{task}}\n{{") == [
        f"line 3, column 5: {UNKNOWN}",
        f"line 5, column 1: {NO_PATH}",
    ]


def test_a_fault_may_lie_lines_below_its_opening() -> None:
    """The place is that of the fault and not that of the placeholder."""
    assert faults("{{\n  task\n   !}}") == [f"line 3, column 4: {NOT_CLOSED}"]


def test_the_error_carries_its_first_place() -> None:
    """Metadata names field, line and column of the first fault; the message counts the others."""
    with pytest.raises(InvalidInputError) as caught:
        compile_template("ok\n a {{x}} {{y}} {{z}}", "template.content")
    error = caught.value
    assert error.metadata == {"field": "template.content", "line": "2", "column": "6"}
    assert error.message == f"template.content: line 2, column 6: {UNKNOWN} (and 2 more)"
    assert {violation.field for violation in error.violations} == {"template.content"}
    assert len(error.violations) == 3


def test_errors_hold_no_text_of_the_template() -> None:
    """What stands in a template is not repeated in the error."""
    with pytest.raises(InvalidInputError) as caught:
        compile_template("SECRET {{SECRET}} {{task SECRET}} {{task | SECRET}}")
    texts = [caught.value.message, *(violation.description for violation in caught.value.violations)]
    assert not [text for text in texts if "SECRET" in text]


@pytest.mark.parametrize("count", [MAX_REPORTED - 1, MAX_REPORTED, MAX_REPORTED + 1, 100_000])
def test_reports_at_most_32_faults(count: int) -> None:
    """A flood of faults is cut off, and parsing with it."""
    assert len(faults("{{" * count)) == min(count, 32)


@pytest.mark.parametrize(
    ("piece", "end"),
    [
        ("\\", "{{task}}"),
        ("\\{{", ""),
        ("\\\\", "\\{{"),
        ("{ ", ""),
        ("}}", ""),
        (" ", "{{task}}"),
        ("{{task}}", ""),
    ],
    ids=ascii,
)
def test_reads_floods_of_valid_content(piece: str, end: str) -> None:
    """256 KiB of the same few characters compile to their text and placeholders, in one pass."""
    content = piece * (262_144 // len(piece)) + end
    compiled = compile_template(content)
    assert content.count("task") == sum(isinstance(segment, Placeholder) for segment in compiled)
    assert all(
        isinstance(first, Placeholder) or isinstance(second, Placeholder)
        for first, second in itertools.pairwise(compiled)
    )


@pytest.mark.parametrize(
    "content",
    [
        "{{" + " " * 262_144,
        "{{task" + "\n" * 262_144,
        "{{semantic_traits" + ".a" * 131_072,
        "{{semantic_traits." + "a" * 262_144,
        '{{task|"' + "a" * 262_144,
        '{{task|"' + '\\"' * 131_072,
        "{{task|" + "1" * 262_144,
        "{{task|1." + "1" * 262_144,
        '{{task|"' * 32_768,
        "{{task|" * 32_768,
        "{{ " * 87_381,
    ],
    ids=lambda content: ascii(content[:20]),
)
def test_refuses_floods_of_invalid_content(content: str) -> None:
    """Content made to be slow to refuse is refused like any other, with at most 32 faults."""
    assert 1 <= len(faults(content)) <= 32


def test_long_defaults_are_one_token() -> None:
    """A default as large as a template may be is read without recursion."""
    text = "\\n}}{{" * 40_000
    assert compile_template(f'{{{{task|"{text}"}}}}') == (placeholder("task", "\n}}{{" * 40_000),)
