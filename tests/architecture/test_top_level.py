"""The top level of the repository stays readable at a glance."""

from support.checkout import repository_files

ALLOWED = {
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "deploy",
    "docs",
    "generated",
    "protos",
    "pyproject.toml",
    "service",
    "tests",
}


def test_top_level_holds_only_what_the_design_names() -> None:
    """Whoever adds something at the top level has to change the design first; dotfiles are free."""
    top_level = {path.parts[0] for path in repository_files()}
    assert {name for name in top_level if not name.startswith(".")} - ALLOWED == set()
