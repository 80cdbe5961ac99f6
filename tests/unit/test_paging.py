"""Page sizes and page tokens."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.canonical import canonical_json
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.paging import Cursor, Page, Pager, number_part, page_size

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)


def make_token(pager: Pager, cursor: Cursor) -> str:
    """Return the token of a page that ends at a cursor."""
    return pager.page(["shown", "next"], 1, lambda _: cursor).next_token


def encode(value: object) -> str:
    """Write any JSON as a token is written."""
    data = canonical_json(value)  # type: ignore[arg-type] # tests write what no token may hold
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def digest(pager: Pager) -> str:
    """Return what binds the tokens of a pager to its call."""
    token = make_token(pager, ("a",))
    decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    return decoded.rpartition('"of":"')[2].removesuffix('"}')


@pytest.mark.parametrize(
    ("requested", "size"), [(0, 50), (1, 1), (50, 50), (200, 200), (201, 200), (2**31 - 1, 200)]
)
def test_a_page_has_a_bounded_size(requested: int, size: int) -> None:
    """0 is the default, and more than the maximum is the maximum."""
    assert page_size(requested) == size


@pytest.mark.parametrize("requested", [-1, -(2**31)])
def test_a_negative_size_is_refused(requested: int) -> None:
    """The error names the field."""
    with pytest.raises(InvalidInputError) as caught:
        page_size(requested)
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.FIELD_INVALID,
        {"field": "page_size"},
    )


@pytest.mark.parametrize(
    ("count", "shown", "last"), [(0, 0, True), (2, 2, True), (3, 3, True), (4, 3, False)]
)
def test_a_page_has_a_token_when_there_is_more(count: int, shown: int, last: bool) -> None:
    """The one item more than fits tells that there is another page."""
    page = Pager("List").page(list(range(count)), 3, lambda item: (str(item),))
    assert (page.items, page.next_token == "") == (tuple(range(shown)), last)


def test_an_empty_token_is_the_first_page() -> None:
    """There is no cursor to go on from."""
    assert Pager("List").read("", 1) is None


def test_a_page_can_be_empty() -> None:
    """An empty list has one page."""
    assert Pager("List").page([], 1, lambda item: (str(item),)) == Page((), "")


@given(st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.dictionaries(st.text("abc"), NAMES))
def test_a_token_gives_its_cursor_back(cursor: Cursor, arguments: dict[str, str]) -> None:
    """Whatever the names are, to a pager of the same call and arguments."""
    token = make_token(Pager("List", **arguments), cursor)
    assert (Pager("List", **arguments).read(token, len(cursor)), token.isascii()) == (cursor, True)


@pytest.mark.parametrize(
    "other",
    [Pager("Other", of="a"), Pager("List", of="b"), Pager("List"), Pager("List", of="a", more="")],
)
def test_a_token_belongs_to_its_call_and_arguments(other: Pager) -> None:
    """To any other it is no token."""
    token = make_token(Pager("List", of="a"), ("x",))
    with pytest.raises(InvalidInputError) as caught:
        other.read(token, 1)
    assert (caught.value.reason, caught.value.metadata) == (
        ErrorReason.PAGE_TOKEN_INVALID,
        {"field": "page_token"},
    )


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_token_has_as_many_parts_as_the_list_has_keys(length: int) -> None:
    """One that was made for another order is none."""
    token = make_token(Pager("List"), ("a", "b"))
    with pytest.raises(InvalidInputError):
        Pager("List").read(token, length)


PAGER = Pager("List", of="a")
TOKEN = make_token(PAGER, ("x",))

FORGED = {
    "no base64": "!",
    "half of base64": "a",
    "not ASCII": "ä",
    "padded": TOKEN + "=" * (-len(TOKEN) % 4 or 4),
    "with white space": TOKEN + "\n",
    "cut": TOKEN[:-2],
    "longer": TOKEN + "AAAA",
    "very long": encode({"cursor": ["x" * 8_192], "of": digest(PAGER)}),
    "no JSON": base64.urlsafe_b64encode(b"{'cursor'").decode(),
    "no UTF-8": base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode(),
    "a list": encode(["x"]),
    "a number": encode(1),
    "no cursor": encode({"of": digest(PAGER)}),
    "no digest": encode({"cursor": ["x"]}),
    "another digest": encode({"cursor": ["x"], "of": "0" * 32}),
    "more keys": encode({"cursor": ["x"], "of": digest(PAGER), "z": 1}),
    "a cursor of text": encode({"cursor": "x", "of": digest(PAGER)}),
    "a cursor of numbers": encode({"cursor": [1], "of": digest(PAGER)}),
    "a cursor of null": encode({"cursor": None, "of": digest(PAGER)}),
    "U+0000": encode({"cursor": ["x\0"], "of": digest(PAGER)}),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_anything_else_is_no_token(token: str) -> None:
    """It is refused as such, and nothing else goes wrong."""
    with pytest.raises(InvalidInputError) as caught:
        PAGER.read(token, 1)
    assert caught.value.reason is ErrorReason.PAGE_TOKEN_INVALID


@given(
    st.text(min_size=1, max_size=200)
    | st.binary(min_size=1, max_size=200).map(lambda data: base64.b64encode(data).decode())
)
def test_no_text_makes_reading_fail_otherwise(token: str) -> None:
    """Whatever it is, the error is the same."""
    with pytest.raises(InvalidInputError) as caught:
        PAGER.read(token, 1)
    assert caught.value.reason is ErrorReason.PAGE_TOKEN_INVALID


@pytest.mark.parametrize("part", ["0", "7", "123456789012345678"])
def test_a_part_can_be_a_number(part: str) -> None:
    """In decimal digits."""
    assert number_part(part) == int(part)


@pytest.mark.parametrize("part", ["", "-1", "+1", "1.0", "١", "²", " 1", "1234567890123456789"])
def test_a_part_that_is_no_number_is_no_token(part: str) -> None:
    """Nor is one that is too large for the database."""
    with pytest.raises(InvalidInputError) as caught:
        number_part(part)
    assert caught.value.reason is ErrorReason.PAGE_TOKEN_INVALID
