"""References as people write them."""

import pytest
from pecia_client import parse_bundle_ref, parse_template_ref
from pecia_client.messages import BundleRef, TemplateRef


@pytest.mark.parametrize("version", ["1.2.0", "0.0.0", "1.0.0-rc.1", "1.0.0+build.7", "1.0.0-a-b.0+x.01"])
def test_strict_semver_is_a_version(version: str) -> None:
    """What SemVer 2.0 accepts goes to `semver`."""
    assert BundleRef(bundle_id="companion", semver=version) == parse_bundle_ref(f"companion@{version}")


@pytest.mark.parametrize("label", ["production", "a", "V", "very.last_one-2", "a" * 63])
def test_a_name_is_a_label(label: str) -> None:
    """What can name a label goes to `label`."""
    assert BundleRef(bundle_id="companion", label=label) == parse_bundle_ref(f"companion@{label}")


@pytest.mark.parametrize(
    "selector", ["1.2", "9", "v1.2.0", "01.2.0", "1.0.0-01", "1.0.0\n", "١.0.0", "é", "a" * 64, "-a"]
)
def test_what_is_neither_version_nor_label_is_refused(selector: str) -> None:
    """A mistaken version would only be a label that nobody finds."""
    with pytest.raises(ValueError, match=r"is neither a version \(MAJOR\.MINOR\.PATCH\) nor a label"):
        parse_bundle_ref(f"companion@{selector}")


@pytest.mark.parametrize("text", ["", "companion", "@1.0.0", "companion@", "a@b@c"])
def test_a_reference_has_one_at_sign_between_two_names(text: str) -> None:
    """A text that is no reference is refused with what to write instead."""
    with pytest.raises(ValueError, match="write ID@VERSION or ID@LABEL"):
        parse_bundle_ref(text)


def test_a_template_reference_has_a_version() -> None:
    """A template is named by id and version only."""
    assert TemplateRef(template_id="t", semver="1.0.0") == parse_template_ref("t@1.0.0")
