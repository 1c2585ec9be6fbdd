"""The worker's end of ``workers``: a process prepares itself, forks so that nothing else runs in it, raises its wall,
and serves one request after another.
"""

from __future__ import annotations

import importlib
import os
import signal
import struct
from collections.abc import Callable

from stratavm.base.forms import Any, Final
from stratavm.sandbox import privileges
from stratavm.sandbox.wall import Wall, raise_wall

HEAD: Final = struct.Struct("<cI")
"""Kind and length of a frame."""
REQUEST, ANSWER = b"Q", b"S"
READY, BEGUN, RESULT, ASK, FAILED = b"P", b"B", b"R", b"A", b"F"
FAILURE_BYTES: Final = 4096


def inside(data: dict[str, Any]) -> int:
    """Prepare, and let the one process that has a single thread serve behind the wall; this one waits for it."""
    channel = data["channel"]
    os.set_inheritable(channel, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which decides what becomes of this one
    module, _, function = data["entry"].partition(":")
    handle = getattr(importlib.import_module(module), function)(data.pop("data"))  # which is nobody's any more
    privileges.not_dumpable()  # also this one, which stays outside of the wall
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(channel)
        return _end_as(os.waitpid(pid, 0)[1])
    code = 1
    try:
        privileges.die_with(parent)
        _serve(channel, handle, data["wall"])
        code = 0
    finally:
        os._exit(code)


def _end_as(status: int) -> int:
    """End as the other one has."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _serve(channel: int, handle: Callable[[bytes, Callable[[bytes], bytes]], bytes], behind: dict[str, Any]) -> None:
    problems = raise_wall(Wall(**behind))
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    _send(channel, READY, "\n".join(problems).encode())

    def ask(question: bytes) -> bytes:
        """The parent's answer."""
        _send(channel, ASK, question)
        return _expect(channel, ANSWER) or b""

    while True:
        request = _expect(channel, REQUEST)
        if request is None:
            return
        _send(channel, BEGUN, b"")
        try:
            result = handle(request, ask)
        except Exception as error:
            _send(channel, FAILED, f"{type(error).__name__}: {error}".encode(errors="replace")[:FAILURE_BYTES])
        else:
            _send(channel, RESULT, result)


def _send(channel: int, kind: bytes, body: bytes) -> None:
    left = memoryview(HEAD.pack(kind, len(body)) + body)
    while left:
        left = left[os.write(channel, left) :]


def _expect(channel: int, kind: bytes) -> bytes | None:
    """The body of the next frame; None where the parent is gone."""
    head = _read(channel, HEAD.size)
    if head is None:
        return None
    found, size = HEAD.unpack(head)
    if found != kind:
        raise ValueError(f"a frame of kind {found!r} came, not one of {kind!r}")
    return _read(channel, size)


def _read(channel: int, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        piece = os.read(channel, min(size - len(found), 1 << 20))
        if not piece:
            return None
        found += piece
    return bytes(found)
