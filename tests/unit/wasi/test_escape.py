"""Nothing leads out of a host directory, with either resolver, not even for a moment."""

import contextlib
import errno
import os
import socket
import threading
import time

import pytest

from stratavm.wasi import MemoryTree, Wasi
from stratavm.wasi.abi import Fstflags, Oflags, Rights
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.openat2 import KernelResolver, resolver_for
from stratavm.wasi.resolve import WalkResolver
from tests.unit.wasi.conftest import use_resolver
from tests.unit.wasi.guest import OUT, RW, Guest


@pytest.fixture
def outside(tmp_path, host):
    """Beside the root: a secret and links from inside the root to it, made by the host."""
    root = tmp_path / "root"
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "dir").mkdir()
    (root / "sub").mkdir()
    for name, target in (
        ("absolute", tmp_path / "secret"), ("relative", "../secret"), ("deep", "sub/../../secret"), ("updir", ".."),
        ("absdir", tmp_path / "dir"), ("reldir", "../dir"), ("proc", "/proc/self/root"),
    ):  # fmt: skip
        (root / name).symlink_to(target)
    return host


OUT_PATHS = ["absolute", "relative", "deep", "updir/secret", "updir", "absdir/", "reldir/", "proc/etc/passwd",
    "absdir/new",
             "reldir/new", "sub/../../secret", "../secret", "/etc/passwd", "relative/", "./relative",
             "sub/../deep"]  # fmt: skip


@pytest.mark.parametrize("path", OUT_PATHS)
def test_no_path_leads_out(outside, tmp_path, path):
    """Every function that takes a path, the ones that follow links told to follow."""
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    refused = (Errno.PERM, Errno.NOTDIR, Errno.LOOP, Errno.ISDIR)
    for oflags, rights in ((0, Rights.FD_READ), (Oflags.CREAT, RW), (Oflags.TRUNC, RW), (Oflags.DIRECTORY, 0)):
        assert outside.try_open(path, oflags, rights) in refused
    assert outside.call("path_filestat_get", 3, 1, *outside.put(path.encode()), OUT) in refused
    times = (0, 0, Fstflags.MTIM)
    assert outside.call("path_filestat_set_times", 3, 1, *outside.put(path.encode()), *times) in refused
    assert outside.link(path, "linked", follow=1) in refused
    beneath = path.rstrip("/") + "/x"
    for name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
        assert outside.path(name, 3, beneath) in refused, name
    assert outside.symlink("x", beneath) in refused
    assert outside.rename("sub", beneath) in refused
    assert outside.rename(beneath, "gained") in refused
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_link_out_can_be_seen_and_removed_but_not_read_when_absolute(outside):
    """It is an entry like any other; where an absolute one points is the host's business."""
    assert outside.path("path_readlink", 3, "relative", 0x4000, 100, OUT) is Errno.SUCCESS
    assert outside.path("path_readlink", 3, "absolute", 0x4000, 100, OUT) is Errno.PERM
    assert outside.path("path_unlink_file", 3, "absolute") is Errno.SUCCESS


def test_the_directory_above_the_root_has_no_inode(outside, tmp_path):
    """``..`` in a listing is the directory itself."""
    fd = outside.open(".", Oflags.DIRECTORY)
    outside.ok("fd_readdir", fd, 0x1000, 4096, 0, OUT)
    above = os.stat(tmp_path).st_ino.to_bytes(8, "little")
    assert above not in bytes(outside.memory.data[0x1000 : 0x1000 + outside.u32()])


def test_special_files_are_not_opened(host, tmp_path):
    """A FIFO does not block, a socket and a device are refused."""
    root = tmp_path / "root"
    os.mkfifo(root / "fifo")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(root / "socket"))
        for name in ("fifo", "socket"):
            for rights in (Rights.FD_READ, Rights.FD_WRITE, RW):
                assert host.try_open(name, 0, rights) in (Errno.PERM, Errno.NXIO)
    with contextlib.suppress(PermissionError):
        os.mknod(root / "null", 0o666 | 0o020000, os.makedev(1, 3))
        assert host.try_open("null", 0, RW) in (Errno.PERM, Errno.ACCES)
    assert {b"fifo", b"socket"} < set(host.names(3))


def test_a_racing_rename_never_lets_a_path_out(host, tmp_path, resolver):
    """One thread swaps a directory for a link to the outside, over and over, while the guest opens and creates."""
    root = tmp_path / "root"
    for where in (root / "real", tmp_path / "out"):
        where.mkdir()
        (where / "file").write_text("inside" if where.parent == root else "outside")
    (root / "link").symlink_to("../out")
    stop = threading.Event()

    def swap() -> None:
        here = os.open(root, os.O_RDONLY)
        while not stop.is_set():
            for a, b in (("real", "spare"), ("link", "real"), ("real", "link"), ("spare", "real")):
                os.rename(a, b, src_dir_fd=here, dst_dir_fd=here)
        os.close(here)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        until = time.monotonic() + 1.0
        while time.monotonic() < until or not seen:
            error = host.try_open("real/file")
            if error is Errno.SUCCESS:
                fd = host.u32()
                seen.add(host.read(fd))
                host.ok("fd_close", fd)
            else:
                assert error in (Errno.NOENT, Errno.PERM, Errno.NOTDIR, Errno.AGAIN, Errno.LOOP)
            if host.try_open("real/made", Oflags.CREAT, RW) is Errno.SUCCESS:
                host.ok("fd_close", host.u32())
            host.path("path_create_directory", 3, "real/dir")
            host.symlink("x", "real/soft")
            host.rename("real/dir", "real/dir2")
            host.path("path_remove_directory", 3, "real/dir2")
            host.path("path_unlink_file", 3, "real/soft")
    finally:
        stop.set()
        thread.join()
    assert seen == {b"inside"}
    assert os.listdir(tmp_path / "out") == ["file"]


def test_a_last_component_that_turns_into_a_link_is_not_followed_out(host, tmp_path):
    """The same race on the file itself, with flags that would create or truncate outside."""
    root = tmp_path / "root"
    (tmp_path / "victim").write_text("precious")
    (root / "out").symlink_to("../victim")
    (root / "file").write_text("mine")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for a, b in (("file", "spare"), ("out", "file"), ("file", "out"), ("spare", "file")):
                os.rename(root / a, root / b)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        until = time.monotonic() + 0.7
        while time.monotonic() < until:
            if host.try_open("file", Oflags.TRUNC, RW) is Errno.SUCCESS:
                fd = host.u32()
                host.write(fd, b"mine")
                host.ok("fd_close", fd)
            host.call("path_filestat_set_times", 3, 1, *host.put(b"file"), 0, 1_000_000_000, Fstflags.MTIM)
            host.link("file", "copy", follow=1)
            host.path("path_unlink_file", 3, "copy")
    finally:
        stop.set()
        thread.join()
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "victim").stat().st_mtime > 1_500_000_000
    assert (tmp_path / "victim").stat().st_nlink == 1


def test_the_walk_holds_few_descriptors_and_leaves_none_open(tmp_path):
    """Deep paths, paths up and down, links in a circle: the number of open descriptors is the same afterwards."""
    walk, root = WalkResolver(), os.open(tmp_path, os.O_RDONLY)
    deep = tmp_path.joinpath(*["d"] * 50)
    deep.mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop/x")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("d/" * 50, "d/" * 40 + "../" * 39, "d/../" * 300 + "d", "loop", "d/nothing/x", "..", "d/" * 60):
        with contextlib.suppress(OSError, WasiError):
            os.close(walk.open(root, path.encode(), os.O_PATH))
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(root)


@pytest.mark.parametrize("missing", [errno.ENOSYS, errno.EPERM, errno.E2BIG])
def test_without_openat2_the_walk_is_used(tmp_path, monkeypatch, missing):
    """An old kernel, a system-call filter: probed on the directory itself."""

    def refuse(*_: object) -> int:
        raise OSError(missing, "no")

    monkeypatch.setattr("stratavm.wasi.openat2.openat2", refuse)
    root = os.open(tmp_path, os.O_RDONLY)
    assert isinstance(resolver_for(root), WalkResolver)
    os.close(root)


def test_a_lost_race_in_the_kernel_is_retried_and_then_walked(tmp_path, monkeypatch):
    """EAGAIN for ever ends in the walk's answer."""
    calls = []

    def again(*_: object) -> int:
        calls.append(1)
        raise OSError(errno.EAGAIN, "again")

    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("stratavm.wasi.openat2.openat2", again)
    root = os.open(tmp_path, os.O_RDONLY)
    os.close(KernelResolver().open(root, b"file", os.O_RDONLY))
    assert 1 < len(calls) < 100
    os.close(root)


def test_names_that_are_not_utf8_are_not_listed(host, tmp_path):
    """No path of the guest could name them."""
    (tmp_path / "root" / "good").touch()
    with open(os.fsencode(tmp_path / "root") + b"/\xff\xfe", "w"):
        pass
    assert sorted(host.names(3)) == [b".", b"..", b"good"]


def test_links_and_moves_stay_between_directories_of_one_kind(tmp_path, resolver):
    """From the host to memory is EXDEV, and needs a copy that the guest makes itself."""
    (tmp_path / "root").mkdir()
    tree = MemoryTree({"a": b"x"})
    with Wasi(preopens=[(tmp_path / "root", "/", "rw"), (tree, "/m"), (MemoryTree(), "/n")]) as ctx:
        use_resolver(ctx, resolver, tmp_path)
        guest = Guest(ctx)
        guest.create("file")
        for fd, to, name in ((3, 4, "file"), (4, 3, "a"), (4, 5, "a")):
            assert guest.rename(name, "b", fd=fd, to=to) is Errno.XDEV
            assert guest.link(name, "b", fd=fd, to=to) is Errno.XDEV


def test_moves_between_two_preopens_work_when_both_may_change(tmp_path, resolver):
    """Two capabilities, one call."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with Wasi(preopens=[(tmp_path / "a", "/a", "rw"), (tmp_path / "b", "/b", "rw")]) as ctx:
        use_resolver(ctx, resolver, tmp_path)
        guest = Guest(ctx)
        guest.create("file", b"x")
        assert guest.link("file", "hard", to=4) is Errno.SUCCESS
        assert guest.rename("file", "moved", to=4) is Errno.SUCCESS
    assert sorted(os.listdir(tmp_path / "b")) == ["hard", "moved"]


def test_a_file_from_before_1970_has_time_zero(host, tmp_path):
    """WASI's times are unsigned; the host's are not."""
    (tmp_path / "root" / "old").touch()
    os.utime(tmp_path / "root" / "old", (-5, -5))
    assert host.stat("old")[5:7] == (0, 0)
    fd = host.open("old", 0, RW)
    host.ok("fd_filestat_set_times", fd, 7, 0, Fstflags.ATIM)
    assert os.stat(tmp_path / "root" / "old").st_mtime == -5
