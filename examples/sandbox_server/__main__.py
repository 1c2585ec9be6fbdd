"""``python -m examples.sandbox_server``: the server on this machine."""

from __future__ import annotations

import sys

from examples.serving.ending import Ending


def main() -> int:
    """Serve until Ctrl-C, or SIGTERM."""
    with Ending() as ending:
        from examples.sandbox_server.command import run  # takes a while: who asks for the end meanwhile is heard, too

        return run(ending)


if __name__ == "__main__":
    sys.exit(main())
