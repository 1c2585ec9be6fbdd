"""Claims about the files of a run: which are new, and what their paths may take of the host's memory."""

from itertools import count

import pytest

from stratavm.sandbox.python.tree import PATH_CHARS, PATHS_CHARS, RunTree
from stratavm.wasi.memfs import MemoryDirectory


def tree_of(files=(), limit_bytes=64 << 20):
    """A tree, and its root as a guest has it."""
    ticks = count()
    tree = RunTree(limit_bytes, lambda: next(ticks))
    tree.fill(dict(files))
    return tree, MemoryDirectory(tree, tree.root)


def deepened(root, levels, name=b"d" * 250):
    """Folders in folders, deeper than any path reaches, and a file in each."""
    root.mkdir(b"a")
    for _ in range(levels):
        root.mkdir(b"b")
        root.tree.write("b/f", b"")
        root.rename(b"a", root, b"b/" + name)
        root.rename(b"b", root, b"a")


def test_what_is_changed():
    """What was there before is not, unless it is not as it was."""
    tree, root = tree_of({"x": b"1", "y": b"1", "tmp/z": b""})
    assert tree.changed() == {}
    tree.write("y", b"2")
    tree.write("new/deep", b"3")
    tree.write("tmp/t", b"4")
    root.symlink(b"y", b"link")
    assert tree.changed() == {"y": b"2", "new/deep": b"3"} and not tree.refused
    assert len(tree.changed()) == 2
    tree.fill({})
    assert tree.changed() == {}
    tree.write("y", b"3")
    assert tree.changed() == {"y": b"3"}
    tree.fill({"z": b"4"})
    assert tree.changed() == {}


def test_what_is_changed_where_there_was_nothing():
    """Turn by turn; what lies in ``tmp`` is not, unless it is no folder any more."""
    tree, root = tree_of()
    for _ in range(2):
        tree.write("tmp/t", b"1")
        assert tree.changed() == {}
        tree.fill({})
    tree.write("x", b"2")
    assert tree.changed() == {"x": b"2"}
    root.unlink(b"x")
    assert tree.changed() == {}
    tree.fill({})
    root.rename(b"tmp", root, b"other")
    assert tree.changed() == {"other/t": b"1"}
    tree.write("tmp", b"3")
    assert tree.changed() == {"other/t": b"1", "tmp": b"3"}
    root.rename(b"tmp", root, b"tmp2")
    root.rename(b"other", root, b"tmp")
    tree.fill({})
    assert tree.changed() == {"tmp2": b"3"}


def test_names_that_are_no_text_are_shown():
    """And of two that look alike one is kept, which is said."""
    tree, _ = tree_of()
    tree.write("real", b"1")
    node = tree.root.children[b"real"]
    tree.root.children |= {b"a\xff": node, b"a\xfe": node}
    assert tree.changed() == {"real": b"1", "a\\xff": b"1", "a\\xfe": b"1"} and not tree.refused
    tree.write("a\\xff", b"2")
    assert len(tree.changed()) == 3 and tree.refused


def test_paths_that_are_too_long_are_not_kept():
    """Renames make them, and all of them together would be the square of the quota."""
    tree, root = tree_of()
    deepened(root, 300)
    found = tree.changed()
    assert tree.refused and 10 < len(found) < 20 and all(len(path) <= PATH_CHARS for path in found)


def test_all_paths_together_are_bounded():
    """A folder has its long name once, and each file in it has it in its path."""
    tree, root = tree_of()
    deepened(root, 15)
    place = "a/" + "/".join(["d" * 250] * 14)
    for number in range(PATHS_CHARS // len(place) + 100):
        tree.write(f"{place}/{number}", b"")
    assert not tree.refused
    found = tree.changed()
    assert tree.refused and sum(map(len, found)) <= PATHS_CHARS


def test_a_tree_without_room_for_a_folder_says_so():
    """In the words of an operating system, as for what does not fit later."""
    with pytest.raises(OSError, match="max_files is 10 bytes"):
        RunTree(10, lambda: 0)
