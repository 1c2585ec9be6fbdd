"""A FIFO that is given by its path may lack its other end: the world is made at once, and the guest waits, for as long
as the host lets it."""

import asyncio
import errno
import os
import struct
import threading
import time
from pathlib import Path

import pytest

import stratavm
from stratavm.wasi import Wasi
from stratavm.wasi.abi import Fdflags
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT, Guest
from tests.unit.wasi.loops import LoopGuest
from tests.unit.wasi.test_blocking import Stopping

READS = """(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\02\\00\\00\\00")
  (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


@pytest.fixture
def fifo(tmp_path):
    """A FIFO that nobody has open; a wait in the kernel for its other end would go on for ever, and is ended."""
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    watch = threading.Timer(100, lambda: os.close(os.open(path, os.O_RDWR)))
    watch.start()
    yield path
    watch.cancel()


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_world_is_made_without_the_other_end(fifo, stream):
    """And closed."""
    begin = time.monotonic()
    with Wasi(**{stream: fifo}):
        pass
    assert time.monotonic() - begin < 60


def test_a_read_from_a_fifo_that_nobody_writes_to_is_ended_by_the_host(fifo):
    """It is no end of the input: somebody may open it yet."""
    with Wasi(stdin=fifo) as wasi:
        guest = Guest(wasi)
        guest.memory = Stopping()
        with pytest.raises(TimeoutError, match="over"):
            guest.read(0)


def test_a_write_to_a_fifo_that_nobody_reads_is_ended_by_the_host(fifo):
    """The same for output; nothing is lost in a pipe without a reader."""
    with Wasi(stdout=fifo) as wasi:
        guest = Guest(wasi)
        guest.memory = Stopping()
        with pytest.raises(TimeoutError, match="over"):
            guest.write(1, b"x")


def test_a_writer_that_comes_late_is_read_to_its_end(fifo):
    """The end comes when the last writer has gone, and stays."""
    with Wasi(stdin=fifo) as wasi:
        guest = Guest(wasi)
        late = threading.Timer(0.2, lambda: Path(fifo).write_bytes(b"content"))
        late.start()
        assert guest.read(0) == b"content"
        late.join()
        assert (guest.read(0), guest.read(0)) == (b"", b"")


def test_a_writer_that_waits_is_let_in_and_stays(fifo):
    """The world opens the FIFO once: between two openings the writer would be told that nobody reads."""
    opened = threading.Event()

    def write():
        with open(fifo, "wb", 0) as file:
            opened.set()
            file.write(b"content")

    writer = threading.Thread(target=write)
    writer.start()
    with Wasi(stdin=fifo) as wasi:
        assert opened.wait(60)
        assert Guest(wasi).read(0) == b"content"
    writer.join()


def test_a_writer_that_goes_without_a_word_is_the_end(fifo):
    """As for any reader."""
    with Wasi(stdin=fifo) as wasi:
        late = threading.Timer(0.2, lambda: Path(fifo).write_bytes(b""))
        late.start()
        assert Guest(wasi).read(0) == b""
        late.join()


def test_a_reader_that_comes_late_gets_all(fifo):
    """What the guest writes waits for it; when it has gone, the guest is told."""
    with Wasi(stdout=fifo) as wasi:
        guest, heard = Guest(wasi), []
        reader = threading.Timer(0.2, lambda: heard.append(os.read(os.open(fifo, os.O_RDONLY), 100)))
        reader.start()
        assert guest.write(1, b"content") == 7
        reader.join()
        assert heard == [b"content"]


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_a_guest_on_an_event_loop_waits_for_the_other_end(fifo, stream):
    """The loop goes on meanwhile; then it is as if that end had been there."""

    async def main():
        with Wasi(**{stream: fifo}) as wasi:
            guest = LoopGuest(wasi)
            task = asyncio.create_task(guest.read(0) if stream == "stdin" else guest.write(1, b"content"))
            await asyncio.sleep(0.05)
            assert not task.done()
            if stream == "stdin":
                await asyncio.to_thread(Path(fifo).write_bytes, b"content")
                assert await asyncio.wait_for(task, 60) == b"content"
            else:
                heard = asyncio.create_task(asyncio.to_thread(Path(fifo).read_bytes))
                assert await asyncio.wait_for(task, 60) == 7
        return b"content" if stream == "stdin" else await heard

    assert asyncio.run(main()) == b"content"


def test_a_world_that_is_closed_ends_the_wait_for_the_other_end(fifo):
    """The guest is told that its descriptor is gone."""

    async def main():
        wasi = Wasi(stdout=fifo)
        guest = LoopGuest(wasi)
        task = asyncio.create_task(guest.start("fd_write", 1, *guest.iovec((DATA, 1)), OUT))
        await asyncio.sleep(0.05)
        assert not task.done()
        wasi.close()
        return Errno(await asyncio.wait_for(task, 60))

    assert asyncio.run(main()) is Errno.BADF


def test_an_output_without_a_reader_is_told_ready_and_says_again(fifo):
    """There is nothing to poll: a guest that polls is not held up, nor the machine kept busy."""
    with Wasi(stdout=fifo) as wasi:
        guest = Guest(wasi)
        guest.ok("fd_fdstat_set_flags", 1, Fdflags.NONBLOCK)
        guest.put(struct.pack("<QBxxxxxxxI28x", 7, 2, 1))
        guest.ok("poll_oneoff", DATA, DATA + 0x100, 1, OUT)
        assert (guest.u32(), guest.out("<QHB", DATA + 0x100)) == (1, (7, 0, 2))
        assert guest.try_write(1, b"x") is Errno.AGAIN


def test_a_guest_that_does_not_want_to_wait_for_the_other_end_does_not(fifo):
    """With NONBLOCK, for both directions."""
    for stream, number, name in (("stdin", 0, "fd_read"), ("stdout", 1, "fd_write")):
        with Wasi(**{stream: fifo}) as wasi:
            guest = Guest(wasi)
            guest.ok("fd_fdstat_set_flags", number, Fdflags.NONBLOCK)
            assert guest.call(name, number, *guest.iovec((DATA, 1)), OUT) is Errno.AGAIN


def test_a_deadline_ends_a_program_whose_input_is_a_fifo(fifo):
    """The world was made outside of it, and waited there."""
    store = stratavm.Store()
    with Wasi(stdin=fifo) as wasi, store.deadline(0.2), pytest.raises(stratavm.DeadlineExceeded):
        linker = stratavm.Linker()
        linker.define_namespaces(wasi.namespaces())
        linker.instantiate(store, stratavm.Module(READS)).exports._start()


def refuse(path, *_, **__):
    """A file system that says no."""
    raise PermissionError(errno.EACCES, "no", path)


def test_a_fifo_that_may_not_be_written_any_more_is_the_guests_error(fifo, monkeypatch):
    """What else goes wrong when the reader is looked for is no reason to wait."""
    with Wasi(stdout=fifo) as wasi:
        guest = Guest(wasi)
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            assert guest.try_write(1, b"x") is Errno.ACCES


def test_a_fifo_that_may_not_be_opened_is_an_error_at_once(fifo, monkeypatch):
    """It is not taken for one that lacks its other end."""
    monkeypatch.setattr(os, "open", refuse)
    for stream in ("stdin", "stdout"):
        with pytest.raises(PermissionError):
            Wasi(**{stream: fifo})
