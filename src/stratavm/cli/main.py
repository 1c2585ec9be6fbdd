"""The ``strata`` command: finds the subcommand, and turns every failure into one line with a hint.

Subcommands live one to a module, with a ``configure(parser)`` and a ``run(options) -> exit code``; they are
imported when chosen,
so that ``strata run`` starts fast.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from stratavm.cli import output

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("stratavm.cli.run", "run a WASI program or call an export"),
    "validate": ("stratavm.cli.validate", "check that modules are valid"),
    "info": ("stratavm.cli.info", "show a module's imports, exports, sizes and features"),
    "compile": ("stratavm.cli.compile", "compile every function and say what it cost"),
    "dump": ("stratavm.cli.dump", "print one stage of the pipeline for one function"),
    "bisect": ("stratavm.cli.bisect", "find the rewrite of the optimiser that makes a program go wrong"),
    "stubs": ("stratavm.cli.stubs", "write type stubs for a module that Python imports"),
    "wast": ("stratavm.cli.wast", "run WebAssembly test scripts"),
}
EXIT_USAGE: Final = 2
EXIT_ERROR: Final = 1
EXIT_TRAP: Final = 134
"""What a shell sees when a program aborts; other runners use it for traps too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (0 good, 1 error, 2 usage, 124 time-out, 130 Ctrl-C, 134 trap, or
    the guest's).
    """
    # Decoding a large module makes a hundred thousand objects and no garbage.
    gc.set_threshold(100_000, 20, 100)
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parse(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    try:
        return int(importlib.import_module(COMMANDS[options.command][0]).run(options))
    except KeyboardInterrupt:
        output.note("interrupted")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader went away (| head): not an error, but Python must not try to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except output.REPORTED as error:
        return output.failure(error, json=getattr(options, "json", False))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="strata", description="Run WebAssembly: fast, carefully checked.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"strata {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False)
        if name == chosen:
            importlib.import_module(module).configure(sub)
    return parser.parse_args(arguments)


def _version() -> str:
    from stratavm import __version__

    return __version__
