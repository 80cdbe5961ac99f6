"""UUIDs of version 7 follow RFC 9562 and only ever increase."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.ids import MAX_UNIX_MS, RANDOM_BITS, RandomBits, UuidFactory, is_uuid, uuid7, uuid7_time_ms

# RFC 9562, appendix A.6: 2022-02-22 14:22:22 -05:00, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
RFC_MS = 0x017F22E279B0
RFC_BITS = 0xCC3 << 62 | 0x18C4DC0C0C07398F
RFC_UUID = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def scripted(values: list[int]) -> Callable[[], int]:
    """Return a clock that gives these times, one each time that it is read."""
    times = iter(values)
    return lambda: next(times)


def highest(bits: int) -> int:
    """Give the largest number of `bits` bits, as a source of randomness might."""
    return (1 << bits) - 1


def number(value: str) -> int:
    """Return a UUID as a number."""
    return int(value.replace("-", ""), 16)


def test_example_of_the_rfc_is_made() -> None:
    """The time and bits of RFC 9562's example give its UUID."""
    assert uuid7(RFC_MS, RFC_BITS) == RFC_UUID


def test_time_of_the_rfcs_example_is_read() -> None:
    """The milliseconds of RFC 9562's example are those it names, in either case."""
    assert [uuid7_time_ms(RFC_UUID), uuid7_time_ms(RFC_UUID.upper())] == [RFC_MS, RFC_MS]


@given(st.integers(0, MAX_UNIX_MS), st.integers(0, (1 << RANDOM_BITS) - 1))
def test_time_is_read_back(unix_ms: int, bits: int) -> None:
    """Whatever the bits, a UUIDv7 is a UUID and tells the time that it was made of."""
    value = uuid7(unix_ms, bits)
    assert (is_uuid(value), value[14], uuid7_time_ms(value)) == (True, "7", unix_ms)


@given(*[st.tuples(st.integers(0, 3), st.integers(0, (1 << RANDOM_BITS) - 1))] * 2)
def test_text_is_ordered_as_time_and_bits(one: tuple[int, int], other: tuple[int, int]) -> None:
    """UUIDs sort as text in the order of their times, then of their bits."""
    assert (uuid7(*one) < uuid7(*other)) == (one < other)


@pytest.mark.parametrize(("unix_ms", "bits"), [(-1, 0), (MAX_UNIX_MS + 1, 0), (0, -1), (0, 1 << RANDOM_BITS)])
def test_time_and_bits_out_of_range_are_refused(unix_ms: int, bits: int) -> None:
    """What does not fit into a UUIDv7 is a ValueError, not a UUID of another time or version."""
    with pytest.raises(ValueError, match="a UUIDv7 needs"):
        uuid7(unix_ms, bits)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "017f22e279b07cc398c4dc0c0c07398f",
        f"{{{RFC_UUID}}}",
        f"urn:uuid:{RFC_UUID}",
        f"{RFC_UUID}\n",
        f" {RFC_UUID}",
        RFC_UUID.replace("0", "\u0660"),
        RFC_UUID[:-1],
        RFC_UUID[:-1] + "g",
    ],
)
def test_other_forms_are_no_uuids(value: str) -> None:
    """Only the hex-and-dash form is a UUID."""
    assert (is_uuid(value), uuid7_time_ms(value)) == (False, None)


@pytest.mark.parametrize(
    "value", ["919108f7-52d1-4320-9bac-f847db4148a8", "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f"]
)
def test_other_versions_and_variants_tell_no_time(value: str) -> None:
    """A UUID of another version or variant is a UUID without a time."""
    assert (is_uuid(value), uuid7_time_ms(value)) == (True, None)


@given(
    st.lists(st.integers(1_000, 1_004), min_size=2, max_size=60),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_ids_increase_whatever_the_clock_does(times: list[int], random: Random, full: bool) -> None:
    """Each id is greater than the one before, also when the clock stands still or steps back."""
    source = highest if full else random.getrandbits
    make = UuidFactory(scripted(times), source)
    ids = [make() for _ in times]
    assert ids == sorted(set(ids))


def test_first_id_of_a_millisecond_has_fresh_bits() -> None:
    """When the clock moves on, the id tells its time, and its bits owe nothing to those before."""
    bits = iter([5, 40, 6, 41])
    make = UuidFactory(scripted([1_000, 2_000]), lambda _: next(bits))
    assert [make(), make()] == [uuid7(1_000, 40), uuid7(2_000, 41)]


def test_ids_of_one_millisecond_grow_by_random_steps() -> None:
    """While the clock stands still, the bits grow by one and a random number."""
    bits = iter([0, 40, 9, 0])
    make = UuidFactory(scripted([1_000, 1_000, 999]), lambda _: next(bits))
    assert [make(), make(), make()] == [uuid7(1_000, 40), uuid7(1_000, 50), uuid7(1_000, 51)]


def test_time_runs_ahead_when_a_millisecond_is_used_up() -> None:
    """When the counter overflows, ids go on in the next millisecond, with fresh bits."""
    full = (1 << RANDOM_BITS) - 1
    bits = iter([0, full, 0, 7, 2])
    make = UuidFactory(scripted([1_000, 1_000, 1_000]), lambda _: next(bits))
    assert [make(), make(), make()] == [uuid7(1_000, full), uuid7(1_001, 7), uuid7(1_001, 10)]


def test_ids_made_at_once_differ() -> None:
    """A hundred thousand ids of one millisecond with the largest steps are all different."""
    make = UuidFactory(lambda: 1_000, highest)
    ids = [number(make()) for _ in range(100_000)]
    assert len(set(ids)) == 100_000


def test_random_bits_are_taken_from_many_bytes_at_once() -> None:
    """Bits come from the bytes in order, none twice, and the source is asked again when they are used up."""
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(256)) * (count // 256)

    bits = RandomBits(random_bytes)
    assert [0x00010203, 0x04 >> 1, 0x0506, 0x0708] == [bits(count) for count in (32, 7, 16, 16)]
    assert [4_096] == asked
    for _ in range(511):
        bits(64)
    assert [4_096, 4_096] == asked


@given(st.integers(1, 128))
def test_random_bits_are_as_many_as_were_asked_for(count: int) -> None:
    """All ones give the largest integer of so many bits."""
    assert (1 << count) - 1 == RandomBits(lambda size: b"\xff" * size)(count)
