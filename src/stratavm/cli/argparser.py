"""Command lines by ``argparse``: the parser of each command, its help, and what it says of a line that is wrong.

``strata run`` comes here only for these: it takes as long to import as a small program to run.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from functools import partial

from stratavm.base.forms import Any, Final, NoReturn
from stratavm.base.text import printable
from stratavm.cli import output
from stratavm.cli.commands import COMMANDS, EXAMPLES, EXIT_CODES, EXIT_USAGE, RUNNERS, module_of
from stratavm.cli.program import END_OF_OPTIONS, STANDARD, Options, Table, place, spellings_of

NUMBER: Final = re.compile(r"-\d+(\.\d*)?|-\.\d+")
"""What argparse takes for a value, although it begins like an option."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong on one line, as all errors of the command; a misspelt option comes before what is missing."""

    _words: Sequence[str] = ()
    beside: Sequence[str] = ()
    """Options of no command that may have been meant."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ever, but what is no option is told which one is near."""
        self._words = args or ()
        any_number = any(action.nargs == "*" for action in self._get_positional_actions())
        # With any number of words, argparse takes none of those that stand behind an option, unless it is asked to.
        parse = self.parse_known_intermixed_args if any_number else self.parse_known_args
        options, unknown = parse(args, namespace)
        if unknown:
            self.error(self._misspelt(unknown) or f"unexpected argument '{unknown[0]}'")
        return options

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As ever, but what is none of the choices is told which one is near."""
        if action.choices is not None and value not in action.choices:
            from stratavm.base.words import did_you_mean

            choices = [str(choice) for choice in action.choices]
            near = did_you_mean(str(value), choices)
            said = f"'{value}' is none of {', '.join(choices)}" + (f": {near}" if near else "")
            raise argparse.ArgumentError(action, said)

    def error(self, message: str) -> NoReturn:
        """End with the exit code for usage."""
        said = (self._misspelt(self._words) if "required" in message else "") or message
        output.complain(
            printable(f"{self.prog.removeprefix('strata').strip() or 'usage'}: {said}"), f"`{self.prog} --help`"
        )
        raise SystemExit(EXIT_USAGE)

    def _misspelt(self, words: Sequence[str]) -> str:
        """The first option that there is not, and which one is near; empty where all are there."""
        known = self._option_string_actions
        names = (word.partition("=")[0] for word in words if len(word) > 1 and word[0] == "-")
        given = (name for name in names if name != "--" and not NUMBER.fullmatch(name))
        wrong = next((name for name in given if name not in known and name[:2] not in known), "")
        if not wrong:
            return ""
        from stratavm.base.words import did_you_mean

        # without dashes, which make all names alike
        near = did_you_mean(wrong.lstrip("-"), [name[2:] for name in (*known, *self.beside) if name[:2] == "--"], "--")
        return f"no option '{wrong}'" + (f": {near}" if near else "")


def folded(change: Callable[[Any, Any], Any]) -> type[argparse.Action]:
    """The action of an option whose new value is made of the old one."""

    class Folded(argparse.Action):
        def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
            try:
                setattr(namespace, self.dest, change(getattr(namespace, self.dest), values))
            except ValueError as error:
                raise argparse.ArgumentError(self, str(error)) from None

    return Folded


def declare(parser: argparse.ArgumentParser, table: Table) -> None:
    """Add the options of a table."""
    for names, settings in table:
        action = settings.get("action")
        parser.add_argument(*names, **({**settings, "action": folded(action)} if callable(action) else settings))


def parse(command: str, words: Sequence[str], beside: Sequence[str] = ()) -> Options:
    """The options of a command's line.

    Raises:
        SystemExit: it was wrong, which has been said, or asked for help.
    """
    parser, options = command_parser(command), Options(command=command)
    parser.beside = beside
    if command not in RUNNERS:
        parser.parse_args(words, options)
        return options
    options.spellings = spellings_of(module_of(command).OPTIONS)
    at = place(options.spellings, words)
    if at is None:  # the parser says what is missing, or shows help
        parser.parse_args(words, options)
        return options
    own = list(words[:at])
    if own[-1:] == [END_OF_OPTIONS]:
        own.pop()
    parser.parse_args([*own, STANDARD], options)  # stands for APP, which may look like an option
    options.module, options.arguments, options.own = words[at], list(words[at + 1 :]), own
    return options


def command_parser(name: str) -> Parser:
    """The parser of one command."""
    summary, chosen = COMMANDS[name][1], module_of(name)
    parser = _parser(f"strata {name}", f"{summary[:1].upper()}{summary[1:]}.", chosen.EXAMPLES)
    chosen.configure(parser)
    if name in RUNNERS:
        declare(parser, chosen.OPTIONS)
    return parser


def top_parser() -> argparse.ArgumentParser:
    """The parser of the command itself, which knows the subcommands by name only."""
    codes = "\n".join(f"  {code:<9} {meaning}" for code, meaning in EXIT_CODES)
    parser = _parser("strata", "Run WebAssembly: fast, carefully checked.", EXAMPLES, f"\n\nexit codes:\n{codes}")
    parser.usage = "strata COMMAND [OPTIONS] ...\n       strata APP [ARGS...]"
    parser.add_argument("-V", "--version", action="version", version=f"strata {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, (_, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary)
    return parser


def _parser(program: str, description: str, examples: str, more: str = "") -> Parser:
    # Without a width, argparse asks ``shutil``, which imports three kinds of compression to answer.
    shape = partial(argparse.RawDescriptionHelpFormatter, width=int(os.environ.get("COLUMNS") or 80) - 2)
    indented = "\n".join(f"  {line}" for line in examples.splitlines())
    return Parser(
        program,
        description=description,
        epilog=f"examples:\n{indented}{more}",
        formatter_class=shape,
        allow_abbrev=False,
    )


def _version() -> str:
    from stratavm import __version__

    return __version__
