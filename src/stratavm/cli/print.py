"""``strata print``: a module as text, whether it is valid or not."""

from __future__ import annotations

import argparse

from stratavm.base.forms import Final
from stratavm.cli import options as common
from stratavm.cli.source import module_binary, write_text
from stratavm.module.needs import decode_anyway
from stratavm.module.printer import pieces_of_wat

EXAMPLES: Final = """strata print app.wasm | less
strata print --folded app.wasm -o app.wat
strata print --skeleton app.wasm            types, imports and exports, without the code"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    common.add_output(parser)
    parser.add_argument("--folded", action="store_true", help="instructions as nested expressions")
    parser.add_argument("--skeleton", action="store_true", help="leave out function bodies and contents of segments")


def run(options: argparse.Namespace) -> int:
    """Print the module."""
    module, damage = decode_anyway(module_binary(options.module))
    if damage is not None:
        raise damage
    pieces = pieces_of_wat(module, folded=options.folded, skeleton=options.skeleton)
    write_text(pieces, options.output, options.module)
    return 0
