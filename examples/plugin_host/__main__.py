"""``python -m examples.plugin_host``: the application on this machine, with its plugins."""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
from pathlib import Path

import uvicorn

from examples.plugin_host.host import CALL_S, HERE, Host
from examples.plugin_host.server import create_app

GRACE_S = 5


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.plugin_host", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, help="where plugins are installed (default: a new folder)")
    parser.add_argument("--seconds", type=float, default=CALL_S, help=f"for a call of a plugin (default {CALL_S:g})")
    options = parser.parse_args()
    data = options.data or Path(tempfile.mkdtemp(prefix="plugin-host-"))
    host = Host(data, options.seconds)
    host.start()
    config = uvicorn.Config(create_app(host), log_level="warning", timeout_graceful_shutdown=GRACE_S)
    with socket.create_server(("127.0.0.1", options.port)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        newer = (HERE / "plugins/slug-1.1.0").resolve()
        print(address)
        print(f"try      curl -d 'Salt & Pepper' {address}/call/slug/slug")
        print(f"update   strata repo sign {newer} --key {data}/demo.key -o {data}/incoming")
        print(f"and back curl -X POST {address}/rollback/slug", flush=True)
        uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
