"""``strata info``: what a file is made of, whether it can run or not."""

from __future__ import annotations

import argparse

from stratavm.base.errors import DecodeError, ModuleError
from stratavm.base.forms import Any, Final
from stratavm.base.words import counted
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.source import read_module
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.engine.source import Source
from stratavm.engine.types import describe_extern
from stratavm.module import model as m
from stratavm.module.custom import producers, target_features
from stratavm.module.features import DEFAULT, refused_in, request
from stratavm.module.needs import decode_anyway, proposals
from stratavm.module.outline import Outline, outline
from stratavm.wasi.abi import ENTRY, INITIALIZE, MOST_THREADS, SPAWN
from stratavm.wasi.given import is_for_threads
from stratavm.wasi.p1 import NAMESPACES, functions

EXAMPLES: Final = """strata info app.wasm
strata info --json app.wasm | jq .exports
strata info cut.wasm      what can be read of a damaged module, and why it cannot run
curl -s https://example.com/app.wasm | strata info -"""

ROLES: Final = {
    "program": f"program: `strata run` calls {ENTRY}",
    "reactor": f"reactor: {INITIALIZE} runs first, then what `strata run --invoke` names",
    "library": "library: `strata run --invoke` calls one of its functions",
}
MISSING: Final = "missing"
OFFERED: Final = "offered by strata run"
TABLES: Final = ("image", "sections", "imports", "exports", "producers", "target features")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    common.add_proposal(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Describe the module or component."""
    binary, source = read_module(options.module)
    facts = describe(binary, source.text, common.features(options))
    if source.image is not None:
        facts["image"] = _image_facts(source)
    if options.json:
        output.emit(facts)
        return 0
    output.line(f"{facts['kind']}{' ' + facts['name'] if facts['name'] else ''}", "title")
    output.table((f"  {name}", value) for name, value in facts["counts"].items() if value)
    if facts["proposals"]:
        output.line(f"  proposals  {', '.join(facts['proposals'])}")
    if facts["role"]:
        output.line(f"  role       {ROLES[facts['role']]}")
    if facts["threads"]:
        output.line(f"  threads    besides its first, {MOST_THREADS} at once: `strata run --threads N` lets it have N")
    for title in TABLES:
        if facts.get(title):
            output.line()
            output.line(title, "title")
            output.table(("  " + str(row[0]), *row[1:]) for row in facts[title])
    for problem in facts["problems"]:
        output.line()
        first, *more = problem.split("\n")
        output.line(first, "error")
        for line in more:
            output.line(line)
    return 0


def describe(binary: bytes, text: str | None = None, features: frozenset[str] = DEFAULT) -> dict[str, Any]:
    """A binary's facts as plain data; where it was made of a text, errors are placed in that.

    Args:
        features: the proposals that it may use.

    Raises:
        DecodeError: it is no WebAssembly at all.
    """
    found = outline(binary)
    sections = [
        (found.title(s), counted(s.end - s.content, "byte"), f"at {s.start:#x}", *([s.name] if s.name else []))
        for s in found.sections
    ]
    width = max(map(len, sections), default=0)
    facts: dict[str, Any] = {
        "kind": "component" if found.is_component else "module",
        "name": "",
        "role": "",
        "threads": False,
        "counts": {"bytes": len(binary)},
        "proposals": [],
        "sections": [(*row, *[""] * (width - len(row))) for row in sections],
        "imports": [], "exports": [], "producers": [], "target features": [],
        "missing imports": [], "mismatched imports": [],
        "problems": [],
    }  # fmt: skip
    if found.is_component:
        facts["problems"] = [_told(_refusal(binary, features) or DecodeError("a component"))]
        return facts
    return facts | _module_facts(binary, text, found, features)


def _module_facts(binary: bytes, text: str | None, found: Outline, features: frozenset[str]) -> dict[str, Any]:
    """What is known of a core module only."""
    model, damage = decode_anyway(binary)
    refusal = damage or found.damage or _refusal(binary if text is None else text.encode(), features)
    needed = proposals(binary)
    threaded = any((i.module, i.name) == SPAWN for i in model.imports)
    availability = [OFFERED if threaded and is_for_threads(i) else _availability(i) for i in model.imports]
    missing = [i for i, said in zip(model.imports, availability, strict=True) if said == MISSING]
    mismatched = [i for i, said in zip(model.imports, availability, strict=True) if said not in (MISSING, OFFERED)]
    problems = [] if refusal is None else [f"it cannot run: {_told(refusal)}"]
    told = refused_in(str(refusal))  # with how to ask for it
    problems += [f"it {request(name)}" for name in needed if name not in features and name != told]
    if missing or mismatched:
        count = len(missing) + len(mismatched)
        problems.append(f"strata run does not offer {count} of its imports: give them with stratavm.load")
    return {
        "name": model.names.module or "",
        "role": _role(model),
        "threads": threaded,
        "counts": {"bytes": len(binary)} | _counts(model),
        "proposals": list(needed),
        "imports": [
            (i.label, i.kind, describe_extern(i.type, model), said)
            for i, said in zip(model.imports, availability, strict=True)
        ],
        "exports": [(e.name, e.kind, _export_type(model, e)) for e in model.exports],
        "producers": [(field, *pair) for field, values in producers(model).items() for pair in values.items()],
        "target features": list(target_features(model).items()),
        "missing imports": [[i.module, i.name] for i in missing],
        "mismatched imports": [[i.module, i.name] for i in mismatched],
        "problems": problems,
    }


def _image_facts(source: Source) -> list[tuple[str, str]]:
    """What an image has besides its binary, and whether `strata run` uses it."""
    from stratavm.engine.aot import description

    return description(source)


def _counts(model: m.Module) -> dict[str, int]:
    return {
        "code bytes": sum(f.end - f.start for f in model.functions),
        "data bytes": sum(d.end - d.start for d in model.datas),
        "types": len(model.types),
        "imports": len(model.imports),
        "functions": len(model.functions),
        "tables": len(model.tables),
        "memories": len(model.memories),
        "globals": len(model.globals),
        "tags": len(model.tags),
        "exports": len(model.exports),
        "element segments": len(model.elements),
        "data segments": len(model.datas),
    }


def _role(model: m.Module) -> str:
    """Which of ``ROLES`` the module has, by the functions that it exports."""
    functions = {export.name for export in model.exports if export.kind == "func"}
    if ENTRY in functions:
        return "program"
    return "reactor" if INITIALIZE in functions else "library" if functions else ""


def _availability(wanted: m.Import) -> str:
    """What `strata run` has for an import."""
    offered = functions(wanted.module).get(wanted.name) if wanted.module in NAMESPACES else None
    if offered is None:
        return MISSING
    return OFFERED if wanted.type == offered.type else f"offered as {describe_extern(offered.type)}"


def _told(error: ModuleError) -> str:
    """An error, its further lines as `strata run` shows them."""
    return "\n".join([output.one_line(error), *output.further_lines(error)])


def _export_type(model: m.Module, export: m.Export) -> str:
    """The type of an export; empty where it names nothing that is there."""
    try:
        return describe_extern(model.export_type(export), model)
    except (IndexError, AssertionError):
        return ""


def _refusal(binary: bytes, features: frozenset[str]) -> ModuleError | None:
    """Why the module cannot be used, if so."""
    try:
        Module(binary, engine=Engine(features=features))
    except ModuleError as error:
        return error
    return None
