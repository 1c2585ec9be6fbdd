"""Claims about machine code between processes: the second start compiles nothing, and runs what the first one made."""

import asyncio
import errno
import gc
import mmap
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import stratavm
from stratavm import Config, Engine, Linker, Module, Store
from stratavm.engine import codecache
from stratavm.engine.codecache import CodeKept, CodeNotKept, CodeRestored, FileIdentity
from stratavm.native.background import limit_threads
from stratavm.services.diskcache import DiskCache, default_folders
from stratavm.testing import EventRecorder
from stratavm.tiers.events import FunctionCompiled
from stratavm.tiers.jit import lazy
from stratavm.tiers.jit.lift_events import FunctionLifted
from stratavm.tiers.jit.tier import JitModule
from stratavm.tiers.policy import Policy, Thresholds

COUNT = 200
PADDING = '(data "' + "x" * (1 << 16) + '")'


def text(changed=""):
    """A module above the size from which code is kept: functions that call each other, trap, and use a table."""
    functions = "".join(
        f"""(func $f{n} (export "f{n}") (param i32) (result i32)
          (if (result i32) (i32.eqz (local.get 0)) (then (i32.const {n}{changed if n == 7 else ""}))
            (else (i32.add (call $f{(n * 7 + 1) % COUNT} (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))))"""
        for n in range(COUNT)
    )
    return f"""(module {functions} {PADDING} (table funcref (elem $f1 $f2 $f3)) (memory 1)
      (func (export "indirect") (param i32) (result i32)
        (call_indirect (param i32) (result i32) (i32.const 5) (local.get 0)))
      (func $inner (param i32) (result i32) (i32.load (local.get 0)))
      (func (export "trap") (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 1))))"""


@pytest.fixture(autouse=True)
def only_what_is_called(home, monkeypatch):
    """Nothing is compiled that was not called; in a home of the test's own."""
    monkeypatch.setattr(lazy, "BEGIN_AT", (1 << 30, 1 << 30))


@pytest.fixture(scope="session")
def binary():
    """The module's bytes."""
    return Module(text(), engine=Engine(cache=False)).model.binary


def answers(source, **options):
    """Results of some calls, the trap's text, and what happened: events of cache and compiler."""
    engine = Engine(**options)
    with EventRecorder(engine.bus) as recorder:
        module = Module(source, engine=engine)
        exports = Linker(engine).instantiate(Store(engine, fuel=10**6 if options.get("fuel") else None), module).exports
        results = [exports[f"f{n}"](9) for n in range(0, COUNT, 9)] + [exports.indirect(i) for i in range(3)]
        with pytest.raises(stratavm.Trap) as trap:
            exports.trap(1 << 20)
        results.append(str(trap.value))
        compiled = module.code.compiled
        del exports, module
        gc.collect()
        engine.bus.drain()
    return results, compiled, recorder.events


def of(events, kind):
    """Those of one kind."""
    return [event for event in events if isinstance(event, kind)]


WAYS = (
    {"tier": "jit0"},
    {"tier": "jit1"},
    {"tier": "jit1", "strict": True},
    {"tier": "jit1", "memory_plan": "bounded"},
    {"tier": "jit0", "allocator": "naive"},
    {"tier": "auto"},
)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_the_second_start_compiles_nothing(binary, options):
    """Results are the same, traps and their places in inlined code, too."""
    first, compiled, events = answers(binary, **options)
    assert of(events, FunctionCompiled) and not of(events, CodeRestored)
    [kept] = of(events, CodeKept)
    assert kept.functions == compiled
    second, restored, events = answers(binary, **options)
    assert (second, restored) == (first, compiled)
    assert [event.functions for event in of(events, CodeRestored)] == [compiled]
    assert not of(events, FunctionCompiled) and not of(events, CodeKept) and not of(events, CodeNotKept)


def run_lifting(binary, calls, **options):
    """Levels of the functions when the module goes, and the events, where ``f1`` is called so often."""
    engine = Engine(
        tier="auto", services={Policy: Thresholds(20, 1, False, calls_waited=20, call_bytes=1 << 30)}, **options
    )
    with EventRecorder(engine.bus) as recorder:
        module = Module(binary, engine=engine)
        exports = Linker(engine).instantiate(Store(engine), module).exports
        before = [module.code.lazy.table.level(i) for i in range(COUNT)]
        for _ in range(calls):
            exports.f1(3)
        levels = [module.code.lazy.table.level(i) for i in range(COUNT)]
        del exports, module
        gc.collect()
        engine.bus.drain()
    return before, levels, recorder.events


def test_code_of_both_levels_is_kept(binary):
    """What was lifted is there at the next start at level 1, and the rest goes on counting."""
    limit_threads(0)
    try:
        nothing, at_first, events = run_lifting(binary, 5)
        assert set(nothing) == {-1} and set(at_first) == {-1, 0} and of(events, CodeKept)
        before, lifted, events = run_lifting(binary, 20)
        assert before == at_first and 1 in lifted and of(events, FunctionLifted)
        assert of(events, CodeKept), "functions that were compiled again are worth as much as new ones"
        before, again, events = run_lifting(binary, 20)
        assert before == lifted == again
        assert not of(events, FunctionCompiled) and not of(events, FunctionLifted) and not of(events, CodeKept)
    finally:
        limit_threads(None)


def test_a_few_functions_that_were_lifted_are_kept_beside_the_rest(binary):
    """They are level 1 at the next start, where the large entry has them at level 0."""
    limit_threads(0)
    try:
        engine = Engine(tier="auto")
        module = Module(binary, engine=engine)
        module.compile_all()
        del module
        gc.collect()
        sizes = []
        for lifted_before, lifts in ((0, 1), (1, 0)):
            services = {Policy: Thresholds(20, 1, False, calls_waited=20, call_bytes=1 << 30)}
            engine = Engine(tier="auto", services=services)
            with EventRecorder(engine.bus) as recorder:
                module = Module(binary, engine=engine)
                exports = Linker(engine).instantiate(Store(engine), module).exports
                assert [module.code.lazy.table.level(i) for i in range(COUNT)].count(1) == lifted_before
                for _ in range(25):
                    exports.f7(0)
                del exports, module
                gc.collect()
                engine.bus.drain()
            assert len(of(recorder.events, FunctionLifted)) == len(of(recorder.events, CodeKept)) == lifts
            sizes += [event.bytes for kind in (CodeRestored, CodeKept) for event in of(recorder.events, kind)]
        assert sizes[1] < sizes[0] // 16 and sizes[2] == sizes[0] + sizes[1]
    finally:
        limit_threads(None)


def test_who_counts_exactly_keeps_nothing(binary):
    """Kept code would change its level earlier; and other tiers do not take what counts."""
    engine = Engine(tier="auto", lift_after=3)
    assert not Module(binary, engine=engine).code.code_key
    keys = {Module(binary, engine=Engine(tier=tier)).code.code_key for tier in ("auto", "jit0", "jit1")}
    assert len(keys) == 3


def test_kept_code_has_the_level_of_its_compiler(binary):
    """A tier that moves asks for it."""
    for tier, level in (("jit0", 0), ("jit1", 1)):
        first, second = (Module(binary, engine=Engine(tier=tier, cache=False)) for _ in range(2))
        first.compile_all()
        second.code.restore_code(first.code.pack_code())
        assert {second.code.lazy.table.level(i) for i in range(COUNT)} == {level}


def test_code_from_the_disk_is_byte_for_byte_what_is_compiled_afresh(binary):
    """In another process, at other addresses."""
    code = """
import sys, stratavm
from hashlib import sha256
from stratavm import Engine, Module
module = Module(open(sys.argv[1], "rb").read(), engine=Engine(tier="jit1", threads=1, cache=sys.argv[2] == "on"))
before = module.code.compiled
module.compile_all()
print(before, module.code.compiled, sha256(module.code.pack_code()).hexdigest())
"""
    path = Path(os.environ["XDG_CACHE_HOME"], "module.wasm")
    path.parent.mkdir(parents=True)
    path.write_bytes(binary)

    def child(how):
        return subprocess.run(
            [sys.executable, "-c", code, str(path), how], capture_output=True, text=True, check=True
        ).stdout.split()

    first, second, fresh = child("on"), child("on"), child("off")
    assert first[0] == "0" and second[0] == first[1]
    assert first[2] == second[2] == fresh[2]


@pytest.mark.parametrize(
    "options", [{"tier": "jit1"}, {"fuel": True}, {"memory_plan": "bounded"}, {"allocator": "naive"}], ids=str
)
def test_another_way_to_compile_is_another_entry(binary, options):
    """So is another binary, and another build of Strata."""
    answers(binary)
    _, _, events = answers(binary, **options)
    assert of(events, FunctionCompiled) and not of(events, CodeRestored)


def test_another_binary_is_another_entry(binary):
    """One constant differs."""
    answers(binary)
    changed = Module(text(changed="1"), engine=Engine(cache=False)).model.binary
    results, _, events = answers(changed)
    assert not of(events, CodeRestored) and 80 not in results


def test_a_process_whose_package_was_changed_keeps_nothing(binary, monkeypatch):
    """It still runs what it imported, and the code of that is not the code of the files that are there now."""
    newest = max(changed for *_, changed in codecache.package_identity())
    monkeypatch.setattr(codecache, "IMPORTED_NS", newest - 1)
    _, compiled, events = answers(binary)
    (said,) = of(events, CodeNotKept)
    assert compiled and "changed since this process imported it" in said.reason and not of(events, CodeKept)
    monkeypatch.setattr(codecache, "IMPORTED_NS", newest + codecache.CLOCK_NS + 1)
    _, _, events = answers(binary)
    assert of(events, CodeKept)


def test_a_clock_that_was_set_back_is_a_miss_that_says_so(binary, home, monkeypatch):
    """Behind the times of the package nobody knows what it was when it was imported; else, entries and files are of a
    time that is still to come, and are taken and read as ever."""
    path = home / "app.wasm"
    path.write_bytes(binary)
    first, _, events = answers(path)
    assert of(events, CodeKept)
    later = time.time() + 10 * 86_400
    for file in (path, *(home / "cache/stratavm/code").iterdir()):
        os.utime(file, (later, later))
    found, _, events = answers(path)
    assert found == first and of(events, CodeRestored) and not of(events, CodeNotKept)
    newest = max(changed for *_, changed in codecache.package_identity())
    monkeypatch.setattr(codecache.time, "time_ns", lambda: newest - 10**9)
    found, _, events = answers(path)
    (said,) = of(events, CodeNotKept)
    assert found == first and "is the clock right?" in said.reason and not of(events, CodeRestored)


def test_two_processors_share_a_cache(binary):
    """As machines with one home directory do: each has entries of its own, and finds them again."""
    keys = {cpu: Module(binary, engine=Engine(cpu=cpu, cache=False)).code.code_key for cpu in ("v2", "native")}
    if len({*keys.values()}) < 2:
        pytest.skip("this processor has no more than x86-64-v2")
    found = []
    for cpu in ("v2", "native", "v2", "native"):
        results, _, events = answers(binary, cpu=cpu)
        found.append((results, bool(of(events, CodeRestored)), bool(of(events, FunctionCompiled))))
    assert [(restored, compiled) for _, restored, compiled in found] == [(False, True)] * 2 + [(True, False)] * 2
    assert len({str(results) for results, *_ in found}) == 1


def test_another_build_is_another_entry(binary, monkeypatch):
    """Any file of the package that was touched."""
    answers(binary)
    _, newest = codecache.package_stamp()
    monkeypatch.setattr(codecache, "package_stamp", lambda: (b"another", newest))
    _, _, events = answers(binary)
    assert not of(events, CodeRestored)


@pytest.mark.parametrize("how", ["environment", "config", "small", "oracle"])
def test_it_can_be_turned_off(binary, how, monkeypatch, home):
    """Nothing is written then; nor for what is too small."""
    if how == "environment":
        monkeypatch.setenv("STRATA_CACHE", "off")
    source = '(module (func (export "f")))' if how == "small" else binary
    engine = Engine(cache=how != "config", tier="oracle" if how == "oracle" else "jit0")
    module = Module(source, engine=engine)
    if how != "oracle":
        module.compile_all()
    del module
    assert not (home / "cache").exists() and not (home / "state").exists()


def test_a_folder_of_ones_own(binary, home):
    """The key stays where it is. Of a slow start ticks would be kept as well, where there are any."""
    answers(binary, cache=home / "mine", tier="jit0")
    assert len(list((home / "mine").iterdir())) == 3
    assert not (home / "cache").exists() and (home / "state/stratavm/cache.key").exists()
    assert of(answers(binary, cache=str(home / "mine"), tier="jit0")[2], CodeRestored)


@pytest.mark.parametrize(("given", "error"), [(1, TypeError), (None, TypeError), (b"x", TypeError), ("", ValueError)])
def test_what_is_no_folder_is_refused(given, error):
    """By the configuration."""
    with pytest.raises(error, match="cache must be True, False or the path of a directory"):
        Config(cache=given)


@pytest.mark.parametrize(("word", "meant"), [("off", "False"), ("on", "True")])
def test_a_word_of_the_command_is_no_folder(word, meant):
    """Nobody wants a folder that is called off; who does says where it is."""
    with pytest.raises(ValueError, match=f"cache must be {meant}, got '{word}'; a folder of that name is './{word}'"):
        Engine(cache=word)
    assert Config(cache=f"./{word}").cache == os.path.abspath(word)


def test_entries_say_what_they_are_of(binary, home):
    """The program's name, under the mark."""
    path = home / "app.wasm"
    path.write_bytes(binary)
    os.utime(path, ns=(10**18, 10**18))
    answers(path)
    disk = DiskCache(*default_folders())
    assert {disk.label(bytes.fromhex(entry.key)) for entry in disk.entries()} >= {
        "code of app.wasm",
        "skeleton of app.wasm",
        "first start of app.wasm",
    }


def test_a_directory_that_cannot_be_trusted_is_said_once_and_not_used(binary, home):
    """Everything runs as without it."""
    (home / "cache/stratavm/code").mkdir(parents=True, mode=0o777)
    (home / "cache/stratavm/code").chmod(0o777)
    _, _, events = answers(binary)
    [refused] = of(events, CodeNotKept)
    assert "open to others" in refused.reason and of(events, FunctionCompiled)


def test_a_directory_that_cannot_be_written_is_read(binary, monkeypatch):
    """As a read-only image of a machine has it; what cannot be kept is said."""
    answers(binary)
    real = os.open

    def read_only(path, flags, *rest, **options):
        if flags & os.O_CREAT and "dir_fd" in options:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", read_only)
    assert of(answers(binary)[2], CodeRestored)
    [refused] = of(answers(binary, tier="jit1")[2], CodeNotKept)
    assert "Read-only file system" in refused.reason


def test_damage_is_said_and_mended(binary, home):
    """Flipped bits anywhere, and entries cut off: the program runs, and the next start finds a good entry."""
    first, _, _ = answers(binary)
    file = max((home / "cache/stratavm/code").iterdir(), key=lambda file: file.stat().st_size)
    whole = file.read_bytes()
    chance = random.Random(3)
    for n in range(12):
        damaged = bytearray(whole)
        if n % 3:
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        else:
            del damaged[chance.randrange(len(whole)) :]
        file.write_bytes(damaged)
        results, _, events = answers(binary)
        assert results == first and of(events, CodeNotKept) and of(events, CodeKept)
    assert of(answers(binary)[2], CodeRestored)


def test_damage_of_any_entry_is_said(binary, home):
    """Also of the small ones, that say which binary a file is and that it was loaded before."""
    path = home / "app.wasm"
    path.write_bytes(binary)
    path.chmod(0o644)
    time.sleep(2.1)  # its digest is kept then
    first, _, _ = answers(path)
    answers(path)
    entries = sorted((home / "cache/stratavm/code").iterdir())
    labels = set()
    for entry in entries:
        disk = DiskCache(*default_folders())
        label = disk.label(bytes.fromhex(entry.stem))
        labels.add(label.partition(" of ")[0])
        damaged = bytearray(entry.read_bytes())
        damaged[-1] ^= 1
        entry.write_bytes(damaged)
        by_file = not label.startswith("first start")  # which nobody asks for who knows the file
        results, _, events = answers(path if by_file else binary)
        assert results == first and of(events, CodeNotKept), label
    assert labels >= {"code", "skeleton", "first start", "digest"}


@pytest.mark.trace_slow
def test_damage_that_is_marked_as_right_publishes_nothing(binary):
    """The bytes are looked at even so: counts, places, tables, functions named twice."""
    engine = Engine(cache=False)
    module = Module(binary, engine=engine)
    module.compile_all()
    good = module.code.pack_code()
    row = int.from_bytes(good[12:16], "little")
    chance = random.Random(7)
    refused = 0
    for n in range(400):
        data = bytearray(good)
        if n % 4 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            at = chance.randrange(16 + row * COUNT) if n % 2 else chance.randrange(len(data))
            data[at] ^= 1 << chance.randrange(8)
        other = Module(binary, engine=engine)
        try:
            other.code.restore_code(bytes(data))
        except ValueError:
            refused += 1
            assert other.code.compiled == 0
    assert refused > 200
    with pytest.raises(ValueError):
        Module("(module (func))", engine=engine).code.restore_code(good)
    twice = bytearray(good)
    twice[16 + row : 16 + row + 4] = twice[16:20]  # the second row is of the first one's function
    with pytest.raises(ValueError, match="a row is wrong"):
        Module(binary, engine=engine).code.restore_code(bytes(twice))


def run_some(binary, numbers):
    """Call some functions of a module that comes and goes; the events."""
    engine = Engine(tier="jit0")
    with EventRecorder(engine.bus) as recorder:
        module = Module(binary, engine=engine)
        exports = Linker(engine).instantiate(Store(engine), module).exports
        assert [exports[f"f{n}"](0) for n in numbers] == list(numbers)
        del exports, module
        gc.collect()
        engine.bus.drain()
    return recorder.events


def code_entries():
    """What there is of code, by how its label begins."""
    folder, key_folder = default_folders()
    cache = DiskCache(folder, key_folder)
    labels = {entry.key: cache.label(bytes.fromhex(entry.key)) for entry in cache.entries()}
    return {
        label.partition(" of ")[0]: folder + "/" + key + ".entry" for key, label in labels.items() if "code" in label
    }


def test_a_little_more_code_is_kept_beside_the_rest(binary, home):
    """A start that compiles a little more does not write megabytes for it, and the next one does not compile it."""
    [all_of_it] = of(run_some(binary, range(64)), CodeKept)
    [kept] = of(run_some(binary, [100, 101]), CodeKept)
    assert kept.functions == 66 and kept.bytes < all_of_it.bytes // 16
    assert code_entries().keys() == {"code", "newer code"}
    events = run_some(binary, [100, 101, 5])
    assert [event.functions for event in of(events, CodeRestored)] == [66]
    assert not of(events, FunctionCompiled) and not of(events, CodeKept)
    [kept] = of(run_some(binary, [102]), CodeKept)
    assert kept.functions == 67
    assert [event.functions for event in of(run_some(binary, [100, 101, 102]), CodeRestored)] == [67]
    [kept] = of(run_some(binary, range(100, 120)), CodeKept)
    assert kept.functions == 84 and kept.bytes > all_of_it.bytes
    assert code_entries().keys() == {"code"}, "what is in one entry now is not in the other"
    events = run_some(binary, range(100, 120))
    assert [event.functions for event in of(events, CodeRestored)] == [84] and not of(events, FunctionCompiled)


def test_what_lies_beside_is_believed_no_more_than_the_rest(binary, home):
    """Damaged it is a miss and an event; what it lies beside is used. Alone it is nothing."""
    run_some(binary, range(64))
    run_some(binary, [100, 101])
    beside = Path(code_entries()["newer code"])
    data = bytearray(beside.read_bytes())
    data[-100] ^= 1
    beside.write_bytes(data)
    events = run_some(binary, [100, 5])
    assert [event.functions for event in of(events, CodeRestored)] == [64]
    assert len(of(events, FunctionCompiled)) == 1 and "damaged" in of(events, CodeNotKept)[0].reason
    assert code_entries().keys() == {"code", "newer code"}, "it was written again"
    Path(code_entries()["code"]).unlink()
    events = run_some(binary, [100, 5])
    assert not of(events, CodeRestored) and len(of(events, FunctionCompiled)) == 2
    assert code_entries().keys() == {"code"}


def test_a_file_that_nobody_else_may_change_is_known_without_reading_it(binary, home, monkeypatch):
    """By device, inode, size and times, once it has been left alone for two seconds; else it is read each time."""
    path = home / "app.wasm"
    path.write_bytes(binary)
    digests = []
    real = codecache.digest
    monkeypatch.setattr(codecache, "digest", lambda *parts: digests.append(max(map(len, parts))) or real(*parts))

    def hashed():
        digests.clear()
        answers(path)
        return max(digests) == len(binary)

    written = path.stat().st_mtime_ns
    monkeypatch.setattr(codecache.time, "time_ns", lambda: written)
    assert hashed() and hashed()  # it is new
    later = written + 3_600_000_000_000
    monkeypatch.setattr(codecache.time, "time_ns", lambda: later)
    assert hashed() and not hashed()
    os.utime(path, ns=(10**9, path.stat().st_mtime_ns))  # it was never read, as it seems: reading changes that
    later = time.time_ns() + 3_600_000_000_000
    assert hashed() and not hashed()
    os.utime(path)  # its bytes are as before, but who knows
    assert hashed()
    path.chmod(0o666)
    assert hashed() and hashed()


def test_a_file_that_is_rewritten_is_another_one(home):
    """In the tick in which it was hashed, and with its times set back."""
    one, two = (Module(text(changed=c), engine=Engine(cache=False)).model.binary for c in ("1", "2"))
    assert len(one) == len(two)
    path = home / "app.wasm"
    for binary, expected in ((one, 71), (two, 72), (one, 71)):
        path.write_bytes(binary)
        os.utime(path, ns=(10**18, 10**18))
        engine = Engine()
        exports = Linker(engine).instantiate(Store(engine), Module(path, engine=engine)).exports
        assert exports.f7(0) == expected


def test_a_file_that_changes_through_a_mapping_is_another_one(home):
    """Its times do not change while a page is dirty already, and on tmpfs never."""
    one, two = (Module(text(changed=c), engine=Engine(cache=False)).model.binary for c in ("1", "2"))
    path = home / "app.wasm"
    path.write_bytes(one)

    def answer():
        engine = Engine()
        result = Linker(engine).instantiate(Store(engine), Module(path, engine=engine)).exports.f7(0)
        gc.collect()  # an entry is written when its module goes
        return result

    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[:] = one
        time.sleep(2.2)  # it is settled then
        assert [answer(), answer()] == [71, 71]
        mapping[:] = two
        assert answer() == 72


def test_a_file_is_settled_when_a_change_would_show():
    """Two seconds after the last change, by both times; never one that others may write."""
    identity = FileIdentity((1, 2, 3, 5_000_000_000, 6_000_000_000), True)
    assert not identity.settled(7_999_999_999) and identity.settled(8_000_000_000)
    assert not FileIdentity(identity.numbers, False).settled(10**12)


PROGRAM = """
import sys
from stratavm import Engine, Linker, Module, Store
engine = Engine()
exports = Linker(engine).instantiate(Store(engine), Module(sys.argv[1], engine=engine)).exports
print(*(exports[f"f{n}"](9) for n in range(200)))
"""


def test_many_processes_at_once_make_one_entry(binary, home):
    """All are right; the last one to end has written it."""
    path = home / "app.wasm"
    path.write_bytes(binary)
    children = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert len({child.communicate()[0] for child in children}) == 1
    assert not any(child.returncode for child in children)
    files = list((home / "cache/stratavm/code").iterdir())
    assert all(file.name.endswith(".entry") for file in files)
    assert sum(file.stat().st_size > 500 for file in files) == 2  # and perhaps the digest of the binary


TO_THE_END = """
import sys, stratavm
engine = stratavm.Engine()
module = stratavm.Module(sys.argv[1], engine)
sys.unraisablehook = lambda what: module  # all names live until the last
print(module.code.compiled)
stratavm.Linker(engine).instantiate(stratavm.Store(engine), module).exports.f1(9)
"""


def test_a_process_that_ends_with_code_of_before_says_nothing(binary, tmp_path):
    """A module that lives as long as the interpreter goes when Python's own modules have gone."""
    path = tmp_path / "app.wasm"
    path.write_bytes(binary)
    for compiled in ("0\n", "4\n"):
        command = [sys.executable, "-c", TO_THE_END, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, compiled, "")


def test_a_child_that_was_forked_leaves_it_to_its_parent(binary, home):
    """It has what the parent compiled, and would write it once more."""
    module = Module(binary, engine=Engine())  # the default one may have another test's folder
    module.compile_all()
    child = os.fork()
    if not child:
        written = 99
        try:
            del module
            gc.collect()
            written = len(list((home / "cache/stratavm/code").iterdir()))
        finally:
            os._exit(written)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    del module
    gc.collect()
    assert len(list((home / "cache/stratavm/code").iterdir())) == 3


def test_functions_on_the_oracle_are_not_kept(binary, monkeypatch):
    """Their stubs are of this process."""
    module = Module(binary, engine=Engine(cache=False))
    module.compile_all()
    whole = len(module.code.pack_code())
    assert isinstance(module.code, JitModule)
    module.code.lazy.fallbacks[module.code.lazy.first] = "planted"
    assert len(module.code.pack_code()) < whole


def test_what_is_loaded_and_compiled_beside_a_loop_is_kept_there(binary):
    """Not when the module goes, which may be in the loop's thread; then there is nothing left to write."""
    seen = []
    engine = Engine()
    engine.bus.subscribe(CodeKept, lambda _: seen.append(threading.get_ident()))

    async def main():
        await Module.load_async(binary, engine)
        gc.collect()
        assert seen == []
        module = await Module.load_async(binary, engine, compile=True)
        assert len(seen) == 1 and seen[0] != threading.get_ident()
        del module
        gc.collect()
        assert len(seen) == 1

    asyncio.run(main())
    restored = EventRecorder((second := Engine()).bus)
    Module(binary, second)
    assert restored.of(CodeRestored)


def test_a_model_that_was_given_has_no_kept_code(binary):
    """It may have been changed since it was decoded: its binary does not say what it is."""
    answers(binary)
    model = Module(binary, engine=Engine(cache=False)).model
    made = Module.from_model(model, engine=Engine())
    assert made.code.compiled == 0
    made.compile_all()
    before = sorted(Path(os.environ["XDG_CACHE_HOME"], "stratavm/code").iterdir())
    del made
    gc.collect()
    assert sorted(Path(os.environ["XDG_CACHE_HOME"], "stratavm/code").iterdir()) == before
