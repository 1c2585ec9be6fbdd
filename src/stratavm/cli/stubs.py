"""``strata stubs``: type stubs for a module that Python imports."""

from __future__ import annotations

import argparse
from pathlib import Path

from stratavm.base.text import printable
from stratavm.engine import Engine, Module
from stratavm.engine.pyi import type_stub


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("module", metavar="FILE", help="a module, binary or text")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default: beside the module; - prints)")


def run(options: argparse.Namespace) -> int:
    """Write the ``.pyi`` file."""
    text = type_stub(Module(options.module, engine=Engine()))
    if options.output == "-":
        print(text, end="")
        return 0
    target = Path(options.output) if options.output else Path(options.module).with_suffix(".pyi")
    target.write_text(text)
    print(f"wrote {printable(str(target))}")
    return 0
