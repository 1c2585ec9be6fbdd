"""Byte code of the modules that are not hot, as one block for the shared object (``tools/link.py``).

The block begins with the length of its table, in four bytes; then come the table and each module's code. The table says
by name whether a module is a package, the size and hash of its source, and where its code lies behind the table. The
import hook in ``stratavm/__init__.py`` runs code only for a source that has this size and hash, as Python does with
checked hash-based ``.pyc`` (PEP 552): checkouts, wheels and installations that nobody can write to are all the same.

Behind the modules come groups (``start.txt``): modules that are loaded before the last of the group, in that order,
each with its code, or None if it is hot; in one piece, so that what several name is there once.
"""

from __future__ import annotations

import ast
import marshal
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

START = Path(__file__).with_name("start.txt")
"""Which modules a plain run imports, one a line, in the order in which they are ready; groups end with an empty line.
Written by ``make bless`` of the test that compares it with a run."""


FORM = b"2"
"""Of what is made of a source."""


@dataclass(frozen=True, slots=True)
class PureModule:
    """A module that Python runs, by its bytes when the build began."""

    name: str
    file: str
    """Relative to the folder of the package, which code is told when it is loaded."""
    source: bytes

    @property
    def is_package(self) -> bool:
        """Whether it has modules below it."""
        return self.file.endswith("/__init__.py")

    @property
    def key(self) -> str:
        """What its code follows from."""
        text = FORM + MAGIC_NUMBER + self.name.encode() + b"\0" + self.source
        return blake2b(text, digest_size=12).hexdigest()


def discover(src: Path, sources: Iterable[tuple[Path, bytes]]) -> list[PureModule]:
    """The modules below the package: it runs itself before its hook is there, and the guard is none of a wheel's."""
    found = []
    for path, source in sources:
        relative = path.relative_to(src)
        if relative.as_posix() not in ("stratavm/__init__.py", "stratavm/_build.py"):
            parts = relative.with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(PureModule(name, relative.as_posix(), source))
    return found


def code_of(module: PureModule, cache: Path) -> bytes:
    """A module's code, as ``marshal`` writes it, without optimisation; kept in ``cache``."""
    kept = cache / f"{module.name}-{module.key}.code"
    if kept.is_file():
        kept.touch()  # used today: see build.prune_cache
        return kept.read_bytes()
    tree = once(ast.parse(module.source, module.file), module.name)
    code = marshal.dumps(compile(tree, module.file, "exec", dont_inherit=True, optimize=0))
    scratch = kept.with_suffix(f".{os.getpid()}.tmp")
    scratch.parent.mkdir(parents=True, exist_ok=True)
    scratch.write_bytes(code)
    scratch.replace(kept)
    return code


MAKERS = {"dataclass": ("stratavm.base.forms",), "event": ("stratavm.base.events", "stratavm.base.events.declare")}
"""Decorators that make a class a second time, since slots cannot be added to one, and where they are imported from."""


def once(tree: ast.Module, name: str) -> ast.Module:
    """A module whose class statements with such a decorator alone hand over their bodies, for it to make the class."""
    known = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is None and node.module in MAKERS.get(alias.name, ())
    } | {maker for maker, places in MAKERS.items() if name == places[-1]}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and len(node.decorator_list) == 1 and not node.keywords:
            [maker] = node.decorator_list
            slots = isinstance(maker, ast.Call) and ("slots", True) in [
                (word.arg, word.value.value) for word in maker.keywords if isinstance(word.value, ast.Constant)
            ]
            called = maker.func if isinstance(maker, ast.Call) else maker
            if isinstance(called, ast.Name) and called.id in known and slots == (called.id == "dataclass"):
                hands_over = ast.Attribute(ast.Name(called.id, ast.Load()), "unmade", ast.Load())
                node.keywords.append(ast.keyword("metaclass", hands_over))
    return ast.fix_missing_locations(tree)


def groups_of(text: str, known: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What ``start.txt`` says of the modules that there are: the last of each group, and those before it."""
    groups = {}
    for part in text.split("\n\n"):
        *before, last = [name for name in part.split() if name in known] or [""]
        if before:
            groups[last] = tuple(before)
    return groups


def block(modules: Sequence[PureModule], cache: Path, hot: Collection[str] = (), start: str = "") -> bytes:
    """The block of all modules, and of the groups that ``start`` names, with hot modules of those names."""
    table, codes = {}, []
    place = 0
    for module in modules:
        code = code_of(module, cache)
        known = (module.is_package, len(module.source), source_hash(module.source))
        table[module.name] = (*known, place, place + len(code))
        codes.append(code)
        place += len(code)
    by_name = {module.name: code for module, code in zip(modules, codes, strict=True)}
    groups = {}
    for last, names in groups_of(start, {*by_name, *hot}).items():
        code = marshal.dumps(tuple([marshal.loads(by_name[n]) if n in by_name else None for n in names]))
        groups[last] = (place, place + len(code), names)
        codes.append(code)
        place += len(code)
    head = marshal.dumps((MAGIC_NUMBER, table, groups))
    return b"".join([len(head).to_bytes(4, "little"), head, *codes])
