"""The format of segments: whatever happens to the bytes, no record changes, and few are lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pecia_service.audit.spool import format as fmt
from support.audit import record_render
from support.spools import segment_of

# What a body can hold: JSON in UTF-8. One looks as if it held a frame.
_INNER = fmt.frame(b'{"forged":true}').decode("latin-1")
BODIES = st.lists(
    st.one_of(st.text(max_size=40), st.just(_INNER), st.just("")).map(str.encode), min_size=1, max_size=6
)


def bodies(data: bytes, start: int | None = None) -> list[bytes]:
    """Return the bodies of the whole frames."""
    found = fmt.scan(data, fmt.first_unsettled(data) if start is None else start)
    return [item.body for item in found if isinstance(item, fmt.Body)]


def damage(data: bytes) -> list[fmt.Damage]:
    """Return what is no frame."""
    return [item for item in fmt.scan(data, fmt.first_unsettled(data)) if isinstance(item, fmt.Damage)]


def segment(frames: list[bytes]) -> bytes:
    """Return a segment with these bodies."""
    return fmt.header() + b"".join(map(fmt.frame, frames))


def is_subsequence(part: list[bytes], whole: list[bytes]) -> bool:
    """Tell whether all of a list is in another, in order."""
    rest = iter(whole)
    return all(any(item == other for other in rest) for item in part)


@given(BODIES)
def test_what_was_appended_is_found(frames: list[bytes]) -> None:
    """Every body, in order, and nothing beside."""
    data = segment(frames)
    assert (frames, []) == (bodies(data), damage(data))


@given(BODIES, st.data())
def test_a_cut_costs_only_what_it_cut(frames: list[bytes], data: st.DataObject) -> None:
    """All frames before the cut are found; what is left of the one within it is a torn tail."""
    whole = segment(frames)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [fmt.HEADER_BYTES]
    for frame in frames:
        ends.append(ends[-1] + fmt.FRAME_BYTES + len(frame))
    complete = sum(end <= cut for end in ends[1:])
    found = damage(whole[:cut])
    assert frames[:complete] == bodies(whole[:cut])
    assert [True] * (cut not in ends and cut > fmt.HEADER_BYTES) == [item.torn for item in found]


@given(BODIES, st.data())
def test_a_changed_byte_costs_one_record_at_most(frames: list[bytes], data: st.DataObject) -> None:
    """Whichever byte it is and whatever it becomes, all other records are found unchanged."""
    whole = bytearray(segment(frames))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = bodies(bytes(whole))
    assert is_subsequence(found, frames)
    assert len(frames) - 1 <= len(found)
    assert at >= fmt.HEADER_BYTES or found == frames


@given(BODIES, st.data())
def test_changed_bytes_never_make_a_record(frames: list[bytes], data: st.DataObject) -> None:
    """However much is changed, what is found was appended."""
    whole = bytearray(segment(frames))
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=8)
    ):
        whole[at] = value
    assert is_subsequence(bodies(bytes(whole)), frames)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_scanned(data: bytes) -> None:
    """Nothing is raised, and every byte is accounted for once."""
    found = list(fmt.scan(data, 0))
    covered = sum(
        item.end - item.start if isinstance(item, fmt.Damage) else len(item.body) + fmt.FRAME_BYTES
        for item in found
    )
    assert len(data) == covered


@pytest.mark.parametrize("cut", range(fmt.HEADER_BYTES))
def test_a_header_that_was_cut_is_an_empty_segment(cut: int) -> None:
    """A process that ended while it began a segment left nothing in it."""
    assert [] == damage(fmt.header()[:cut])


def test_what_is_settled_is_skipped() -> None:
    """Reading begins where the mark is."""
    data = bytearray(segment([b"one", b"two"]))
    after_one = fmt.HEADER_BYTES + fmt.FRAME_BYTES + 3
    mark = fmt.settled_mark(after_one)
    data[fmt.SETTLED_AT : fmt.SETTLED_AT + len(mark)] = mark
    assert [b"two"] == bodies(bytes(data))


@pytest.mark.parametrize("offset", [0, fmt.HEADER_BYTES - 1, 10_000])
def test_a_mark_that_cant_be_is_ignored(offset: int) -> None:
    """One beyond the file is what a cut leaves; then all that is there is read."""
    data = bytearray(segment([b"one"]))
    mark = fmt.settled_mark(offset)
    data[fmt.SETTLED_AT : fmt.SETTLED_AT + len(mark)] = mark
    assert [b"one"] == bodies(bytes(data))


def test_another_version_is_told_apart_from_damage() -> None:
    """A header that is whole says its version, one that is not says none."""
    flipped = bytes([fmt.header()[0] ^ 1]) + fmt.header()[1:]
    assert (1, None, None) == (fmt.version_of(fmt.header()), fmt.version_of(flipped), fmt.version_of(b""))


def test_no_prompt_can_hold_a_marker() -> None:
    """A body is UTF-8, in which the marker's first and last byte never occur."""
    data = segment_of(record_render())
    assert 1 == data.count(fmt.MARKER)
    assert fmt.MARKER[0] in (0xFE, 0xFF)
