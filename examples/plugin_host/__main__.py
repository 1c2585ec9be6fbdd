"""``python -m examples.plugin_host``: the application on this machine, with its plugins."""

from __future__ import annotations

import sys

from examples.serving.ending import Ending


def main() -> int:
    """Serve until Ctrl-C, or SIGTERM."""
    with Ending() as ending:
        from examples.plugin_host.command import run  # takes a while: who asks for the end meanwhile is heard, too

        return run(ending)


if __name__ == "__main__":
    sys.exit(main())
