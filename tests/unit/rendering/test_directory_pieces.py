"""Which faults of a directory stop those who want pieces of it, and which do not."""

from pathlib import Path

import pytest
from pecia_service.errors import ErrorReason, NotFoundError
from pecia_service.registry.model import TemplateRef
from pecia_service.rendering.sources.directory import DirectoryError, read_directory
from pecia_service.rendering.sources.directory_pieces import DirectoryBundleSource, DirectoryTemplateSource
from support.cli import write_bundle, write_pieces, write_template


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Give a directory with sound pieces, a faulty bundle, a faulty template, and a stray file."""
    write_pieces(tmp_path)
    write_bundle(tmp_path, "second", rest="tags: [a, a]")
    write_template(tmp_path, "task", "{{tusk}}", semver="2.0.0")
    (tmp_path / "templates" / "stray.txt").write_text("")
    return tmp_path


def faults(error: DirectoryError) -> list[str]:
    """Return which files an error speaks of."""
    return [problem.path for problem in error.problems]


STRAY, TASK = "templates/stray.txt", "templates/task/2.0.0.md"
SECOND = "bundles/second/1.0.0/bundle.yaml"


async def test_sound_pieces_are_given_among_faulty_ones(faulty: Path) -> None:
    """A fault that is not in what is asked for stops nobody."""
    contents = read_directory(faulty)
    bundle = await DirectoryBundleSource(contents).get_bundle("companion", "1.0.0")
    templates = DirectoryTemplateSource(contents)
    template = await templates.get_template("task", "1.0.0")
    assert "companion@1.0.0" == str(bundle)
    assert {template.ref: template} == dict(await templates.get_templates([template.ref]))


async def test_a_faulty_bundle_has_its_own_faults(faulty: Path) -> None:
    """The error has what is wrong with the bundle's file, and nothing of the others."""
    with pytest.raises(DirectoryError) as caught:
        await DirectoryBundleSource(read_directory(faulty)).get_bundle("second", "1.0.0")
    assert [SECOND] == faults(caught.value)
    assert "can't read bundle second@1.0.0 from the directory, which has faults" == caught.value.summary


async def test_a_faulty_template_has_its_own_faults(faulty: Path) -> None:
    """Asked for alone or with others, the error has what is wrong with its file."""
    templates = DirectoryTemplateSource(read_directory(faulty))
    with pytest.raises(DirectoryError) as alone:
        await templates.get_template("task", "2.0.0")
    with pytest.raises(DirectoryError) as among:
        await templates.get_templates([TemplateRef("task", "1.0.0"), TemplateRef("task", "2.0.0")])
    assert [[TASK], [TASK]] == [faults(alone.value), faults(among.value)]


async def test_a_missing_piece_may_be_in_any_faulty_file(faulty: Path) -> None:
    """A stray file may be the piece, so that the error has all faults."""
    contents = read_directory(faulty)
    with pytest.raises(DirectoryError) as bundle:
        await DirectoryBundleSource(contents).get_bundle("companion", "9.0.0")
    with pytest.raises(DirectoryError) as templates:
        await DirectoryTemplateSource(contents).get_templates([TemplateRef("a", "1.0.0")])
    assert [[STRAY, TASK, SECOND]] * 2 == [faults(bundle.value), faults(templates.value)]
    assert str(bundle.value).endswith("(and 2 more; see pecia lint)")


async def test_a_piece_that_a_sound_directory_lacks_is_not_found(tmp_path: Path) -> None:
    """Without faults there is nothing to mend but the name."""
    source = DirectoryBundleSource(read_directory(write_pieces(tmp_path)))
    with pytest.raises(NotFoundError) as caught:
        await source.get_bundle("companion", "9.0.0")
    assert ErrorReason.BUNDLE_NOT_FOUND is caught.value.reason
