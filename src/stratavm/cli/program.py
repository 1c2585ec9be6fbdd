"""APP, and where the command's own words end: everything behind APP is the guest's, whatever it looks like.

A line that is right is read here, by the table of the command's options; ``argparse``, which is given the same table,
reads every other one, and says what is wrong with it.
"""

from __future__ import annotations

from _collections_abc import Callable, Mapping, Sequence
from itertools import islice

from stratavm.base.errors import LinkError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import argparse

END_OF_OPTIONS: Final = "--"
STANDARD: Final = "-"
"""APP that is standard input."""
HELP: Final = ("-h", "--help")

Table: TypeAlias = "Sequence[tuple[tuple[str, ...], Mapping[str, Any]]]"
"""Options: how each is spelled, and what ``argparse`` is told of it; ``action`` may also be a function that makes the
new value of the old one and of the word's, or raises ValueError."""


class Options:
    """What a command line says: an attribute for each argument."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...


def add_program(parser: argparse.ArgumentParser) -> None:
    """APP and ARGS, for a command whose line ``read`` or ``argparser.parse`` reads."""
    parser.add_argument("module", metavar="APP", help="app.wasm, app.wat, or - for standard input")
    rest = parser.add_argument(
        "arguments", metavar="ARGS", nargs="...", help="the guest's arguments, as they stand behind APP"
    )
    rest.required = False


def spellings_of(table: Table) -> dict[str, bool]:
    """Whether each option takes a value, by how it is spelled."""
    own = {name: settings.get("action") != "store_true" for names, settings in table for name in names}
    return dict.fromkeys(HELP, False) | own


def place(spellings: Mapping[str, bool], words: Sequence[str]) -> int | None:
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


def read(table: Table, words: Sequence[str], options: Options) -> Options | None:
    """Read the words before APP as options, and leave those behind it alone; None where ``argparse`` is to do so: the
    line is wrong, or looks as if it might be, or asks for help.

    Of the options, ``own`` is what was read, ``spellings`` are those that there are.
    """
    spellings = spellings_of(table)
    at = place(spellings, words)
    if at is None:
        return None
    own = list(words[:at])
    if own[-1:] == [END_OF_OPTIONS]:
        own.pop()
    found = _values(table, own)
    if found is None:
        return None
    options.__dict__.update(found)
    options.spellings, options.own = spellings, own
    options.module, options.arguments = words[at], list(words[at + 1 :])
    return options


def _values(table: Table, words: Sequence[str]) -> dict[str, Any] | None:
    by_name = {name: settings for names, settings in table for name in names}
    dests = {name: names[0].lstrip("-").replace("-", "_") for names, _ in table for name in names}
    flags = {name for name, settings in by_name.items() if settings.get("action") == "store_true"}
    found = {dests[name]: False if name in flags else s.get("default") for name, s in by_name.items()}
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name not in by_name or not name.startswith("--") or (equals and name in flags):
            return None
        if name in flags:
            found[dests[name]] = True
            continue
        if not equals:
            value = next(left, END_OF_OPTIONS)
        if value == END_OF_OPTIONS or (value.startswith("-") and value != STANDARD and not equals):
            return None
        try:
            found[dests[name]] = _value(by_name[name], found[dests[name]], value)
        except Exception:  # argparse is given the same word, and says what it is
            return None
    return found


def _value(settings: Mapping[str, Any], before: Any, word: str) -> Any:
    value = settings["type"](word) if "type" in settings else word
    if value not in settings.get("choices", (value,)):
        raise ValueError(word)
    action: str | Callable[[Any, Any], Any] = settings.get("action", "store")
    if callable(action):
        return action(before, value)
    return [*before, value] if action == "append" else value


class options_explained:
    """In a ``with`` statement: a call that fails before it begins also says where options stand, if some are among the
    guest's arguments."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, (LinkError, ValueError)):
            return
        advice = _put_right(self.options)
        if not advice:
            return
        if isinstance(error, LinkError):
            raise LinkError(str(error).split("\n", 1)[0], hint=advice) from None
        raise ValueError(f"{error}; {advice}") from None


def _put_right(options: Options) -> str:
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
