"""Claims about warm interpreters in the code cache: who begins with them, and that nothing wrong is believed."""

import pytest

from stratavm.sandbox.python import guests, keeping
from stratavm.sandbox.python.tree import RunTree
from stratavm.sandbox.python.warm import Warm

pytestmark = pytest.mark.trace_slow
CODE = "import fractions, sys\nsys.kept = [1]\nopen('made', 'w').write('x')\n__import__('os').mkdir('empty')"
LOOK = """\
import os, sys
sys.kept.append(2)
[sys.kept, 'fractions' in sys.modules, open('made').read(), sorted(os.listdir())]
"""
SEEN = [[1, 2], True, "x", ["empty", "given", "made", "tmp"]]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Kinds of interpreters that were made, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("STRATA_CACHE", "on")
    kinds = []
    make = Warm._make

    async def counted(self, module, *kind):
        kinds.append(kind)
        return await make(self, module, *kind)

    monkeypatch.setattr(Warm, "_make", counted)
    return kinds


def entries():
    """The files of the cache that have interpreters."""
    cache = guests.own_cache()
    return [cache.folder + f"/{e.key}.entry" for e in cache.entries() if e.size > 1 << 20]


def test_another_process_begins_with_what_was_kept(python, made):
    """Memory, files, folders and clock; of another kind, code or file there is another one."""
    for _ in range(2):
        warm = python.warm(CODE, files={"given": "g"})
        assert warm.run(LOOK).value == SEEN and warm.run(LOOK).value == SEEN
        assert made == [(False, False)] and len(entries()) == 1
        with warm.session() as session, session.fork() as fork:
            assert fork.run(LOOK).value == SEEN
    assert warm.run(LOOK, deterministic=True).value == SEEN
    python.warm(CODE, files={"given": "h"})
    python.warm(CODE + "\n", files={"given": "g"})
    assert made == [(False, False), (False, True), (False, False), (False, False)]


def test_what_is_damaged_is_made_anew(python, made):
    """Wherever a bit is another one."""
    python.warm(CODE)
    (path,) = entries()
    with open(path, "rb") as file:
        content = file.read()
    for at in (0, 100, 300, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[at] ^= 1
        with open(path, "wb") as file:
            file.write(changed)
        assert python.warm(CODE).run("import sys\nsys.kept").value == [1]
    assert len(made) == 6


def test_no_cache_where_it_is_off(python, made, monkeypatch):
    """Nothing is written, and nothing read."""
    python.warm(CODE)
    monkeypatch.setenv("STRATA_CACHE", "off")
    assert guests.own_cache() is None
    python.warm(CODE)
    assert len(made) == 2


def test_trees_that_are_kept():
    """Folders and files; what has links is not."""
    tree = RunTree(1 << 20, lambda: 0)
    tree.fill({"a/b": b"x"})
    tree.make_folder("c/d")
    assert tree.plain() == {"a/b": b"x", "c/d": None, "tmp": None}
    tree.root.children[b"link"] = tree.root.children[b"a"].children[b"b"]
    tree.root.children[b"link"].nlink = 2
    assert tree.plain() is None


def test_no_cache_while_the_package_changes(python, made, monkeypatch):
    """What would be kept could be of another build."""

    def changed():
        raise keeping.CacheRefused("files of stratavm changed")

    monkeypatch.setattr(keeping, "build_identity", changed)
    assert python.warm(CODE).run("import sys\nsys.kept").value == [1] and entries() == []
