"""``strata strip``: a binary without its custom sections (names, debug information, producers); the rest stays."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase

from stratavm.base.forms import Final
from stratavm.cli import options as common
from stratavm.cli.source import module_binary, write
from stratavm.module.outline import CUSTOM, Section, without

EXAMPLES: Final = """strata strip app.wasm -o small.wasm
strata strip app.wasm -o app.wasm                       in place, where the module is a binary
strata strip --keep name app.wasm -o small.wasm         debug information goes, names of functions stay
strata strip --keep 'metadata.*' app.wasm -o small.wasm"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    common.add_output(parser)
    parser.add_argument(
        "--keep", action="append", default=[], metavar="NAME", help="a custom section to keep; * matches (repeatable)"
    )


def run(options: argparse.Namespace) -> int:
    """Write what is left."""

    def is_unwanted(section: Section) -> bool:
        return section.number == CUSTOM and not any(fnmatchcase(section.name, kept) for kept in options.keep)

    write(without(module_binary(options.module), is_unwanted), options.output, options.module)
    return 0
