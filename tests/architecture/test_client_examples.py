"""What docs/clients.md shows of a language is a file that its conformance program is built with."""

from pathlib import Path

import pytest
from support.checkout import ROOT

EXAMPLES = {
    "go": Path("tests/clients/go/example/main.go"),
    "typescript": Path("tests/clients/typescript/src/example/render.ts"),
    "java": Path("tests/clients/java/src/main/java/io/pecia/example/RenderExample.java"),
}


@pytest.mark.parametrize("language", EXAMPLES)
def test_the_guide_shows_an_example_that_is_compiled(language: str) -> None:
    """Whoever copies the example out of the guide gets what the compiler has accepted."""
    example = (ROOT / EXAMPLES[language]).read_text(encoding="utf-8")
    guide = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    shown = guide.partition(f"```{language}\n")[2].partition("```")[0]
    assert example == shown
