"""The strata command."""

import os
import sys

__all__ = ["command"]

INTERRUPTED = 130
"""128 and the number of SIGINT."""


def command() -> int:
    """Run the command line of this process, which ends with it; returns the exit code.

    Everything is imported in here, so that Ctrl-C meanwhile ends the process as it does later.
    """
    try:
        from stratavm.cli.main import command as run

        return run()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            os.write(sys.stderr.fileno(), b"strata: interrupted\n")
        return INTERRUPTED
