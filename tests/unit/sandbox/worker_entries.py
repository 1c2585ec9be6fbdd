"""What workers of the tests do: each function is an entry, and gives a handler."""

import ctypes
import os
import resource
import signal
import socket
import sys
import threading
import time

import stratavm
from stratavm.sandbox import workerside

PREPARED: list[object] = []


def echo(data):
    """Gives back what it gets, with what it was prepared with."""
    PREPARED.append(data["prefix"])
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # which a fork leaves behind
    module = stratavm.load(
        '(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))'
    )

    def handle(request, ask):
        if request == b"double":
            return str(module.exports.f(21)).encode()
        if request == b"compile":
            made = stratavm.load('(module (func (export "g") (result i32) (i32.const 7)))')
            return str(made.exports.g()).encode()
        if request == b"threads":
            return str(threading.active_count()).encode()
        if request.startswith(b"ask "):
            return b",".join(ask(question) for question in request[4:].split())
        return PREPARED[0] + request

    return handle


def hostile(data):
    """Does what it is told to, by its own descriptors."""
    channel = next(fd for fd in range(3, 64) if _is_socket(fd))

    def send(kind, size, body=b""):
        os.write(channel, workerside.HEAD.pack(kind, size) + body)

    def handle(request, ask):
        word, _, rest = request.partition(b" ")
        if word == b"long":
            send(b"R", 0xFFFFFFFF, b"x" * 1000)
            time.sleep(60)
        if word == b"kind":
            send(b"Z", 0)
            time.sleep(60)
        if word == b"twice":
            send(b"R", 5, b"first")
            return b"second"
        if word == b"slowly":
            send(b"R", 1000)
            while True:
                os.write(channel, b"x")
                time.sleep(0.05)
        if word == b"forever":
            while True:
                pass
        if word == b"deaf":
            while True:
                ask(b"x")
        if word == b"exit":
            os._exit(int(rest))
        if word == b"kill":
            ctypes.string_at(0)
        if word == b"closes":
            os.close(channel)
            time.sleep(60)
        if word == b"raise":
            raise ValueError("\x1b[31mred")
        if word == b"floods":
            while True:
                ask(b"y" * 1000)
        if word == b"big":
            return b"r" * int(rest)
        if word == b"memory":
            return str(len(bytearray(int(rest)))).encode()
        if word == b"limits":
            names = ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_NOFILE")
            return repr([resource.getrlimit(getattr(resource, name))[0] for name in names]).encode()
        if word == b"escape":
            return repr([_tried(act) for act in ESCAPES(data)]).encode()
        if word == b"write":
            return str(os.write(2, b"nobody reads this" * 1000)).encode()
        return word

    return handle


def ESCAPES(data):
    """Ways out; none must work."""
    return (
        lambda: open(data["secret"]).read(),
        lambda: open(data["secret"], "w"),
        lambda: os.kill(os.getppid(), signal.SIGKILL),
        lambda: open(f"/proc/{os.getppid()}/mem", "r+b"),
        lambda: socket.socket(),
        lambda: os.fork(),
        lambda: os.execv(sys.executable, [sys.executable]),
    )


def _tried(act):
    try:
        act()
    except (OSError, PermissionError) as error:
        return type(error).__name__
    return "done"


def _is_socket(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except OSError:
        return False


def fails(data):
    """Never gets ready."""
    raise RuntimeError(f"no guest at {data['where']}")


def hangs(data):
    """Never gets ready, and says nothing."""
    time.sleep(600)
