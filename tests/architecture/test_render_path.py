"""What the render path and the pure core must not touch."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.checkout import SERVICE

PACKAGE = SERVICE / "pecia_service"
RENDER_PATH = [
    PACKAGE / "canonical.py",
    *sorted((PACKAGE / "registry").rglob("*.py")),
    *sorted((PACKAGE / "rendering").rglob("*.py")),
]
# What a capability has besides its pure modules: ports and use cases may read a clock that was handed in.
PURE = [PACKAGE / "canonical.py", PACKAGE / "errors.py"] + [
    path
    for room, names in (
        ("registry", ("model", "constraints", "diff", "identifiers", "line_diff", "placeholders")),
        ("rendering", ("checking", "model", "payload", "plan", "renderer", "uses")),
        ("audit", ("record", "comparison", "filter")),
    )
    for name in names
    for path in [PACKAGE / room / f"{name}.py", *sorted((PACKAGE / room / name).rglob("*.py"))]
    if path.exists()
]


def module_name(path: Path) -> str:
    """Return the dotted name of a module of the service."""
    parts = path.relative_to(SERVICE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the absolute name of everything that the code imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called_attributes(tree: ast.AST) -> Iterator[str]:
    """Yield the names of the functions and methods that the code calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node.func.id


@pytest.mark.parametrize("path", RENDER_PATH, ids=module_name)
def test_source_does_not_import_json(path: Path) -> None:
    """The standard library's json, whose floats and speed differ, is imported nowhere in the render path."""
    names = list(imported_names(ast.parse(path.read_text(encoding="utf-8"))))
    assert [name for name in names if name.split(".")[0] in {"json", "simplejson", "ujson"}] == []


@pytest.mark.parametrize("path", RENDER_PATH, ids=module_name)
def test_module_holds_no_json(path: Path) -> None:
    """No module of the render path got json by another way, such as an alias."""
    module = importlib.import_module(module_name(path))
    held = [getattr(value, "__name__", "") for value in vars(module).values()]
    assert "json" not in held


@pytest.mark.parametrize("path", PURE, ids=module_name)
def test_pure_module_reads_no_clock_file_or_environment(path: Path) -> None:
    """Types such as datetime may be named by the pure core, but nothing in it asks the outside world."""
    calls = set(called_attributes(ast.parse(path.read_text(encoding="utf-8"))))
    assert (
        calls & {"now", "utcnow", "today", "open", "print", "input", "getenv", "read_text", "read_bytes"}
        == set()
    )
