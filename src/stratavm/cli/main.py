"""The ``strata`` command: finds the subcommand, and turns every failure into one line with a hint.

Subcommands live one to a module, with ``EXAMPLES``, a ``configure(parser)`` and a ``run(options) -> exit code``; they
are imported when chosen, so that ``strata run`` starts fast. The parsers are in ``argparser``; a line that runs a
program needs none as long as it is right.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from stratavm.base import switches
from stratavm.base.text import printable
from stratavm.cli import output
from stratavm.cli.program import Options, read

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("stratavm.cli.run", "run a WASI program or call an export"),
    "validate": ("stratavm.cli.validate", "check that modules are valid"),
    "info": ("stratavm.cli.info", "show a module's imports, exports, sizes and features"),
    "print": ("stratavm.cli.print", "print a module as text"),
    "parse": ("stratavm.cli.parse", "turn a module's text into a binary"),
    "strip": ("stratavm.cli.strip", "remove names, debug information and other custom sections"),
    "compile": ("stratavm.cli.compile", "compile every function and say what it cost"),
    "dump": ("stratavm.cli.dump", "print one stage of the pipeline for one function"),
    "rules": ("stratavm.cli.rules", "list the rewrite rules of the optimiser"),
    "bisect": ("stratavm.cli.bisect", "find the rewrite of the optimiser that makes a program go wrong"),
    "cache": ("stratavm.cli.cache", "list, check or remove the machine code that is kept on disk"),
    "stubs": ("stratavm.cli.stubs", "write type stubs for a module that Python imports"),
    "wast": ("stratavm.cli.wast", "run WebAssembly test scripts"),
    "doctor": ("stratavm.cli.doctor", "say whether Strata works here, and what it found"),
    "completion": ("stratavm.cli.completion", "print a script that completes commands and options in a shell"),
}
RUNNERS: Final = ("run", "bisect")
"""Commands whose options end at APP: what follows is the guest's."""
EXAMPLES: Final = """strata app.wasm input.txt        the same as `strata run app.wasm input.txt`
strata run --dir ./data::/data app.wasm
strata info app.wasm
strata COMMAND --help            options, and more examples"""

EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141
EXIT_CODES: Final[tuple[tuple[str, str], ...]] = (
    (
        "0",
        "done; with `run`, the guest ended or exited with 0; with `info`, it is WebAssembly, whether it can run or not",
    ),
    ("1", "an error: standard error says what and where (with --json: standard output)"),
    ("2", "the command line is wrong"),
    ("1 to 255", "with `run`: the guest exited with this code"),
    ("124", "with `run`: the guest was stopped at --timeout"),
    ("130", "interrupted (Ctrl-C)"),
    ("134", "with `run`: the guest trapped, ran out of fuel, of memory or of stack"),
    ("141", "the reader of the output went away (`| head`)"),
    ("128 + n", "with `run --isolate`: signal n ended the guest's process"),
)
"""What the shell sees."""
TOP_LEVEL: Final = ("-h", "--help", "-V", "--version")


def main(argv: Sequence[str] | None = None, ready: Callable[[], None] = lambda: None) -> int:
    """Run the command; returns its exit code, one of ``EXIT_CODES``. ``ready`` is called before it begins to work."""
    try:
        switches.check()
    except ValueError as error:
        output.complain(printable(str(error)), "unset it")
        return EXIT_USAGE
    try:
        options = _parse(list(sys.argv[1:] if argv is None else argv))
        command = module_of(options.command).run
        ready()
    except SystemExit as stop:  # of argparse: help was shown, or a usage error
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    except KeyboardInterrupt:
        return _interrupted()
    return perform(command, options)


def perform(command: Callable[[Any], int], options: Any) -> int:
    """Run a command; returns its exit code, or that of the failure, which is reported."""
    # Decoding a large module makes a hundred thousand objects and no garbage.
    gc.set_threshold(100_000, 20, 100)
    try:
        code = command(options)
        output.flush()
        return code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:  # | head: nobody is there to be told
        output.abandon(sys.stdout)
        return EXIT_BROKEN_PIPE
    except output.REPORTED as error:
        return output.failure(error, json=getattr(options, "json", False), module=_file_of(options))


def _file_of(options: Any) -> str:
    """What the module is called that a command reads, if it reads one."""
    name: str = getattr(options, "module", "")
    return "standard input" if name == "-" else name


def _interrupted() -> int:
    output.note("interrupted")
    return EXIT_INTERRUPTED


def command(ready: Callable[[], None]) -> int:
    """``main`` in a process of its own, which ends with it."""
    _reserve_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="backslashreplace")  # a name is shown as well as it can be
    code = main(ready=ready)
    # Python looks through every object several times when it ends, for garbage that the system takes back anyway.
    gc.freeze()
    return code


def _reserve_standard_descriptors() -> None:
    """A file that is opened must not become the guest's standard output because the shell closed that (``>&-``)."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Opened the other way round, so that reading and writing still fail as on a closed descriptor.
            os.open(os.devnull, os.O_RDONLY if descriptor else os.O_WRONLY)


def _parse(arguments: list[str]) -> Any:
    if not arguments:
        output.complain("what is to be done? `strata app.wasm` runs a program", "`strata --help`")
        raise SystemExit(EXIT_USAGE)
    if arguments[0] in TOP_LEVEL:
        from stratavm.cli.argparser import top_parser

        return top_parser().parse_args(arguments)
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        if not _is_program(name):
            raise SystemExit(_unknown(name))
        name, rest = "run", arguments
    if name in RUNNERS:
        options = read(module_of(name).OPTIONS, rest, Options(command=name))
        if options is not None:
            return options
    from stratavm.cli.argparser import parse

    return parse(name, rest, TOP_LEVEL if rest is arguments else ())


def module_of(command: str) -> Any:
    """The module of a command."""
    name = COMMANDS[command][0]
    __import__(name)
    return sys.modules[name]


def _is_program(word: str) -> bool:
    """Whether the word where a command should be means a module to run, or begins the options of ``run``."""
    return word.startswith("-") or os.sep in word or "." in word or os.path.isfile(word)


def _unknown(word: str) -> int:
    from stratavm.base.endings import with_ending
    from stratavm.base.words import did_you_mean

    meant = with_ending(word)
    meant = f"`strata --{word}`" if f"--{word}" in TOP_LEVEL else printable(meant)
    near = f"did you mean {meant}?" if meant else did_you_mean(word, COMMANDS)
    output.complain(
        f"no command '{printable(word)}'" + (f": {near}" if near else ""),
        "`strata --help` lists the commands; to run a file of this name, write ./FILE",
    )
    return EXIT_USAGE
