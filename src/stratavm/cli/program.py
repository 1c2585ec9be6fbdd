"""APP, and where the command's own words end: everything behind APP is the guest's, whatever it looks like."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final

from stratavm.base.errors import LinkError

END_OF_OPTIONS: Final = "--"
STANDARD: Final = "-"
"""APP that is standard input."""


def add_program(parser: argparse.ArgumentParser) -> None:
    """APP and ARGS, for a command whose line ``parse`` reads."""
    parser.add_argument("module", metavar="APP", help="app.wasm, app.wat, or - for standard input")
    rest = parser.add_argument(
        "arguments", metavar="ARGS", nargs=argparse.REMAINDER, help="the guest's arguments, as they stand behind APP"
    )
    rest.required = False


def parse(parser: argparse.ArgumentParser, words: Sequence[str], options: argparse.Namespace) -> argparse.Namespace:
    """Read the words before APP as options, and leave those behind it alone.

    ``own`` is what was read, ``spellings`` are those of all options: whether each takes a value.
    """
    options.spellings = {name: action.nargs != 0 for action in parser._actions for name in action.option_strings}
    at = _place(options.spellings, words)
    if at is None:  # the parser says what is missing, or shows help
        return parser.parse_args(words, options)
    own = list(words[:at])
    if own[-1:] == [END_OF_OPTIONS]:
        own.pop()
    parser.parse_args([*own, STANDARD], options)  # stands for APP, which may look like an option
    options.module, options.arguments, options.own = words[at], list(words[at + 1 :]), own
    return options


def _place(spellings: Mapping[str, bool], words: Sequence[str]) -> int | None:
    """The index of APP, the first word that is neither an option nor the value of one."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == END_OF_OPTIONS:
            return at + 1 if at + 1 < len(words) else None
        if word == STANDARD or not word.startswith("-"):
            return at
        at += 2 if spellings.get(word) else 1
    return None


@contextmanager
def options_explained(options: argparse.Namespace) -> Iterator[None]:
    """A call that fails before it begins also says where options stand, if some are among the guest's arguments."""
    try:
        yield
    except (LinkError, ValueError) as error:
        advice = _put_right(options)
        if not advice:
            raise
        if isinstance(error, LinkError):
            raise LinkError(str(error).split("\n", 1)[0], hint=advice) from None
        raise ValueError(f"{error}; {advice}") from None


def _put_right(options: argparse.Namespace) -> str:
    """The command as it was meant where options stand behind APP; empty where none does."""
    import shlex  # here, for it is slow to import

    moved: list[str] = []
    left: list[str] = []
    words = iter(options.arguments)
    for word in words:
        if word.partition("=")[0] in options.spellings:
            moved += [word, *islice(words, int(options.spellings.get(word, False)))]
        else:
            left.append(word)
    if not moved:
        return ""
    end = [END_OF_OPTIONS] if options.module.startswith("-") and options.module != STANDARD else []
    line = shlex.join(["strata", options.command, *options.own, *moved, *end, options.module, *left])
    return f"options stand before APP: `{line}`"
