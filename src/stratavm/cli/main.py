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
from collections.abc import Callable, Sequence
from functools import partial
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
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parse(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    return perform(importlib.import_module(COMMANDS[options.command][0]).run, options)


def perform(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command; returns its exit code, or that of the failure, which is reported."""
    # Decoding a large module makes a hundred thousand objects and no garbage.
    gc.set_threshold(100_000, 20, 100)
    try:
        return command(options)
    except KeyboardInterrupt:
        output.note("interrupted")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader went away (| head): not an error, but Python must not try to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except output.REPORTED as error:
        return output.failure(error, json=getattr(options, "json", False))


def command() -> int:
    """``main`` in a process of its own, which ends with it."""
    code = main()
    # Python looks through every object several times when it ends, for garbage that the system takes back anyway.
    gc.freeze()
    return code


def _parse(arguments: list[str]) -> argparse.Namespace:
    if arguments and arguments[0] in COMMANDS:  # only the one parser that is needed
        name, *rest = arguments
        module, summary = COMMANDS[name]
        parser = _parser(f"strata {name}", summary.capitalize() + ".")
        importlib.import_module(module).configure(parser)
        return parser.parse_args(rest, argparse.Namespace(command=name))
    parser = _parser("strata", "Run WebAssembly: fast, carefully checked.")
    parser.add_argument("--version", action="version", version=f"strata {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary)
    return parser.parse_args(arguments)


def _parser(program: str, description: str) -> argparse.ArgumentParser:
    # Without a width, argparse asks ``shutil``, which imports three kinds of compression to answer.
    shape = partial(argparse.HelpFormatter, width=int(os.environ.get("COLUMNS") or 80) - 2)
    return argparse.ArgumentParser(program, description=description, formatter_class=shape, allow_abbrev=False)


def _version() -> str:
    from stratavm import __version__

    return __version__
