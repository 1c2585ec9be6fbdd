"""The sandbox server under an open load, with adversaries: what the others notice of them (ADR-0041).

``python -m tests.bench.flagship serve ENGINE PORT`` is the server that is measured, in a process of its own: the
example with a thousand guests ready, or the same service on wasmtime-py with a thread for each guest that runs.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.bench.measure import Row, row_of, skipped
from tests.bench.pool import percentile
from tests.bench.thresholds import Verdict
from tools import programs

SUITE: Final = "flagship"
GUESTS: Final = 1000
SECONDS: Final = 3.0
CALIBRATION: Final = 1.5
"""Seconds for which the closed loop runs, before each round."""
CALLERS: Final = 8
CONNECTIONS: Final = 64
LOOPS: Final = 300_000
LOOP: Final = b"\x02\x40\x03\x40\x0c\x01\x0b\x0b"
"""``(block (loop (br 1)))``"""
SCRIPT: Final = "let s = 0; for (let i = 0; i < 6000; i++) s += i; console.log(s)"
"""About 1 ms, half of which is QuickJS's own start."""
LONGER: Final = SCRIPT.replace("6000", "60000")
SPIN: Final = "while (true) {}"
PRINTS: Final = "for (;;) console.log('again and again and again')"
FILL: Final = """(module (memory 16384)
  (func (export "_start") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x3fffffff)) (br 0))))"""
ADVERSARIES: Final = ("spin", "fill", "loops", "prints")
MOST_RATIO: Final = 2.0
MOST_MS: Final = 30.0
MOST_SHARE: Final = 1.2
ENGINES: Final = ("strata", "wasmtime")


def loops(number: int) -> bytes:
    """A module whose one function has so many loops, and that no cache knows."""
    code = b"\x00\x41" + leb(number) + b"\x1a" + LOOP * LOOPS + b"\x0b"
    body = leb(len(code)) + code
    sections = (
        (1, b"\x01\x60\x00\x00"),
        (3, b"\x01\x00"),
        (7, b"\x01\x06_start\x00\x00"),
        (10, b"\x01" + body),
    )
    return b"\0asm\1\0\0\0" + b"".join(bytes([kind]) + leb(len(data)) + data for kind, data in sections)


def leb(number: int) -> bytes:
    """A small unsigned number as the binary format writes it."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


# ---- the servers -----------------------------------------------------------------------------------


def serve(engine: str, port: int) -> None:
    """Run a server until it is killed."""
    import uvicorn

    sys.setswitchinterval(0.001)
    app = {"strata": _ours, "wasmtime": _theirs}[engine]()
    uvicorn.run(app, port=port, log_level="error", access_log=False, timeout_keep_alive=3600)


def _ours() -> Any:
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    import stratavm
    from examples.sandbox_server.runner import Script, Settings
    from examples.sandbox_server.server import create_app

    policy = stratavm.Policy(
        min_ready=GUESTS, max_ready=GUESTS, max_running=GUESTS, max_queued=10_000, timeout=60.0, overload="wait"
    )
    app = create_app(Settings(("javascript",), policy))
    runner = app.state.runner
    engine = runner.engine
    tasks: set[asyncio.Task[None]] = set()

    async def spin() -> None:
        async def nobody(data: bytes) -> None:
            pass

        await runner.run(Script("javascript", SPIN, tenant="eve"), nobody)

    async def run_module(source: Any) -> None:
        module = await stratavm.Module.load_async(source, engine, compile=True)
        async with stratavm.Pool(stratavm.Linker(engine).instantiate_pre(module), name="modules") as pool:
            await pool.call("_start", tenant="eve", timeout=60)

    async def again(act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await act()

    numbers = itertools.count()

    async def run_loops() -> None:
        await run_module(await asyncio.to_thread(loops, next(numbers) % 64))

    acts: dict[str, Callable[[], Awaitable[None]]] = {
        "spin": spin,
        "fill": lambda: run_module(FILL),
        "loops": run_loops,
    }

    async def begin(request: Any) -> Any:
        tasks.add(asyncio.create_task(again(acts[request.path_params["name"]])))
        return JSONResponse(None)

    async def end(request: Any) -> Any:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks.clear()
        return JSONResponse(None)

    async def state(request: Any) -> Any:
        seen = runner.pools["javascript"].metrics()
        cpu = {name: tenant.cpu_seconds for name, tenant in seen.tenants.items()}
        return JSONResponse({"resident": _resident(), "ready": seen.ready, "cpu": cpu})

    app.router.routes[:0] = [
        Route("/begin/{name}", begin, methods=["POST"]),
        Route("/end", end, methods=["POST"]),
        Route("/state", state),
    ]
    return app


def _theirs() -> Any:
    import anyio.to_thread
    import wasmtime
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    engine = wasmtime.Engine()
    path = programs.find("quickjs.wasm")
    assert path is not None
    module = wasmtime.Module.from_file(engine, str(path))
    linker = wasmtime.Linker(engine)
    linker.define_wasi()

    def run_script(code: str) -> str:
        with tempfile.NamedTemporaryFile() as output:
            store, config = wasmtime.Store(engine), wasmtime.WasiConfig()
            config.argv = ["qjs", "-e", code]
            config.stdout_file = output.name
            store.set_wasi(config)
            with suppress(wasmtime.ExitTrap):
                linker.instantiate(store, module).exports(store)["_start"](store)
            return output.read().decode()

    async def run(request: Any) -> Any:
        code = (await request.json())["code"]
        return JSONResponse({"output": await anyio.to_thread.run_sync(run_script, code)})

    async def begin(request: Any) -> Any:
        assert request.path_params["name"] == "spin"
        asyncio.get_running_loop().run_in_executor(None, run_script, SPIN)
        return JSONResponse(None)

    async def nothing(request: Any) -> Any:
        return JSONResponse({"resident": _resident(), "ready": 0, "cpu": {}})

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = CONNECTIONS
        yield

    routes = [
        Route("/run", run, methods=["POST"]),
        Route("/begin/{name}", begin, methods=["POST"]),
        Route("/end", nothing, methods=["POST"]),
        Route("/state", nothing),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _resident() -> int:
    status = Path("/proc/self/status").read_text()
    return sum(int(status.split(f"{key}:")[1].split()[0]) for key in ("VmRSS", "VmPTE")) * 1024


# ---- the client ------------------------------------------------------------------------------------


class Client:
    """Connections to a server that are kept and taken in turn: a request takes one, or makes one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def fetch(self, path: str, body: Any = None, tenant: str = "ann", method: str = "POST") -> Any:
        """The JSON that a request is answered with."""
        reader, writer = self._free.pop() if self._free else await self.connect()
        data = b"" if body is None else json.dumps(body).encode()
        writer.write(self.head(path, data, tenant, method) + data)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        if not head.startswith(b"HTTP/1.1 200"):
            raise AssertionError(f"{path}: {head!r} {answer}")
        self._free.append((reader, writer))
        return answer

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection more."""
        return await asyncio.open_connection("127.0.0.1", self._port)

    def head(self, path: str, data: bytes, tenant: str, method: str = "POST") -> bytes:
        """The head of a request."""
        return (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-tenant: {tenant}\r\ncontent-length: {len(data)}\r\n\r\n"
        ).encode()

    async def script(self, tenant: str = "ann", code: str = SCRIPT) -> None:
        """A script that is answered."""
        answer = await self.fetch("/run", {"language": "javascript", "code": code}, tenant)
        if not answer["output"]:
            raise AssertionError(answer)

    def close(self) -> None:
        """Close what is kept."""
        for _, writer in self._free:
            writer.close()


@asynccontextmanager
async def served(engine: str) -> AsyncIterator[Client]:
    """A server in a process of its own, and who asks it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.bench.flagship", "serve", engine, str(port)]
    process = subprocess.Popen(command)
    client = Client(port)
    try:
        while True:
            with suppress(OSError):
                await client.fetch("/state", method="GET")
                break
            if process.poll() is not None:
                raise AssertionError(f"{command} ended with {process.returncode}")
            await asyncio.sleep(0.1)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


async def closed_rate(client: Client) -> float:
    """Requests per second that a few callers reach, each as soon as the last one is answered."""
    done, began = 0, time.perf_counter()

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < began + CALIBRATION:
            await client.script()
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - began)


async def open_p99(client: Client, rate: float, seed: int) -> float:
    """Milliseconds of the 99th percentile, from the times at which requests were to come."""
    draw, at, delays = random.Random(seed), 0.0, list[float]()
    began = time.perf_counter()

    async def one(due: float) -> None:
        await client.script()
        delays.append(time.perf_counter() - began - due)

    async with asyncio.TaskGroup() as group:
        while (at := at + draw.expovariate(rate)) < SECONDS:
            if (left := began + at - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            group.create_task(one(at))
    return percentile(delays, 0.99) * 1e3


@asynccontextmanager
async def adversary(client: Client, name: str) -> AsyncIterator[None]:
    """Somebody else, meanwhile."""
    writer = None
    if name == "prints":  # and never reads
        _, writer = await client.connect()
        data = json.dumps({"language": "javascript", "code": PRINTS}).encode()
        writer.write(client.head("/stream", data, "eve") + data)
    elif name:
        await client.fetch(f"/begin/{name}")
    await asyncio.sleep(0.2)
    try:
        yield
    finally:
        if writer is not None:
            writer.close()
        await client.fetch("/end")
        await asyncio.sleep(0.1)


async def share(client: Client) -> float:
    """The greatest by the least processor time of two tenants who always have as many calls in hand."""
    ends = time.perf_counter() + SECONDS

    async def caller(tenant: str, code: str) -> None:
        while time.perf_counter() < ends:
            await client.script(tenant, code)

    before = (await client.fetch("/state", method="GET"))["cpu"]
    who = {"short": SCRIPT, "long": LONGER}
    await asyncio.gather(*(caller(name, code) for name, code in who.items() for _ in range(CALLERS)))
    after = (await client.fetch("/state", method="GET"))["cpu"]
    used = [after[name] - before.get(name, 0.0) for name in who]
    return max(used) / min(used)


def measure(rounds: int) -> Iterator[Row]:
    """p99 with nobody else and with each adversary; shares; bytes of a guest."""
    if programs.find("quickjs.wasm") is None:
        yield skipped(SUITE, "quickjs.wasm")
        return
    yield from asyncio.run(_measure(max(1, min(rounds, 5))))


async def _measure(rounds: int) -> list[Row]:
    p99: dict[str, dict[str, list[float]]] = {name: {} for name in ("", *ADVERSARIES)}
    rates: dict[str, list[float]] = {}
    rows = []
    for engine in ENGINES:
        async with served(engine) as client:
            if engine == "strata":
                rows.append(Row(SUITE, "a guest that is ready", "KB", {engine: await _bytes_of_a_guest(client) / 1000}))
            for _ in range(20):
                await client.script()
            names = ("", *ADVERSARIES) if engine == "strata" else ("", "spin")
            for seed in range(rounds):
                rates.setdefault(engine, []).append(await closed_rate(client))
                for name in names:
                    async with adversary(client, name):
                        p99[name].setdefault(engine, []).append(await open_p99(client, rates[engine][-1] / 2, seed))
            if engine == "strata":
                rows.append(row_of(SUITE, SHARE, "", {engine: [await share(client) for _ in range(rounds)]}))
    rows.append(row_of(SUITE, "requests, one after the other", "/s", rates))
    return [*(row_of(SUITE, name_of(name), "ms", samples) for name, samples in p99.items()), *rows]


SHARE: Final = "two tenants, greatest by least"


def name_of(adversary: str) -> str:
    """Of a row."""
    return f"p99 beside {adversary}" if adversary else "p99"


async def _bytes_of_a_guest(client: Client) -> float:
    """What a thousand take, by one."""
    many = await client.fetch("/state", method="GET")
    done = subprocess.run([sys.executable, "-c", FEW_GUESTS], capture_output=True, text=True, check=True)
    few, count = map(int, done.stdout.split())
    return float((many["resident"] - few) / (many["ready"] - count))


FEW_GUESTS: Final = """
import asyncio, uvicorn
from tests.bench import flagship
async def main():
    flagship.GUESTS = 16
    app = flagship._ours()
    async with app.router.lifespan_context(app):
        print(flagship._resident(), flagship.GUESTS)
asyncio.run(main())
"""
"""The server's process with few guests instead of a thousand."""


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """On what others notice, and on shares."""
    own = {row.name: row for row in rows if row.suite == SUITE and row.values}
    found = []
    alone = own.get(name_of(""))
    for name in ADVERSARIES:
        row = own.get(name_of(name))
        if row is not None and alone is not None:
            ms, ratio = row.values["strata"], row.values["strata"] / alone.values["strata"]
            found.append(Verdict(f"flagship, p99 beside {name} by alone", ratio, None, MOST_RATIO))
            found.append(Verdict(f"flagship, p99 beside {name}", ms, None, MOST_MS, " ms"))
    if SHARE in own:
        found.append(Verdict("flagship, share of two tenants", own[SHARE].values["strata"], None, MOST_SHARE))
    return found


if __name__ == "__main__" and sys.argv[1:2] == ["serve"]:
    serve(sys.argv[2], int(sys.argv[3]))
