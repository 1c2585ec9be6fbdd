"""What another thread does between two steps of a call: here it is done there, each time."""

import struct

import pytest

from stratavm.wasi import Capture, MemoryTree, Quotas, Wasi
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.streams import ArraySink, BytesSource, CaptureSink
from tests.unit.wasi.guest import DATA, OUT, Guest


class Between:
    """A buffer that lets another thread in while bytes are put into it."""

    def __init__(self, size, other):
        self.nbytes, self.other, self.data = size, other, bytearray(size)

    def __setitem__(self, place, piece):
        other, self.other = self.other, lambda: None
        other()
        self.data[place] = piece


def test_two_readers_get_different_bytes():
    """Of an input in memory, each byte goes to one of them."""
    source, got = BytesSource(b"abcdefgh"), bytearray(4)
    first = Between(3, lambda: source.read([memoryview(got)]))
    assert source.read([first]) == 3
    assert (bytes(first.data), bytes(got)) == (b"abc", b"defg")
    last = bytearray(9)
    assert source.read([memoryview(last)[:0], memoryview(last)]) == 1
    assert bytes(last) == b"h" + bytes(8)
    assert source.read([memoryview(last)]) == 0


def test_two_writers_do_not_pass_the_limit_of_an_output():
    """Both were told that there is room, which is for one."""
    into = bytearray()
    sink = ArraySink(into, 8)
    assert (sink.will_keep(5), sink.will_keep(5)) == (5, 5)
    assert sink.write([memoryview(b"abcde")]) == 5
    with pytest.raises(WasiError) as refused:
        sink.write([memoryview(b"fghij")])
    assert refused.value.errno is Errno.NOSPC
    assert bytes(into) == b"abcde"
    capture = Capture(8)
    kept = CaptureSink(capture)
    assert (kept.will_keep(5), kept.will_keep(5)) == (5, 5)
    assert (kept.write([memoryview(b"abcde")]), kept.write([memoryview(b"fghij")])) == (5, 5)
    assert (bytes(capture), capture.truncated) == (b"abcdefgh", True)


@pytest.fixture
def limited():
    """A guest that may write 10 bytes, with a file of a tree in memory open."""
    with Wasi(preopens={MemoryTree(): "/"}, stdout=bytearray(), quotas=Quotas(written_bytes=10)) as world:
        guest = Guest(world)
        yield guest, guest.create("file")


def test_two_writers_do_not_pass_the_quota_together(limited, monkeypatch):
    """The second one comes when the first has been let in, and has written nothing."""
    guest, file = limited
    answers = []
    ask = ArraySink.will_keep

    def will_keep(self, size):
        monkeypatch.undo()
        answers.append(write(guest, file, 6))
        return ask(self, size)

    monkeypatch.setattr(ArraySink, "will_keep", will_keep)
    assert write(guest, 1, 6) is Errno.SUCCESS
    assert answers == [Errno.NOSPC]
    assert guest.ctx.written_bytes == 6
    assert [write(guest, file, size) for size in (5, 4, 1)] == [Errno.NOSPC, Errno.SUCCESS, Errno.NOSPC]


@pytest.mark.parametrize(
    ("name", "method", "arguments"),
    [("fd_allocate", "allocate", (0, 6)), ("fd_filestat_set_size", "set_size", (6,))],
)
def test_who_makes_room_in_a_file_counts_before(limited, monkeypatch, name, method, arguments):
    """And what failed counts no more."""
    guest, file = limited
    descriptor = guest.ctx.table[file]
    kind = type(descriptor)
    answers, act = [], getattr(kind, method)

    def acts(self, *given):
        monkeypatch.undo()
        answers.append(write(guest, 1, 6))
        return act(self, *given)

    monkeypatch.setattr(kind, method, acts)
    assert guest.call(name, file, *arguments) is Errno.SUCCESS
    assert answers == [Errno.NOSPC]
    assert guest.ctx.written_bytes == 6

    def fails(self, *given):
        raise WasiError(Errno.IO)

    monkeypatch.setattr(kind, method, fails)
    more = (6, 3) if method == "allocate" else (9,)
    assert guest.call(name, file, *more) is Errno.IO
    assert guest.ctx.written_bytes == 6


def write(guest, file, size):
    """Write so many bytes."""
    guest.put(struct.pack("<II", DATA + 64, size))
    return guest.call("fd_write", file, DATA, 1, OUT)
