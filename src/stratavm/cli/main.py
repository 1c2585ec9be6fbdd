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
from _collections_abc import Callable, Sequence

from stratavm.base import switches
from stratavm.base.forms import Any, Final
from stratavm.base.text import printable
from stratavm.cli import output
from stratavm.cli.commands import COMMANDS, EXIT_BROKEN_PIPE, EXIT_USAGE, RUNNERS, module_of
from stratavm.cli.program import Options, read

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
        module = module_of(options.command)
        if options.command == "run":
            module.prepare(options)
        command = module.run
        ready()
    except SystemExit as stop:  # of argparse: help was shown, or a usage error
        code = stop.code if isinstance(stop.code, int) else EXIT_USAGE
        return perform(lambda _: code, None)
    except KeyboardInterrupt:
        return output.interrupted()
    return perform(command, options)


def perform(command: Callable[[Any], int], options: Any) -> int:
    """Run a command; returns its exit code, or that of the failure, which is reported."""
    # Decoding a large module makes a hundred thousand objects and no garbage.
    gc.set_threshold(100_000, 20, 100)
    gc.enable()
    try:
        code = command(options)
        output.flush()
        return code
    except KeyboardInterrupt:
        return output.interrupted(json=getattr(options, "json", False))
    except BrokenPipeError:  # | head: nobody is there to be told
        output.abandon(sys.stdout)
        return EXIT_BROKEN_PIPE
    except output.REPORTED as error:
        return output.failure(error, json=getattr(options, "json", False), module=_file_of(options))


def _file_of(options: Any) -> str:
    """What the module is called that a command reads, if it reads one."""
    name: str = getattr(options, "module", "")
    return "standard input" if name == "-" else name


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
    options = read(module_of(name).OPTIONS, rest, Options(command=name)) if name in RUNNERS else None
    if options is None:
        from stratavm.cli.argparser import parse

        options = parse(name, rest, TOP_LEVEL if rest is arguments else ())
    if rest is arguments and options.module in COMMANDS and not os.path.exists(options.module):
        raise SystemExit(_behind_options(options))
    return options


def _is_program(word: str) -> bool:
    """Whether the word where a command should be means a module to run, or begins the options of ``run``."""
    return word.startswith("-") or os.sep in word or "." in word or os.path.isfile(word)


def _behind_options(options: Any) -> int:
    """Say of a command's name where APP of the short form should be how the line is written."""
    import shlex  # for a mistake only

    line = shlex.join(["strata", options.module, *options.own, *options.arguments])
    output.complain(f"options of {options.module} stand behind its name", f"`{printable(line)}`")
    return EXIT_USAGE


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
