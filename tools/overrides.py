"""C methods that descendants may take the place of: those that are listed here, and no others.

Cython takes a method for an override wherever an ancestor has one of the name, however far up and in whichever module:
two methods that were never meant to be one compile, and calls of the one reach the other. ``python -m tools.overrides``
prints those of which nobody says that they are meant to be one.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tools.build import is_hot
from tools.structure import SRC, name_of

IMPORT = re.compile(r"^from ([\w.]+) c?import (?:\(([^)]*)\)|([^#\n]+))", re.M)
CLASS = re.compile(r"(?:cdef )?class (\w+)(?:\(([\w.]+)[^)]*\))?:")
IN_HEADER = re.compile(r"    c(?:p)?def (?:inline )?[\w.]+(?:\[[^\]]*\])?[\w. *]*?(?:\[[^\]]*\])*[ *](\w+)\(")
IN_MODULE = re.compile(r"    def (\w+)\(")
FOR_C = re.compile(r"    @cython\.(?:cfunc|ccall)\b")

MEANT = frozenset(
    {
        "engine.shortway.ShortWay.go",
        "front.wasm.build.Builder.end_try",
        "ir.passes.algebra.Algebra.constant",
        "ir.passes.algebra.Algebra.make",
        "ir.passes.algebra.Algebra.vector",
        "ir.passes.copies.Copies.copies_of",
        "ir.passes.copies.Copies.put_choice",
        "ir.passes.copies.Copies.reserve",
        "ir.passes.copies.Copies.terminator",
        "ir.passes.inline.Templates.template",
        "ir.stage.Source.build",
        "ir.stage.Source.is_short",
        "ir.stage.Stage.apply",
        "module.sections.Items.item",
        "native.lift.LoopMaker.make_into_batch",
        "native.queue.Press.leave_out",
        "native.queue.Press.piece",
        "runtime.func.FuncRef.concerned",
        "runtime.func.FuncRef.go",
        "runtime.host.HostFunction.take",
        "runtime.instance.Instance.let_go",
        "runtime.link.Beginning.restore",
        "runtime.memory.Copying.rest",
        "runtime.occupancy.Occupied.settle",
        "runtime.occupancy.Occupied.why_closed",
        "runtime.region.Region.show",
        "targets.x64.select_num.NumericSelector.flags_of",
        "targets.x64.select_num.NumericSelector.fold_operand",
        "targets.x64.select_num.NumericSelector.folded",
        "targets.x64.select_num.NumericSelector.is_condition",
        "targets.x64.select_num.NumericSelector.load_width",
        "targets.x64.select_num.NumericSelector.scale_address",
    }
)
"""Methods that are there to be overridden, by module, class and name of the first that has it."""

Name = tuple[str, str]
"""A class, by its module and its own name."""


@dataclass(slots=True)
class Method:
    """Where a method is declared, first in a ``.pxd``, and whether C calls it."""

    place: str
    for_c: bool


@dataclass(slots=True)
class Class:
    """A class of a hot module or of its ``.pxd``."""

    base: Name | None = None
    methods: dict[str, Method] = field(default_factory=dict)


def imported(text: str) -> dict[str, Name]:
    """What the names of a module's imports are."""
    found: dict[str, Name] = {}
    for match in IMPORT.finditer(text):
        module = match[1].removeprefix("cython.cimports.")
        for part in re.sub(r"#.*", "", match[2] or match[3]).split(","):
            words = part.split()
            if words:
                found[words[-1]] = (module, words[0])
    return found


def read(path: Path, src: Path, classes: dict[Name, Class]) -> None:
    """Add the classes of a file, and their methods."""
    text, module = path.read_text(), name_of(path, src)
    known, header, owner, for_c = imported(text), path.suffix == ".pxd", Class(), False
    for number, line in enumerate(text.splitlines(), 1):
        if match := CLASS.match(line):
            owner = classes.setdefault((module, match[1]), Class())
            if match[2] and owner.base is None:  # a .pxd is read first, and has the import that it needs
                owner.base = known.get(match[2], (module, match[2]))
        elif line[:1].strip():
            owner = Class() if line[0] not in "#@)" else owner
        elif match := (IN_HEADER if header else IN_MODULE).match(line):
            place = f"{path.relative_to(src.parent)}:{number}"
            owner.methods.setdefault(match[1], Method(place, header or for_c))
        for_c = bool(FOR_C.match(line)) or (for_c and line.startswith("    @"))


def ancestors(name: Name, classes: dict[Name, Class]) -> list[Name]:
    """What a class derives from, the nearest first."""
    found: list[Name] = []
    at = classes[name].base
    while at in classes and at not in found:
        found.append(at)
        at = classes[at].base
    return found


def problems(src: Path = SRC) -> list[str]:
    """Overrides that are not meant, with file and line, and methods that nobody overrides any more."""
    classes: dict[Name, Class] = {}
    for path in sorted(src.rglob("*.pxd")):
        read(path, src, classes)
    for path in sorted(src.rglob("*.py")):
        if is_hot(path):
            read(path, src, classes)
    found: list[str] = []
    used: set[str] = set()
    for name, one in classes.items():
        for called, method in one.methods.items():
            of = [a for a in ancestors(name, classes) if (m := classes[a].methods.get(called)) and m.for_c]
            if of and not called.startswith("__"):
                first = f"{of[-1][0].removeprefix('stratavm.')}.{of[-1][1]}.{called}"
                used.add(first)
                if first not in MEANT:
                    found.append(
                        f"{method.place}: {name[1]}.{called} takes the place of {first}, see tools/overrides.py"
                    )
    return found + [f"tools/overrides.py: nobody overrides {idle}" for idle in sorted(MEANT - used)]


if __name__ == "__main__":
    print("\n".join(problems()))
    sys.exit(bool(problems()))
