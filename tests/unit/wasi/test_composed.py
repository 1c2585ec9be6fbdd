"""Trees in which folders, files and other trees are mounted: what crosses a mount, what is counted, what stays open."""

import asyncio
import gc
import os
import random
import shutil
import threading
from pathlib import Path

import pytest

import stratavm
from stratavm.services import diskcache
from stratavm.wasi import MemoryTree, Quotas, Wasi, mounts
from stratavm.wasi.abi import Fstflags, Oflags, Rights
from stratavm.wasi.errno import Errno
from stratavm.wasi.hands import HANDS
from stratavm.wasi.quotas import HOST_DESCRIPTORS
from tests.unit.wasi.conftest import use_resolver
from tests.unit.wasi.guest import RW, Guest
from tests.unit.wasi.test_parity import perform, snapshot


@pytest.fixture
def folder(tmp_path):
    """A folder of the host: ``file`` (hello), ``sub/inner``, a link out."""
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    (made / "file").write_bytes(b"hello")
    (made / "sub" / "inner").write_bytes(b"inner")
    (tmp_path / "secret").write_bytes(b"secret")
    (made / "out").symlink_to("../secret")
    return made


@pytest.fixture
def composed(folder):
    """``ro`` and ``rw`` are the folder, ``zip`` its file, ``tree`` another tree, ``tmp`` the tree's own."""
    other = MemoryTree({"leaf": b"leaf"})
    tree = MemoryTree({"tmp/mine": b"mine"})
    tree.mount("/ro", folder)
    tree.mount("/rw", folder, writable=True)
    tree.mount("/zip", folder / "file")
    tree.mount("/tree", other, writable=True)
    with Wasi(preopens={tree: "/"}) as ctx:
        yield Guest(ctx)


def n_open() -> int:
    """Descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def test_a_listing_shows_mounts_and_what_they_are(composed):
    """As directories, and as files."""
    assert sorted(composed.names(3)) == [b".", b"..", b"ro", b"rw", b"tmp", b"tree", b"zip"]
    assert [composed.stat(name)[2] for name in ("ro", "tree", "zip", "tmp")] == [3, 3, 4, 3]
    assert composed.stat("zip")[4] == 5
    assert sorted(composed.names(composed.open("ro", Oflags.DIRECTORY))) == [b".", b"..", b"file", b"out", b"sub"]
    assert composed.read(composed.open("ro/sub/inner")) == b"inner"
    assert composed.read(composed.open("tree/leaf")) == b"leaf"
    assert composed.read(composed.open("zip")) == b"hello"


@pytest.mark.parametrize("path", ["ro/..", "ro/../tmp/mine", "ro/sub/../../tmp/mine", "tree/../tmp/mine", "rw/../zip",
    "tmp/../ro/../zip"])  # fmt: skip
def test_dots_do_not_lead_out_of_a_mount(composed, path):
    """XDEV, for whatever is asked by such a path."""
    assert composed.try_open(path) is Errno.XDEV
    assert composed.path("path_create_directory", 3, path + "/new") is Errno.XDEV
    assert composed.path("path_unlink_file", 3, path) is Errno.XDEV
    assert composed.rename("tmp/mine", path) is Errno.XDEV
    assert composed.link("tmp/mine", path) is Errno.XDEV
    assert composed.symlink("x", path) is Errno.XDEV


def test_a_link_in_a_folder_does_not_lead_out_of_it_and_one_in_the_tree_may_lead_into_it(composed):
    """What resolves paths in the folder does not know of the tree."""
    assert composed.try_open("ro/out") is Errno.PERM
    assert composed.symlink("../zip", "rw/up") is Errno.SUCCESS
    assert composed.try_open("rw/up") is Errno.PERM
    assert composed.symlink("../ro/sub", "tmp/down") is Errno.SUCCESS
    assert composed.read(composed.open("tmp/down/inner")) == b"inner"
    assert composed.read(composed.open("tmp/down/../file")) == b"hello"
    assert composed.try_open("tmp/down/../../zip") is Errno.XDEV
    assert composed.symlink("../zip", "tmp/zip") is Errno.SUCCESS
    assert composed.read(composed.open("tmp/zip")) == b"hello"
    assert composed.try_open("tmp/zip", follow=False) is Errno.LOOP
    assert composed.path("path_unlink_file", 3, "tmp/zip") is Errno.SUCCESS, "the link, not what it leads to"


@pytest.mark.parametrize(
    ("old", "new"),
    [("tmp/mine", "rw/x"), ("rw/file", "tmp/x"), ("rw/file", "tree/x"), ("tree/leaf", "tmp/x"), ("tmp/mine", "tree/x")],
)
def test_nothing_is_renamed_or_linked_across_a_mount(composed, old, new):
    """XDEV, in all directions."""
    assert composed.rename(old, new) is Errno.XDEV
    assert composed.link(old, new) is Errno.XDEV
    assert composed.try_open(new) is Errno.NOENT


def test_two_mounts_of_one_folder_are_two(folder):
    """Although the host would move files between them; and so it is with trees, and with descriptors opened there."""
    other, tree = MemoryTree({"leaf": b"leaf", "d/x": b""}), MemoryTree()
    for name, origin in (("a", folder), ("b", folder), ("c", other), ("d", other)):
        tree.mount(name, origin, writable=True)
    with Wasi(preopens={tree: "/", folder: ("/same", "rw")}) as ctx:
        guest = Guest(ctx)
        for old, new in (("a/file", "b/moved"), ("c/leaf", "d/moved")):
            assert guest.rename(old, new) is Errno.XDEV
            assert guest.link(old, new) is Errno.XDEV
        assert guest.rename("a/file", "moved", to=4) is Errno.XDEV, "a folder of its own is none of a mount"
        assert guest.rename("file", "a/moved", fd=4) is Errno.XDEV
        for mine, others, name in (("a/sub", "b", "inner"), ("c/d", "d", "x")):
            sub = guest.open(mine, Oflags.DIRECTORY)
            assert guest.rename(name, f"{others}/moved", fd=sub) is Errno.XDEV
            assert guest.rename(name, f"{mine[0]}/moved", fd=sub) is Errno.SUCCESS
            assert guest.rename(f"{mine[0]}/moved", name, to=sub) is Errno.SUCCESS
            assert guest.link(name, f"{mine[0]}/linked", fd=sub) is Errno.SUCCESS
            assert guest.link(f"{others}/linked", "again", to=sub) is Errno.XDEV
            assert guest.link(f"{mine[0]}/linked", "again", to=sub) is Errno.SUCCESS


def test_a_mount_itself_stays(composed):
    """BUSY for who would remove or replace it; the directory that holds it may be moved."""
    assert composed.path("path_remove_directory", 3, "tree") is Errno.BUSY
    assert composed.path("path_unlink_file", 3, "tree") is Errno.ISDIR
    assert composed.path("path_unlink_file", 3, "zip") is Errno.BUSY
    assert composed.path("path_create_directory", 3, "ro") is Errno.EXIST
    assert composed.symlink("x", "zip") is Errno.EXIST
    for old, new in (("zip", "tmp/zip"), ("tmp/mine", "zip"), ("ro", "tmp/ro"), ("tmp", "tree"), ("zip", "zip")):
        assert composed.rename(old, new) is Errno.BUSY
    assert composed.try_open("zip/") is Errno.NOTDIR
    assert composed.try_open("zip/x") is Errno.NOTDIR
    assert composed.try_open("zip", Oflags.DIRECTORY, 0) is Errno.NOTDIR
    assert composed.path("path_readlink", 3, "zip", 0x4000, 9, 0x10) is Errno.INVAL
    assert composed.link("zip", "tmp/zip") is Errno.XDEV
    assert composed.link("rw", "tmp/rw") is Errno.XDEV
    assert composed.link("rw", "rw/sub/x") is Errno.PERM, "a directory"


def test_a_directory_moves_with_its_mounts(folder):
    """A mount is found where its directory is."""
    tree = MemoryTree()
    tree.mount("a/b/data", folder)
    with Wasi(preopens={tree: "/"}) as ctx:
        guest = Guest(ctx)
        assert guest.rename("a", "moved") is Errno.SUCCESS
        assert guest.read(guest.open("moved/b/data/file")) == b"hello"
        assert guest.path("path_remove_directory", 3, "moved/b") is Errno.NOTEMPTY


@pytest.mark.parametrize("where", ["mount", "tree"])
def test_what_is_read_only_stays_so(folder, where):
    """Whether the mount says it, or the tree that has it."""
    before = {path: path.lstat() for path in folder.rglob("*")}
    tree, other = MemoryTree(), MemoryTree({"file": b"x"})
    tree.mount("d", folder, writable=where == "tree")
    tree.mount("z", folder / "file", writable=where == "tree")
    tree.mount("t", other, writable=where == "tree")
    times = (0, 0, Fstflags.MTIM)
    with Wasi(preopens={tree: ("/", "ro" if where == "tree" else "rw")}) as ctx:
        guest = Guest(ctx)
        for path in ("d/file", "z", "t/file"):
            for oflags, rights in ((0, RW), (Oflags.TRUNC, Rights.FD_READ), (Oflags.CREAT, Rights.FD_WRITE)):
                assert guest.try_open(path, oflags, rights) is Errno.ROFS
            assert guest.call("path_filestat_set_times", 3, 1, *guest.put(path.encode()), *times) is Errno.ROFS
            assert guest.call("fd_filestat_set_size", guest.open(path), 0) is not Errno.SUCCESS
        for path in ("d", "t"):
            assert guest.path("path_create_directory", 3, f"{path}/new") is Errno.ROFS
            assert guest.path("path_unlink_file", 3, f"{path}/file") is Errno.ROFS
            assert guest.rename(f"{path}/file", f"{path}/new") is Errno.ROFS
            inner = guest.open(path, Oflags.DIRECTORY)
            assert guest.path("path_unlink_file", inner, "file") is Errno.ROFS
            assert guest.try_open("new", Oflags.CREAT, RW, fd=inner) is Errno.ROFS
    assert {path: path.lstat() for path in folder.rglob("*")} == before
    assert other.read("file") == b"x"


def test_a_file_is_changed_where_that_is_allowed(tmp_path):
    """Written, cut off, its times set; not made anew, and not another one that has its name."""
    file, tree = tmp_path / "file", MemoryTree()
    file.write_bytes(b"hello")
    tree.mount("f", file, writable=True)
    with Wasi(preopens={tree: "/"}) as ctx:
        guest = Guest(ctx)
        fd = guest.open("f", 0, RW)
        guest.write(fd, b"HE")
        guest.ok("fd_close", fd)
        assert file.read_bytes() == b"HEllo"
        assert guest.call("path_filestat_set_times", 3, 1, *guest.put(b"f"), 0, 7, Fstflags.MTIM) is Errno.SUCCESS
        assert file.stat().st_mtime_ns == 7
        guest.ok("fd_close", guest.open("f", Oflags.TRUNC | Oflags.CREAT, Rights.FD_READ))
        assert file.read_bytes() == b""
        assert guest.try_open("f", Oflags.CREAT | Oflags.EXCL, RW) is Errno.EXIST
        file.rename(tmp_path / "moved")
        assert guest.try_open("f", Oflags.CREAT, RW) is Errno.NOENT
        file.write_bytes(b"another")
        for oflags in (0, Oflags.TRUNC):
            assert guest.try_open("f", oflags, RW) is Errno.STALE
        assert guest.call("path_filestat_get", 3, 1, *guest.put(b"f"), 0x10) is Errno.STALE
        assert guest.call("path_filestat_set_times", 3, 1, *guest.put(b"f"), 0, 7, Fstflags.MTIM) is Errno.STALE
        file.unlink()
        file.symlink_to("moved")
        assert guest.try_open("f") is Errno.LOOP
    assert file.read_bytes() == b""


def test_a_descriptor_of_the_host_is_opened_once_and_closed_with_the_last_tree(folder):
    """However many trees have the folder, its files, or both; a guest at rest has none."""
    before, anchors = n_open(), len(mounts.ANCHORS)  # another test's interpreter may have its own
    trees = [MemoryTree({"tmp/x": b""}) for _ in range(100)]
    for number, tree in enumerate(trees):
        tree.mount("/data", folder, writable=number % 2 == 0)
        tree.mount("/file", folder / "file")
        tree.mount("/inner", folder / "sub" / "inner")
    assert n_open() == before + 2
    worlds = [Wasi(preopens={tree: "/"}) for tree in trees]
    guest = Guest(worlds[0])
    assert n_open() == before + 2
    for path in ("data/file", "file", "data"):
        fd = guest.open(path)
        assert n_open() == before + 3
        guest.ok("fd_close", fd)
    for world in worlds[1:]:
        world.close()
    last = trees[0]
    del trees, tree, world, worlds
    gc.collect()
    assert guest.read(guest.open("data/file")) == b"hello"
    guest.ctx.close()
    assert n_open() == before + 2
    del guest
    gc.disable()
    try:
        del last
        assert n_open() == before, "without a collection"
    finally:
        gc.enable()
    assert len(mounts.ANCHORS) == anchors


def test_what_a_guest_opens_in_a_mount_counts_and_what_it_opens_beside_does_not(composed, monkeypatch):
    """Among the descriptors that guests have on the host; MFILE where they are too many, and nothing is opened."""
    taken, before = len(HOST_DESCRIPTORS), n_open()
    opened = [composed.open(path) for path in ("ro/file", "zip", "ro", "tmp/mine", "tree/leaf", "tmp", ".")]
    assert len(HOST_DESCRIPTORS) == taken + 3 == taken + n_open() - before
    monkeypatch.setattr(HOST_DESCRIPTORS, "limit", lambda: taken + 3)
    for path in ("ro/file", "zip", "rw"):
        assert composed.try_open(path) is Errno.MFILE
    assert composed.try_open("tmp/mine") is Errno.SUCCESS
    assert n_open() == before + 3
    for fd in opened:
        composed.ok("fd_close", fd)
    assert len(HOST_DESCRIPTORS) == taken


def test_limits_hold_across(folder):
    """Written bytes everywhere; the trees' own bytes in those that have no limit of their own."""
    other, tree = MemoryTree(), MemoryTree()
    tree.mount("o", other, writable=True)
    tree.mount("d", folder, writable=True)
    with Wasi(preopens={tree: "/"}, quotas=Quotas(memory_bytes=20_000, written_bytes=30_000)) as ctx:
        guest = Guest(ctx)
        assert (tree.limit_bytes, other.limit_bytes) == (20_000, 20_000)
        assert guest.try_write(guest.open("o/big", Oflags.CREAT, RW), bytes(20_000)) is Errno.NOSPC
        assert guest.write(guest.open("d/big", Oflags.CREAT, RW), bytes(20_000)) == 20_000
        assert guest.try_write(guest.open("d/big", 0, RW), bytes(20_000)) is Errno.NOSPC


def test_rights_hold_across(composed):
    """What the tree's descriptor passes on is all that there is below."""
    reading = Rights.FD_READ | Rights.PATH_OPEN | Rights.FD_READDIR
    composed.ok("fd_fdstat_set_rights", 3, Rights.PATH_OPEN | Rights.PATH_UNLINK_FILE, reading)
    fd = composed.open("rw/file", 0, RW)
    assert composed.try_write(fd, b"x") is Errno.BADF
    assert composed.path("path_create_directory", 3, "rw/new") is Errno.NOTCAPABLE
    sub = composed.open("rw/sub", Oflags.DIRECTORY)
    assert composed.path("path_unlink_file", sub, "inner") is Errno.NOTCAPABLE


def test_what_cannot_be_mounted_is_refused_and_nothing_is_left(folder, tmp_path):
    """Names that are taken, or lie in a mount; circles; what is neither folder nor file; the wrong kind of thing."""
    before = n_open()
    tree, other = MemoryTree({"tmp/x": b"x", "empty/x": b""}), MemoryTree()
    tree.mount("data", folder)
    os.mkfifo(tmp_path / "fifo")
    for path, origin, error in (
        ("tmp", folder, FileExistsError), ("tmp/x", folder, FileExistsError), ("tmp", folder / "file", FileExistsError),
        ("tmp/x", folder / "file", FileExistsError), ("tmp/x/y", folder, NotADirectoryError), ("data", folder, OSError),
        ("data/sub", folder, OSError), ("", folder, ValueError), ("/", folder, ValueError),
        ("a/../b", folder, ValueError),
        ("new", tmp_path / "nothing", FileNotFoundError), ("new", tmp_path / "fifo", OSError), ("new", "", TypeError),
        ("new", b"bytes", TypeError), ("new", None, TypeError), (3, folder, TypeError), ("x" * 300, folder, OSError),
        ("new", tree, ValueError),
    ):  # fmt: skip
        with pytest.raises(error):
            tree.mount(path, origin)
    with pytest.raises(TypeError):
        tree.mount("new", folder, writable="rw")
    other.mount("t", tree)
    with pytest.raises(ValueError, match="below itself"):
        tree.mount("new", other)
    for act in (tree.read, tree.list, lambda path: tree.write(path, b"")):
        with pytest.raises(OSError, match="not reached through it"):
            act("data/file")
    assert tree.list() == ["data", "empty", "tmp"]
    assert n_open() == before + 1
    small = MemoryTree(limit_bytes=700)
    small.mount("a", folder)
    with pytest.raises(OSError, match="MemoryTree of 700 bytes"):
        small.mount("b", folder)


def test_an_empty_directory_may_become_a_mount(folder):
    """As on the host."""
    tree = MemoryTree()
    with Wasi(preopens={tree: "/"}) as ctx:
        guest = Guest(ctx)
        assert guest.path("path_create_directory", 3, "data") is Errno.SUCCESS
        tree.mount("data", folder)
        assert guest.read(guest.open("data/file")) == b"hello"


def test_the_folders_of_kept_code_are_not_mounted(tmp_path, monkeypatch):
    """Nor what is in them, by whatever name; and below a folder above them they are refused."""
    kept = tmp_path / "home" / "cache" / "kept"
    kept.mkdir(parents=True)
    (kept / "key").write_bytes(b"key")
    (tmp_path / "other").symlink_to(kept)
    monkeypatch.setitem(diskcache._opened, str(kept), None)
    tree = MemoryTree()
    for origin in (kept, kept / "key", tmp_path / "other", tmp_path / "other" / "key"):
        with pytest.raises(PermissionError, match="no guest gets the code"):
            tree.mount("new", origin)
    tree.mount("home", tmp_path / "home", writable=True)
    with Wasi(preopens={tree: "/"}) as ctx:
        guest = Guest(ctx)
        assert guest.try_open("home/cache/kept/key") is Errno.PERM
        assert guest.rename("home/cache/kept/key", "home/key") is Errno.PERM


def test_on_a_loop_only_paths_into_the_host_have_a_thread(folder, monkeypatch):
    """The tree's own names are looked up at once; links are followed to where they lead."""
    hops = []
    submit = HANDS.submit
    monkeypatch.setattr(HANDS, "submit", lambda job: (hops.append(1), submit(job)))
    tree = MemoryTree({"tmp/x": b"x"})
    tree.mount("data", folder)
    tree.mount("z", folder / "file")
    tree.mount("t", MemoryTree({"leaf": b""}))
    wat = """(module
      (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "stat") (param i32) (result i32)
        (call $stat (i32.const 3) (i32.const 0) (i32.const 0) (local.get 0) (i32.const 64))))"""

    async def main() -> dict[str, int]:
        found = {}
        with Wasi(preopens={tree: "/"}) as world:
            Guest(world).symlink("../data/file", "tmp/link")
            module = stratavm.load(wat, imports=world.namespaces())
            for path in ("tmp/x", "data/file", "z", "t/leaf", "data", "tmp", "tmp/link", "nothing/x", "data/nothing"):
                hops.clear()
                module.exports.memory.write(0, path.encode())
                await module.exports.stat.call_async(len(path))
                found[path] = len(hops)
        return found

    assert asyncio.run(main()) == {
        "tmp/x": 0, "data/file": 1, "z": 1, "t/leaf": 0, "data": 1, "tmp": 0, "tmp/link": 1, "nothing/x": 0,
        "data/nothing": 1,
    }  # fmt: skip


def test_threads_may_use_and_change_one_tree_at_once(folder):
    """Names are made, moved and removed beside a mount that others read through."""
    tree = MemoryTree()
    tree.mount("a/data", folder, writable=True)
    failed: list[object] = []

    def use(number: int) -> None:
        try:
            with Wasi(preopens={tree: "/"}) as ctx:
                guest = Guest(ctx)
                for turn in range(150):
                    for top in ("a", "b"):
                        error = guest.try_open(f"{top}/data/file")
                        if error is Errno.SUCCESS:
                            assert guest.read(guest.u32()) == b"hello"
                        else:
                            assert error in (Errno.NOENT, Errno.MFILE)
                        guest.rename(f"{top}/data/file", f"{top}/data/file")
                    guest.rename(*(("a", "b") if (turn + number) % 2 else ("b", "a")))
                    for fd in [fd for fd in guest.ctx.table if fd > 3]:
                        guest.ok("fd_close", fd)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


# ---- against the same layout of real folders -----------------------------------------------------------------------

NAMES = ("a", "b", "d", "d/a", "d/b", "d/m", "m", "m/a", "m/b", "m/d", "m/d/a", "m/l", "m/l/a", "l", "l/a", "l/..", "r",
    "r/a", "r/d", "r/b", "z", "z/", "z/a", "m/..", "m/../a", "m/d/..", "m/d/../a", "m/d/../../a", "m/.", "m/", "./m/a",
    ".", "..", "d/../m/a", "d/../r/a", "d/l", "d/l/a", "/m/a")  # fmt: skip
TARGETS = ("a", "d", "m", "m/d", "../m", "../m/a", "r/a", "z", "../a", "d/..", ".", "l", "..", "a/", "m/", "m/l", "/a")
OPENINGS = ((0, Rights.FD_READ), (Oflags.CREAT, RW), (Oflags.CREAT | Oflags.EXCL, RW), (Oflags.TRUNC, RW),
    (Oflags.DIRECTORY, 0), (Oflags.CREAT | Oflags.TRUNC, Rights.FD_WRITE), (0, RW))  # fmt: skip


def an_operation(rng: random.Random) -> tuple:
    """One of those that ``test_parity`` performs."""
    kind = rng.choice(("open", "mkdir", "rmdir", "unlink", "symlink", "link", "rename", "stat", "times", "readlink"))
    name, other, follow = rng.choice(NAMES), rng.choice(NAMES), rng.random() < 0.5
    more = {
        "open": (name, rng.choice(OPENINGS), follow),
        "symlink": (rng.choice(TARGETS), name),
        "link": (name, other, follow),
    }
    more |= {"rename": (name, other), "stat": (name, follow), "times": (name, follow)}
    return kind, *more.get(kind, (name,))


def fill(folder: Path) -> Path:
    """A folder to be mounted, with something in it."""
    (folder / "d").mkdir(parents=True)
    (folder / "a").write_bytes(b"a")
    (folder / "d" / "a").write_bytes(b"da")
    return folder


class Layout:
    """The same directories twice: as one folder of the host, and as a tree with mounts of such folders."""

    def __init__(self, at: Path) -> None:
        self.real, self.parts = at / "real", at / "parts"
        for name in ("m", "r"):
            fill(self.real / name)
            fill(self.parts / name)
        (self.real / "d").mkdir()
        self.tree = MemoryTree({"d/x": b""})
        for file in (self.real / "d" / "x", self.real / "z", self.parts / "z"):
            file.write_bytes(b"")
        self.tree.mount("m", self.parts / "m", writable=True)
        self.tree.mount("r", self.parts / "r")
        self.tree.mount("z", self.parts / "z")

    def realm(self, path: str) -> str:
        """Of which mount a name is, by where the host's path leads: the parent's, and for a mount its own."""
        parent = os.path.realpath(self.real / os.path.dirname(path.rstrip("/")))
        inner = os.path.relpath(parent, self.real).split("/")[0]
        return inner if inner in ("m", "r") else ""

    def touches_mount(self, path: str) -> bool:
        """Whether a name is a mount, or leads to one."""
        parent, name = os.path.split(path.strip("/"))
        places = [self.real / path.lstrip("/"), Path(os.path.realpath(self.real / parent), name)]
        found, entry = (os.path.relpath(place, self.real) for place in (os.path.realpath(places[0]), places[1]))
        return bool({found, entry, found.split("/")[0]} & {"m", "r", "z"})

    def has_dots(self, *paths: str) -> bool:
        """Whether dots may be walked: the paths', or those of any link there is."""
        links = [os.readlink(p) for p in self.real.rglob("*") if p.is_symlink()]
        return any(".." in path.split("/") for path in (*paths, *links))


def may_differ(layout: Layout, operation: tuple, found: object) -> bool:
    """Whether the tree may refuse so what one folder might not."""
    kind, *rest = operation
    paths = {"symlink": rest[1:2], "link": rest[:2], "rename": rest[:2]}.get(kind, rest[:1])
    two = kind in ("link", "rename")
    if found is Errno.XDEV:
        crosses = two and (layout.realm(paths[0]) != layout.realm(paths[1]) or any(map(layout.touches_mount, paths)))
        return crosses or layout.has_dots(*paths)
    if found is Errno.PERM:
        return layout.has_dots()  # a link in a folder, to what is beside the folder
    if found is Errno.BUSY:
        return any(map(layout.touches_mount, paths)) and kind in ("rename", "rmdir", "unlink")
    return found is Errno.ROFS and any(map(layout.touches_mount, paths))


@pytest.mark.parametrize("resolver", ["openat2", "walk"])
def test_a_tree_with_mounts_is_as_one_folder_but_for_what_would_cross(tmp_path, resolver):
    """Random operations, step by step: the same errors and attributes, and in the end the same names and contents."""
    rng = random.Random(15)
    equal = refused = 0
    for round_ in range(120):
        layout = Layout(tmp_path / str(round_))
        before = sorted(os.listdir(layout.parts / "r"))
        with Wasi(preopens=[(layout.real, "/", "rw")]) as one, Wasi(preopens={layout.tree: "/"}) as many:
            use_resolver(one, resolver, layout.real)
            use_resolver(many, resolver, layout.real)
            host, mine = Guest(one), Guest(many)
            for _ in range(20):
                operation = an_operation(rng)
                two = operation[0] in ("link", "rename")
                crosses = two and layout.realm(operation[1]) != layout.realm(operation[2])
                found = perform(mine, operation)
                if may_differ(layout, operation, found):
                    refused += 1
                    continue
                assert (operation, found) == (operation, perform(host, operation))
                assert not (crosses and found is Errno.SUCCESS), operation
                equal += 1
            assert snapshot(mine) == snapshot(host)
        assert sorted(os.listdir(layout.parts / "r")) == before
        shutil.rmtree(tmp_path / str(round_))
    assert equal > 1000
    assert refused > 200
