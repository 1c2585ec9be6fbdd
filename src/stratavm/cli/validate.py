"""``strata validate``: are these modules well-formed and valid?"""

from __future__ import annotations

import argparse

from stratavm.base.errors import ModuleError
from stratavm.base.forms import Final
from stratavm.base.text import printable
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.source import module_source
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module

EXAMPLES: Final = """strata validate app.wasm lib.wat
strata validate --json *.wasm"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("modules", metavar="FILE", nargs="+", help="modules, binary or text; - is standard input")
    common.add_proposal(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check every file; the exit code is 1 if any is invalid."""
    engine = Engine(features=common.features(options))
    verdicts = []
    with output.progress("validating", len(options.modules)) as advance:
        for name in options.modules:
            verdicts.append((name, _problem(engine, name)))
            advance()
    if options.json:
        output.emit(
            [{"file": n, "valid": p is None, **({"error": output.describe(p)} if p else {})} for n, p in verdicts]
        )
    else:
        for name, problem in verdicts:
            if problem is None:
                output.line(f"{name}: valid", "good")
            else:
                hint = output.hint_for(problem)
                said = output.one_line(problem).removeprefix(f"{printable(name)}: ")
                output.line(f"{name}: {said}" + (f" (hint: {hint})" if hint else ""), "error")
                for more in output.further_lines(problem):
                    output.line(more)
    return int(any(problem is not None for _, problem in verdicts))


def _problem(engine: Engine, name: str) -> ModuleError | OSError | None:
    try:
        Module(module_source(name), engine=engine)
    except (ModuleError, OSError) as error:
        return error
    return None
