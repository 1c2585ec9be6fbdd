"""Claims about later starts, for which the rest of a binary is read when it is wanted: they do what the first does."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from stratavm import Engine, Linker, MemorySlots, Module, Store, ValidationError
from stratavm.cli import run
from stratavm.cli.program import Options
from stratavm.engine import codecache
from stratavm.engine.cache import SharedModuleCache
from stratavm.engine.codecache import CodeRestored, ImageKept, ImageRestored, SkeletonRestored
from stratavm.engine.source import read_source
from stratavm.module import validate
from stratavm.module.reader import Reading
from stratavm.services import ahead
from stratavm.services.ahead import look_ahead
from stratavm.testing import EventRecorder
from stratavm.tiers.policy import Policy, Thresholds
from tests.forks import forked

pytestmark = pytest.mark.usefixtures("home")

COUNT, KEPT = 120, 40
TWO_MB = "x" * (2 << 20)
TEXT = (
    '(module $calculator (memory (export "memory") 64) (table (export "t") funcref (elem $f3 $f5))'
    + "".join(
        f'(func $f{n} (export "f{n}") (result i32)'
        + "".join(f"(i32.store (i32.const {8 * k}) (i32.const {n}))" for k in range(400))
        + f"(i32.const {n}))"
        for n in range(COUNT)
    )
    + '(func (export "passive") (memory.init $later (i32.const 4194000) (i32.const 0) (i32.const 200)))'
    + f'(data (i32.const 65536) "{TWO_MB}") (data $later "{"y" * 200_000}")'
    + ")"
)


@pytest.fixture(scope="module")
def binary() -> bytes:
    """A program of megabytes."""
    mine = b"\4mine" + b"z" * 100_000
    return Module(TEXT, engine=Engine(cache=False)).model.binary + b"\0\xa5\x8d\x06" + mine


@pytest.fixture
def program(tmp_path: Path, binary: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its file, which counts as left alone for long."""
    path = tmp_path / "program.wasm"
    path.write_bytes(binary)
    monkeypatch.setattr(codecache, "SETTLED_NS", -(1 << 62))
    return path


def loaded(program: Path, **options) -> tuple[Module, EventRecorder]:
    """The program as the command loads it."""
    reading = Reading.of(str(program), 1)
    look_ahead(reading, None, "")
    reading.begin()
    reading.complete()
    engine = Engine(**{"tier": "jit0", **options})
    recorder = EventRecorder(engine.bus)
    with recorder:
        module = Module(reading, engine=engine)
    return module, recorder


def ran(module: Module, count: int = 3) -> bytes:
    """Call some functions; the memory."""
    exports = Linker(module.engine).instantiate(Store(module.engine), module).exports
    assert [exports[f"f{n}"]() for n in range(count)] == [*range(count)]
    exports.passive()
    return bytes(exports.memory[65536 - 1 : 4194000 + 201])


def kept(program: Path, **options) -> None:
    """A start that keeps what it found."""
    module, _ = loaded(program, **options)
    ran(module, KEPT)
    del module
    gc.collect()


def test_a_later_start_reads_neither_code_nor_names_nor_data_that_it_does_not_want(program, binary):
    """What it calls was compiled; what it did not call before is compiled from what is read then."""
    expected = ran(loaded(program)[0])
    kept(program)
    for _ in range(2):
        module, recorder = loaded(program)
        assert recorder.of(SkeletonRestored) and recorder.of(CodeRestored)
        assert module.model.rest is not None and "binary" not in vars(module.model)
        assert module.model.size == len(binary) and module.name == "program.wasm"
        assert ran(module) == expected and "binary" not in vars(module.model)
        assert ran(module, COUNT) == expected and "binary" not in vars(module.model)
        del module
        gc.collect()


def test_of_a_file_that_may_change_at_any_time_all_is_kept(program, binary, monkeypatch):
    """As ``strata run --hot`` says of it, or a folder that the guest may write to."""
    kept(program)
    asked = []
    monkeypatch.setattr(run, "LARGE_BYTES", 1)

    def look(reading, folder, way, later_ms):
        asked.append(later_ms)
        look_ahead(reading, folder, "", later_ms)  # as ``loaded`` has it

    monkeypatch.setattr(ahead, "look_ahead", look)
    to_read, to_write = (".", "/a", True), (".", "/b", False)
    for hot, folders, later_ms in (
        (True, [], None),
        (False, [], run.LATER_MS),
        (False, [to_read], run.LATER_MS),
        (False, [to_read, to_write], None),
    ):
        nothing = dict.fromkeys(("cache", "tier", "fuel", "allocator", "memory_plan", "proposal", "profile_out"))
        options = Options(module=str(program), hot=hot, dir=folders, **nothing)
        run._read_ahead(options)
        options.reading.result()
        assert asked.pop() == later_ms and options.reading.has_rest() is (later_ms is not None)
    reading = Reading.of(str(program), 1)
    look_ahead(reading, None, "", None)
    reading.begin()
    assert reading.result()[0] == binary and not reading.has_rest()


def test_what_the_compiler_needs_is_made_when_it_compiles(program, monkeypatch):
    """Once: facts of all bodies are megabytes, and what was compiled before needs none."""
    expected = ran(loaded(program)[0])
    kept(program)
    asked = []
    plain = validate._known
    monkeypatch.setattr(validate, "_known", lambda *given: asked.append(given) or plain(*given))
    module, _ = loaded(program)
    assert ran(module) == expected and not asked
    assert ran(module, COUNT) == expected and ran(module, COUNT) == expected and len(asked) == 1
    assert module.valid.bodies.vouched and module.valid.context.module is module.model and len(asked) == 1


def test_all_that_a_module_says_of_itself_is_what_it_was(program, binary):
    """Names, custom sections, the binary, its image, a snapshot."""
    plain = Module(binary, engine=Engine(cache=False))
    kept(program)
    for ask in (
        lambda m: m.model.func_name(7),
        lambda m: m.model.names.module,
        lambda m: {name: content for name, content in m.custom_sections.items() if name != "name"},
        lambda m: m.custom_sections["name"],
        lambda m: m.model.binary,
        lambda m: [(d.start, d.end, d.offset) for d in m.model.datas],
        lambda m: m.model.total == b"" or m.model.total,
        lambda m: Module.deserialize(m.serialize()).model.binary,
    ):
        module, _ = loaded(program)
        assert module.model.rest is not None
        found, wanted = ask(module), ask(plain)
        assert (found == wanted and wanted) or (wanted is True and len(found) == 8)


@pytest.mark.parametrize("options", [{"tier": "oracle"}, {"fuel": True}, {"tier": "jit1"}], ids=str)
def test_who_finds_nothing_of_his_own_has_all_read(program, options):
    """Other options have other entries; the note of the command's is for its own."""
    expected = ran(loaded(program)[0])
    kept(program)
    module, _ = loaded(program, **options)
    if options.get("fuel"):
        exports = Linker(module.engine).instantiate(Store(module.engine, fuel=10**6), module).exports
        assert exports.f5() == 5
    else:
        assert ran(module, COUNT) == expected


def test_an_engine_that_shares_modules_finds_it_as_well(program, binary):
    """By all of its bytes."""
    kept(program)
    module, _ = loaded(program)
    cache = SharedModuleCache()
    cache.keep(module._loaded)
    assert cache.find(binary) is module._loaded and cache.find(binary[:-1] + b"?") is None
    del module
    gc.collect()
    module, _ = loaded(program)
    cache.keep(module._loaded)
    at = binary.index(b"x" * 1000) + 200_000
    other = binary[:at] + b"?" + binary[at + 1 :]
    program.write_bytes(other)  # what it was nobody can say any more
    assert module.model.rest is not None and cache.find(other) is None


def test_a_source_that_is_asked_for_twice_is_read_again_as_a_whole(program, binary):
    """By its path, where another file may be by then: nothing of the first one is taken."""
    kept(program)
    reading = Reading.of(str(program), 1)
    look_ahead(reading, None, "")
    reading.begin()
    assert read_source(reading).rest is reading
    other = program.with_name("other")
    other.write_bytes(binary[:-1] + b"?")
    other.rename(program)
    again = read_source(reading)
    assert again.rest is None and again.binary == binary[:-1] + b"?"


@pytest.mark.parametrize("what", ["code", "skeleton", "digest"])
def test_without_an_entry_it_is_read(program, home, what):
    """The note may be all that is left."""
    expected = ran(loaded(program)[0])
    kept(program)
    for file in (home / "cache/stratavm/code").iterdir():
        if f"{what} of program.wasm".encode() in file.read_bytes()[:4096]:
            file.unlink()
            break
    else:
        raise AssertionError("there is no such entry")
    assert ran(loaded(program)[0], COUNT) == expected


@pytest.mark.parametrize("when", ["compiled", "copied"])
def test_a_file_that_is_written_anew_meanwhile_is_an_error_and_nothing_else(program, binary, when):
    """No function is compiled, and no memory is filled, from anything but what was loaded."""
    kept(program)
    module, _ = loaded(program)
    store = Store(module.engine)
    exports = Linker(module.engine).instantiate(store, module).exports if when == "compiled" else None
    with open(program, "r+b") as file:
        at = binary.index(b"x" * 1000) if when == "copied" else 0
        file.seek(at)
        file.write(bytes(len(binary) - at))
    if exports is None:
        with pytest.raises(OSError, match="has changed since it was read"):
            Linker(module.engine).instantiate(store, module)
        return
    assert exports.f2() == 2
    with pytest.raises(ValidationError, match="found to be valid before is not") as caught:
        exports[f"f{KEPT + 20}"]()  # neither at the beginning of all code nor at its end
    assert "did the file of the module change?" in caught.value.hint


@pytest.mark.parametrize("way", ["call", "loop"])
def test_what_cannot_be_compiled_anew_goes_on_at_level_0(program, binary, alone, way):
    """It has code, which is right, whatever the file is by now."""
    options = {"tier": "auto", "services": {Policy: Thresholds(2, 1, False, calls_waited=2)}}
    kept(program, **options)
    module, _ = loaded(program, **options)
    exports = Linker(module.engine).instantiate(Store(module.engine), module).exports
    program.write_bytes(bytes(len(binary)))
    lazy = module.code.lazy
    lifting = lazy.lifting()
    assert lazy.table.level(20) == 0
    if way == "call":
        assert [exports.f20() for _ in range(99)] == [20] * 99
    else:
        lazy.lift_loop(20, lazy.table.code(20))
        assert exports.f20() == 20
    reason = lifting.reasons[20] if way == "call" else lifting.loops[-1].reason
    assert "valid before is not" in reason and lazy.table.level(20) == 0


def test_slots_show_what_was_laid_out_from_the_second_start_on(program):
    """It is laid out at the first one, since a service has more instances; and a slot is as it was when it is free."""
    options = {"memory_slots": MemorySlots(8, keep_pages=64)}
    module, _ = loaded(program, **options)
    with EventRecorder(module.engine.bus) as recorder:
        expected = ran(module)
        engine = module.engine
        del module
        gc.collect()
        engine.bus.drain()
    assert recorder.of(ImageKept)
    for _ in range(2):
        module, _ = loaded(program, **options)
        with EventRecorder(module.engine.bus) as recorder:
            assert ran(module) == expected
            assert ran(module) == expected and ran(module) == expected  # which lays out one of its own
            module.engine.bus.drain()
        assert len(recorder.of(ImageRestored)) == 1
        del module
        gc.collect()


def test_instances_in_a_child_that_was_forked(program):
    """They compile what they call there."""
    expected = ran(loaded(program)[0])
    kept(program)
    module, _ = loaded(program)
    assert forked(lambda: ran(module, COUNT) == expected)
