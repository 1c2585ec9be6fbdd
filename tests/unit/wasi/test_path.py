"""Paths, on every kind of directory."""

import pytest

from stratavm.wasi import abi
from stratavm.wasi.abi import Filetype, Fstflags, Oflags, Rights
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT, RW, Guest


def readlink(guest: Guest, path: str, size: int = 100) -> bytes:
    """path_readlink that succeeds."""
    guest.ok("path_readlink", 3, *guest.put(path.encode()), 0x4000, size, OUT)
    return bytes(guest.memory.data[0x4000 : 0x4000 + guest.u32()])


@pytest.fixture
def tree(guest):
    """``file`` (hello), ``dir/inner``, ``link`` → file, ``dirlink`` → dir, ``dangling`` → nothing."""
    guest.create("file", b"hello")
    assert guest.path("path_create_directory", 3, "dir") is Errno.SUCCESS
    guest.create("dir/inner", b"inner")
    for target, path in (("file", "link"), ("dir", "dirlink"), ("nothing", "dangling")):
        assert guest.symlink(target, path) is Errno.SUCCESS
    return guest


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("file", Errno.SUCCESS), ("./file", Errno.SUCCESS), ("dir/../file", Errno.SUCCESS),
        ("dir//inner", Errno.SUCCESS),
        ("dir/./inner", Errno.SUCCESS), ("dirlink/inner", Errno.SUCCESS), ("link", Errno.SUCCESS),
        ("dirlink/../file", Errno.SUCCESS), (".", Errno.SUCCESS), ("dir/", Errno.SUCCESS), ("dir/..", Errno.SUCCESS),
        ("file/", Errno.NOTDIR), ("file/x", Errno.NOTDIR), ("link/", Errno.NOTDIR), ("nothing", Errno.NOENT),
        ("nothing/x", Errno.NOENT), ("dangling", Errno.NOENT), ("", Errno.NOENT), ("/", Errno.PERM),
        ("/file", Errno.PERM), ("..", Errno.PERM), ("../root/file", Errno.PERM), ("dir/../../root/file", Errno.PERM),
        ("dir/../..", Errno.PERM), ("file\0x", Errno.INVAL), (b"\xff\xfe", Errno.ILSEQ),
        ("x" * 5000, Errno.NAMETOOLONG),
        ("x" * 300, Errno.NAMETOOLONG),
    ],
)  # fmt: skip
def test_resolution(tree, path, expected):
    """Opening a path: what is found, and why not."""
    assert tree.try_open(path) is expected


@pytest.mark.parametrize(
    ("path", "oflags", "rights", "follow", "expected"),
    [
        ("file", Oflags.CREAT | Oflags.EXCL, RW, True, Errno.EXIST),
        ("link", Oflags.CREAT | Oflags.EXCL, RW, True, Errno.EXIST),
        ("dangling", Oflags.CREAT | Oflags.EXCL, RW, True, Errno.EXIST),
        ("dangling", Oflags.CREAT, RW, True, Errno.SUCCESS),
        ("new/", Oflags.CREAT, RW, True, Errno.ISDIR),
        ("dir", Oflags.CREAT, RW, True, Errno.ISDIR),
        ("dir", 0, RW, True, Errno.ISDIR),
        ("dir", Oflags.TRUNC, Rights.FD_READ, True, Errno.ISDIR),
        ("dir", Oflags.DIRECTORY, RW, True, Errno.ISDIR),
        ("dirlink", Oflags.DIRECTORY, 0, True, Errno.SUCCESS),
        ("dirlink", Oflags.DIRECTORY, 0, False, Errno.NOTDIR),
        ("dirlink/", Oflags.DIRECTORY, 0, False, Errno.SUCCESS),
        ("file", Oflags.DIRECTORY, 0, True, Errno.NOTDIR),
        ("file", Oflags.DIRECTORY | Oflags.CREAT, 0, True, Errno.INVAL),
        ("link", 0, Rights.FD_READ, False, Errno.LOOP),
        ("link", Oflags.CREAT, RW, False, Errno.LOOP),
        ("file", 16, Rights.FD_READ, True, Errno.INVAL),
        ("nothing/new", Oflags.CREAT, RW, True, Errno.NOENT),
    ],
)
def test_opening(tree, path, oflags, rights, follow, expected):
    """Flags and what they meet."""
    assert tree.try_open(path, oflags, rights, follow=follow) is expected


def test_truncation_and_creation(guest):
    """TRUNC empties, CREAT alone does not."""
    guest.create("file", b"hello")
    assert guest.stat("file")[4] == 5
    guest.open("file", Oflags.CREAT, RW)
    assert guest.stat("file")[4] == 5
    guest.open("file", Oflags.TRUNC, RW)
    assert guest.stat("file")[4] == 0


def test_attributes_follow_links_only_when_asked(tree):
    """Types and sizes."""
    assert tree.stat("link")[2] == Filetype.SYMBOLIC_LINK
    assert tree.stat("link", follow=True)[2:5] == (Filetype.REGULAR_FILE, 1, 5)
    assert tree.stat("dir")[2] == Filetype.DIRECTORY
    assert tree.stat("dirlink/", follow=False)[2] == Filetype.DIRECTORY
    assert tree.call("path_filestat_get", 3, 2, *tree.put(b"file"), OUT) is Errno.INVAL


def test_timestamps_of_paths(tree):
    """On the link itself, or on what it points to; through a chain of links and a trailing slash."""

    def set_times(path: str, follow: int, mtim: int) -> Errno:
        return tree.call("path_filestat_set_times", 3, follow, *tree.put(path.encode()), 0, mtim, Fstflags.MTIM)

    assert tree.symlink("./dir/../link", "chain") is Errno.SUCCESS
    assert set_times("chain", 1, 1_000_000_000) is Errno.SUCCESS
    assert tree.stat("file")[6] == 1_000_000_000
    assert set_times("link", 0, 2_000_000_000) is Errno.SUCCESS
    assert tree.stat("link")[6] == 2_000_000_000
    assert tree.stat("file")[6] == 1_000_000_000
    assert set_times("dirlink/", 0, 3_000_000_000) is Errno.SUCCESS
    assert tree.stat("dir")[6] == 3_000_000_000
    assert set_times(".", 1, 4_000_000_000) is Errno.SUCCESS
    assert set_times("dangling", 1, 1) is Errno.NOENT
    assert set_times("file/", 1, 1) is Errno.NOTDIR
    assert set_times("..", 1, 1) is Errno.PERM


def test_directories(tree):
    """Creation, removal, and the errors of the names that mean directories themselves."""
    for path, error in (
        ("new", Errno.SUCCESS), ("new", Errno.EXIST), ("file", Errno.EXIST), ("link", Errno.EXIST),
        ("slashed/", Errno.SUCCESS),
        (".", Errno.EXIST), ("dir/..", Errno.EXIST), ("..", Errno.PERM), ("nothing/x", Errno.NOENT),
        ("file/x", Errno.NOTDIR),
    ):  # fmt: skip
        assert (path, tree.path("path_create_directory", 3, path)) == (path, error)
    for path, error in (
        ("new", Errno.SUCCESS), ("new", Errno.NOENT), ("slashed/", Errno.SUCCESS), ("dir", Errno.NOTEMPTY),
        ("file", Errno.NOTDIR), ("dirlink", Errno.NOTDIR), (".", Errno.INVAL), ("..", Errno.PERM),
    ):  # fmt: skip
        assert (path, tree.path("path_remove_directory", 3, path)) == (path, error)


def test_unlinking(tree):
    """Files and links themselves; never directories."""
    for path, error in (
        ("dir", Errno.ISDIR), ("dir/", Errno.ISDIR), ("file/", Errno.NOTDIR), ("dirlink/", Errno.NOTDIR),
        (".", Errno.ISDIR),
        ("..", Errno.PERM), ("link", Errno.SUCCESS), ("file", Errno.SUCCESS), ("file", Errno.NOENT),
        ("dangling", Errno.SUCCESS),
    ):  # fmt: skip
        assert (path, tree.path("path_unlink_file", 3, path)) == (path, error)


def test_an_unlinked_file_stays_usable_while_open(guest):
    """Its content lives until it is closed, its name is free."""
    fd = guest.create("file", b"abc")
    assert guest.path("path_unlink_file", 3, "file") is Errno.SUCCESS
    assert guest.read(fd, 3, "fd_pread", 0) == b"abc"
    guest.write(fd, b"def")
    other = guest.create("file", b"x")
    assert guest.read(fd, 9, "fd_pread", 0) == b"abcdef"
    assert guest.read(other, 9, "fd_pread", 0) == b"x"


def test_symbolic_links(tree):
    """Targets come back as they were given, cut off at the buffer; absolute ones are not made."""
    assert readlink(tree, "link") == b"file"
    assert readlink(tree, "link", 2) == b"fi"
    assert tree.path("path_readlink", 3, "file", 0x4000, 10, OUT) is Errno.INVAL
    assert tree.path("path_readlink", 3, "dir", 0x4000, 10, OUT) is Errno.INVAL
    assert tree.path("path_readlink", 3, "nothing", 0x4000, 10, OUT) is Errno.NOENT
    assert tree.path("path_readlink", 3, "link", 0x1FFFF, 10, OUT) is Errno.FAULT
    assert tree.symlink("/etc/passwd", "bad") is Errno.PERM
    assert tree.symlink("x", "file") is Errno.EXIST
    assert tree.symlink("x", "slash/") is Errno.NOENT
    assert tree.symlink("x", "../out") is Errno.PERM


def test_links_in_a_circle_are_found(guest):
    """ELOOP, from every function that follows."""
    guest.symlink("b", "a")
    guest.symlink("a", "b")
    guest.symlink("self/x", "self")
    assert guest.try_open("a") is Errno.LOOP
    assert guest.try_open("self") is Errno.LOOP
    assert guest.path("path_create_directory", 3, "a/x") is Errno.LOOP
    assert guest.call("path_filestat_set_times", 3, 1, *guest.put(b"a"), 0, 0, Fstflags.MTIM) is Errno.LOOP


def test_hard_links(tree):
    """A second name for the same file; directories have one name only."""
    assert tree.link("file", "dir/hard") is Errno.SUCCESS
    assert tree.stat("file")[1:4] == tree.stat("dir/hard")[1:4]
    assert tree.stat("file")[3] == 2
    assert tree.link("link", "soft") is Errno.SUCCESS
    assert tree.stat("soft")[2] == Filetype.SYMBOLIC_LINK
    assert tree.link("link", "followed", follow=1) is Errno.SUCCESS
    assert tree.stat("followed")[2:4] == (Filetype.REGULAR_FILE, 3)
    for old, new, error in (
        ("dir", "x", Errno.PERM), ("file", "link", Errno.EXIST), ("file", "x/", Errno.NOENT),
        ("nothing", "x", Errno.NOENT),
        ("file", "../x", Errno.PERM), ("../x", "y", Errno.PERM), ("file/", "x", Errno.NOTDIR),
        ("dangling", "x", Errno.SUCCESS),
    ):  # fmt: skip
        assert (old, new, tree.link(old, new)) == (old, new, error)


def test_renaming(tree):
    """What may replace what."""
    assert tree.path("path_create_directory", 3, "empty") is Errno.SUCCESS
    tree.create("other", b"other")
    for old, new, error in (
        ("file", "dir", Errno.ISDIR), ("dir", "file", Errno.NOTDIR), ("dir", "dir/inside", Errno.INVAL),
        ("empty", "dir", Errno.NOTEMPTY), ("nothing", "x", Errno.NOENT), ("file", "x/", Errno.NOTDIR),
        ("file/", "x", Errno.NOTDIR), (".", "x", Errno.BUSY), ("file", ".", Errno.BUSY), ("..", "x", Errno.PERM),
        ("file", "../x", Errno.PERM), ("file", "dir/moved", Errno.SUCCESS), ("dir/moved", "file", Errno.SUCCESS),
        ("file", "file", Errno.SUCCESS), ("file", "other", Errno.SUCCESS), ("dir", "empty", Errno.SUCCESS),
        ("empty", "renamed/", Errno.SUCCESS), ("link", "moved", Errno.SUCCESS), ("dirlink/", "y", Errno.NOTDIR),
    ):  # fmt: skip
        assert (old, new, tree.rename(old, new)) == (old, new, error)
    assert tree.read(tree.open("other")) == b"hello"
    assert tree.read(tree.open("renamed/inner")) == b"inner"
    assert readlink(tree, "moved") == b"file"


def test_a_subdirectory_is_a_capability_of_its_own(tree):
    """A descriptor of a directory gives nothing above it, not even through links or moves."""
    fd = tree.open("dir", Oflags.DIRECTORY)
    assert tree.read(tree.open("inner", fd=fd)) == b"inner"
    assert tree.try_open("../file", fd=fd) is Errno.PERM
    assert tree.symlink("../file", "up", fd=fd) is Errno.SUCCESS
    assert tree.try_open("up", fd=fd) is Errno.PERM
    assert tree.read(tree.open("dir/up")) == b"hello"
    assert tree.rename("dir", "elsewhere") is Errno.SUCCESS
    assert tree.read(tree.open("inner", fd=fd)) == b"inner"
    assert tree.try_open("..", fd=fd) is Errno.PERM


def test_moves_between_directories(tree):
    """By two descriptors."""
    fd = tree.open("dir", Oflags.DIRECTORY)
    assert tree.rename("file", "file", to=fd) is Errno.SUCCESS
    assert tree.link("file", "back", fd=fd) is Errno.SUCCESS
    assert tree.stat("back")[3] == 2


def test_a_removed_directory_takes_nothing_more(guest):
    """Its descriptor works, creating in it is NOENT."""
    guest.path("path_create_directory", 3, "dir")
    fd = guest.open("dir", Oflags.DIRECTORY)
    assert guest.path("path_remove_directory", 3, "dir") is Errno.SUCCESS
    assert guest.try_open("new", Oflags.CREAT, RW, fd=fd) is Errno.NOENT
    guest.create("file")
    assert guest.rename("file", "file", to=fd) is Errno.NOENT
    assert guest.names(fd) in ([b".", b".."], [])


def test_functions_on_paths_need_a_directory(tree):
    """NOTDIR on a file's descriptor, BADF on none."""
    fd = tree.open("file")
    assert tree.try_open("x", fd=fd) is Errno.NOTDIR
    assert tree.path("path_create_directory", fd, "x") is Errno.NOTDIR
    assert tree.rename("file", "x", to=fd) is Errno.NOTDIR
    assert tree.try_open("x", fd=77) is Errno.BADF


def test_a_path_outside_memory_is_a_fault(tree):
    """And so is a result that does not fit."""
    assert tree.call("path_unlink_file", 3, 0x1FFFF, 2) is Errno.FAULT
    assert tree.call("path_unlink_file", 3, 0xFFFF_FFFF, 4) is Errno.FAULT
    assert tree.call("path_open", 3, 1, *tree.put(b"new"), Oflags.CREAT, RW, RW, 0, 0x1FFFE) is Errno.FAULT
    assert tree.try_open("new") is Errno.NOENT
    assert tree.call("path_filestat_get", 3, 1, *tree.put(b"file"), 0x20000 - 63) is Errno.FAULT


def test_every_struct_is_written_whole(tree):
    """Padding becomes zero, the byte behind stays."""
    tree.put(b"\xaa" * 65, OUT)
    tree.stat("file")
    assert tree.memory.data[OUT + 17 : OUT + 24] == bytes(7)
    assert tree.memory.data[OUT + abi.FILESTAT.size] == 0xAA
    assert tree.memory.data[DATA - 1] == 0xAA
