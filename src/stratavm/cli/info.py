"""``strata info``: what a module is made of."""

from __future__ import annotations

import argparse
from typing import Any

from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.engine import Engine, Module
from stratavm.engine.types import describe_extern
from stratavm.module.custom import producers, target_features


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("module", metavar="FILE", help="a module, binary or text")
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Describe the module."""
    facts = describe(Module(options.module, engine=Engine()))
    if options.json:
        output.emit(facts)
        return 0
    output.table((name, value) for name, value in facts["counts"].items())
    for title in ("imports", "exports", "customs", "producers", "target features"):
        print(f"\n{title}")
        output.table([("  " + row[0], *row[1:]) for row in facts[title]] or [("  (none)",)])
    return 0


def describe(module: Module) -> dict[str, Any]:
    """A module's facts as plain data."""
    model = module.model
    return {
        "name": model.names.module,
        "counts": {
            "bytes": len(model.binary),
            "code bytes": sum(f.end - f.start for f in model.functions),
            "data bytes": sum(d.end - d.start for d in model.datas),
            "types": len(model.types),
            "imports": len(model.imports),
            "functions": len(model.functions),
            "tables": len(model.tables),
            "memories": len(model.memories),
            "globals": len(model.globals),
            "exports": len(model.exports),
            "element segments": len(model.elements),
            "data segments": len(model.datas),
        },
        "imports": [(f"{i.module}.{i.name}", i.kind, describe_extern(i.type)) for i in model.imports],
        "exports": [(e.name, e.kind, describe_extern(module.export_type(e))) for e in model.exports],
        "customs": [(c.name, f"{len(c.data)} bytes", f"at {c.offset:#x}") for c in model.customs],
        "producers": [(field, *pair) for field, values in producers(model).items() for pair in values.items()],
        "target features": list(target_features(model).items()),
    }
