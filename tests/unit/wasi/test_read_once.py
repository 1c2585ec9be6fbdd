"""Words, lists and names of a guest's memory are read once in a call: what other threads write between a check and its
use changes nothing. By the source, since what compiled code reads cannot be counted; ``test_shared`` runs it."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import stratavm.wasi

FOLDER = Path(stratavm.wasi.__file__).parent
WORDS = {"get_32", "get_64"}
"""Loads of one word, which are volatile."""
READERS = {"iovecs", "items", "path"}
"""Of ``Guest``: what copies a list or a name."""
SOURCES = sorted(FOLDER.rglob("*.py"))


def twice(source):
    """What a function of a source reads twice, and what it reads past the loads that read once."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        read = Counter()
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript) and "d.base" in ast.unparse(node.value):
                yield f"{function.name}: {ast.unparse(node)}"
            if not isinstance(node, ast.Call):
                continue
            name, whole = ast.unparse(node.func), ast.unparse(node)
            if name in WORDS or (name.startswith("guest.") and name.removeprefix("guest.") in READERS):
                read[whole] += 1
        yield from (f"{function.name}: {what}" for what, count in read.items() if count > 1)


def test_every_reader_is_looked_at():
    """There are such loads, and such copies: the check has something to say."""
    text = "".join(path.read_text() for path in SOURCES)
    assert all(text.count(f"{name}(") >= 2 for name in WORDS | {f"guest.{name}" for name in READERS - {"items"}})
    loads = [line for line in (FOLDER / "p1/kernel.pxd").read_text().splitlines() if "strata_get_" in line]
    assert len([line for line in loads if "(const volatile struct" in line]) == len(WORDS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_nothing_is_read_twice(path):
    """Each place of a list is loaded in one expression of its function."""
    assert list(twice(path.read_text())) == []


PLANTED = {
    "p1/short.py": [
        (
            "        if not memory.inside(start, length):\n",
            "        if not memory.inside(start, get_32(memory.d.base + at + i * IOVEC_BYTES + 4)):\n",
        ),
        ("length = get_32(memory.d.base + at + i * IOVEC_BYTES + 4)", "length = cython.cast(P, memory.d.base + at)[1]"),
        ("        ns[0] = get_64(base + 24)\n", "        ns[0] = get_64(base + 24) if get_64(base + 24) else 1\n"),
    ],
}


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name, all_ in PLANTED.items() for fault in all_])
def test_a_reader_that_looks_twice_is_found(name, fault):
    """What was checked is not what is used."""
    source = (FOLDER / name).read_text()
    right, wrong = fault
    assert source.count(right) == 1
    assert len(list(twice(source.replace(right, wrong)))) == 1


def test_a_general_way_that_copies_twice_is_found():
    """The list that is counted, and the one that is written."""
    right = "def fd_write(ctx, guest, p, n):\n    data = guest.iovecs(p, n)\n    return sum(map(len, data)), data\n"
    assert list(twice(right)) == []
    wrong = right.replace("map(len, data)", "map(len, guest.iovecs(p, n))")
    assert list(twice(wrong)) == ["fd_write: guest.iovecs(p, n)"]
