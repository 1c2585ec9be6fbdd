"""Engines of suite ``gc``, each in a process of its own: ours, wasmtime and V8 are given the same jobs.

A job is JSON. Its ``kind`` says what is done with the module at the path ``module``:

* ``load``: the calls ``setup`` and ``step``, then steps for so many ``seconds``, then ops;
* ``call``: the call ``run``;
* ``print``: ``times`` times ``_start``, which prints by ``spectest.print_char`` into the module at the path ``sink``,
  called by the one at the path ``often``;
* ``marks``: a command of WASI that is given a ``folder``, between its calls of ``bench.start`` and ``bench.end``.

The last three are done ``runs`` times; what is said is what came out, and the least milliseconds of a run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from stratavm.base.errors import ExitError
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import ALL
from stratavm.wasi import Wasi
from tests import witnesses
from tests.bench.collected_loads import FOLDER
from tests.bench.gc import OURS

V8: Final = "V8"
WASMTIME: Final = "wasmtime"
PATIENCE_S: Final = 900
AS_IT_COMES: Final = "as it comes"
CONFIGURATIONS: Final[dict[str, dict[str, Any]]] = {
    AS_IT_COMES: {},
    "4 GiB reserved": {"memory_reservation": 1 << 32, "memory_guard_size": 1 << 32, "memory_may_move": False},
    "2 GiB to grow into": {"memory_reservation_for_growth": 1 << 31},
}
"""Of wasmtime."""

Job = dict[str, Any]
Ask = Callable[[Job], Any]
Run = Callable[[], str]
"""Something that is timed, and what comes out."""


def peers() -> dict[str, Ask]:
    """Those that run here."""
    found = {name: in_python(name) for name in (OURS, WASMTIME)}
    node = witnesses.find_node()
    return (
        {**found, V8: lambda job: output([node, "--no-warnings", FOLDER / "peer.cjs", json.dumps(job)])}
        if node
        else found
    )


def turned(asked: dict[str, Ask], at: int) -> list[tuple[str, Ask]]:
    """All of them, each round in another order."""
    order = list(asked.items())
    first = at % len(order)
    return order[first:] + order[:first]


def in_python(engine: str, configuration: str = AS_IT_COMES) -> Ask:
    """An engine of Python."""
    more = {"engine": engine, "configuration": configuration}
    return lambda job: output([sys.executable, "-m", __spec__.name, json.dumps({**job, **more})])


def output(command: list[object]) -> Any:
    """The JSON that a process prints at its end."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


# ---- in the process ----


class Peer(Protocol):
    """An engine of Python and a module that it has compiled."""

    def caller(self) -> Callable[[str, list[int]], Any]:
        """Calls functions of an instance that imports nothing."""

    def printer(self, sink: bytes, often: bytes) -> tuple[Callable[[int], object], Callable[[], str]]:
        """Calls ``_start`` of an instance so often, and says what it has printed the last time."""

    def command(self, folder: str, mark: Callable[[], None]) -> str:
        """What a command of WASI prints, which an instance of its own runs."""


class Ours:
    """Ours."""

    def __init__(self, module: bytes) -> None:
        self.engine = Engine(Config(tier="jit1", strict=True, features=ALL))
        self.module = Module(module, self.engine)

    def caller(self) -> Callable[[str, list[int]], Any]:
        """Calls functions of an instance."""
        exports: Any = Linker(self.engine).instantiate(Store(self.engine), self.module).exports
        return lambda name, given: exports[name](*given)

    def printer(self, sink: bytes, often: bytes) -> tuple[Callable[[int], object], Callable[[], str]]:
        """A program, and what it has printed."""
        store, linker = Store(self.engine), Linker(self.engine)
        at: Any = linker.instantiate(store, Module(sink, self.engine)).exports
        linker.define("spectest", "print_char", at.print_char)
        linker.define("sink", "take", at.take)
        linker.define("program", "_start", linker.instantiate(store, self.module).exports["_start"])
        run: Any = linker.instantiate(store, Module(often, self.engine)).exports["run"]
        return run, lambda: at.memory.read(0, at.take()).decode("utf-16-le")

    def command(self, folder: str, mark: Callable[[], None]) -> str:
        """What it prints."""
        printed, linker = bytearray(), Linker(self.engine)
        for name in ("start", "end"):
            linker.define("bench", name, mark)
        with Store(self.engine) as store, Wasi(args=["guest"], stdout=printed, preopens={folder: ("/", "rw")}) as wasi:
            linker.define_namespaces(wasi.namespaces())
            try:
                linker.instantiate(store, self.module).exports["_start"]()
            except ExitError as stop:
                if stop.code:
                    raise
        return printed.decode()


class Wasmtime:
    """Theirs."""

    def __init__(self, module: bytes, configuration: str) -> None:
        import wasmtime

        options = wasmtime.Config()
        options.wasm_gc = options.wasm_function_references = options.wasm_exceptions = True
        for name, value in CONFIGURATIONS[configuration].items():
            setattr(options, name, value)
        self.engine = wasmtime.Engine(options)
        self.module = wasmtime.Module(self.engine, module)
        self.wasmtime: Any = wasmtime

    def caller(self) -> Callable[[str, list[int]], Any]:
        """Calls functions of an instance."""
        store = self.wasmtime.Store(self.engine)
        exports = self.wasmtime.Instance(store, self.module, []).exports(store)
        functions: Any = {export: exports[export] for export in exports}
        return lambda name, given: functions[name](store, *given)

    def printer(self, sink: bytes, often: bytes) -> tuple[Callable[[int], object], Callable[[], str]]:
        """A program, and what it has printed."""
        store = self.wasmtime.Store(self.engine)
        at: Any = self.wasmtime.Instance(store, self.wasmtime.Module(self.engine, sink), []).exports(store)
        take, memory = at["take"], at["memory"]
        program: Any = self.wasmtime.Instance(store, self.module, [at["print_char"]]).exports(store)["_start"]
        driver: Any = self.wasmtime.Instance(store, self.wasmtime.Module(self.engine, often), [program, take])
        run = driver.exports(store)["run"]
        return lambda times: run(store, times), lambda: bytes(memory.read(store, 0, take(store))).decode("utf-16-le")

    def command(self, folder: str, mark: Callable[[], None]) -> str:
        """What it prints."""
        linker, store = self.wasmtime.Linker(self.engine), self.wasmtime.Store(self.engine)
        linker.define_wasi()
        for name in ("start", "end"):
            linker.define_func("bench", name, self.wasmtime.FuncType([], []), mark)
        with tempfile.TemporaryDirectory() as temporary:
            printed, config = Path(temporary, "printed"), self.wasmtime.WasiConfig()
            config.preopen_dir(folder, "/")
            config.stdout_file = str(printed)
            store.set_wasi(config)
            try:
                linker.instantiate(store, self.module).exports(store)["_start"](store)
            except self.wasmtime.ExitTrap as stop:
                if stop.code:
                    raise
            return printed.read_text()


class Clock:
    """Milliseconds on the wall and of the process, of what is between two marks."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def mark(self) -> None:
        """Now."""
        self.marks.append((time.perf_counter(), time.process_time()))

    @contextmanager
    def running(self) -> Iterator[None]:
        """All of a block."""
        self.mark()
        yield
        self.mark()

    def read(self) -> tuple[float, float]:
        """Between the marks. RuntimeError: there are not two."""
        marks, self.marks = self.marks, []
        if len(marks) != 2:
            raise RuntimeError(f"{len(marks)} marks of when a run began and ended")
        (began, before), (ended, after) = marks
        return (ended - began) * 1e3, (after - before) * 1e3


def during(call: Callable[[], object], seconds: float) -> dict[str, float]:
    """Until so many seconds have passed: how often, wall and processor milliseconds, the longest."""
    cpu, began, times, longest = time.process_time(), time.perf_counter(), 0, 0.0
    at = began
    while times == 0 or at - began < seconds:
        before = at
        call()
        at = time.perf_counter()
        longest = max(longest, at - before)
        times += 1
    used = time.process_time() - cpu
    return {"times": times, "wall": (at - began) * 1e3, "cpu": used * 1e3, "longest": longest * 1e3}


def do(job: Job) -> dict[str, Any]:
    """What this process, an engine of Python, does."""
    module = Path(job["module"]).read_bytes()
    peer: Peer = Ours(module) if job["engine"] == OURS else Wasmtime(module, job["configuration"])
    if job["kind"] == "load":
        call = peer.caller()
        if job["setup"]:
            call(*job["setup"])
        call(*job["step"])
        return {what: during(lambda what=what: call(*job[what]), job["seconds"]) for what in ("step", "op")}  # type: ignore[misc]
    clock = Clock()
    run = runner(peer, job, clock)
    said, took = set[str](), list[tuple[float, float]]()
    for _ in range(job["runs"]):
        said.add(run())
        took.append(clock.read())
    if len(said) != 1:
        raise RuntimeError(f"runs of {job['module']} came to {sorted(said)}")
    return {"said": said.pop(), "wall": min(wall for wall, _ in took), "cpu": min(cpu for _, cpu in took)}


def runner(peer: Peer, job: Job, clock: Clock) -> Run:
    """What a run is."""
    if job["kind"] == "marks":
        return lambda: peer.command(job["folder"], clock.mark)
    if job["kind"] == "call":
        call = peer.caller()

        def called() -> str:
            with clock.running():
                found = call(*job["run"])
            return str(found)

        return called
    start, printed = peer.printer(Path(job["sink"]).read_bytes(), Path(job["often"]).read_bytes())
    start(1)
    first = printed()

    def often() -> str:
        with clock.running():
            start(job["times"])
        last = printed()
        return last if last == first else f"{first!r}, then {last!r}"

    return often


if __name__ == "__main__":
    print(json.dumps(do(json.loads(sys.argv[1]))))
