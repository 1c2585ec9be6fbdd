"""Claims about sessions: what turns share, what ends them, and that one turn runs at a time."""

import asyncio
import copy
import gc
import io
import pickle
import sys
import threading

import pytest

from stratavm.sandbox import SessionBusy, SessionEnded
from tests.unit.sandbox.python.test_tools import price

pytestmark = pytest.mark.trace_slow


def test_turns_share_what_they_made(python):
    """Names, modules, files; an exception ends a turn only."""
    with python.session(files={"in.txt": "x"}) as session:
        assert session.run("x = 6; import math").value is None
        assert session.run("1 / 0").error.type == "ZeroDivisionError"
        assert session.run("raise SystemExit(4)").code == 4
        assert session.run("x * 7, math.floor(1.5), open('/in.txt').read()").value == [42, 1, "x"]
        assert session.run("__name__, __import__('__main__').x").value == ["__main__", 6]
        assert session.run("def f(): return x\nx = 7").ok and session.run("f()").value == 7
    assert session.ended == "the session is closed"
    with pytest.raises(SessionEnded, match="closed"):
        session.run("1")
    session.close()


def test_each_turn_has_its_own_names_and_variables(python):
    """What the turn before has made of its environment, its arguments and ``__main__`` is gone; its names are not."""
    spoils = """import os, sys
os.environ["HOME"], os.environ["MINE"] = "/x", "1"
del os.environ["TMPDIR"]
sys.argv.append("more")
sys.modules["__main__"] = sys
"""
    looks = "import os, sys\nv = os.environ\n[v['HOME'], v['TMPDIR'], 'MINE' in v, v.get('V'), sys.argv]"
    with python.session() as session:
        names = "sorted(name for name in globals() if name != '__builtins__')"
        before = session.run(names).value
        for _ in range(2):
            assert session.run(spoils + "1 / 0").error.type == "ZeroDivisionError"
            assert session.run(looks).value == ["/tmp", "/tmp", False, None, ["-c"]]
            assert session.run(looks, env={"V": "2"}).value == ["/tmp", "/tmp", False, "2", ["-c"]]
            assert session.run("__import__('__main__').os is os").value is True
        assert session.run("del os, sys, v\n" + names).value == before
        for again in ("os.environ.clear()", "os.environ = {}", "os.environ = {}", "os.environ['HOME'] = 'x'"):
            assert session.run(f"import os; {again}").ok and session.run(looks).value[:2] == ["/tmp", "/tmp"]


def test_what_is_of_one_turn_alone(python):
    """Output, arguments, variables, standard input, files that are new, usage."""
    with python.session() as session:
        first = session.run(
            "import os, sys\nprint(1)\nopen('a', 'w').close()\n[sys.argv[1:], os.environ.get('V'), input()]",
            args=["x"],
            env={"V": "1"},
            stdin="typed\n",
        )
        assert (first.value, first.stdout, first.files) == ([["x"], "1", "typed"], "1\n", {"a": b""})
        second = session.run("[sys.argv[1:], os.environ.get('V'), sys.stdin.read()]", files={"b": b"new"})
        assert (second.value, second.stdout, second.files) == ([[], None, ""], "", {})
        assert session.run("open('b').read(), os.listdir('/')", stdin=io.BytesIO(b"x")).value[0] == "new"
        assert session.run("open('b', 'a').write('er')").files == {"b": b"newer"}
        assert session.run("sys.stdin.read()", stdin=io.BytesIO(b"z")).value == "z"


@pytest.mark.parametrize("spoils", ["pass", "import sys; del sys.modules['linecache']"])
def test_turns_leave_nothing_in_the_interpreter(python, spoils):
    """A session may have a hundred thousand of them."""
    left = "import gc, linecache\nunused = gc.collect()\nlen(gc.get_objects())"
    with python.session() as session:
        assert session.run("import linecache").ok and session.run(spoils).ok and session.run(left).ok
        before = session.run(left).value
        for _ in range(100):
            assert session.run("pass").ok
        assert session.run(left).value <= before + 5


def test_a_folder_that_is_not_there_is_refused_when_the_session_is_made(python, tmp_path):
    """Not at each of its turns."""
    with pytest.raises(FileNotFoundError, match="absent"):
        python.session(dirs={tmp_path / "absent": "/data"})


@pytest.mark.parametrize(
    ("code", "source", "value"),
    [
        ("input()", b"1\n2\n3\n", "1"),
        ("import sys; sys.stdin.buffer.readline()", b"1\n\xff\xfe\n", b"1\n"),
        ("input()", io.BytesIO(b"1\n" * (1 << 18)), "1"),
        ("import os; os.read(0, 2)", b"1\n2\n", b"1\n"),
        ("input()", b"1", "1"),
        ("None", b"1\n2\n", None),
    ],
    ids=["lines", "bytes", "a long file", "by descriptor", "all of it", "not read"],
)
def test_input_that_was_left_is_not_that_of_the_next_turn(python, code, source, value):
    """Though the interpreter has read ahead; the next turn has its own from the first byte to the end, and so has a
    fork."""
    with python.session() as session:
        assert session.run(code, stdin=source).value == value
        with session.fork() as fork:
            for one in (session, fork):
                assert one.run("[input(), input()]", stdin="a\nb\nc\n").value == ["a", "b"]
                assert one.run("import sys; sys.stdin.read()").value == ""
                assert one.run("sys.stdin.read()", stdin="d").value == "d"
                assert one.run("sys.stdin.read(1)", stdin="ef").value == "e"
                assert one.run("pass").ok and one.run("sys.stdin.read()", stdin="g").value == "g"


@pytest.mark.parametrize(
    ("code", "options", "reason", "exit_code"),
    [
        ("while True: pass", {"timeout": 0.3}, "timeout", 124),
        ("import os; os._exit(9)", {}, "exit", 9),
        ("exit(3)", {}, "exit", 3),
    ],
)
def test_what_ends_a_session(python, code, options, reason, exit_code):
    """The result says it, and the next turn."""
    with python.session() as session:
        assert session.run("1").value == 1
        done = session.run(code, **options)
        assert (done.reason, done.code) == (reason, exit_code)
        with pytest.raises(SessionEnded, match="a turn ended the session"):
            session.run("1")


def test_fuel_of_each_turn(python):
    """For sessions that count it."""
    with python.session(fuel=True) as session:
        assert session.run("x = 1", fuel=1 << 40).fuel_used > 0
        small, large = (session.run(f"for _ in range({n}): pass") for n in (10, 100_000))
        assert small.fuel_used < large.fuel_used
        assert session.run("while True: pass", fuel=10_000_000).reason == "fuel"
    with python.session() as session, pytest.raises(ValueError, match="fuel=True"):
        session.run("1", fuel=5)
    with pytest.raises(TypeError, match="units are for each turn"):
        python.session(fuel=5)


def test_one_turn_at_a_time(python):
    """Another thread, or a tool of the turn, cannot have one."""
    inside, ending = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        ending.wait(60)

    with python.session() as session:

        def again() -> str:
            for call in (lambda: session.run("1"), session.close):
                with pytest.raises(SessionBusy):
                    call()
            return "refused"

        code = "from host import tools\ntools.again()"
        assert session.run(code, tools=[again, hold]).value == "refused"
        thread = threading.Thread(target=lambda: session.run("tools.hold()", tools=[hold]))
        thread.start()
        assert inside.wait(60)
        with pytest.raises(SessionBusy):
            session.run("1")
        ending.set()
        thread.join()
        assert session.run("1").value == 1


def test_tools_of_a_session(python):
    """Those of the turn; one that is not there any more is refused."""
    with python.session() as session:
        assert session.run("from host import tools\ntools.price('x')", tools=[price]).value == 1.5
        assert session.run("tools.price('x')", tools=[price]).value == 1.5
        assert session.run("tools.price('x')").error.type.startswith("host.")
        assert session.run("from host import tools").error.type == "ImportError"

        def other() -> str:
            return "other"

        code = "from host import tools\n[tools.other(), hasattr(tools, 'price')]"
        assert session.run(code, tools=[other]).value == ["other", False]
        assert session.run("tools.other()", tools=[other]).value == "other"


def test_sessions_on_a_loop(python):
    """Turns of many at once; cancelling a turn ends its session."""

    async def main():
        async with python.session() as first, python.session() as second:
            await asyncio.gather(first.run_async("x = 1"), second.run_async("x = 2"))
            values = [(await session.run_async("x")).value for session in (first, second)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(first.run_async("while True: pass"), 0.2)
            with pytest.raises(SessionEnded, match="cancelled"):
                await first.run_async("1")
            turns = second.run_async("import time; time.sleep(0.1)"), second.run_async("1")
            slow, refused = await asyncio.gather(*turns, return_exceptions=True)
            assert slow.ok and isinstance(refused, SessionBusy)
        return values

    assert asyncio.run(main()) == [1, 2]


def test_memory_is_one_for_all_turns(python):
    """What one has, another does not get."""
    with python.session(max_memory=90 << 20) as session:
        assert session.run("x = bytearray(30 << 20)").ok
        assert session.run("y = bytearray(30 << 20)").reason == "memory"
        assert session.run("del x\ny = bytearray(30 << 20)\nlen(y)").value == 30 << 20


def test_deterministic_sessions(python):
    """Turn for turn."""
    found = []
    for _ in range(2):
        with python.session(deterministic=True, seed=3) as session:
            found.append([session.run("import random, time; [random.random(), time.time()]").value for _ in range(3)])
    assert found[0] == found[1]


LONG_FRAMES = """\
import _host
frame = b'\\0a{"n": -1, "x": [' + b'[],' * 70_000 + b'0]}'
for _ in range(40):
    _host.call(frame)"""


def test_a_loop_goes_on_while_a_guest_makes_the_host_work(python):
    """Frames that take long to read are no way to keep a loop for oneself: each lets it go on."""

    async def main():
        rounds, running = 0, asyncio.ensure_future(python.run_async(LONG_FRAMES))
        while not running.done():
            await asyncio.sleep(0)
            rounds += 1
        return rounds, await running

    rounds, done = asyncio.run(main())
    assert done.ok and done.faults == 40 and rounds >= 40


def test_a_session_is_not_copied(python):
    """A second handle of one interpreter would be no fork."""
    with python.session() as session:
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match=r"neither copied nor pickled: fork\(\)"):
                attempt(session)


def test_the_host_does_little_for_a_turn(python):
    """Time is no measure for tests: how many functions of the sandbox a turn calls that says and leaves nothing."""
    called = []

    def note(frame, event, _):
        if event == "call" and "/stratavm/sandbox/" in frame.f_code.co_filename:
            called.append(frame.f_code.co_name)

    with python.session() as session:
        for _ in range(2):
            session.run("pass")
        before = sys.getprofile()
        gc.disable()  # finalisers of other sessions count as well
        sys.setprofile(note)
        try:
            session.run("pass")
        finally:
            sys.setprofile(before)
            gc.enable()
    assert 20 < len(called) <= 38, called
