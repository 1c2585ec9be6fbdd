"""Input and output of guests: one event loop against a thread per guest on the blocking path, same guest (ADR-0038).

``python -m tests.bench.async_io echo|peer PORT CONNECTIONS REQUESTS`` is the other side of the sockets.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import stratavm
from tests.bench.measure import Row, row_of

SUITE: Final = "async-io"
IMPORTS: Final = """
  (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\\00\\10\\00\\00\\00\\10\\00\\00")  ;; 4096 bytes at 4096
  (func $get (result i32)
    (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $recv (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 20)))
    (i32.store (i32.const 4) (i32.load (i32.const 16))) (i32.load (i32.const 16)))
  (func $put (drop (call $send (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 16))))"""
SOURCE: Final = f"""(module {IMPORTS}
  (func (export "echo") (loop (if (call $get) (then (call $put) (br 1)))))
  (func (export "ask") (param i32)
    (loop (i32.store (i32.const 4) (i32.const 64)) (call $put) (drop (call $get))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "reads")
    (loop (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br_if 0 (i32.load (i32.const 16))))))"""
KILOBYTE: Final = 1024
PEER_S: Final = 0.002
READERS: Final = 16
FILE_BYTES: Final = 8 << 20
LEAST: Final = {"echo 10": 1.3, "echo 200": 1.3, "direct reads": 1.3, "peer of 2 ms": 10.0, "cached reads": 0.7}
"""uvloop's requests per second over the blocking path's, at least."""


class Guests:
    """Guests of one module, each with a world and a store of its own."""

    def __init__(self, worlds: list[dict[str, Any]], function: str, *arguments: int) -> None:
        engine = stratavm.Engine(tier="jit1")
        module = stratavm.Module(SOURCE, engine)
        self.worlds, self.calls, self.arguments = [], [], arguments
        for world in worlds:
            wasi = stratavm.Wasi(**world)
            linker = stratavm.Linker(engine)
            linker.define_namespaces(wasi.namespaces())
            self.worlds.append(wasi)
            self.calls.append(linker.instantiate(stratavm.Store(engine), module).exports[function])

    def threads(self) -> None:
        """A thread for each."""
        running = [threading.Thread(target=call, args=self.arguments) for call in self.calls]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    def one_by_one(self) -> None:
        """One after the other, in this thread."""
        for call in self.calls:
            call(*self.arguments)

    async def loop(self) -> None:
        """All in one loop."""
        await asyncio.gather(*(call.call_async(*self.arguments) for call in self.calls))

    def close(self) -> None:
        """All worlds."""
        for world in self.worlds:
            world.close()


def measure(rounds: int) -> Iterator[Row]:
    """Thousands of requests per second, in interleaved rounds."""
    for name, once in (
        ("echo 10", lambda way: _sockets("echo", 10, 400, way)),
        ("echo 200", lambda way: _sockets("echo", 200, 20, way)),
        ("peer of 2 ms", lambda way: _sockets("peer", 64, 16, way)),
        ("direct reads", lambda way: _files(way, os.O_DIRECT)),
        ("cached reads", lambda way: _files(way, 0)),
    ):
        samples: dict[str, list[float]] = {"blocking": [], "asyncio": [], "uvloop": []}
        for _ in range(max(rounds, 3)):
            for way, found in samples.items():
                found.append(once(way))
        yield row_of(SUITE, name, "k/s", samples)


def failures(rows: list[Row]) -> list[str]:
    """What is below what was claimed."""
    found = []
    for row in rows:
        if row.suite == SUITE and row.values["uvloop"] < LEAST[row.name] * row.values["blocking"]:
            ratio = row.values["uvloop"] / row.values["blocking"]
            found.append(f"{row.name}: uvloop {ratio:.2f} times the blocking path, at least {LEAST[row.name]}")
    return found


def _timed(guests: Guests, way: str, blocking: Callable[[], None]) -> float:
    """Seconds until all have ended."""
    begin = time.perf_counter()
    if way == "blocking":
        blocking()
    else:
        _run(guests.loop(), way)
    seconds = time.perf_counter() - begin
    guests.close()
    return seconds


def _run(main: Coroutine[Any, Any, None], way: str) -> None:
    factory = None
    if way == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def _sockets(kind: str, connections: int, requests: int, way: str) -> float:
    with socket.create_server(("127.0.0.1", 0), backlog=connections) as listener:
        command = [sys.executable, "-m", __name__, kind, *map(str, (listener.getsockname()[1], connections, requests))]
        with subprocess.Popen(command) as other:
            given = [listener.accept()[0] for _ in range(connections)]
            worlds = [{"sockets": [connection]} for connection in given]
            if kind == "echo":
                guests = Guests(worlds, "echo")
                seconds = _timed(guests, way, guests.threads)
            else:
                guests = Guests(worlds, "ask", requests)
                seconds = _timed(guests, way, guests.one_by_one)
            other.wait()
    return connections * requests / seconds / 1000


def _files(way: str, flags: int) -> float:
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        file.write(os.urandom(FILE_BYTES))
        os.fsync(file.fileno())
        opened = [open(os.open(file.name, os.O_RDONLY | flags), "rb", 0) for _ in range(READERS)]  # noqa: SIM115
        guests = Guests([{"stdin": one} for one in opened], "reads")
        seconds = _timed(guests, way, guests.threads)
        for one in opened:
            one.close()
    return READERS * (FILE_BYTES >> 12) / seconds / 1000


# ---- the other side ------------------------------------------------------------------------------------------------


def _client(port: int, connections: int, requests: int) -> None:
    """Ping and pong on every connection, then close."""
    waiting = selectors.DefaultSelector()
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        waiting.register(connection, selectors.EVENT_READ, [requests, 0])
        connection.sendall(bytes(KILOBYTE))
    while waiting.get_map():
        for key, _ in waiting.select():
            state, connection = key.data, key.fileobj
            assert isinstance(connection, socket.socket)
            state[1] += len(connection.recv(KILOBYTE))
            if state[1] < KILOBYTE:
                continue
            state[:] = state[0] - 1, 0
            if state[0]:
                connection.sendall(bytes(KILOBYTE))
            else:
                waiting.unregister(connection)
                connection.close()


async def _peer(port: int, connections: int) -> None:
    """Answer each request after two milliseconds."""

    async def serve() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while data := await reader.read(KILOBYTE):
            await asyncio.sleep(PEER_S)
            writer.write(data)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(serve())


if __name__ == "__main__":
    port, connections, requests = map(int, sys.argv[2:])
    if sys.argv[1] == "echo":
        _client(port, connections, requests)
    else:
        asyncio.run(_peer(port, connections))
