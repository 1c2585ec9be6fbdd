"""``strata parse``: a module's text to a binary. Whether that is valid, ``strata validate`` says."""

from __future__ import annotations

import argparse

from stratavm.base.forms import Final
from stratavm.cli import options as common
from stratavm.cli.source import module_binary, write

EXAMPLES: Final = """strata parse app.wat -o app.wasm
strata print app.wasm | sed s/nop// | strata parse - -o app.wasm"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    common.add_output(parser)


def run(options: argparse.Namespace) -> int:
    """Write the binary; one that is a binary already is copied."""
    write(module_binary(options.module), options.output, options.module)
    return 0
