"""The command of a server: its options, its socket, and uvicorn, which leaves signals to whoever heard them before."""

from __future__ import annotations

import argparse
import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NoReturn

import uvicorn

from examples.serving.ending import Ending

EXIT_USAGE = 2
GRACE_S = 5
"""Seconds that requests have to end when the server does."""
MOST_PORT = 65535
PORTS = "(default 8000; 0: any that is free)"


class Parser(argparse.ArgumentParser):
    """One that says in a sentence what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Say it; the exit code is 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def port_number(text: str) -> int:
    """The type of ``--port``."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_PORT)) and int(text) <= MOST_PORT):
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {MOST_PORT}, got {text!r:.40}")
    return int(text)


def seconds(text: str) -> float:
    """The type of options that are times."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r:.40}")
    return found


@contextmanager
def told(parser: Parser, what: str) -> Iterator[None]:
    """What the system has against what was asked for is said in a sentence, too."""
    try:
        yield
    except OSError as error:
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        parser.error(f"{what}: {said or error}")


class Server(uvicorn.Server):
    """One that listens to no signals."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """None."""
        return nullcontext()

    def stop(self) -> None:
        """Take no more requests, and end when those that are there have."""
        self.should_exit = True


def serve(config: uvicorn.Config, listening: socket.socket, ending: Ending) -> None:
    """Serve until the end is asked for."""
    config.timeout_graceful_shutdown = GRACE_S
    server = Server(config)
    ending.then(server.stop)
    server.run(sockets=[listening])


def stopped(what: str, ending: Ending) -> int:
    """Say that all is closed; the exit code."""
    if ending:
        print(f"stopped: {what}", file=sys.stderr)
    return ending.code
