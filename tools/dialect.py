"""One dialect of Cython: a C signature stands once, and a ``.pxd`` holds what its module alone could not (ADR-0017).

``python -m tools.dialect`` prints what breaks the rule of CONTRIBUTING.md, "Hot modules". Functions, methods and
classes at the module's level are looked at; not variables and fields, nor what stands in an ``if`` or has its
decorators under other names. A ``with`` is looked for everywhere: in what is compiled it is of the GIL alone.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.build import MARKER, is_hot
from tools.structure import SRC, name_of

Errors: Any = importlib.import_module("Cython.Compiler.Errors")
Main: Any = importlib.import_module("Cython.Compiler.Main")
Nodes: Any = importlib.import_module("Cython.Compiler.Nodes")
Scanning: Any = importlib.import_module("Cython.Compiler.Scanning")
WORD = re.compile(r"[A-Za-z_]\w*")
CYTHON = re.compile(r"^(import cython\b|from cython[\w.]* import )", re.M)
C_ONLY = re.compile(r"(?:\w+\.)?(?:cfunc|ccall|nogil|exceptval|returns|inline|locals)\b")
"""Decorators that say what a ``.pxd`` says of a function."""
OF_THE_GIL = re.compile(r"cython\.(?:no)?gil\b")
"""What a ``with`` of a hot module may be of. One of an object needs memory to leave by an exception (Cython 3.3.1)."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a ``.pxd`` says of a function or a class.

    Attributes:
        owner: the class that a method is of; empty at the module's level.
        kind: ``function``, ``class``, or ``inline`` for a function with a body.
        seen: whether Python sees it: a method of that kind has types for people in the ``.py`` too.
        line: in the ``.pxd``.
        derived: whether it is a class with a base class.
    """

    owner: str
    name: str
    kind: str
    seen: bool
    line: int
    derived: bool = False


@functools.cache
def parser(src: Path) -> Any:
    """Cython's, for the modules of a folder."""
    Errors.init_thread()
    return Main.Context.from_options(Main.CompilationOptions(include_path=[str(src)], language_level=3))


def declared(path: Path, src: Path = SRC) -> list[Declared]:
    """Functions and classes of a ``.pxd``, but for those of other headers (``cdef extern``)."""
    name = name_of(path, src)
    scope = parser(src).find_module(name, need_pxd=False)
    tree = parser(src).parse(Scanning.FileSourceDescriptor(str(path)), scope, pxd=True, full_module_name=name)
    return list(within(tree.body, ""))


def within(node: Any, owner: str) -> Iterator[Declared]:
    """Declarations of a part of a parsed ``.pxd``."""
    line = node.pos[1]
    if isinstance(node, Nodes.StatListNode):
        for part in node.stats:
            yield from within(part, owner)
    elif isinstance(node, Nodes.CompilerDirectivesNode):
        yield from within(node.body, owner)
    elif isinstance(node, Nodes.CClassDefNode):
        yield Declared(owner, node.class_name, "class", False, line, bool(node.bases.args))
        if node.body:
            yield from within(node.body, node.class_name)
    elif isinstance(node, Nodes.CFuncDefNode):
        yield Declared(owner, name_in(node.declarator), "inline", False, line)
    elif isinstance(node, Nodes.CVarDefNode):
        for declarator in filter(is_function, node.declarators):
            yield Declared(owner, name_in(declarator), "function", bool(node.overridable), line)


def is_function(declarator: Any) -> bool:
    """Whether a declarator is of a function, not of a variable that points to one."""
    while isinstance(declarator, Nodes.CPtrDeclaratorNode):
        declarator = declarator.base
    named = isinstance(declarator, Nodes.CFuncDeclaratorNode) and declarator.base
    return isinstance(named, Nodes.CNameDeclaratorNode)


def name_in(declarator: Any) -> str:
    """The name that a declarator declares."""
    while not isinstance(declarator, Nodes.CNameDeclaratorNode):
        declarator = declarator.base
    return str(declarator.name)


def defined(text: str) -> dict[tuple[str, str], ast.FunctionDef | ast.ClassDef]:
    """Functions, methods and classes of a ``.py``, by the class they stand in and their name."""
    found: dict[tuple[str, str], ast.FunctionDef | ast.ClassDef] = {}
    for node in ast.parse(text).body:
        for part in [node, *(node.body if isinstance(node, ast.ClassDef) else ())]:
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
                found["" if part is node else getattr(node, "name", ""), part.name] = part
    return found


def says_types(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a definition says what a ``.pxd`` says: by annotations, or by a decorator."""
    if any(C_ONLY.match(ast.unparse(decorator)) for decorator in node.decorator_list):
        return True
    if isinstance(node, ast.ClassDef):
        return False
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return node.returns is not None or any(argument.annotation for argument in arguments)


@functools.cache
def for_c(module: Path, src: Path = SRC) -> set[tuple[str, str]]:
    """Functions of a ``.py`` that Python cannot see, by class and name."""
    header = module.with_suffix(".pxd")
    items = declared(header, src) if header.is_file() else []
    hidden = {(item.owner, item.name) for item in items if item.kind == "function" and not item.seen}
    for place, node in defined(module.read_text()).items():
        if "cython.cfunc" in map(ast.unparse, node.decorator_list):
            hidden.add(place)
    return hidden


def repeated(module: Path, header: list[Declared]) -> Iterator[tuple[int, str]]:
    """Lines and names of definitions that repeat what the ``.pxd`` declares."""
    found = defined(module.read_text())
    for item in header:
        node = found.get((item.owner, item.name))
        if node is not None and not item.seen and says_types(node):
            yield node.lineno, item.name


def wanted(src: Path = SRC) -> dict[str, set[str]]:
    """Module → the names that other modules cimport of it."""
    names: dict[str, set[str]] = {}
    for path in [*src.rglob("*.py"), *src.rglob("*.pxd")]:
        text = re.sub(r"\bcimport\b", "import", text_without_bodies(path))
        for match in re.finditer(r"^\s*from\s+([\w.]+)\s+import\s+(?:\(([^)]*)\)|([^#\n]+))", text, re.M):
            module = match[1].removeprefix("cython.cimports.")
            if module != name_of(path, src):
                parts = re.sub(r"#.*", "", match[2] or match[3]).split(",")
                names.setdefault(module, set()).update(part.split()[0] for part in parts if part.strip())
    return names


def text_without_bodies(path: Path) -> str:
    """A source without what cannot be a cimport."""
    text = path.read_text()
    return text if path.suffix == ".pxd" or "cython.cimports" in text else ""


def idle(header: Path, items: list[Declared], used: set[str]) -> Iterator[tuple[int, str]]:
    """Lines and names of functions and classes that no other module cimports, nor the ``.pxd`` itself needs.

    A class with C methods, of its own or of a base class, may stay: it exports none, and each takes at most a line.
    """
    code = [line.partition("#")[0] for line in header.read_text().splitlines()]
    owners = {item.owner for item in items}
    for item in items:
        needed = item.owner or item.derived or item.name in used | owners or "*" in used
        if not needed and mentions(code, item.name) == 1:
            yield item.line, item.name


def mentions(code: list[str], name: str) -> int:
    """How often a ``.pxd`` has a name."""
    return sum(WORD.findall(line).count(name) for line in code)


def unmarked(src: Path) -> Iterator[str]:
    """Modules that are written for Cython, and are not compiled: the marker is missing, or stands too far down."""
    for module in sorted(src.rglob("*.py")):
        if not is_hot(module) and (use := CYTHON.search(module.read_text())):
            line = module.read_text()[: use.start()].count("\n") + 1
            place = module.relative_to(src.parent)
            yield f"{place}:{line}: uses Cython, and none of its first five lines is {MARKER.decode()!r}"


def entered(src: Path) -> Iterator[str]:
    """Hot modules' ``with`` statements of objects."""
    for module in filter(is_hot, sorted(src.rglob("*.py"))):
        for node in ast.walk(ast.parse(module.read_text())):
            for item in node.items if isinstance(node, ast.With | ast.AsyncWith) else ():
                if not OF_THE_GIL.match(ast.unparse(item.context_expr)):
                    line = item.context_expr.lineno
                    yield f"{module.relative_to(src.parent)}:{line}: with of an object: write try and finally"


def problems(src: Path = SRC) -> list[str]:
    """What breaks the rule, with file and line."""
    used = wanted(src)
    found = [*unmarked(src), *entered(src)]
    for header in sorted(src.rglob("*.pxd")):
        module = header.with_suffix(".py")
        if header.name.startswith("_gen_") or not (module.is_file() and is_hot(module)):
            continue
        items = declared(header, src)
        place = module.relative_to(src.parent)
        for line, name in repeated(module, items):
            found.append(f"{place}:{line}: {name} repeats what the .pxd declares: leave out types and decorators")
        place = header.relative_to(src.parent)
        for line, name in idle(header, items, used.get(name_of(header, src), set())):
            found.append(f"{place}:{line}: no other module cimports {name}: declare it in the .py, by decorators")
    return found


if __name__ == "__main__":
    lines = problems()
    print("\n".join(lines))
    sys.exit(bool(lines))
