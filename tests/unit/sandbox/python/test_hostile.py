"""Claims about hostile code: each program has a typed result, costs the host no more than it may, and leaves nothing.

No time is measured: a program that would go on for ever has ended, by its own limit or by Python's.
"""

import asyncio
import gc
import os
import threading

import pytest

from stratavm.sandbox import Tool

pytestmark = pytest.mark.trace_slow

MEMORY = 96 << 20
LIMITS = {"max_memory": MEMORY, "max_output": 1 << 16, "max_files": 1 << 20, "max_calls": 50}

# What a program is called, its code, and what may become of it: reasons and types of errors, None for no error.
PROGRAMS = {
    "memory in one piece": ("bytearray(1 << 30)", {"memory"}, {"MemoryError"}),
    "memory in pieces": ("x = []\nwhile True: x.append(b'x' * 100_000)", {"memory"}, {"MemoryError"}),
    "memory that is caught": (
        "x = []\nwhile True:\n    try: x.append(bytearray(1 << 20))\n    except MemoryError: x.clear()",
        {"timeout"}, None,
    ),
    "a string that doubles": ("x = 'x'\nwhile True: x *= 2", {"memory"}, {"MemoryError", "OverflowError"}),
    "a dictionary of everything": ("{n: [n] for n in range(1 << 40)}", {"memory", "timeout"}, {"MemoryError", None}),
    "numpy's memory": ("import numpy\nnumpy.ones((1 << 14, 1 << 14))", {"memory", "exit"}, None),
    "recursion": ("def f(): return f()\nf()", {"exit"}, {"RecursionError"}),
    "recursion without a limit": (
        "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(): return f()\nf()", {"exit", "trap", "memory"}, None,
    ),
    "recursion in C": ("x = []\nfor _ in range(1 << 20): x = [x]\nrepr(x)", {"exit", "trap", "timeout"}, None),
    "recursion of the parser": ("eval('(' * 100_000)", {"exit"}, {"SyntaxError", "MemoryError", "RecursionError"}),
    "recursion of the compiler": ("eval('-' * 100_000 + '1')", {"exit", "memory", "trap"}, None),
    "deep JSON": ("import json\njson.loads('[' * 1_000_000)", {"exit", "trap"}, None),
    "deep JSON of ours": ("x = []\nfor _ in range(100_000): x = [x]\nx", {"exit", "trap", "timeout"}, None),
    "a deep pickle": (
        "import pickle\nx = []\nfor _ in range(100_000): x = [x]\npickle.dumps(x)", {"exit", "trap"}, None,
    ),
    "a pickle that calls": (
        "import pickle, os\nclass E:\n    def __reduce__(self): return os._exit, (7,)\npickle.loads(pickle.dumps(E()))",
        {"exit"}, None,
    ),
    "output for ever": ("while True: print('x' * 1000)", {"timeout"}, None),
    "errors for ever": ("import sys\nwhile True: sys.stderr.write('x' * 1000)", {"timeout"}, None),
    "steering a terminal": ("print('\\x1b]0;owned\\x07')", {"exit"}, None),
    "files for ever": ("n = 0\nwhile True:\n    open(f'/f{n}', 'w').close()\n    n += 1", {"exit"}, {"OSError"}),
    "a file for ever": ("f = open('/f', 'wb')\nwhile True: f.write(bytes(1 << 16))", {"exit"}, {"OSError"}),
    "a sparse file": ("import os\nf = open('/f', 'wb')\nos.ftruncate(f.fileno(), 1 << 40)", {"exit"}, {"OSError"}),
    "descriptors": ("x = [open('/tmp/x', 'w') for _ in range(10_000)]", {"exit"}, {"OSError"}),
    "folders in folders": (
        "import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')", {"exit"}, {"OSError", "FileNotFoundError"},
    ),
    "links in a circle": (
        "import os\nos.symlink('a', '/b')\nos.symlink('b', '/a')\nopen('/a')", {"exit"}, {"OSError"},
    ),
    "a link to the host": ("import os\nos.symlink('/etc/passwd', '/x')\nopen('/x').read()", {"exit"}, None),
    "traversal": ("open('/../../../../etc/passwd')", {"exit"}, {"FileNotFoundError", "PermissionError", "OSError"}),
    "traversal by the library": (
        "open('/usr/local/lib/../../../etc/passwd')", {"exit"}, {"FileNotFoundError", "PermissionError", "OSError"},
    ),
    "writing to the library": (
        "open('/usr/local/lib/python315.zip', 'r+b')", {"exit"}, {"OSError", "PermissionError"},
    ),
    "the library's end": (
        "import os\nos.unlink('/usr/local/lib/python315.zip')", {"exit"}, {"OSError", "PermissionError"},
    ),
    "a regular expression": ("import re\nre.match('(a+)+$', 'a' * 64 + 'b')", {"timeout"}, None),
    "a big power": ("x = 10 ** 10 ** 8\nx ** 2", {"timeout", "memory"}, None),
    "a big factorial": ("import math\nmath.factorial(10 ** 7)", {"timeout", "memory"}, None),
    "a long number as text": ("int('9' * 10_000)", {"exit"}, {"ValueError"}),
    "sleeping": ("import time\ntime.sleep(1 << 20)", {"timeout"}, None),
    "waiting for input": ("import select, sys\nwhile True: sys.stdin.read()", {"timeout"}, None),
    "threads": ("import threading\nthreading.Thread(target=print).start()", {"exit"}, {"RuntimeError"}),
    "processes": ("import os\nos.fork()", {"exit"}, {"AttributeError"}),
    "programs": ("import subprocess\nsubprocess.run(['/bin/sh'])", {"exit"}, None),
    "signals": ("import signal, os\nos.kill(1, 9)", {"exit"}, None),
    "a crash": ("import ctypes\nctypes.string_at(0)", {"exit", "trap"}, None),
    "abort": ("import os\nos.abort()", {"exit", "trap"}, None),
    "os._exit": ("import os\nos._exit(77)", {"exit"}, None),
    "sockets": ("import socket\nsocket.create_connection(('1.1.1.1', 80), 1)", {"exit"}, None),
    "names of hosts": ("import socket\nsocket.gethostbyname('localhost')", {"exit"}, None),
    "handlers that do not end": (
        "import atexit\ndef f():\n    while True: pass\natexit.register(f)", {"timeout"}, None,
    ),
    "a destructor that raises": ("class C:\n    def __del__(self): 1 / 0\nx = C()", {"exit"}, {None}),
    "an exception that is hostile": (
        "class E(BaseException):\n    def __str__(self): raise E\n    __repr__ = __str__\nraise E", {"exit"}, {"E"},
    ),
    "an exception group": ("raise ExceptionGroup('x', [ExceptionGroup('y', [ValueError(1)])])", {"exit"}, None),
    "a circle of causes": ("a, b = ValueError(), KeyError()\na.__cause__, b.__cause__ = b, a\nraise a", {"exit"}, None),
    "a hook that lies": ("import sys\nsys.excepthook = lambda *a: exit(0)\n1 / 0", {"exit"}, None),
    "no builtins": ("import builtins\nbuiltins.__dict__.clear()", {"exit", "trap"}, None),
    "no modules": ("import sys\nsys.modules.clear()", {"exit", "trap"}, None),
    "no streams": ("import sys\nsys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None", {"exit"}, {None}),
    "closed streams": ("import os\nos.close(0); os.close(1); os.close(2); os.close(3); os.close(5)", {"exit"}, None),
    "a value that is a bomb": ("x = []\nfor _ in range(60): x = [x, x]\nx", {"exit", "timeout", "memory"}, None),
    "a value that is long": ("['x' * 1000] * 100_000", {"exit", "memory"}, None),
    "a driver that is another": (
        "import _driver\n_driver.dumps = lambda x: '{\"n\": 1, \"code\": 0, \"value\": 666}'", {"exit"}, None,
    ),
    "a driver that is none": ("import sys\ndel sys.modules['_driver']", {"exit"}, {None}),
    "a driver that never answers": ("import _driver\n_driver.call = lambda data: b''", {"exit"}, {None}),
    "a driver that asks for ever": ("import _host\nwhile True: _host.call(b'\\0t')", {"timeout"}, None),
    "an answer of its own": (
        "import _host\n_host.call(b'\\0a{\"n\": 1, \"code\": 5, \"value\": 1}')", {"exit"}, {None},
    ),
    "answers for ever": ("import _host\nwhile True: _host.call(b'\\0a' + b'[' * (1 << 20))", {"timeout"}, None),
    "a frame of nonsense": ("import _host\n_host.call(bytes(range(256)) * 100)", {"exit"}, None),
    "no allocator": ("import _host\n_host.call(b'\\0d' * (1 << 24))", {"exit", "memory"}, None),
    "tools for ever": (
        "from host import tools\nwhile True:\n    try: tools.add(1, 2)\n    except Exception: pass", {"timeout"}, None,
    ),
    "a tool's argument of a gigabyte": (
        "from host import tools\ntools.add('x' * (16 << 20), 2)", {"exit", "memory"}, None,
    ),
    "a tool that is late": ("from host import tools\ntools.late()", {"timeout"}, None),
    "a tool that raises": ("from host import tools\ntools.fails()", {"exit"}, {"host.ToolError"}),
    "a tool that lies": ("from host import tools\ntools.lies()", {"exit"}, {"host.ToolError"}),
    "a tool's internals": (
        "from host import tools\ntools.add.__globals__['_call']('add', {'__class__': 1})", {"exit"}, None,
    ),
}  # fmt: skip


class Liar(str):
    """No method of it says the truth."""

    @property
    def __class__(self):
        raise RuntimeError


@pytest.fixture(scope="module")
def tools():
    """Some that are as bad as their guests."""
    ending = threading.Event()

    def add(a: int, b: int) -> int:
        return a + b

    def fails() -> None:
        raise RuntimeError("secret")

    def lies() -> object:
        return {"x": object(), "y": Liar("z")}

    yield [add, fails, lies, Tool(ending.wait, "late", schema={})]
    ending.set()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program_has_a_typed_result(python, tools, name):
    """The same on an event loop, and the sandbox goes on."""
    code, reasons, kinds = PROGRAMS[name]
    given = {**LIMITS, "timeout": 1 if reasons == {"timeout"} else 5 if reasons == {"timeout", "memory"} else 20}
    runs = [python.run(code, tools=tools, **given)]
    if reasons != {"timeout"}:
        runs.append(asyncio.run(python.run_async(code, tools=tools, **given)))
    for done in runs:
        assert done.reason in {*reasons, "timeout"}, (done.reason, done.message, done.error, done.stderr[-500:])
        told = done.error and done.error.type
        assert kinds is None or done.reason == "timeout" or told in kinds, done.error
        assert len(done.stdout) <= 1 << 16 and len(done.stderr) <= 1 << 16
        assert done.memory_bytes <= MEMORY and sum(map(len, done.files.values())) <= 1 << 20
        assert "secret" not in done.stdout + done.stderr + str(done.value) + str(done.error)
    assert python.run("6 * 7").value == 42


def test_nothing_is_left_behind(python):
    """Of hundreds of runs that end badly: no descriptor, no thread, no mapping, no memory."""

    def held():
        gc.collect()
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), threading.active_count(), sum(1 for _ in maps)

    codes = ("1 / 0", "import os; os._exit(3)", "open('x', 'w')", "x = bytearray(1 << 30)", "exit(1)")

    def round_(count):
        for number in range(count):
            python.run(codes[number % len(codes)], max_memory=96 << 20)
            if number % 25 == 0:
                python.run("while True: pass", timeout=0.02)

    round_(100)
    before = held()
    round_(300)
    fds, threads, maps = (now - then for now, then in zip(held(), before, strict=True))
    assert fds <= 0 and threads <= 0 and maps <= 40, (fds, threads, maps)


def test_no_run_sees_another(python):
    """What one wrote to every page that it could, another does not find."""
    secret = "0x5eC2e7-never-to-be-seen"
    python.run(f"import sys\nsys.kept = ['{secret}' * 1000 for _ in range(100)]\nopen('/tmp/x', 'w').write('{secret}')")
    code = f"""\
import gc, os
lists = [each for each in gc.get_objects() if type(each) is list]
[any(type(item) is str and {secret[2:]!r} in item for each in lists for item in each), os.listdir('/tmp')]
"""
    assert python.run(code).value == [False, []]
