"""``strata stubs``: type stubs for a module that Python imports."""

from __future__ import annotations

import argparse
from pathlib import Path

from stratavm.base.forms import Final
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.program import STANDARD
from stratavm.cli.source import module_source, write
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.engine.pyi import type_stub

EXAMPLES: Final = """strata stubs app.wasm          writes app.pyi
strata stubs -o - app.wasm"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    common.add_proposal(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where to write (default: beside the module; - is standard output)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the ``.pyi`` file."""
    text = type_stub(Module(module_source(options.module), engine=Engine(features=common.features(options))))
    target = options.output
    if target is None and options.module != STANDARD:
        target = str(Path(options.module).with_suffix(".pyi"))
    write(text, target, options.module)
    if target not in (None, STANDARD):
        output.line(f"wrote {target}")
    return 0
