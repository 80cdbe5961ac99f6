"""Identifiers, labels and versions: what is one, and which version comes first."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.registry.identifiers import (
    is_semver,
    precedence_key,
    require_identifier,
    require_label,
    require_semver,
)

VALID_VERSIONS = [
    *("0.0.0", "0.0.4", "1.2.3", "10.20.30", "1.0.0", "2.0.0", "1.1.7", "99999999999999999999999.0.1"),
    *("1.1.2-prerelease+meta", "1.1.2+meta", "1.1.2+meta-valid", "1.0.0-alpha", "1.0.0-beta"),
    *("1.0.0-alpha.beta", "1.0.0-alpha.beta.1", "1.0.0-alpha.1", "1.0.0-alpha0.valid", "1.0.0-alpha.0valid"),
    *(
        "1.0.0-rc.1+build.1",
        "2.0.0-rc.1+build.123",
        "1.2.3-beta",
        "10.2.3-DEV-SNAPSHOT",
        "1.2.3-SNAPSHOT-123",
    ),
    *("2.0.0+build.1848", "2.0.1-alpha.1227", "1.0.0-alpha+beta", "1.2.3----RC-SNAPSHOT.12.9.1--.12+788"),
    *(
        "1.2.3----R-S.12.9.1--.12+meta",
        "1.2.3----RC-SNAPSHOT.12.9.1--.12",
        "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
    ),
    *("1.0.0-0A.is.legal", "1.0.0-0", "1.0.0-0-0", "1.0.0+001", "1.0.0--", "1.0.0-a+00.-.0"),
    f"1.0.0-{'a' * 249}",
]
INVALID_VERSIONS = [
    *(
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "1.2.3-",
        "1.2.3+",
        "1.2.3-+",
        "1.2.3-+b",
        "+invalid",
        "-invalid",
        "alpha",
        "a.b.c",
    ),
    *(
        "1.2.3-0123",
        "1.2.3-0123.0123",
        "1.1.2+.123",
        "1.1.2+a..b",
        "1.1.2-a..b",
        "1.1.2-.a",
        "1.1.2-a.",
        "1.1.2+a+b",
    ),
    *("01.1.1", "1.01.1", "1.1.01", "1.0.0-alpha_beta", "1.0.0-alpha.01", "1.2-SNAPSHOT", "1.2-RC-SNAPSHOT"),
    *(
        "v1.2.3",
        "V1.2.3",
        "=1.2.3",
        "^1.2.3",
        "1.2.x",
        "1.2.*",
        " 1.2.3",
        "1.2.3 ",
        "1.2.3\n",
        "1. 2.3",
        "-1.2.3",
    ),
    *(
        "1.2.3-ä",
        "1.2.3+é",
        "\u0661.\u0662.\u0663",
        "\uff11.2.3",
        "1.2.3-β",
        "1.2.3\0",
        "1,2,3",
        "9" * 250 + ".0.0.0",
    ),
    *("1.0.0-" + "a" * 250, "1" * 255 + ".0.0"),
]

IN_ORDER_OF_THE_SPECIFICATION = [
    *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"),
    *("1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1"),
]


@pytest.mark.parametrize("version", VALID_VERSIONS)
def test_strict_versions_are_taken(version: str) -> None:
    """As they are."""
    assert (is_semver(version), require_semver(version, "semver")) == (True, version)


@pytest.mark.parametrize("version", INVALID_VERSIONS)
def test_anything_else_is_no_version(version: str) -> None:
    """The error names the field."""
    with pytest.raises(InvalidInputError) as caught:
        require_semver(version, "template.semver")
    assert (is_semver(version), caught.value.reason, caught.value.metadata) == (
        False,
        ErrorReason.SEMVER_INVALID,
        {"field": "template.semver"},
    )


def test_a_missing_version_is_called_missing() -> None:
    """The description tells it from a wrong one."""
    with pytest.raises(InvalidInputError, match="is missing"):
        require_semver("", "semver")


Precedence = tuple[tuple[int, int, int], int, list[tuple[int, int, str]]]


def naive_precedence(version: str) -> Precedence:
    """Return what rule 11 of SemVer 2.0 compares, in its own terms."""
    version, _, _ = version.partition("+")
    core, hyphen, prerelease = version.partition("-")
    major, minor, patch = (int(number) for number in core.split("."))
    parts = [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in prerelease.split(".") if hyphen
    ]
    return (major, minor, patch), 0 if hyphen else 1, parts


numbers = st.integers(0, 12) | st.integers(0, 10**30)
parts = st.from_regex(r"\A(?:0|[1-9][0-9]{0,11}|[0-9]{0,3}[A-Za-z-][0-9A-Za-z-]{0,5})\Z")
builds = st.from_regex(r"\A(?:|\+[0-9A-Za-z-]{1,4}(?:\.[0-9A-Za-z-]{1,4})?)\Z")


@st.composite
def versions(draw: st.DrawFn) -> str:
    """Draw a version; small numbers and few parts make near neighbours likely."""
    core = ".".join(str(draw(numbers)) for _ in range(3))
    prerelease = ".".join(draw(st.lists(parts, max_size=3)))
    return core + (f"-{prerelease}" if prerelease else "") + draw(builds)


neighbours = st.sampled_from(
    [
        f"{core}{prerelease}"
        for core, prerelease in itertools.product(
            ("1.0.0", "1.0.10", "1.0.9", "10.0.0", "9.0.0"),
            (
                "",
                "-0",
                "-1",
                "-10",
                "-9",
                "-a",
                "-a.0",
                "-a.a",
                "-a-",
                "-a-a",
                "-A",
                "--",
                "-a0",
                "-0a",
                "-a.10",
            ),
        )
    ]
)


@given(versions())
def test_drawn_versions_are_versions(version: str) -> None:
    """The properties below are of real versions."""
    assume(len(version) <= 255)
    assert is_semver(version)


@given(versions() | neighbours, versions() | neighbours)
def test_keys_compare_as_versions_do(one: str, other: str) -> None:
    """By the bytes of the key, as rule 11 says."""
    given_order = naive_precedence(one) < naive_precedence(other)
    given_equality = naive_precedence(one) == naive_precedence(other)
    keys = precedence_key(one).encode("ascii"), precedence_key(other).encode("ascii")
    assert (keys[0] < keys[1], keys[0] == keys[1]) == (given_order, given_equality)


def test_the_order_of_the_specification_holds() -> None:
    """The examples of SemVer 2.0."""
    newest_first = list(reversed(IN_ORDER_OF_THE_SPECIFICATION))
    assert sorted(newest_first, key=precedence_key) == IN_ORDER_OF_THE_SPECIFICATION


def test_build_metadata_does_not_order() -> None:
    """Versions that differ only there have one key."""
    assert precedence_key("1.0.0-a+b") == precedence_key("1.0.0-a+c.9") == precedence_key("1.0.0-a")


@pytest.mark.parametrize("version", ["", "1.0", "v1.0.0"])
def test_what_is_no_version_has_no_key(version: str) -> None:
    """It is a fault of the caller."""
    with pytest.raises(ValueError, match="not a SemVer version"):
        precedence_key(version)


@pytest.mark.parametrize(
    "name", ["a", "Z", "0", "a.b", "a-b", "a_b", "0.0", "A" * 255, "v1", "1.0.0", "a--", "a.."]
)
def test_identifiers_are_taken(name: str) -> None:
    """ASCII letters and digits, and after the first also . _ and -."""
    assert require_identifier(name, "bundle_id") == name


@pytest.mark.parametrize(
    "name", ["production", "A", "a.b", "stable-2", "version", "v", "V", "vx1", "a" * 63, "l_1"]
)
def test_labels_are_taken(name: str) -> None:
    """They begin with a letter."""
    assert require_label(name, "label") == name


NO_NAMES = [
    *("", ".a", "-a", "_a", "a b", "a/b", "a@b", "a:b", "ä", "a\n", "a\0", " a", "a "),
    # A byte-order mark, a full-width a, and a Cyrillic one.
    *("\ufeffa", "\uff41", "\u0430bc"),
]


@pytest.mark.parametrize("require", [require_identifier, require_label])
@pytest.mark.parametrize("name", [*NO_NAMES, "a" * 256])
def test_anything_else_is_no_name(require: Callable[[str, str], str], name: str) -> None:
    """Neither of a piece nor of a label; the error names the field."""
    with pytest.raises(InvalidInputError) as caught:
        require(name, "some.field")
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.IDENTIFIER_INVALID,
        {"field": "some.field"},
    )


@pytest.mark.parametrize("name", ["1", "0a", "1.0.0", "v1", "V2", "v1.2", "v1.2.3-rc", "v0x", "a" * 64])
def test_a_label_is_not_shaped_like_a_version(name: str) -> None:
    """So that nobody takes one for the other."""
    with pytest.raises(InvalidInputError) as caught:
        require_label(name, "label")
    assert caught.value.reason is ErrorReason.IDENTIFIER_INVALID


@pytest.mark.parametrize("require", [require_identifier, require_label])
def test_a_missing_name_is_called_missing(require: Callable[[str, str], str]) -> None:
    """The description tells it from a wrong one."""
    with pytest.raises(InvalidInputError, match="is missing"):
        require("", "label")
