"""Claims about runs of sandboxed Python: whatever the code does, the result says it."""

import asyncio
import math

import pytest

import stratavm
from stratavm.sandbox import PythonCompleted, Raised

pytestmark = pytest.mark.trace_slow


def test_a_run_is_a_completed(python):
    """With the words of ``stratavm.run``."""
    done = python.run("import sys; print('out'); print('err', file=sys.stderr)")
    assert isinstance(done, PythonCompleted) and isinstance(done, stratavm.Completed)
    assert (done.stdout, done.stderr, done.code, done.reason, done.ok) == ("out\n", "err\n", 0, "exit", True)
    assert (done.value, done.error, done.files, done.calls, done.limits, done.faults) == (None, None, {}, (), (), 0)
    assert done.memory_bytes >= 40 << 20 and 0 < done.seconds < 60
    done.check()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("None", None),
        ("6 * 7", 42),
        ("x = 1", None),
        ("x = 2\nx", 2),
        ("'é\\n'", "é\n"),
        ("b'\\0\\xff'", b"\0\xff"),
        ("[1, 2.5, True, (None, 'x'), {}]", [1, 2.5, True, [None, "x"], {}]),
        ("{'a': {'$bytes': 1}, '$': b'x'}", {"a": {"$bytes": 1}, "$": b"x"}),
        ("-10**100", -(10**100)),
        ("1e400", math.inf),
        ("from __future__ import annotations\nimport sys\nlen(sys.argv)", 1),
        ("", None),
        ("# nothing", None),
    ],
)
def test_the_value_of_the_last_statement(python, code, value):
    """Where that is an expression; tuples arrive as lists."""
    done = python.run(code)
    assert (done.value, done.is_repr, done.code) == (value, False, 0), done.stderr
    assert type(done.value) is type(value)


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        ("{1: 2}", "{1: 2}"),
        ("{1, 2}", "{1, 2}"),
        ("len", "<built-in function len>"),
        ("2 ** 20000", "<int whose repr raises ValueError"),
        ("class C:\n    def __repr__(self): raise KeyError\nC()", "<C whose repr raises KeyError>"),
        ("x = []\nfor _ in range(100): x = [x]\nx", "[[[["),
        ("x = []\nx.append(x)\nx", "[[...]]"),
        ("[0] * 200_000", "[0, 0, 0"),
        ("'\\ud800'", "'\\ud800'"),
        ("'x' * (2 << 20)", "'xxxx"),
    ],
)
def test_a_value_that_has_no_other_form_is_its_repr(python, code, begins):
    """Cut where it is long."""
    done = python.run(code)
    assert done.is_repr and done.value.startswith(begins) and len(done.value) < 70_000


def test_an_exception_is_data_and_is_printed(python):
    """Type, message, traceback and frames; without the driver's own."""
    done = python.run("def f(x):\n    return 1 / x\n\nf(0)")
    assert (done.code, done.reason, done.ok, done.value) == (1, "exit", False, None)
    assert isinstance(done.error, Raised)
    assert (done.error.type, done.error.message) == ("ZeroDivisionError", "division by zero")
    assert [(f.file, f.line, f.function) for f in done.error.frames] == [("<run>", 4, "<module>"), ("<run>", 2, "f")]
    assert done.error.traceback == done.stderr and "    return 1 / x\n" in done.stderr
    assert str(done.error) == "ZeroDivisionError: division by zero"
    assert done.message == "ZeroDivisionError: division by zero (<run>, line 2)"
    with pytest.raises(stratavm.GuestFailed, match="division by zero"):
        done.check()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def f(:", "SyntaxError"),
        ("import json; json.loads('{')", "json.decoder.JSONDecodeError"),
        ("class Mine(Exception): pass\nraise Mine('x')", "Mine"),
        ("def f(): f()\nf()", "RecursionError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E", "E"),
        ("import threading; threading.Thread(target=print).start()", "RuntimeError"),
        ("import socket; socket.create_connection(('127.0.0.1', 80))", None),
        ("import subprocess; subprocess.run(['ls'])", None),
        ("open('/etc/passwd')", "FileNotFoundError"),
        ("open('../../etc/passwd')", None),
    ],
)
def test_what_is_raised(python, code, kind):
    """By its name."""
    done = python.run(code)
    assert done.code == 1 and done.error is not None and done.reason == "exit"
    assert kind is None or done.error.type == kind


def test_the_message_of_a_run_is_a_line(python):
    """Of what a program says as well; one that ended well has none."""
    done = python.run("raise ValueError('a\\n\\x1b[31m' + 'x' * 9999)")
    assert done.message.startswith("ValueError: a\\x0a\\x1b[31mxxx") and len(done.message) < 600
    assert python.run("raise SystemExit(3)").message == python.run("1").message == ""


def test_a_module_that_there_is_not(python):
    """No word of folders that there are not either."""
    done = python.run("import nothere")
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'nothere'\n")


ASYNCHRONOUS = """
import asyncio

async def f(n):
    await asyncio.sleep(0.01 * n)
    return n

async def main():
    found = [await asyncio.gather(*map(f, range(3)))]
    found.append(await asyncio.to_thread(lambda: 4))
    try:
        await asyncio.to_thread(lambda: 1 / 0)
    except ZeroDivisionError as error:
        found.append(str(error))
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        found.append("late")
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(queue.put(5))
        found.append(await queue.get())
    return found

found = asyncio.run(main())
loop = asyncio.new_event_loop()
found.append(loop.run_until_complete(f(6)))
loop.close()
found
"""


def test_asyncio_runs_in_the_guest(python):
    """Without socket pairs and threads: tasks, timeouts, queues, and what would be done in a thread; also once it is
    loaded for all runs."""
    wanted = [[0, 1, 2], 4, "division by zero", "late", 5, 6]
    done = python.run(ASYNCHRONOUS)
    assert (done.value, done.stderr) == (wanted, "")
    assert python.warm("import asyncio").run(ASYNCHRONOUS).value == wanted
    done = python.run("import asyncio; asyncio.run(asyncio.Event().wait())", timeout=1)
    assert done.reason == "timeout" and done.seconds < 30


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("exit(5)", 5, ""),
        ("exit('bye')", 1, "bye\n"),
        ("import os; os._exit(9)", 9, ""),
        ("import sys; sys.exit(-1)", 0xFFFFFFFF, ""),
    ],
)
def test_exits(python, code, exit_code, said):
    """A program ends as it says."""
    done = python.run(code)
    assert (done.code, done.reason, done.stderr, done.error) == (exit_code, "exit", said, None)


def test_what_a_run_is_given(python):
    """Arguments, variables, files, standard input; modules among the files can be imported."""
    code = """\
import os, sys, helper
with open("/made/out.bin", "wb") as file:
    file.write(bytes(3))
left = open("left.txt", "w")
left.write("unflushed")
open("/tmp/gone", "w").write("x")
open("data/in.txt", "a").write("+")
[sys.argv[1:], os.environ["A"], sorted(os.listdir("/")), open("data/in.txt").read(), sys.stdin.read(), helper.f()]
"""
    files = {"data/in.txt": "text", "helper.py": "def f(): return 5", "made/keep": b""}
    done = python.run(code, args=["x", "y"], env={"A": "b"}, files=files, stdin="typed")
    assert done.value == [["x", "y"], "b", ["data", "helper.py", "left.txt", "made", "tmp"], "text+", "typed", 5]
    assert done.files == {"made/out.bin": bytes(3), "left.txt": b"unflushed", "data/in.txt": b"text+"}


def test_what_was_printed_before_the_end_is_there(python):
    """Line by line, however a program is stopped."""
    for seconds in (0.5, 5, 50):  # a slow machine may not come to it in the first one
        said = python.run("print('early')\nwhile True: pass", timeout=seconds).stdout
        if said:
            break
    assert said == "early\n"
    assert python.run("print('early')\nimport os\nos._exit(1)").stdout == "early\n"


def test_handlers_run_at_the_end(python):
    """And what they print is there."""
    done = python.run("import atexit; atexit.register(print, 'end', end=''); print('first')")
    assert done.stdout == "first\nend"


def test_runs_share_nothing(python):
    """Neither names, modules, files, nor what builtins were made."""
    python.run("import builtins, sys\nbuiltins.x = x = 1\nsys.modules['y'] = 2\nopen('f', 'w').close()")
    done = python.run("import os, sys, builtins\n[hasattr(builtins, 'x'), 'y' in sys.modules, os.listdir('/')]")
    assert done.value == [False, False, ["tmp"]]


def test_limits_that_end_a_program(python):
    """Each by its reason."""
    spin = "while True: pass"
    late = python.run(spin, timeout=0.3)
    assert (late.reason, late.code) == ("timeout", 124)
    fuel = python.run(spin, fuel=300_000_000)
    assert (fuel.reason, fuel.code) == ("fuel", 134) and 299_000_000 < fuel.fuel_used <= 300_000_000
    assert python.run("1", fuel=1 << 40).fuel_used > 1000
    small = python.run("1", max_memory=1 << 20)
    assert (small.reason, small.code) == ("memory", 134)
    assert python.run("1", timeout=0).reason == "timeout"


@pytest.mark.parametrize(
    "code",
    [
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "bytes(1 << 30)",
        "x = 'x'\nwhile True: x += x",
        "[0] * (1 << 28)",
    ],
)
def test_memory_that_is_refused_is_the_reason(python, code):
    """Although the program ends by an exception, with 1."""
    done = python.run(code, max_memory=80 << 20)
    assert (done.reason, done.code) == ("memory", 134)
    assert done.error.type == "MemoryError" and done.memory_bytes <= 80 << 20


def test_a_memory_error_without_a_refusal_is_an_exception(python):
    """As any other."""
    done = python.run("raise MemoryError")
    assert (done.reason, done.code, done.error.type) == ("exit", 1, "MemoryError")


def test_limits_that_end_none(python):
    """They are named."""
    done = python.run("print('x' * 1000)", max_output=100)
    assert (done.stdout, done.truncated, done.limits, done.ok) == ("x" * 100, True, ("output",), True)
    code = "try:\n    open('f', 'wb').write(bytes(1 << 20))\nexcept OSError as e:\n    print(e.errno)"
    done = python.run(code, max_files=1 << 16)
    assert done.limits == ("files",) and done.stdout == "51\n"
    with pytest.raises(OSError, match="max_files is 65536 bytes, too few for"):
        python.run("", files={"x": bytes(1 << 20)}, max_files=1 << 16)
    with pytest.raises(OSError, match="643 bytes, max_files is 10"):
        python.run("", max_files=10)


def test_deterministic_runs_do_the_same(python):
    """Clock and random numbers follow from the seed, and waiting takes no time."""
    code = """\
import os, random, secrets, time, uuid
time.sleep(1000)
[time.time(), time.monotonic(), random.random(), secrets.token_hex(), str(uuid.uuid4()), os.urandom(4), hash("abc")]
"""
    first, second, other = (python.run(code, deterministic=True, seed=seed) for seed in (1, 1, 2))
    assert first.value == second.value and first.error is None
    assert first.value[2:5] != other.value[2:5] and first.seconds < 30


def test_other_runs_do_not(python):
    """Nor do they share a generator."""
    code = "import os, random\n[random.random(), os.urandom(8)]"
    assert python.run(code).value != python.run(code).value


def test_asyncio_goes_on_meanwhile(python):
    """Runs wait and compute in the loop's thread; cancelling ends them."""

    async def main():
        ticks = []

        async def tick():
            while True:
                await asyncio.sleep(0.01)
                ticks.append(1)

        ticking = asyncio.create_task(tick())
        many = [python.run_async(f"import time; time.sleep(0.1); {n}") for n in range(4)]
        values = [done.value for done in await asyncio.gather(*many)]
        stopped = asyncio.create_task(python.run_async("while True: pass", timeout=None))
        await asyncio.sleep(0.2)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        late = await python.run_async("while True: pass", timeout=0.3)
        ticking.cancel()
        return values, len(ticks), late.reason

    values, ticks, reason = asyncio.run(main())
    assert values == [0, 1, 2, 3] and ticks > 3 and reason == "timeout"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"code": b"1"}, TypeError, "code must be a string"),
        ({"code": "1", "args": "x"}, TypeError, "args must be a list"),
        ({"code": "1", "env": ["x"]}, TypeError, "env must be a mapping"),
        ({"code": "1", "files": {"../x": b""}}, ValueError, "not the path of a file"),
        ({"code": "1", "stdin": 5}, TypeError, "stdin must be"),
        ({"code": "1", "timeout": "1"}, TypeError, "timeout must be"),
        ({"code": "1", "fuel": -1}, ValueError, "fuel must be"),
        ({"code": "1", "max_files": None}, TypeError, "max_files must be"),
        ({"code": "1", "deterministic": 1}, TypeError, "deterministic must be"),
        ({"code": "1", "seed": 1}, ValueError, "deterministic=True"),
        ({"code": "1", "max_mem": 1}, TypeError, "max_memory"),
    ],
)
def test_arguments_that_are_wrong(python, options, error, words):
    """They are refused by name, before anything runs."""
    with pytest.raises(error, match=words):
        python.run(**options)
    with pytest.raises(error, match=words):
        asyncio.run(python.run_async(**options))


def test_folders_of_the_host(python, tmp_path):
    """For reading, and where that is said for writing; a session has them for good."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "x.txt").write_text("x")
    dirs = {tmp_path / "in": "/data", tmp_path / "out": ("/made", "rw")}
    code = """\
import os
found = [open("/data/x.txt").read(), sorted(os.listdir("/"))]
open("/made/y", "w").write("y")
for act in (lambda: open("/data/z", "w"), lambda: os.rename("/made/y", "/y"), lambda: open("/data/../made/y")):
    try:
        act()
    except OSError as error:
        found.append(type(error).__name__)
found
"""
    for done in (python.run(code, dirs=dirs), asyncio.run(python.run_async(code, dirs=dirs))):
        assert done.value[:2] == ["x", ["data", "made", "tmp"]] and len(done.value) >= 4, done.value
        assert done.files == {} and (tmp_path / "out" / "y").read_text() == "y"
    with python.session(dirs=dirs) as session:
        assert session.run("open('/data/x.txt').read()").value == "x"
    (tmp_path / "file").write_text("1")
    for begin in (python.run, lambda code, **given: python.session(**given)):
        with pytest.raises(NotADirectoryError, match="file"):
            begin("1", dirs={tmp_path / "file": "/d"})
        with pytest.raises(FileNotFoundError, match="nothing"):
            begin("1", dirs={tmp_path / "nothing": "/d"})
    for wrong in ({tmp_path: "/"}, {tmp_path: "."}):
        with pytest.raises(ValueError, match="path of its own"):
            python.run("1", dirs=wrong)
    shown = {
        "dirs: '/a/b' does not go with '/a', where": [(tmp_path, "/a"), (tmp_path, "/a/b")],
        "dirs: '/a/' does not go with '/a/b', where": [(tmp_path, "/a/b"), (tmp_path, "/a/")],
        "dirs: '/usr/local/lib/x' does not go with '/usr/local/lib', where": {tmp_path: "/usr/local/lib/x"},
        "dirs: '/a/../b' is not the path of a folder": {tmp_path: "/a/../b"},
        "files: 'x/y/z' would lie in '/x/y', where": {tmp_path: "/x/y"},
    }
    for words, folders in shown.items():
        with pytest.raises(ValueError, match=words):
            python.run("1", dirs=folders, files={"x/y/z": "", "a": ""} if "x/y" in words else None)
    with pytest.raises(ValueError, match="files: 'usr/local/lib/x' would lie in '/usr/local/lib'"):
        python.session(files={"usr/local/lib/x": ""})
    assert python.run("import os; os.listdir('/usr/mine')", dirs={tmp_path / "in": "/usr/mine"}).value == ["x.txt"]
    with pytest.raises(OSError, match="none"):
        python.run("1", dirs={tmp_path / "none": "/data"})
