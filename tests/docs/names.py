"""What pages put in backticks and mean of this repository: files, tests, modules, members, identifiers; is it there?

Not looked at: single words without an underscore in lower or upper case alone, members of what is no class of ours,
the third part of a dotted name and those behind it, arguments, and words that an example of the page has, too.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from stratavm.spec import index

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/stratavm"
SOURCES = ("src", "tests", "tools")
SUFFIXES = (".py", ".pxd", ".pyi", ".toml", ".md", ".txt", ".wat")
FENCED = re.compile(r"^( *)```.*?^\1```", re.M | re.S)
QUOTED = re.compile(r"`([^`\n]+)`")
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
FILE = re.compile(r"[\w.*-]+(/[\w.*-]+)*/?")
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
CLASS = re.compile(r"^(?:cdef )?class (\w+)", re.M)
WORD = re.compile(r"[A-Za-z_]\w*")
NOUNS = ("store", "memory", "module", "instance", "linker", "engine", "table", "func", "bus", "container")
"""A page's variable of this name is an object of the class."""
OTHERS = {"app.py", "app.wasm", "app.wat", "site/", "shared/spec-testsuite", "PyLong_AsLongAndOverflow"}
"""Examples, what a command makes, what is looked for outside of a checkout, and what is not ours."""


@cache
def files() -> tuple[str, ...]:
    """Every file and folder of the sources and the documentation, from the root, with a slash in front."""
    places = (path for folder in (*SOURCES, "docs", "examples", ".ci") for path in (ROOT / folder).rglob("*"))
    return tuple(f"/{path.relative_to(ROOT)}" for path in (*places, *ROOT.iterdir()) if "__pycache__" not in path.parts)


@cache
def texts() -> dict[Path, str]:
    """Every source but the tests of the documentation, which name what is not there."""
    paths = (path for folder in SOURCES for path in (ROOT / folder).rglob("*.p*"))
    wanted = (path for path in paths if path.suffix in SUFFIXES and path.parent != Path(__file__).parent)
    return {path: path.read_text() for path in wanted}


@cache
def identifiers() -> frozenset[str]:
    """Every word of the sources, and every opcode."""
    return frozenset(word for text in texts().values() for word in WORD.findall(text))


@cache
def mnemonics() -> frozenset[str]:
    """Names of opcodes, which look like members."""
    return frozenset(row.mnemonic for row in index.BY_ID.values())


@cache
def classes() -> dict[str, str]:
    """What is written in the module of each class, and in the ``.pxd`` and the stub beside it."""
    found: dict[str, str] = {}
    for path, text in texts().items():
        beside = "".join(texts().get(path.with_suffix(suffix), "") for suffix in (".py", ".pxd", ".pyi"))
        for name in CLASS.findall(text):
            found[name] = found.get(name, "") + beside
    return found


def is_file(name: str) -> bool:
    """Whether the end of some file's or folder's path is this one."""
    pattern = re.compile(".*/" + re.escape(name.rstrip("/")).replace(r"\*", "[^/]*"))
    return any(pattern.fullmatch(path) for path in files())


def is_test(module: str, function: str) -> bool:
    """Whether a module has a test of that name."""
    path = ROOT / module
    return path.is_file() and any(getattr(node, "name", "") == function for node in ast.parse(path.read_text()).body)


def is_reached(dotted: str) -> bool:
    """Whether ``stratavm.a.b`` is a module or something in one."""
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
        return True
    except ImportError:
        return bool(module) and is_reached(module) and hasattr(importlib.import_module(module), name)


def is_member(head: str, member: str) -> bool:
    """Whether a class, or one above it, says the word; true where the head is no class of ours."""
    name = head.capitalize() if head in NOUNS else head
    text = classes().get(name)
    if text is None or re.search(rf"\b{member}\b", text):
        return True
    bases = re.findall(rf"^(?:cdef )?class {name}\((\w+)", text, re.M)
    return any(base in classes() and is_member(base, member) for base in bases)


def is_there(name: str, own: set[str]) -> bool:
    """Whether a name leads somewhere, is one of the page's own, or is no name of this repository."""
    if name in OTHERS or name in mnemonics():
        return True
    if test := TEST.fullmatch(name):
        return is_test(*test.groups())
    if FILE.fullmatch(name) and ("/" in name or name.endswith(SUFFIXES)):
        return "NAME" in name or name in SUFFIXES or is_file(name) or name.split(".")[0] in own
    if DOTTED.fullmatch(name):
        head, member = name.split(".")[:2]
        return is_reached(name) if head == "stratavm" else member in own or is_member(head, member)
    if WORD.fullmatch(name) and ("_" in name.strip("_") or not (name.islower() or name.isupper())):
        return name in identifiers() or name in own
    return True


def missing(text: str) -> Iterator[str]:
    """The names in a page's prose that lead nowhere; what its examples define is its own."""
    own = {word for match in FENCED.finditer(text) for word in WORD.findall(match[0])} | set(dir(builtins))
    for quoted in QUOTED.findall(FENCED.sub("", text)):
        if not is_there(quoted.removeprefix("await ").split("(")[0], own):
            yield quoted
