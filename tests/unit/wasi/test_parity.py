"""The three kinds of directory behave alike: the same random operations give the same errors and the same tree."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stratavm.wasi import MemoryTree, Wasi
from stratavm.wasi.abi import Fstflags, Oflags, Rights
from stratavm.wasi.errno import Errno
from tests.unit.wasi.conftest import use_resolver
from tests.unit.wasi.guest import RW, Guest

NAMES = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/d", "a/b", "l", "l/a", "d/..", ".", "..", "d/", "a/",
    "l/", "d/../a",
                         "../a", "/a", "l/..", "d/l", "./b", "d//a"])  # fmt: skip
TARGETS = st.sampled_from(["a", "d", "../a", "d/..", ".", "l", "d/l", "a/", "nothing", "..", "/a"])
OPENINGS = st.sampled_from([(0, Rights.FD_READ), (Oflags.CREAT, RW), (Oflags.CREAT | Oflags.EXCL, RW),
    (Oflags.TRUNC, RW),
                            (Oflags.DIRECTORY, 0), (Oflags.CREAT | Oflags.TRUNC, Rights.FD_WRITE)])  # fmt: skip
OPERATION = st.one_of(
    st.tuples(st.just("open"), NAMES, OPENINGS, st.booleans()),
    st.tuples(st.just("mkdir"), NAMES),
    st.tuples(st.just("rmdir"), NAMES),
    st.tuples(st.just("unlink"), NAMES),
    st.tuples(st.just("symlink"), TARGETS, NAMES),
    st.tuples(st.just("link"), NAMES, NAMES, st.booleans()),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("stat"), NAMES, st.booleans()),
    st.tuples(st.just("times"), NAMES, st.booleans()),
    st.tuples(st.just("readlink"), NAMES),
)


def perform(guest: Guest, operation: tuple) -> object:
    """Do one operation; what the guest sees of it."""
    match operation:
        case ("open", path, (oflags, rights), follow):
            error = guest.try_open(path, oflags, rights, follow=follow)
            if error is not Errno.SUCCESS:
                return error
            fd = guest.u32()
            wrote = guest.try_write(fd, path.encode())
            guest.ok("fd_close", fd)
            return wrote
        case ("mkdir", path):
            return guest.path("path_create_directory", 3, path)
        case ("rmdir", path):
            return guest.path("path_remove_directory", 3, path)
        case ("unlink", path):
            return guest.path("path_unlink_file", 3, path)
        case ("symlink", target, path):
            return guest.symlink(target, path)
        case ("link", old, new, follow):
            return guest.link(old, new, follow=int(follow))
        case ("rename", old, new):
            return guest.rename(old, new)
        case ("times", path, follow):
            return guest.call("path_filestat_set_times", 3, follow, *guest.put(path.encode()), 5, 6, Fstflags.MTIM)
        case ("readlink", path):
            error = guest.path("path_readlink", 3, path, 0x4000, 50, 0x10)
            return error or bytes(guest.memory.data[0x4000 : 0x4000 + guest.u32()])
        case ("stat", path, follow):
            error = guest.call("path_filestat_get", 3, follow, *guest.put(path.encode()), 0x10)
            found = guest.out("<QQB7xQQQQQ")
            return error or (found[2], found[4] if found[2] == 4 else None, found[3] if found[2] == 4 else None)
    raise AssertionError(operation)


def snapshot(guest: Guest, fd: int = 3) -> dict:
    """The whole tree, as the guest can read it."""
    tree = {}
    for name in guest.names(fd):
        if name in (b".", b".."):
            continue
        text = name.decode()
        kind = guest.stat(text, fd=fd)[2]
        if kind == 3:
            inner = guest.open(text, Oflags.DIRECTORY, fd=fd)
            tree[name] = snapshot(guest, inner)
        elif kind == 7:
            error = guest.path("path_readlink", fd, text, 0x4000, 50, 0x10)
            tree[name] = error or bytes(guest.memory.data[0x4000 : 0x4000 + guest.u32()])
        else:
            inner = guest.open(text, fd=fd)
            tree[name] = guest.read(inner)
        if kind != 7:
            guest.ok("fd_close", inner)
    return tree


@pytest.mark.parametrize("resolver", ["openat2", "walk"])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(operations=st.lists(OPERATION, max_size=12))
@example([("symlink", "a/", "a"), ("open", "a", (Oflags.CREAT, RW), True)])
def test_memory_and_host_agree(resolver, operations):
    """Errors, attributes and content, step by step."""
    root = Path(tempfile.mkdtemp())
    try:
        with Wasi(preopens=[(root, "/", "rw")]) as real, Wasi(preopens=[(MemoryTree(), "/")]) as memory:
            use_resolver(real, resolver, root)
            host, mine = Guest(real), Guest(memory)
            for operation in operations:
                assert (operation, perform(mine, operation)) == (operation, perform(host, operation))
            assert snapshot(mine) == snapshot(host)
    finally:
        shutil.rmtree(root)
