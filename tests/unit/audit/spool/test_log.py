"""The segments of one process: where records go, what they may take, and what is removed."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.log import SpoolLog
from pecia_service.audit.spool.segment import Segment
from support.spools import descriptors, make_folder

FRAME = fmt.frame(b"x" * 1000)


class Disk:
    """Writes until so many bytes are written in all, and takes at most `chunk` of them at once."""

    def __init__(self, room: int = 1 << 40, chunk: int = 1 << 40) -> None:
        self.room = room
        self.chunk = chunk

    def write(self, descriptor: int, data: bytes) -> int:
        """Write what there is room for, as a system does whose disk is nearly full."""
        count = min(len(data), self.room, self.chunk)
        if not count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= count
        return os.write(descriptor, data[:count])


class Shelf:
    """A log in a folder of its own."""

    def __init__(self, root: Path, *, max_bytes: int = 1 << 30, segment_bytes: int = 1 << 20) -> None:
        self.disk = Disk()
        self.folder = make_folder(root)
        self.log = SpoolLog(
            self.folder, max_bytes=max_bytes, segment_bytes=segment_bytes, write=self.disk.write
        )

    def append(self, count: int = 1) -> list[tuple[Segment, int]]:
        """Append frames of one size."""
        return [self.log.append(FRAME, number + 1) for number in range(count)]

    def bodies(self) -> list[list[int]]:
        """Return the lengths of what waits in each file."""
        found = []
        for path in self.folder.segments():
            data = path.read_bytes()
            items = list(fmt.scan(data, fmt.first_unsettled(data)))
            assert all(isinstance(item, fmt.Body) for item in items)
            found.append([len(item.body) for item in items if isinstance(item, fmt.Body)])
        return found


def test_what_is_appended_is_in_the_file_at_once(tmp_path: Path) -> None:
    """It needs no closing and no flushing."""
    shelf = Shelf(tmp_path)
    shelf.append(2)
    assert [[1000, 1000]] == shelf.bodies()
    assert (2, 2 * len(FRAME), 1) == (shelf.log.records, shelf.log.waiting_bytes, shelf.log.oldest_at)


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    """A segment takes no more once it has its size."""
    shelf = Shelf(tmp_path, segment_bytes=2000)
    shelf.append(5)
    assert [[1000, 1000], [1000, 1000], [1000]] == shelf.bodies()


def test_a_segment_is_removed_when_all_of_it_is_settled(tmp_path: Path) -> None:
    """The others stay."""
    shelf = Shelf(tmp_path, segment_bytes=2000)
    places = shelf.append(3)
    shelf.log.settle(*places[1], 2)
    assert ["00000002.seg"] == [path.name for path in shelf.folder.segments()]


def test_what_is_settled_is_not_read_again(tmp_path: Path) -> None:
    """The file says how far it is settled."""
    shelf = Shelf(tmp_path)
    places = shelf.append(3)
    shelf.log.settle(*places[0], 1)
    assert ([[1000, 1000]], 2, 2 * len(FRAME)) == (shelf.bodies(), shelf.log.records, shelf.log.waiting_bytes)


def test_the_segment_that_is_appended_to_is_cleared(tmp_path: Path) -> None:
    """Texts that are in the database don't stay in a file beside it, and appending goes on."""
    shelf = Shelf(tmp_path)
    [place] = shelf.append()
    shelf.log.settle(*place, 1)
    size = shelf.folder.segment(1).stat().st_size
    shelf.append()
    assert (fmt.HEADER_BYTES, [[1000]], None) == (size, shelf.bodies(), None if shelf.log.records else 0)


def test_a_full_segment_without_waiting_records_is_replaced(tmp_path: Path) -> None:
    """Cleared or not, the next segment takes its place."""
    shelf = Shelf(tmp_path, segment_bytes=fmt.HEADER_BYTES)
    [place] = shelf.append()
    shelf.log.settle(*place, 1)
    shelf.append()
    assert [[1000]] == shelf.bodies()


def test_a_full_spool_takes_no_more_until_something_is_settled(tmp_path: Path) -> None:
    """The bound is on the bytes of the files."""
    shelf = Shelf(tmp_path, max_bytes=5 * len(FRAME), segment_bytes=1)
    places = shelf.append(4)
    with pytest.raises(OSError, match="the spool is full"):
        shelf.append()
    refused = shelf.log.has_room(len(FRAME))
    shelf.log.settle(*places[0], 1)
    assert (False, True) == (refused, shelf.log.has_room(len(FRAME)))
    assert 1 == len(shelf.append())


def test_a_spool_without_room_for_a_header_begins_no_segment(tmp_path: Path) -> None:
    """Files without records would be litter."""
    shelf = Shelf(tmp_path, max_bytes=4, segment_bytes=1)
    with pytest.raises(OSError, match="the spool is full"):
        shelf.append()
    assert ([], False) == (shelf.folder.segments(), shelf.log.has_room(1))


def test_a_write_in_pieces_is_one_record(tmp_path: Path) -> None:
    """A system may take a part of a write only."""
    shelf = Shelf(tmp_path)
    shelf.disk.chunk = 100
    shelf.append(2)
    assert [[1000, 1000]] == shelf.bodies()


@pytest.mark.parametrize("room", [0, 1, 500, len(FRAME) - 1])
def test_what_a_full_disk_took_is_cut_off(tmp_path: Path, room: int) -> None:
    """A part of a record would be in the way of the next."""
    shelf = Shelf(tmp_path)
    shelf.append()
    shelf.disk.room = room
    with pytest.raises(OSError, match="No space left"):
        shelf.append()
    full = shelf.log.has_room(len(FRAME))
    shelf.disk.room = 1 << 40
    roomy = shelf.log.has_room(len(FRAME))
    shelf.append()
    assert ([[1000, 1000]], False, True) == (shelf.bodies(), full, roomy)


def test_a_segment_that_cant_be_begun_leaves_no_file(tmp_path: Path) -> None:
    """The next record tries again."""
    shelf = Shelf(tmp_path)
    shelf.disk.room = 5
    with pytest.raises(OSError, match="No space left"):
        shelf.append()
    files = shelf.folder.segments()
    full = shelf.log.has_room(1)
    shelf.disk.room = 1 << 40
    shelf.append()
    assert ([], False, [[1000]]) == (files, full, shelf.bodies())


def test_the_oldest_segment_is_sealed_to_be_read(tmp_path: Path) -> None:
    """The next record begins another, and nothing is sealed where nothing waits."""
    shelf = Shelf(tmp_path)
    nothing = shelf.log.seal_oldest()
    shelf.append()
    sealed, more = shelf.log.seal_oldest()
    shelf.append()
    again, others = shelf.log.seal_oldest()
    assert ((None, False), False, True) == (nothing, more, others)
    assert sealed is again
    assert [[1000], [1000]] == shelf.bodies()


def test_closing_keeps_what_waits(tmp_path: Path) -> None:
    """Segments without waiting records are removed."""
    shelf = Shelf(tmp_path, segment_bytes=1)
    places = shelf.append(3)
    shelf.log.settle(*places[2], 1)
    shelf.log.close()
    assert [[1000], [1000]] == shelf.bodies()


def test_a_closed_segment_has_no_further_descriptor(tmp_path: Path) -> None:
    """What is closed needs no syncing."""
    shelf = Shelf(tmp_path)
    [(segment, _)] = shelf.append()
    duplicate = segment.duplicate()
    segment.close()
    segment.close()
    assert duplicate is not None
    os.close(duplicate)
    assert segment.duplicate() is None


def failing(*_: object) -> int:
    """Stand in for a call of the system."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_segment_whose_mark_cant_be_reset_is_not_appended_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark of what is gone would hide as much of what comes."""
    shelf = Shelf(tmp_path)
    [(segment, _), (_, end)] = shelf.append(2)
    marks = [os.pwrite, failing]

    def pwrite(*arguments: Any) -> int:
        return marks.pop(0)(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", pwrite)
        with pytest.raises(OSError, match="Input/output"):
            shelf.log.settle(segment, end, 2)
    shelf.append(2)
    assert ([[1000, 1000]], 2) == (shelf.bodies(), shelf.log.records)


def test_what_cant_be_cut_off_is_followed_by_another_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes later is not where the file's size says."""
    shelf = Shelf(tmp_path)
    shelf.append()
    shelf.disk.room, shelf.disk.chunk = 500, 500
    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", failing)
        with pytest.raises(OSError, match="Input/output"):
            shelf.append()
    shelf.disk.room = shelf.disk.chunk = 1 << 40
    [(segment, end)] = shelf.append()
    assert ("00000002.seg", fmt.HEADER_BYTES + len(FRAME)) == (segment.path.name, end)


def test_a_full_segment_goes_although_its_mark_cant_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems need room for that; what is delivered must not keep the spool full."""
    shelf = Shelf(tmp_path, segment_bytes=1)
    [(segment, end), _] = shelf.append(2)
    monkeypatch.setattr(os, "pwrite", failing)
    with pytest.raises(OSError, match="Input/output"):
        shelf.log.settle(segment, end, 1)
    assert ([[1000]], 1) == (shelf.bodies(), shelf.log.records)


def test_full_segments_need_no_descriptors(tmp_path: Path) -> None:
    """An outage that fills hundreds of files leaves the process those for connections."""
    shelf = Shelf(tmp_path, segment_bytes=1)
    before = descriptors(tmp_path)
    appended = shelf.append(50)
    after = descriptors(tmp_path)
    for segment, end in appended[:-1]:
        shelf.log.settle(segment, end, 1)
    assert (1, [[1000]], before + 1) == (
        after - before,
        shelf.bodies(),
        descriptors(tmp_path),
    )


def test_a_full_segment_can_still_be_synced(tmp_path: Path) -> None:
    """Somebody may wait for its last record."""
    shelf = Shelf(tmp_path, segment_bytes=1)
    [(segment, end), _] = shelf.append(2)
    descriptor = segment.duplicate()
    assert descriptor is not None
    size = os.fstat(descriptor).st_size
    os.close(descriptor)
    assert end == size
