"""Quotas end in error numbers, and what is given back counts again."""

import errno
import os
import random
import resource
import threading
import tracemalloc

import pytest

from stratavm.base.errors import ExitError, ResourceLimit
from stratavm.wasi import Capture, FixedClock, MemoryTree, Quotas, Wasi
from stratavm.wasi.abi import Oflags, Rights
from stratavm.wasi.errno import Errno
from stratavm.wasi.p1 import functions
from stratavm.wasi.quotas import HOST_DESCRIPTORS
from tests.unit.wasi.guest import DATA, OUT, RW, FakeMemory, Guest


def test_descriptors_are_limited_and_nothing_is_created_over_the_limit(tmp_path):
    """MFILE, and the file does not exist; a closed one makes room."""
    with Wasi(preopens=[(tmp_path, "/", "rw")], quotas=Quotas(descriptors=6)) as ctx:
        guest = Guest(ctx)
        first = guest.create("a")
        guest.create("b")
        assert guest.try_open("c", Oflags.CREAT, RW) is Errno.MFILE
        assert sorted(os.listdir(tmp_path)) == ["a", "b"]
        guest.ok("fd_close", first)
        guest.create("c")
        for _ in range(50):
            assert guest.try_open("a") is Errno.MFILE


def test_opening_and_closing_for_ever_leaks_no_host_descriptor(tmp_path):
    """Failures included."""
    with Wasi(preopens=[(tmp_path, "/", "rw")]) as ctx:
        guest = Guest(ctx)
        guest.create("file")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            guest.ok("fd_close", guest.open("file"))
            guest.try_open("file/x")
            guest.try_open("nothing/x", Oflags.CREAT)
            guest.try_open("file", Oflags.CREAT | Oflags.EXCL)
            guest.rename("file", "nothing/x")
            guest.link("file", "file")
        assert len(os.listdir("/proc/self/fd")) == before


def test_closing_the_context_closes_everything(tmp_path):
    """Files, directories and streams that were opened for it."""
    before = len(os.listdir("/proc/self/fd"))
    with Wasi(preopens=[(tmp_path, "/", "rw"), (tmp_path, "/b", "rw")], stdout=tmp_path / "out") as ctx:
        guest = Guest(ctx)
        guest.create("a")
        guest.open(".", Oflags.DIRECTORY)
        assert len(os.listdir("/proc/self/fd")) > before
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_context_that_fails_to_begin_leaves_nothing_open(tmp_path):
    """The second directory does not exist."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        Wasi(preopens=[(tmp_path, "/", "rw"), (tmp_path / "nothing", "/x", "rw")])
    assert len(os.listdir("/proc/self/fd")) == before


def test_written_bytes_are_limited(tmp_path):
    """Over files and streams together."""
    with Wasi(preopens=[(tmp_path, "/", "rw")], stdout=bytearray(), quotas=Quotas(written_bytes=10)) as ctx:
        guest = Guest(ctx)
        fd = guest.create("file", b"12345")
        assert guest.write(1, b"123") == 3
        assert guest.try_write(fd, b"123", "fd_pwrite", 0) is Errno.NOSPC
        assert guest.call("fd_allocate", fd, 0, 3) is Errno.NOSPC
        assert guest.write(1, b"12") == 2
        assert guest.try_write(1, b"1") is Errno.NOSPC


def test_two_writes_at_a_time_share_one_quota():
    """What is about to be written is taken: the second may not have the room of the first. What was not is given
    back."""
    found = []

    def during(data):
        found.append(guest.try_write(1, b"12345"))
        if len(found) == 1:
            raise OSError(errno.EIO, "the disk is broken")
        found.append(guest.write(1, b"123"))

    with Wasi(stdout=bytearray(), stderr=during, quotas=Quotas(written_bytes=10)) as ctx:
        guest = Guest(ctx)
        with pytest.raises(OSError, match="broken"):
            guest.write(2, b"1234567")
        assert found == [Errno.NOSPC]
        assert guest.write(2, b"1234567") == 7
        assert found[1:] == [Errno.NOSPC, 3]
        assert guest.try_write(1, b"1") is Errno.NOSPC


def test_captured_output_is_limited():
    """A program that prints for ever does not fill the host's memory."""
    out = bytearray(b"had")
    with Wasi(stdout=out, quotas=Quotas(captured_bytes=8)) as ctx:
        guest = Guest(ctx)
        assert guest.write(1, b"1234") == 4
        assert guest.try_write(1, b"12") is Errno.NOSPC
        assert guest.write(1, b"5") == 1
    assert out == b"had12345"


def memory_guest(limit: int) -> tuple[Guest, MemoryTree]:
    """A guest over a bounded tree."""
    tree = MemoryTree(limit_bytes=limit)
    return Guest(Wasi(preopens=[(tree, "/")])), tree


def test_memory_is_limited_and_given_back(guest):
    """Content, names and nodes count; what is deleted and closed does not."""
    del guest
    guest, tree = memory_guest(4500)
    fd = guest.create("file", bytes(3000))
    assert guest.try_write(fd, bytes(1000)) is Errno.NOSPC
    assert guest.call("fd_filestat_set_size", fd, 1 << 40) is Errno.NOSPC
    assert guest.call("fd_allocate", fd, 0, 1 << 20) is Errno.NOSPC
    guest.ok("fd_filestat_set_size", fd, 10)
    guest.create("other", bytes(3000))
    for fd in (4, 5):
        guest.ok("fd_close", fd)
    for name in ("file", "other"):
        assert guest.path("path_unlink_file", 3, name) is Errno.SUCCESS
    assert tree.used_bytes == 0


def test_files_that_are_deleted_but_open_still_count():
    """Unlinking does not hide memory: a guest that keeps descriptors keeps paying."""
    guest, tree = memory_guest(100_000)
    for index in range(100):
        fd = guest.open(f"f{index}", Oflags.CREAT, RW) if tree.used_bytes < 60_000 else None
        if fd is None:
            break
        guest.try_write(fd, bytes(20_000))
        guest.path("path_unlink_file", 3, f"f{index}")
    assert 60_000 <= tree.used_bytes <= 100_000
    guest.ctx.close()
    assert tree.used_bytes == 0


@pytest.mark.parametrize("kind", ["empty files", "directories", "links", "hard links", "nested"])
def test_nodes_without_content_are_not_free(kind):
    """A loop of creations ends in NOSPC, soon."""
    guest, tree = memory_guest(20_000)
    if kind == "hard links":
        guest.create("f")
    path = ""
    for index in range(10_000):
        path = f"{path}d/" if kind == "nested" else f"n{index}"
        if kind == "empty files":
            error = guest.try_open(path, Oflags.CREAT, RW)
            if error is Errno.SUCCESS:
                guest.ok("fd_close", guest.u32())
        elif kind == "links":
            error = guest.symlink("x" * 100, path)
        elif kind == "hard links":
            error = guest.link("f", path)
        else:
            error = guest.path("path_create_directory", 3, path)
        if error is not Errno.SUCCESS:
            break
    assert error in (Errno.NOSPC, Errno.NAMETOOLONG)
    assert tree.used_bytes <= 20_000


def test_a_failed_move_loses_nothing():
    """NOSPC for the longer name leaves the file where it was."""
    guest, tree = memory_guest(512 + 128 + 150)
    guest.create("a", b"x")
    assert guest.rename("a", "n" * 200) is Errno.NOSPC
    assert tree.list() == ["a"] and tree.read("a") == b"x"


def test_large_directories_are_not_read_whole(tmp_path):
    """OVERFLOW over the quota of entries, on the host and in memory."""
    for index in range(20):
        (tmp_path / f"f{index}").touch()
    tree = MemoryTree({f"f{i}": b"" for i in range(20)})
    with Wasi(preopens=[(tmp_path, "/", "rw"), (tree, "/m")], quotas=Quotas(directory_entries=10)) as ctx:
        for fd in (3, 4):
            assert Guest(ctx).call("fd_readdir", fd, DATA, 4096, 0, OUT) is Errno.OVERFLOW


NOT_RANDOM = {"proc_exit"}
INTERESTING = [0, 1, 2, 3, 4, 5, 8, 0x10, 0x1000, 0x1FFF8, 0x1FFFF, 0x20000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]
WIDE = [*INTERESTING, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


@pytest.mark.parametrize("name", sorted(functions()))
def test_any_arguments_end_in_an_error_number(name, tmp_path):
    """No exception, no hang: 300 calls with extreme numbers, over a tree in memory and one on disk."""
    rng = random.Random(name)
    function = functions()[name]
    params = function.signature.partition("->")[0]
    quotas = Quotas(descriptors=32, memory_bytes=1 << 20, written_bytes=1 << 20)
    (tmp_path / "a").write_bytes(b"hello")
    tree = MemoryTree({"a": b"hello", "d/x": b""})
    with Wasi(args=["a"], env={"A": "b"}, stdin=b"in", stdout=bytearray(),
              preopens=[(tree, "/"), (tmp_path, "/h", "rw")], quotas=quotas,
              clock=FixedClock(), seed=1) as ctx:  # fmt: skip
        memory = FakeMemory()
        guest = Guest(ctx)
        guest.open("a", 0, RW)
        guest.open("a", 0, Rights.FD_READ, fd=4)
        for _ in range(300):
            memory.data[:] = bytes(rng.choice(b"\0\0\0\1\2ad/.") for _ in range(64)) * 2048
            arguments = [rng.choice(INTERESTING if p == "i" else WIDE) for p in params]
            if name in NOT_RANDOM:
                with pytest.raises(ExitError):
                    function.call(guest.ctx, memory, *arguments)
                continue
            Errno(function.call(guest.ctx, memory, *arguments))
            assert len(memory.data) == 0x20000


def test_growing_a_file_by_its_size_counts_as_writing(tmp_path):
    """NOSPC over the quota, on the host and in memory; what a file had, and shrinking, cost nothing."""
    for root in (tmp_path, MemoryTree()):
        with Wasi(preopens=[(root, "/", "rw")], quotas=Quotas(written_bytes=1000)) as ctx:
            guest = Guest(ctx)
            fd = guest.create("file")
            guest.ok("fd_filestat_set_size", fd, 600)
            guest.ok("fd_filestat_set_size", fd, 100)
            guest.ok("fd_filestat_set_size", fd, 500)
            assert guest.call("fd_filestat_set_size", fd, 501) is Errno.NOSPC
            assert guest.call("fd_filestat_set_size", fd, 1 << 40) is Errno.NOSPC
            guest.ok("fd_filestat_set_size", fd, 0)


class Store:
    """What pays for what a world holds: a budget of bytes."""

    def __init__(self, budget: int) -> None:
        self.left, self.seen = budget, set()

    def charge_bytes(self, count: int, what: str) -> None:
        """ResourceLimit where it is too much."""
        if count > self.left:
            raise ResourceLimit(what, limit="total_bytes")
        self.left -= count
        self.seen.add(what)

    def refund_bytes(self, count: int) -> None:
        """Back again."""
        self.left += count


def with_store(guest: Guest, budget: int) -> Store:
    """Have a store pay for the guest's calls."""
    store = guest.memory.store = Store(budget)
    return store


def test_listings_are_held_within_a_quota_and_given_back(tmp_path):
    """Each open directory keeps what its listing saw: NOMEM when that is too much; a new listing takes the place of
    the old one, and closing gives back."""
    names = [f"f{i:03}" for i in range(600)]
    for name in names:
        (tmp_path / name).touch()
    tree = MemoryTree(dict.fromkeys(names, b""))
    for root in (tmp_path, tree):
        with Wasi(preopens=[(root, "/")], quotas=Quotas(held_bytes=50_000)) as wasi:
            guest = Guest(wasi)
            fds = [guest.open(".", Oflags.DIRECTORY) for _ in range(3)]
            for fd in fds[:2] * 3:
                guest.ok("fd_readdir", fd, DATA, 4096, 0, OUT)
            assert guest.call("fd_readdir", fds[2], DATA, 4096, 0, OUT) is Errno.NOMEM
            assert 20_000 < wasi._context.ledger.taken_bytes < 50_000
            guest.ok("fd_close", fds[0])
            assert len(guest.names(fds[2])) == 602
        assert wasi._context.ledger.taken_bytes == 0


def test_a_listing_takes_little_more_than_its_names():
    """The records that the guest reads, and where they begin."""
    with Wasi(preopens=[(MemoryTree({f"f{i:03}": b"" for i in range(600)}), "/")]) as wasi:
        Guest(wasi).names(3)
        assert 600 * (4 + 24) < wasi._context.ledger.taken_bytes < 600 * (4 + 24 + 10)


def test_the_store_that_calls_pays_for_listings_and_captured_output():
    """From its budget, together with the memories and tables that it has; closing the world gives it back."""
    tree, out, cut = MemoryTree({f"f{i:03}": b"" for i in range(600)}), bytearray(), Capture()
    with Wasi(preopens=[(tree, "/")], stdout=out, stderr=cut) as wasi:
        guest = Guest(wasi)
        store = with_store(guest, 60_000)
        guest.names(3)
        guest.write(1, bytes(20_000))
        assert store.seen == {"a directory listing", "captured output"}
        assert store.left == 60_000 - wasi._context.ledger.taken_bytes
        assert guest.try_write(1, bytes(30_000)) is Errno.NOSPC
        assert guest.write(2, bytes(30_000)) == 30_000
        assert guest.write(2, b"x") == 1
        assert (len(out), len(cut), cut.truncated) == (20_000, 0, True)
        other = guest.open(".", Oflags.DIRECTORY)
        assert guest.call("fd_readdir", other, DATA, 4096, 0, OUT) is Errno.NOMEM
        second = with_store(guest, 50_000)
        guest.names(other)
        guest.write(1, b"second")
        assert second.left < 50_000 - 6
    assert (store.left, second.left) == (60_000, 50_000)


@pytest.mark.parametrize("kind", [bytearray, Capture])
def test_output_that_the_host_takes_away_makes_room(kind):
    """A host that shows the output of a long run while it goes on never has much of it: neither has the guest, in its
    world or in its store."""
    kept = kind()
    data = kept if kind is bytearray else kept.data
    with Wasi(stdout=kept, quotas=Quotas(held_bytes=50_000)) as wasi:
        guest = Guest(wasi)
        store = with_store(guest, 40_000)
        for _ in range(20):
            assert guest.write(1, bytes(20_000)) == 20_000
            assert (len(data), store.left, wasi._context.ledger.taken_bytes) == (20_000, 20_000, 20_000)
            data.clear()
        guest.write(1, bytes(30_000))
        del data[:10_000]
        guest.write(1, bytes(15_000))
        assert store.left == 40_000 - len(data) == 5_000
    assert store.left == 40_000


def test_output_counts_for_whoever_wrote_it():
    """Several stores may share a world: what is taken away is given back to each."""
    out = bytearray()
    with Wasi(stdout=out) as wasi:
        guest = Guest(wasi)
        stores = [Store(10_000), Store(10_000)]
        for turn in range(10):
            guest.memory.store = stores[turn % 2]
            guest.write(1, bytes(500))
        assert [store.left for store in stores] == [7_500, 7_500]
        del out[:2_500]
        guest.write(1, b"")
        guest.write(1, b"x")
        assert sum(store.left for store in stores) == 20_000 - len(out)
    assert [store.left for store in stores] == [10_000, 10_000]


def test_threads_that_list_one_directory_pay_for_what_they_hold(tmp_path):
    """Each listing counts until it is dropped, and once; in the end all of it is given back."""
    tree = MemoryTree({f"f{i:04}": b"" for i in range(3000)})
    with Wasi(preopens=[(tree, "/")]) as wasi:
        begun, go_on = threading.Event(), threading.Event()
        slow, quick = Guest(wasi), Guest(wasi)
        store = slow.memory.store = quick.memory.store = Store(1 << 20)

        def wait() -> None:
            begun.set()
            assert go_on.wait(60)

        slow.memory.poll = wait
        thread = threading.Thread(target=slow.names, args=(3, 1 << 16))
        thread.start()
        assert begun.wait(60)
        quick.ok("fd_readdir", 3, DATA, 4096, 0, OUT)  # in the middle of the other one
        go_on.set()
        thread.join(60)
        listings = wasi._context.table[3].held
        assert wasi._context.ledger.taken_bytes == sum(listing.real_bytes() for listing in listings)
        assert (1 << 20) - store.left == wasi._context.ledger.taken_bytes
        quick.ok("fd_readdir", 3, DATA, 4096, 0, OUT)
        assert len(listings) == 1
        assert wasi._context.ledger.taken_bytes == listings[0].real_bytes()
    assert (store.left, wasi._context.ledger.taken_bytes) == (1 << 20, 0)


def test_a_store_that_cannot_pay_leaves_the_world_as_it_was():
    """One that was closed raises, which the host gets; the next one has all of the room."""
    with Wasi(stdout=bytearray()) as wasi:
        guest = Guest(wasi)
        guest.memory.store = store = Store(100)
        store.charge_bytes = lambda count, what: 1 // 0
        with pytest.raises(ZeroDivisionError):
            guest.try_write(1, b"x")
        assert wasi._context.ledger.taken_bytes == 0


@pytest.fixture
def few_descriptors():
    """A process that may have 400 descriptors open: its guests a hundred."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_guests_together_leave_most_descriptors_to_the_host(few_descriptors, tmp_path):
    """MFILE at a quarter of the process's, before anything is made; trees in memory need none; closing makes room."""
    with Wasi(preopens=[(tmp_path, "/", "rw"), (MemoryTree(), "/m")], quotas=Quotas(descriptors=1000)) as first:
        with Wasi(preopens=[(tmp_path, "/", "rw")], quotas=Quotas(descriptors=1000)) as second:
            one, two = Guest(first), Guest(second)
            for turn in range(100):
                (one, two)[turn % 2].create(f"f{turn}")
            assert two.try_open("g", Oflags.CREAT, RW) is Errno.MFILE
            assert one.try_open(".", Oflags.DIRECTORY) is Errno.MFILE
            assert not (tmp_path / "g").exists()
            for number in range(100):
                one.create(f"f{number}", fd=4)
            os.close(os.open(tmp_path, os.O_RDONLY))
        for number in range(50):
            one.create(f"g{number}")
        assert one.try_open("f1") is Errno.MFILE
    assert len(HOST_DESCRIPTORS) == 0


def test_a_failed_open_takes_nothing_of_the_quotas(tmp_path):
    """Neither of the world's nor of the process's."""
    with Wasi(preopens=[(tmp_path, "/", "rw")], quotas=Quotas(descriptors=5)) as wasi:
        guest = Guest(wasi)
        for _ in range(300):
            assert guest.try_open("nothing") is Errno.NOENT
        guest.create("a")
        assert len(HOST_DESCRIPTORS) == 1


def test_a_tree_counts_what_its_nodes_really_take():
    """Files, directories, links: the process grows by no more than a little over what the tree says."""
    tree = MemoryTree()
    guest = Guest(Wasi(preopens=[(tree, "/")]))
    guest.ok("fd_close", guest.create("first"))
    tracemalloc.start()
    try:
        before, counted = tracemalloc.get_traced_memory()[0], tree.used_bytes
        for number in range(1500):
            guest.ok("fd_close", guest.create(f"file-{number:05}", b"x"))
            guest.path("path_create_directory", 3, f"dir-{number:05}")
            guest.path("path_create_directory", 3, f"dir-{number:05}/in")
            guest.link("first", f"link-{number:05}")
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1.1 * (tree.used_bytes - counted)
