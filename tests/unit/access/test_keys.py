"""API keys: their text, and what is kept of their secret."""

import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.access.keys import ApiKey, hash_secret, matches

ID = "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44"
DIGITS = ID.replace("-", "")
SECRET = "A" * 43
TEXT = f"pecia_acme.{DIGITS}.{SECRET}"

_FIRST = string.ascii_letters + string.digits
tenants = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(f"{_FIRST}._-", max_size=254))
ids = st.uuids(version=4).map(str)
secrets = st.binary(min_size=32, max_size=32)
salts = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(tenants, ids, secrets)
def test_what_is_made_is_read(tenant: str, credential_id: str, secret: bytes) -> None:
    """Whatever the tenant's name holds, dots and underscores included."""
    key = ApiKey.make(tenant, credential_id, secret)
    assert ApiKey.parse(key.text) == key


@given(tenants, ids, secrets)
def test_a_key_is_one_printable_word(tenant: str, credential_id: str, secret: bytes) -> None:
    """It fits into a header, a variable and a shell without quotes."""
    text = ApiKey.make(tenant, credential_id, secret).text
    assert set(text) - set(f"{_FIRST}._-") == set()


@given(st.text() | st.text(f"{_FIRST}._-", max_size=120).map("pecia_".__add__))
def test_any_text_is_a_key_or_none(text: str) -> None:
    """Nothing fails to be read, and what is read has one text only."""
    key = ApiKey.parse(text)
    assert key is None or key.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pecia_",
        "pecia_..",
        TEXT.removeprefix("pecia_"),
        TEXT.upper(),
        f" {TEXT}",
        f"{TEXT}\n",
        f"{TEXT}=",
        TEXT[:-1],
        f"{TEXT}A",
        f"pecia_.{DIGITS}.{SECRET}",
        f"pecia_-acme.{DIGITS}.{SECRET}",
        f"pecia_{'a' * 256}.{DIGITS}.{SECRET}",
        f"pecia_acme.{ID}.{SECRET}",
        f"pecia_acme.{DIGITS.upper()}.{SECRET}",
        f"pecia_acme.{DIGITS}.{'+' * 43}",
        f"pecia_acme.{'١' * 32}.{SECRET}",
        f"pecia_äcme.{DIGITS}.{SECRET}",
        "pecia_" + "a." * 100_000,
    ],
)
def test_what_is_no_key_is_told(text: str) -> None:
    """Cut off, of another form, or not in its one way to be written."""
    assert ApiKey.parse(text) is None


def test_a_key_does_not_show_its_secret() -> None:
    """Not when it ends up in a message or a log."""
    assert ApiKey.parse(TEXT) is not None
    assert SECRET not in repr(ApiKey.parse(TEXT))


@given(secrets, secrets, salts)
def test_only_the_secret_itself_matches(first: bytes, second: bytes, salt: str) -> None:
    """By what is kept of it."""
    one, other = (ApiKey.make("t", ID, secret).secret for secret in (first, second))
    kept = hash_secret(salt, one)
    assert [matches(one, salt, kept), matches(other, salt, kept)] == [True, first == second]


@given(secrets, salts, salts)
def test_a_salt_changes_the_hash(secret: bytes, salt: str, other: str) -> None:
    """So that the same secret in two rows can't be seen."""
    text = ApiKey.make("t", ID, secret).secret
    assert (hash_secret(salt, text) == hash_secret(other, text)) == (salt == other)


def test_the_hash_is_sha_256_of_salt_and_secret() -> None:
    """A known value, so that keys outlive a change of this code."""
    # printf '00ff%s' AAA… | sha256sum
    expected = "c4eeb9452ccad7f3127523ef928434ec57c42b4bfb95bc5e555dad7c442fd119"
    assert hash_secret("00ff", SECRET) == expected


def test_hashes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer must not say how much of a guess was right."""
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert matches(SECRET, "00", "kept") is True
    assert compared == [(hash_secret("00", SECRET).encode(), b"kept")]


@pytest.mark.parametrize(
    ("salt", "kept"),
    [(None, "ab"), ("ab", None), ("", ""), ("ab", ""), ("\udcff", "\udcff"), ("ä", "ä" * 64)],
)
def test_damaged_rows_match_nothing(salt: str | None, kept: str | None) -> None:
    """Also when they hold what no salt or hash is."""
    assert matches(SECRET, salt, kept) is False
