"""Streams of every kind that can block, with the other ends that let them."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import termios
import tty

LARGE = 0x1F000
"""More than a pipe holds."""


class Ends:
    """A place to write to that nobody reads, or to read from where nothing comes."""

    def __init__(self, kind: str, tmp_path) -> None:
        self.kind, self.others, self.process = kind, [], None
        getattr(self, kind)(tmp_path)

    def pipe(self, tmp_path) -> None:
        """Anonymous."""
        reading, writing = os.pipe()
        self.stdin, self.stdout = os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)

    def nonblocking_pipe(self, tmp_path) -> None:
        """One that the host uses with O_NONBLOCK: to the guest it is as any other."""
        self.pipe(tmp_path)
        os.set_blocking(self.stdin.fileno(), False)
        os.set_blocking(self.stdout.fileno(), False)

    def fifo(self, tmp_path) -> None:
        """A FIFO, given as a file object."""
        self.fifo_by_path(tmp_path)
        self.stdin, self.stdout = open(self.stdin, "rb", 0), open(self.stdout, "wb", 0)  # noqa: SIM115

    def fifo_by_path(self, tmp_path) -> None:
        """A FIFO that the world opens."""
        self.stdin = self.stdout = str(tmp_path / "fifo")
        os.mkfifo(self.stdin)
        self.others.append(os.open(self.stdin, os.O_RDWR))

    def terminal(self, tmp_path) -> None:
        """A terminal whose other side does nothing."""
        master, slave = pty.openpty()
        self.others.append(master)
        self.stdin = self.stdout = os.fdopen(slave, "r+b", 0)

    def terminal_s_master(self, tmp_path) -> None:
        """The other side: opening it anew would make a new terminal. Raw, as a cooked one drops what does not fit."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.others.append(slave)
        self.stdin = self.stdout = os.fdopen(master, "r+b", 0)

    def socket(self, tmp_path) -> None:
        """As standard streams."""
        mine, theirs = socket.socketpair()
        self.others.append(theirs.detach())
        self.stdin = self.stdout = mine

    def process_input(self, tmp_path) -> None:
        """The input of a child that does not read."""
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.stdin, self.stdout = self.process.stdout, self.process.stdin

    def close(self) -> None:
        """All of it."""
        if self.process:
            self.process.kill()
            self.process.wait()
        for file in (self.stdin, self.stdout):
            if not isinstance(file, str):
                file.close()
        for fd in self.others:
            if os.isatty(fd):
                termios.tcflush(fd, termios.TCIOFLUSH)  # who sits in a write gets room, and ends
            os.close(fd)


KINDS = ["pipe", "nonblocking_pipe", "fifo", "fifo_by_path", "terminal", "terminal_s_master", "socket", "process_input"]
