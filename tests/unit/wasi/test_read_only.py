"""A read-only directory refuses every change, whatever way it is asked, and the other side of a move as well."""

import pytest

from stratavm.wasi import MemoryTree, Wasi
from stratavm.wasi.abi import Fstflags, Oflags, Rights
from stratavm.wasi.errno import Errno
from tests.unit.wasi.conftest import use_resolver
from tests.unit.wasi.guest import RW, Guest

RO, FREE = 3, 4  # the two directories' descriptors
FILES = {"file": b"hello", "dir/inner": b"inner"}


@pytest.fixture(params=["openat2", "walk", "memory"])
def world(request, tmp_path):
    """Descriptor 3 read-only with files, descriptor 4 writable (and of the same kind) with a file."""
    if request.param == "memory":
        tree = MemoryTree({f"ro/{path}": content for path, content in FILES.items()} | {"free/mine": b"mine"})
        with Wasi(preopens=[(tree, "/ro", True), (tree, "/free")]) as ctx:
            guest = Guest(ctx)
            for fd, name in ((RO, "ro"), (FREE, "free")):
                guest.ctx.table[fd].node = tree.root.children[name.encode()]
            yield guest, lambda: {p: tree.read(f"ro/{p}") for p in FILES} | {"names": tree.list("ro")}
        return
    for path, content in FILES.items():
        (tmp_path / "ro" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ro" / path).write_bytes(content)
    (tmp_path / "free").mkdir()
    (tmp_path / "free" / "mine").write_bytes(b"mine")
    with Wasi(preopens=[(tmp_path / "ro", "/ro"), (tmp_path / "free", "/free", "rw")]) as ctx:
        use_resolver(ctx, request.param, tmp_path)
        ro = tmp_path / "ro"
        yield (
            Guest(ctx),
            lambda: {p: (ro / p).read_bytes() for p in FILES} | {"names": sorted(x.name for x in ro.iterdir())},
        )


def times(guest: Guest, fd: int) -> Errno:
    """path_filestat_set_times of the file."""
    return guest.call("path_filestat_set_times", fd, 0, *guest.put(b"file"), 0, 0, Fstflags.MTIM)


def sub(guest: Guest) -> int:
    """A subdirectory, which inherits."""
    return guest.open("dir", Oflags.DIRECTORY)


def opened(guest: Guest) -> int:
    """The file, open for reading."""
    return guest.open("file")


CHANGES = {
    "open for writing": lambda g: g.try_open("file", 0, RW),
    "open for writing only": lambda g: g.try_open("file", 0, Rights.FD_WRITE),
    "truncate by open": lambda g: g.try_open("file", Oflags.TRUNC, Rights.FD_READ),
    "create": lambda g: g.try_open("new", Oflags.CREAT, Rights.FD_READ),
    "create exclusively": lambda g: g.try_open("new", Oflags.CREAT | Oflags.EXCL, RW),
    "create below": lambda g: g.try_open("new", Oflags.CREAT, Rights.FD_READ, fd=sub(g)),
    "mkdir": lambda g: g.path("path_create_directory", RO, "new"),
    "rmdir": lambda g: g.path("path_remove_directory", RO, "dir"),
    "unlink": lambda g: g.path("path_unlink_file", RO, "file"),
    "unlink below": lambda g: g.path("path_unlink_file", sub(g), "inner"),
    "symlink": lambda g: g.symlink("x", "new", fd=RO),
    "link inside": lambda g: g.link("file", "new", fd=RO, to=RO),
    "link out": lambda g: g.link("file", "gained", fd=RO, to=FREE),
    "link in": lambda g: g.link("mine", "new", fd=FREE, to=RO),
    "rename inside": lambda g: g.rename("file", "new", fd=RO, to=RO),
    "move out": lambda g: g.rename("file", "gained", fd=RO, to=FREE),
    "move in": lambda g: g.rename("mine", "new", fd=FREE, to=RO),
    "times by path": lambda g: times(g, RO),
    "times of a file": lambda g: g.call("fd_filestat_set_times", opened(g), 0, 0, Fstflags.MTIM),
    "times of the directory": lambda g: g.call("fd_filestat_set_times", RO, 0, 0, Fstflags.MTIM),
    "size": lambda g: g.call("fd_filestat_set_size", opened(g), 0),
    "allocate": lambda g: g.call("fd_allocate", opened(g), 0, 100),
    "write": lambda g: g.try_write(opened(g), b"x"),
    "write at": lambda g: g.try_write(opened(g), b"x", "fd_pwrite", 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_goes_through(world, change):
    """Every mutating call fails, and the directory is as it was."""
    guest, look = world
    before = look()
    assert CHANGES[change](guest) in (Errno.ROFS, Errno.NOTCAPABLE, Errno.BADF)
    assert look() == before


def test_reading_works_and_creat_of_what_exists_too(world):
    """Read-only is not no access."""
    guest, _ = world
    assert guest.read(guest.open("file")) == b"hello"
    assert guest.read(guest.open("file", Oflags.CREAT)) == b"hello"
    assert guest.read(guest.open("inner", fd=sub(guest))) == b"inner"
    assert guest.try_open("file", Oflags.CREAT | Oflags.EXCL) is Errno.EXIST
    assert guest.try_open("dir", Oflags.DIRECTORY, Rights.FD_READ) is Errno.SUCCESS
