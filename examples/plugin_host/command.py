"""The command: its options, and the host and its server from the beginning to the end."""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path
from shlex import quote

import uvicorn

from examples.plugin_host.host import CALL_S, HERE, Host
from examples.plugin_host.server import create_app
from examples.serving.command import Parser, port_number, seconds, serve, stopped, told
from examples.serving.ending import Ending
from stratavm import StrataError

ADDRESS = "127.0.0.1"
NEWER = HERE / "plugins/slug-1.1.0"
WORDS = "The application on this machine, with its plugins. Ctrl-C, or SIGTERM, closes them and ends it."


def run(ending: Ending) -> int:
    """Serve until the end is asked for."""
    parser = Parser(prog="python -m examples.plugin_host", description=WORDS)
    parser.add_argument(
        "--port", type=port_number, default=8000, help="where it listens (default 8000; 0: any that is free)"
    )
    where = "its repository, keys and incoming packages; it stays afterwards (default: a new one for temporary files)"
    parser.add_argument("--data", type=Path, metavar="FOLDER", help=where)
    parser.add_argument("--seconds", type=seconds, default=CALL_S, help=f"for a call of a plugin (default {CALL_S:g})")
    options = parser.parse_args()
    with told(parser, f"argument --port: {options.port}"):
        listening = socket.create_server((ADDRESS, options.port))
    if options.data is not None and options.data.exists() and not options.data.is_dir():
        parser.error(f"argument --data: {options.data}: it is no folder")
    with listening:
        try:
            with told(parser, f"argument --data: {options.data}"):
                data = options.data or Path(tempfile.mkdtemp(prefix="plugin-host-"))
                host = Host(data.absolute(), options.seconds)
            try:
                host.start(ending)
                if not ending:
                    _serve(host, listening, ending)
            finally:
                host.close()
        except (StrataError, OSError) as error:  # of what lies in the folder, say
            print(f"{parser.prog}: {error}", file=sys.stderr)
            return 1
    return stopped("the plugins are closed", ending)


def _serve(host: Host, listening: socket.socket, ending: Ending) -> None:
    """Say what can be tried, and serve."""
    port = listening.getsockname()[1]
    address = f"http://{ADDRESS}:{port}"
    newer, key, incoming = (quote(str(path)) for path in (NEWER.resolve(), host.data / "demo.key", host.incoming))
    print(address)
    print(f"try      curl -d 'Salt & Pepper' {address}/call/slug/slug")
    print(f"update   strata repo sign {newer} --key {key} -o {incoming}")
    print(f"and back curl -X POST {address}/rollback/slug", flush=True)
    serve(uvicorn.Config(create_app(host, port), log_level="warning"), listening, ending)
