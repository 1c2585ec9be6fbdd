"""Write docs/reference/cli.md: the command's options, examples and exit codes, from its parsers.

The parsers name what compiled modules know (tiers, stages): where those are not built, the page stays as it is.
"""

from __future__ import annotations

import argparse

from tools import gen

PAGE = "docs/reference/cli.md"
HEAD = """# The command

Written by `make gen` from the parsers of `strata`. `strata APP` is short for `strata run APP`, and options of `run` may
stand before it. As a module or script, as what `-o` writes and what `--stdin` reads, `-` is standard input or output. A
module is a binary or text, whatever its name.

What goes to a terminal has colours and shows progress, anything else is plain: `NO_COLOR` forbids colours, else
`FORCE_COLOR` or `CLICOLOR_FORCE` (not empty, not 0) asks for them everywhere. Names from modules are shown with
everything escaped that could act on a terminal.

## Exit codes

| code | meaning |
|---|---|
"""


def cell(text: str) -> str:
    """Text inside a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def spelling(action: argparse.Action) -> str:
    """``-f, --func N``, or the metavar of what has no dashes."""
    value = action.metavar or ("" if action.choices is None else "\\|".join(map(str, action.choices)))
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = str(value).replace("\\|", "|").replace("|", "\\|") if action.nargs != 0 else ""
    return f"`{', '.join(action.option_strings)}{' ' + value if value else ''}`"


def usage(parser: argparse.ArgumentParser) -> str:
    """One line: the options in short, then what has no dashes."""
    words = [parser.prog, "[OPTIONS]"]
    for action in parser._actions:
        if not action.option_strings:
            name = str(action.metavar or "|".join(map(str, action.choices or (action.dest,))))
            words.append(
                f"[{name}...]" if action.nargs == argparse.REMAINDER else f"{name}..." if action.nargs == "+" else name
            )
    return " ".join(words)


def section(name: str, summary: str, parser: argparse.ArgumentParser, examples: str) -> str:
    """What there is to say of one command."""
    rows = [f"| {spelling(a)} | {cell(str(a.help or ''))} |" for a in parser._actions if a.dest != "help"]
    return "\n".join(
        [
            f"## strata {name}", "", f"{summary[:1].upper()}{summary[1:]}.", "", "```text", usage(parser), "```", "",
            "| option | meaning |", "|---|---|", *rows, "", "```text", *examples.splitlines(), "```", "",
        ]
    )  # fmt: skip


def page() -> str:
    """The whole page. ImportError where the compiled modules are not there."""
    import importlib

    from stratavm.cli.argparser import command_parser
    from stratavm.cli.commands import COMMANDS, EXIT_CODES

    codes = "\n".join(f"| {code} | {cell(meaning)} |" for code, meaning in EXIT_CODES)
    parts = [f"{HEAD}{codes}\n"]
    for name, (module, summary) in COMMANDS.items():
        parts.append(section(name, summary, command_parser(name), importlib.import_module(module).EXAMPLES))
    return "\n".join(parts).rstrip() + "\n"


def main() -> None:
    """Write the page."""
    try:
        text = page()
    except ImportError:
        return
    gen.write(PAGE, text)
