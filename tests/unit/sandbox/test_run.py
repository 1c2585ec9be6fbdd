"""Claims about ``stratavm.run``: whatever a program does, in this process or in its own, the result says it."""

import io
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import stratavm
import stratavm.wasi
from stratavm.sandbox import timing, ways
from tests.unit.sandbox.programs import ECHO, FAIL, OPEN, SAY, program


def test_a_program_that_returns(run):
    """Its outputs apart, code 0."""
    done = run(SAY + FAIL)
    assert (done.stdout, done.stderr, done.code, done.reason) == ("hello\n", "oops\n", 0, "exit")
    assert (done.truncated, done.fuel_used, done.message, done.ok) == (False, None, "", True)
    assert 0 < done.seconds < 60
    assert run(SAY, text=False).stdout == b"hello\n"


@pytest.mark.parametrize("code", [0, 3, 300])
def test_an_exit_is_no_exception(run, code):
    """Whatever its code; 0 is no failure."""
    done = run(f"{SAY}(call $exit (i32.const {code})) unreachable")
    assert (done.stdout, done.code, done.reason, done.ok) == ("hello\n", code, "exit", code == 0)


@pytest.mark.parametrize(
    ("body", "options", "reason", "code", "words"),
    [
        ("unreachable", {}, "trap", 134, "unreachable (in "),
        ("(call $deep)", {}, "trap", 134, "call stack exhausted"),
        ("(loop (br 0))", {"fuel": 10_000}, "fuel", 134, "all fuel consumed"),
        ("(drop (memory.grow (i32.const 9))) unreachable", {"max_memory": 1 << 18}, "memory", 134, "refused"),
    ],
)
def test_reasons(run, body, options, reason, code, words):
    """What was written before is there."""
    done = run(f"{SAY}{body}) (func $deep (call $deep) (call $deep)", **options)
    assert (done.stdout, done.reason, done.code, done.ok) == ("hello\n", reason, code, False)
    assert words in done.message


def test_time_that_is_over(run):
    """However slowly the machine got to the program."""
    done = run(f"{SAY}(loop (br 0))", timeout=0.5)
    assert (done.reason, done.code, done.ok) == ("timeout", 124, False)
    assert done.stdout in ("", "hello\n")
    assert done.message


def test_memory_that_a_program_begins_with(run):
    """More than it may have: it never ran."""
    done = run(SAY, max_memory=65536)
    assert (done.stdout, done.reason, done.code) == ("", "memory", 134)
    assert "131072" in done.message or "2 pages" in done.message or "memory" in done.message


def test_tables_count_as_memory(run):
    """Nine million elements are no way around the limit."""
    done = run(f"{SAY}) (table 9000000 funcref) (func", max_memory=1 << 20, max_output=0)
    assert (done.stdout, done.reason, done.code) == ("", "memory", 134)


def test_memories_share_the_limit(run):
    """A program with many has no more than one with one, from the start and by growth."""
    done = run(f"{SAY}) (memory 0) (memory 17) (func", max_memory=1 << 20)
    assert (done.stdout, done.reason, done.code) == ("", "memory", 134)
    assert "max_memory must be at least" in done.message
    done = run(f"{SAY}(drop (memory.grow 1 (i32.const 17))) unreachable) (memory 0) (func", max_memory=1 << 20)
    assert (done.stdout, done.reason) == ("hello\n", "memory")
    assert run(f"{SAY}(drop (memory.grow 1 (i32.const 14)))) (memory 0) (func", max_memory=1 << 20).ok


def test_a_trap_after_memory_was_given_is_a_trap(run):
    """Only the latest request counts: a program that was refused, asked for less and got it has its memory."""
    grow = "(drop (memory.grow (i32.const {})))"
    assert run(grow.format(9) + grow.format(1) + "unreachable", max_memory=1 << 18).reason == "trap"
    assert run(grow.format(9) + SAY, max_memory=1 << 18).reason == "exit"


def test_fuel_is_counted_when_it_is_given(run):
    """The same both ways."""
    assert run(SAY, fuel=1000).fuel_used == 15


def test_output_over_the_quota_is_cut(run):
    """And says so; the program goes on, and each output has the quota for itself."""
    done = run(SAY + SAY + FAIL + "(call $exit (i32.const 5))", max_output=8)
    assert (done.stdout, done.stderr, done.truncated, done.code) == ("hello\nhe", "oops\n", True, 5)
    assert not run(SAY, max_output=6).truncated
    assert run(SAY, max_output=0).truncated


def test_text_that_is_no_text(run):
    """Bytes that are not UTF-8 become replacement characters."""
    body = "(i32.store8 (i32.const 16) (i32.const 255))" + SAY
    assert run(body).stdout == "\ufffdello\n"
    assert run(body, text=False).stdout == b"\xffello\n"


@pytest.mark.parametrize("kind", ["str", "bytes", "file", "buffer", "nothing"])
def test_standard_input(run, kind, tmp_path):
    """Text, bytes, an open file, a file in memory; nothing is an empty one."""
    (tmp_path / "in").write_bytes(b"h\xc3\xa9")
    with open(tmp_path / "in", "rb") as file:
        given = {"str": "hé", "bytes": "hé".encode(), "file": file, "buffer": io.BytesIO("hé".encode())}
        assert run(ECHO.format(fd=0), stdin=given.get(kind)).stdout == ("" if kind == "nothing" else "hé")


def test_arguments_and_variables(run):
    """The program's name comes first; nothing of the host's variables does."""
    shown = (
        "(drop (call ${} (i32.const 200) (i32.const 256))) (call $print (i32.const 1) (i32.const 256) (i32.const {}))"
    )
    assert run(shown.format("args", 11), ["a", "é"]).stdout == "module\0a\0é"
    assert run(shown.format("environ", 5), env={"A": "b"}).stdout == "A=b\0\0"


def test_files_in_memory(run):
    """At the root of the guest, readable and writable; the host sees nothing of it."""
    body = OPEN.format(name=48, size=6, flags=0, rights=2) + ECHO.format(fd=4)
    assert run(body, files={"/in.txt": "content"}).stdout == "content"
    body = (
        OPEN.format(name=64, size=3, flags=1, rights=64) + "(call $print (i32.const 1) (i32.const 128) (i32.const 1))"
    )
    assert run(body, files={}).stdout == "0"
    assert run(body).stdout == "8"  # BADF: there is no folder


@pytest.mark.parametrize(("rights", "made"), [(None, False), ("ro", False), ("rw", True)])
@pytest.mark.parametrize("form", ["mapping", "pairs"])
def test_folders_of_the_host(run, tmp_path, rights, made, form):
    """Read only unless they say ``rw``."""
    (tmp_path / "in.txt").write_text("content")
    guest = "/d" if rights is None else ("/d", rights)
    triple = (tmp_path, "/d") if rights is None else (tmp_path, "/d", rights)
    dirs = {tmp_path: guest} if form == "mapping" else [triple]
    body = OPEN.format(name=48, size=6, flags=0, rights=2) + ECHO.format(fd=4)
    body += OPEN.format(name=64, size=3, flags=1, rights=64)
    assert run(body, dirs=dirs).stdout == "content"
    assert (tmp_path / "new").exists() == made


def test_times_of_files_can_be_set(run, tmp_path):
    """Behind the wall by a descriptor: the call that takes a path is not held back by Landlock."""
    (tmp_path / "in.txt").write_text("content")
    (tmp_path / "new").mkdir()
    times = "(drop (call $times (i32.const 3) (i32.const 0) {} (i64.const 0) (i64.const 5000000000) (i32.const 4)))"
    names = ("(i32.const 48) (i32.const 6)", "(i32.const 64) (i32.const 3)")
    assert run("".join(times.format(name) for name in names), dirs={tmp_path: ("/d", "rw")}).ok
    assert [(tmp_path / name).stat().st_mtime for name in ("in.txt", "new")] == [5, 5]


def test_check_raises_with_the_result(run):
    """And says how the program ended, and the last line that it wrote to its standard error."""
    with pytest.raises(stratavm.GuestFailed, match=r"code 3.*oops") as caught:
        run(SAY + FAIL + "(call $exit (i32.const 3))", check=True)
    assert caught.value.completed.stdout == "hello\n"
    with pytest.raises(stratavm.GuestFailed, match="trap: unreachable"):
        run("unreachable", check=True, text=False)
    assert run("(call $exit (i32.const 0))", check=True).ok
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.completed) == (str(caught.value), caught.value.completed)


def test_a_program_of_its_own_may_have_a_gibibyte():
    """Where nothing else is said; what the process may have is more."""
    grow = "(call $exit (i32.eq (memory.grow (i32.const {})) (i32.const -1)))"
    assert stratavm.run(program(grow.format(16382)), isolate=True).code == 0
    assert stratavm.run(program(grow.format(16383)), isolate=True).code == 1


def test_threads_run_programs_side_by_side(isolate):
    """Each gets its own output and its own reason."""
    spin, say = program("(loop (br 0))"), program(SAY)

    def one(number):
        return stratavm.run(*((spin,) if number % 2 else (say,)), timeout=0.5 if number % 2 else 60, isolate=isolate)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, range(8)))
    assert [done.reason for done in results] == ["exit", "timeout"] * 4
    assert [done.stdout for done in results] == [b"hello\n", b""] * 4


@pytest.mark.parametrize("timeout", [0, -1, -1e300, float("-inf")])
def test_a_time_that_has_passed_runs_nothing(run, timeout):
    """What is left of a request's time may be below zero: the program has said nothing then."""
    done = run(SAY, timeout=timeout)
    assert (done.reason, done.code, done.stdout) == ("timeout", 124, "")


@pytest.mark.parametrize("timeout", [3e6, 1e19, 1e300, float("inf"), 10**400])
def test_a_time_that_no_clock_reaches_is_none(run, timeout):
    """However long, it is a number of seconds."""
    assert run(SAY, timeout=timeout).reason == "exit"


def test_loading_counts(monkeypatch):
    """Nothing runs where loading took all the time."""
    load = ways.Directly.load

    async def slow(*arguments):
        module = await load(*arguments)
        time.sleep(0.1)
        return module

    monkeypatch.setattr(ways.Directly, "load", slow)
    done = stratavm.run(program(SAY), timeout=0.05)
    assert (done.reason, done.stdout) == ("timeout", b"")
    assert "loading" in done.message
    assert timing.time_left(None, 0) is None


def test_no_time_is_not_blamed_on_loading():
    """Where the module is there already as well."""
    for timeout in (0, -1):
        done = stratavm.run(stratavm.Module(program(SAY)), timeout=timeout)
        assert (done.reason, done.code) == ("timeout", 124)
        assert "there was none at all" in done.message and "loading" not in done.message


OBJECTS = """(module
  (type $node (struct (field i32) (field (ref null $node))))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 65536 (pagesize 1))
  (global $list (mut (ref null $node)) (ref.null $node))
  (func (export "_start")
    (loop (global.set $list (struct.new $node (i32.const 1) (global.get $list))) (br_if 0 (i32.const {again})))
    (call $exit (struct.get $node 0 (global.get $list)))))"""


def with_objects(again: int, **options) -> stratavm.Module:
    """A program with structs, and with pages that are there on request, of an engine that takes it."""
    features = stratavm.Config().features | {"custom-page-sizes"}
    return stratavm.Module(OBJECTS.format(again=again), engine=stratavm.Engine(features=features, **options))


def test_options_of_an_engine_come_with_a_module(isolate):
    """Behind the wall, too: without its features this one does not load, without its limits it does not end."""
    done = stratavm.run(with_objects(0), isolate=isolate)
    assert (done.code, done.reason) == (1, "exit")
    done = stratavm.run(with_objects(1, gc=stratavm.GcConfig(hard_bytes=1 << 20)), isolate=isolate, timeout=60)
    assert (done.code, done.reason) == (134, "memory")
    assert "hard_bytes" in done.message


def test_what_a_program_may_have_its_objects_have_as_well(isolate):
    """``max_memory`` is of its memories together, and of its objects together."""
    done = stratavm.run(with_objects(1), max_memory=1 << 20, isolate=isolate, timeout=60)
    assert (done.code, done.reason) == (134, "memory")
    assert "bytes does not fit: objects take 1 MiB" in done.message and "max_memory" in done.message
