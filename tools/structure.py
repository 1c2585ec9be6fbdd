"""Who knows whom: every import and cimport of the package, lazy ones included; circles, reach, rooms, contracts.

A module is a ``.py`` with the ``.pxd`` beside it, or either alone. An edge is any import of another module, wherever
it stands: at the top, in a function, in ``if TYPE_CHECKING`` (marked ``typing``: it loads nothing, so it closes no
circle, but it is knowledge, so contracts see it). A literal name that ``import_module`` or ``__import__`` is called
with is one, and a public name of the package is where the package has it from. Not seen: names that are computed, or
stand in a table (the package's own, the command's), functions of the import system under another name, ``exec``,
``sys.modules``, attributes of the package, and what is neither ``.py`` nor ``.pxd``.

``python -m tools.structure [SRC] [circles|edges FROM TO|limit FIGURE NUMBER]`` prints what was found; ``limit`` fails
where a figure is larger.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
PACKAGE = "stratavm"
# Who must not know whom, though the layers would let some of them.
WALLS = (
    ("ir", "module"),  # front ends fill its port (ir/front.py)
    ("ir", "front"),
    ("front", "runtime"),  # a function in SSA form does not depend on where it runs
    ("module", "ir"),
    ("machine", "targets"),  # it reads the record of any (machine/target.py)
    ("machine", "contract"),  # nor does it know what the code is for
    ("machine", "module"),
    ("machine", "spec"),
    ("targets", "runtime"),  # but for what both agree on (contract)
    ("targets", "module"),
    ("contract", "runtime"),
    ("contract", "module"),
)
PRIVATE = {"targets": "native"}
"""Rooms that one other room alone may know: what composes a front, a target and the machine."""
LIST = r"((?:[^#;\n\\]|\\\n)+)"
CIMPORT = re.compile(rf"(?:^|[;:])\s*(?:from\s+([\w.]+)\s+cimport\s+(?:\(([^)]*)\)|{LIST})|cimport\s+{LIST})", re.M)


@dataclass(frozen=True, slots=True)
class Edge:
    """One module's knowledge of another.

    Attributes:
        source, target: dotted names.
        kind: ``import`` (at the top), ``lazy`` (inside a function), ``typing``, or ``cimport``.
        line: where it stands in the source's file.
    """

    source: str
    target: str
    kind: str
    line: int


@dataclass(frozen=True, slots=True)
class Structure:
    """Modules, their lines, and their edges."""

    lines: dict[str, int]
    edges: tuple[Edge, ...]

    def loading(self) -> dict[str, set[str]]:
        """Who loads whom: all edges but those for type checkers."""
        graph: dict[str, set[str]] = {name: set() for name in self.lines}
        for edge in self.edges:
            if edge.kind != "typing":
                graph[edge.source].add(edge.target)
        return graph


def read(src: Path = SRC) -> Structure:
    """The structure of a tree with a folder ``stratavm``."""
    files = [p for p in (src / PACKAGE).rglob("*.p*") if p.suffix in (".py", ".pxd")]
    names = {path: name_of(path, src) for path in sorted(files)}
    homes = public_homes(src / PACKAGE / "__init__.py")
    known = set(names.values())
    lines = dict.fromkeys(sorted(known), 0)
    edges: set[Edge] = set()
    for path, name in names.items():
        text = path.read_text()
        lines[name] += 0 if path.name.startswith("_gen_") else len(text.splitlines())
        found = in_python(text, name, path) if path.suffix == ".py" else in_pxd(text, package_of(name, path))
        for wanted, kind, line in found:
            target = known_part(homes.get(wanted, wanted), known)
            if target and target != name:
                edges.add(Edge(name, target, kind, line))
    return Structure(lines, tuple(sorted(edges, key=lambda e: (e.source, e.target, e.line))))


def name_of(path: Path, src: Path) -> str:
    """Dotted name of a file."""
    parts = path.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(name: str, path: Path) -> str:
    """Dotted name of the package that a file's relative imports start from."""
    return name if path.stem == "__init__" else name.rpartition(".")[0]


def public_homes(root: Path) -> dict[str, str]:
    """Public name of the package → where it comes from, as type checkers are told."""
    if not root.is_file():
        return {}
    nodes = [node for node in ast.walk(ast.parse(root.read_text())) if isinstance(node, ast.ImportFrom)]
    return {f"{PACKAGE}.{a.asname or a.name}": f"{n.module}.{a.name}" for n in nodes for a in n.names}


def known_part(wanted: str, known: set[str]) -> str:
    """The longest prefix of a dotted name that is a module here; empty for what is not ours."""
    while wanted and wanted not in known:
        wanted = wanted.rpartition(".")[0]
    return wanted


def in_pxd(text: str, package: str) -> Iterator[tuple[str, str, int]]:
    """What a ``.pxd`` cimports."""
    for match in CIMPORT.finditer(text):
        base, many, one, plain = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if base and base.startswith("."):
            tail = base.lstrip(".")
            base = absolute(tail, len(base) - len(tail), package)
        for item in re.split(r"[,\n]", (many or one or plain).replace("\\\n", " ")):
            words = item.split("#")[0].split()
            if words:
                yield (f"{base}.{words[0]}" if base else words[0]), "cimport", line


def in_python(text: str, name: str, path: Path) -> Iterator[tuple[str, str, int]]:
    """What a ``.py`` imports and cimports, with the kind of each."""
    package = package_of(name, path)
    pending: list[tuple[ast.AST, str]] = [(ast.parse(text), "import")]
    while pending:
        node, kind = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (found_as(wanted, kind, node.lineno) for wanted in imported(node, package))
        if isinstance(node, ast.Call) and (wanted := called_for(node)):
            yield wanted, kind, node.lineno
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            kind = "lazy" if kind == "import" else kind
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            pending += [(child, "typing") for child in node.body]
            pending += [(child, kind) for child in node.orelse]
        else:
            pending += [(child, kind) for child in ast.iter_child_nodes(node)]


def called_for(node: ast.Call) -> str:
    """The literal name that a function of the import system is asked for, or nothing."""
    name = ast.unparse(node.func).rpartition(".")[2]
    first = node.args[0] if name in ("import_module", "__import__") and node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Dotted names that a statement asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = absolute(node.module or "", node.level, package)
    yield from (f"{base}.{alias.name}" for alias in node.names)


def absolute(base: str, level: int, package: str) -> str:
    """The dotted name of a module that is so many levels up from a package's modules; 0 for one that is absolute."""
    if not level:
        return base
    above = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*above, *([base] if base else [])])


def found_as(wanted: str, kind: str, line: int) -> tuple[str, str, int]:
    """An import that goes to Cython's compiler is a cimport."""
    if wanted.startswith("cython.cimports."):
        return wanted.removeprefix("cython.cimports."), "cimport", line
    return wanted, kind, line


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan), the largest first."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []
    for root in graph:
        if root in index:
            continue
        work: list[tuple[str, Iterator[str]]] = [enter(root, graph, index, low, stack)]
        while work:
            node, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    groups.append(sorted(stack[at:]))
                    del stack[at:]
            elif following not in index:
                work.append(enter(following, graph, index, low, stack))
            elif following in stack:
                low[node] = min(low[node], index[following])
    return sorted((g for g in groups if len(g) > 1), key=len, reverse=True)


def enter(
    node: str, graph: dict[str, set[str]], index: dict[str, int], low: dict[str, int], stack: list[str]
) -> tuple[str, Iterator[str]]:
    """Number a module and put it on the stack."""
    index[node] = low[node] = len(index)
    stack.append(node)
    return node, iter(sorted(graph[node]))


def reach(graph: dict[str, set[str]], start: str) -> set[str]:
    """Everything that a module loads in the end."""
    seen: set[str] = set()
    pending = [start]
    while pending:
        for target in graph[pending.pop()] - seen:
            seen.add(target)
            pending.append(target)
    return seen - {start}


def propagation(graph: dict[str, set[str]]) -> float:
    """Share of ordered pairs of modules of which the first reaches the second."""
    return sum(len(reach(graph, name)) for name in graph) / max(len(graph) * (len(graph) - 1), 1)


def room_of(name: str, depth: int = 1) -> str:
    """The package that a module stands in."""
    return ".".join(name.split(".")[1 : 1 + depth]) if "." in name else name


def crossing(structure: Structure, vocabulary: Iterable[str] = ()) -> float:
    """Edges to other packages per module: each module counts each other package once; ``vocabulary`` is not counted."""
    packages = {n.split(".")[1] for n in structure.lines if n.count(".") > 1} - set(vocabulary)
    modules = [n for n in structure.lines if n.count(".") > 1 and structure.lines[n]]
    pairs = {(e.source, room_of(e.target)) for e in structure.edges if room_of(e.target) != room_of(e.source)}
    return sum(1 for source, room in pairs if room in packages and source in modules) / max(len(modules), 1)


def trespasses(structure: Structure, walls: Iterable[tuple[str, str]]) -> list[Edge]:
    """Edges from a room to one that it must not know, of whatever kind; rooms are dotted names below the package."""
    known = [(f"{PACKAGE}.{source}.", f"{PACKAGE}.{target}.") for source, target in walls]
    return [
        edge
        for edge in structure.edges
        if any(f"{edge.source}.".startswith(s) and f"{edge.target}.".startswith(t) for s, t in known)
    ]


def outsiders(structure: Structure, private: Mapping[str, str]) -> list[Edge]:
    """Edges into a room from others than itself and the one that may know it."""
    inside = {room: (f"{PACKAGE}.{room}.", f"{PACKAGE}.{friend}.") for room, friend in private.items()}
    return [
        edge
        for edge in structure.edges
        if any(
            f"{edge.target}.".startswith(own[0]) and not f"{edge.source}.".startswith(own) for own in inside.values()
        )
    ]


def rooms(structure: Structure) -> dict[str, float]:
    """Share of the hand-written lines that each package has, the largest first."""
    total = sum(structure.lines.values())
    share: dict[str, float] = {}
    for name, count in structure.lines.items():
        share[room_of(name)] = share.get(room_of(name), 0.0) + count / total
    return dict(sorted(share.items(), key=lambda item: -item[1]))


def figures(structure: Structure) -> dict[str, float]:
    """What the structure is judged by."""
    graph = structure.loading()
    return {
        "modules": len(structure.lines),
        "lines by hand": sum(structure.lines.values()),
        "modules in circles": sum(map(len, circles(graph))),
        "propagation cost": propagation(graph),
        "edges per module": crossing(structure),
        "edges per module without base": crossing(structure, ("base",)),
        "largest room": max(rooms(structure).values()),
    }


def main(arguments: list[str]) -> int:
    """Print figures, circles, or the edges between two rooms; or compare a figure with its limit."""
    src = Path(arguments.pop(0)) if arguments and Path(arguments[0]).is_dir() else SRC
    structure = read(src)
    if arguments[:1] == ["circles"]:
        for group in circles(structure.loading()):
            print(len(group), *group)
    elif arguments[:1] == ["limit"]:
        found = figures(structure)[arguments[1]]
        print(f"{arguments[1]} {found:.3f}, at most {arguments[2]}")
        return int(found > float(arguments[2]))
    elif arguments[:1] == ["edges"]:
        for edge in structure.edges:
            if edge.source.startswith(arguments[1]) and edge.target.startswith(arguments[2]):
                print(f"{edge.kind:8} {edge.source} -> {edge.target} (line {edge.line})")
    else:
        for name, value in figures(structure).items():
            print(f"{name:30} {value:.3f}" if isinstance(value, float) else f"{name:30} {value}")
        for name, part in rooms(structure).items():
            print(f"  {name:28} {100 * part:5.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
