"""``strata run``: a WASI program, or one export, with the guest's exit code."""

from __future__ import annotations

import argparse
from typing import Final

from stratavm.cli import options as common
from stratavm.cli.here import run_here
from stratavm.cli.program import add_program

EXAMPLES: Final = """strata run app.wasm input.txt               everything behind APP is the guest's
strata run --dir ./data::/data app.wasm     the guest reads ./data as /data
strata run --dir .::/work::rw --env HOME --env LANG=C app.wasm
strata run --timeout 2 --fuel 100000000 --max-memory 64M app.wasm
strata run --invoke add math.wat 1 2        call one export
strata run --isolate --timeout 2 app.wasm   in a process of its own"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_program(parser)
    parser.add_argument(
        "--dir", action=common.Folders, default=[], type=common.directory, metavar="HOST[::GUEST][::ro|::rw]",
        help="give the guest a directory, under another path, to read (default) or to write (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--env", action="append", default=[], type=common.variable, metavar="NAME[=VALUE]",
        help="set an environment variable; without a value it has the one that it has here (repeatable; of one name "
        "the last counts)",
    )  # fmt: skip
    parser.add_argument("--stdin", metavar="FILE", help="the guest's standard input (default, and -: this command's)")
    parser.add_argument(
        "--fuel", type=common.units, metavar="N", help="stop the guest after N operators (units of fuel)"
    )
    parser.add_argument(
        "--timeout", type=common.seconds, metavar="S", help="stop loading, or the guest, after so many seconds"
    )
    parser.add_argument("--max-memory", type=common.size, metavar="BYTES", help="cap on the guest's memory, e.g. 256M")
    parser.add_argument("--invoke", metavar="EXPORT", help="call this export with ARGS and print its results")
    parser.add_argument(
        "--isolate", action="store_true", help="run in a process of its own with resource limits and system-call filter"
    )
    common.add_tier(parser)
    common.add_json(parser, "how it ended, behind what the guest prints, as JSON: results or error, reason, exit code")


def run(options: argparse.Namespace) -> int:
    """Run the program; returns the guest's exit code."""
    if options.isolate:
        from stratavm.cli.isolate import run_isolated

        return run_isolated(options)
    return run_here(options)
