"""Claims about images: they hold all code of a module, as it is compiled afresh, and it runs only if authenticated."""

import errno
import gc
import os
import pickle
import subprocess
import sys
import weakref

import pytest

import stratavm
from stratavm import DecodeError, Engine, Linker, Module, Store, Trap
from stratavm.aot import container
from stratavm.base.leb import read_uleb
from stratavm.engine import aot, codecache, source
from stratavm.engine.aot import BuiltCodeRefused, BuiltCodeUsed, ModuleBuilt
from stratavm.engine.cache import ModuleCache, SharedModuleCache
from stratavm.module.limits import Limits
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.native.compile import ModuleCompiler
from stratavm.testing import EventRecorder
from stratavm.tiers.events import FunctionCompiled

TEXT = """(module $app (memory 1) (table funcref (elem $three $answer))
  (func $three (export "three") (result i32) (i32.const 3))
  (func $answer (export "answer") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (call $three)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))
  (func (export "trap") (param i32) (result i32) (i32.add (call $read (local.get 0)) (i32.const 1)))
  (func $read (param i32) (result i32) (i32.load (local.get 0))))"""
FOREIGN = TEXT.replace("(result i32) (i32.const 3))", "(result i32) (i32.const 666))")
EDITED = TEXT.replace("(call $read (local.get 0)) (i32.const 1)", "(call $read (local.get 0)) (i32.const 2)")
KEY = b"0123456789abcdef"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A key and a cache of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def answers(module):
    """What the functions say, and where the trap is."""
    store = Store(module.engine, fuel=10**6 if module.engine.config.fuel else None)
    exports = Linker(module.engine).instantiate(store, module).exports
    with pytest.raises(Trap) as trap:
        exports.trap(1 << 20)
    return exports.three(), exports.answer(7), str(trap.value), [str(frame) for frame in trap.value.frames]


EXPECTED = answers(Module(TEXT))


def load(make, **options):
    """The module that ``make`` makes of an engine, and why its code was refused; empty: it runs, and nothing else."""
    engine = Engine(**options)
    with EventRecorder(engine.bus) as recorder:
        module = make(engine)
        found = answers(module)
        engine.bus.drain()
    used = [e for e in recorder.events if isinstance(e, BuiltCodeUsed)]
    refused = [e for e in recorder.events if isinstance(e, BuiltCodeRefused)]
    compiled = [e for e in recorder.events if isinstance(e, FunctionCompiled)]
    assert len(used) + len(refused) == 1
    assert bool(compiled) is not bool(used), "either the code runs or the binary is compiled"
    return found, refused[0].reason if refused else ""


def forged(key=None, tier="jit1"):
    """An image of the module with code of another one, and digests that fit."""
    parts = container.read(Module.build(TEXT, tier=tier).serialize())
    others = container.read(Module.build(FOREIGN, tier=tier).serialize())
    sections = {"facts": parts.section("facts"), "code": others.section("code"), "binary": parts.section("binary")}
    return b"".join(container.write(sections, key))


# ---- what is in it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
@pytest.mark.parametrize(
    "options", [{}, {"tier": "jit1"}, {"tier": "auto"}, {"fuel": True}, {"memory_plan": "bounded"}], ids=str
)
def test_code_from_an_image_answers_as_what_is_compiled(tier, options):
    """Traps and their frames included; nothing is compiled."""
    data = Module.build(TEXT, Engine(**options), tier=tier).serialize()
    found, refused = load(lambda engine: Module.deserialize(data, engine), **options)
    assert (found[:2], refused) == (EXPECTED[:2], "") and found[3] == EXPECTED[3]


def test_a_built_module_runs_the_code_that_it_was_built_with():
    """It need not be loaded again; of another tier's engine, too."""
    engine = Engine()
    with EventRecorder(engine.bus) as recorder:
        module = Module.build(TEXT, engine)
        assert answers(module) == EXPECTED
        engine.bus.drain()
    (built,) = [e for e in recorder.events if isinstance(e, ModuleBuilt)]
    assert (built.functions, built.compiled) == (4, 4)
    assert not [e for e in recorder.events if isinstance(e, FunctionCompiled)]
    assert {module.code.lazy.table.level(i) for i in range(4)} == {1}


def test_an_image_is_the_same_whoever_builds_it(home):
    """In another process, of a module that was run before, of one that came from an image, by one thread or two."""
    data = Module.build(TEXT, Engine(threads=1)).serialize()
    code = "import sys; from stratavm import *; sys.stdout.buffer.write(Module.build(sys.argv[1]).serialize())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run([sys.executable, "-c", code, TEXT], capture_output=True, check=True, env=environment)
    assert child.stdout == data
    for options in ({}, {"tier": "jit1"}, {"tier": "auto", "lift_after": 1}, {"tier": "oracle"}):
        module = Module(TEXT, engine=Engine(**options))
        answers(module)
        assert module.serialize() == data, options
    assert Module.deserialize(data).serialize() == data
    assert Module.build(data).serialize().endswith(Module(TEXT).model.binary)


def test_what_the_compiler_refuses_is_left_out(monkeypatch):
    """It runs on the oracle afterwards as before, and a report says so."""
    real = ModuleCompiler.by

    def by(compiler, index, worker, act):
        if index == 1:
            raise stratavm.Unsupported("no rule for this row")
        return real(compiler, index, worker, act)

    monkeypatch.setattr(ModuleCompiler, "by", by)
    monkeypatch.setattr(ModuleCompiler, "compile_batch", lambda compiler, indices, worker: list(indices))
    monkeypatch.setattr(ModuleCompiler, "without_python", False)
    built, report = aot.build_module(Module, TEXT, Engine(), aot.Order())
    assert report.fallbacks == ((1, "answer", "no rule for this row"),)
    module = Module.deserialize(built.serialize())
    assert module.code.compiled == 3 and answers(module) == EXPECTED


def test_modules_are_pickled_as_images():
    """Of the default engine afterwards; code under the same rule."""
    module = pickle.loads(pickle.dumps(Module(TEXT, engine=Engine(tier="jit1"))))
    assert module.engine is stratavm.engine.engine.default_engine()
    assert module.code.compiled == 4 and answers(module) == EXPECTED


def test_a_module_of_a_model_has_no_image():
    """The model may be another than the binary says."""
    module = Module.from_model(Module(TEXT).model)
    with pytest.raises(ValueError, match="made of a model"):
        module.serialize()
    with pytest.raises(ValueError, match="made of a model"):
        pickle.dumps(module)


def test_every_place_that_takes_a_source_takes_an_image(home):
    """Paths, bytes, and what Python imports."""
    path = home / "shipped.strata"
    Module.build(TEXT).serialize_file(path)
    assert answers(Module(path)) == answers(Module(str(path))) == EXPECTED
    assert stratavm.load(path).exports.three() == stratavm.load(path.read_bytes()).exports.three() == 3
    code = f"import sys; sys.path.insert(0, {str(home)!r}); import stratavm.importer, shipped; print(shipped.answer(2))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment).stdout == b"6\n"
    )


def test_an_image_may_be_longer_than_a_binary_may(home):
    """The limit is the module's."""
    limits = stratavm.Config().limits
    size = len(Module(TEXT).model.binary)
    small = stratavm.base.forms.replace(limits, module_bytes=size)
    path = home / "app.strata"
    Module.build(TEXT).serialize_file(path)
    assert path.stat().st_size > size
    assert answers(Module(path, engine=Engine(limits=small)))[0] == 3
    with pytest.raises(stratavm.ResourceLimit):
        Module(path, engine=Engine(limits=stratavm.base.forms.replace(limits, module_bytes=size - 1)))


@pytest.mark.parametrize("data", [b"", b"\0asm\1\0\0\0", TEXT.encode()], ids=["nothing", "binary", "text"])
def test_what_is_no_image_is_not_deserialized(data, home):
    """Although it may be a module."""
    with pytest.raises(DecodeError):
        Module.deserialize(data)
    (home / "file").write_bytes(data)
    with pytest.raises(DecodeError):
        Module.deserialize_file(home / "file")
    with pytest.raises(TypeError, match="data must be the bytes"):
        Module.deserialize(str(home / "file"))


# ---- whose code runs ----------------------------------------------------------------------------------------------


def test_foreign_code_with_right_digests_never_runs(home):
    """Bytes, files, pickles: whatever takes an image compiles the binary in it, and says why."""
    path = home / "app.strata"
    for data in (forged(), forged(KEY), forged(b"l" * 32)):
        path.write_bytes(data)
        path.chmod(0o666)
        for make in (
            lambda engine, data=data: Module(data, engine=engine),
            lambda engine, data=data: Module.deserialize(data, engine),
            lambda engine, data=data: Module.deserialize(data, engine, key=b"another key than that"),
            lambda engine: Module(path, engine=engine),
            lambda engine: Module.deserialize_file(path, engine),
        ):
            found, refused = load(make)
            assert found == EXPECTED and "mark" in refused
    assert stratavm.load(path).exports.three() == 3
    assert Module.build(TEXT, old=forged()).serialize() == Module.build(TEXT).serialize()
    assert answers(pickle.loads(pickle.dumps(Module(forged())))) == EXPECTED


def test_the_forgery_would_run_if_it_were_trusted():
    """Or the test above would show nothing."""
    assert answers(Module.deserialize(forged(), trusted=True))[0] == 666


def test_code_runs_by_this_users_key_and_by_no_other(home):
    """The key of the code cache."""
    data = Module.build(TEXT).serialize()
    assert load(lambda engine: Module.deserialize(data, engine))[1] == ""
    assert load(lambda engine: Module(data, engine=engine))[1] == ""
    (home / "state/stratavm/cache.key").write_bytes(b"o" * 32)
    assert "not by this user's key" in load(lambda engine: Module.deserialize(data, engine))[1]
    (home / "state/stratavm/cache.key").unlink()
    assert "has no key" in load(lambda engine: Module.deserialize(data, engine))[1]
    assert not (home / "state/stratavm/cache.key").exists()
    assert load(lambda engine: Module.deserialize(data, engine, trusted=True))[1] == ""


def test_a_key_that_is_given_is_the_only_one_that_counts(home):
    """This user's does not."""
    data = Module.build(TEXT).serialize(key=KEY)
    assert load(lambda engine: Module.deserialize(data, engine, key=KEY))[1] == ""
    assert load(lambda engine: Module.deserialize(data, engine))[1] != ""
    own = Module.build(TEXT).serialize()
    assert "key that was given" in load(lambda engine: Module.deserialize(own, engine, key=KEY))[1]


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o644])
def test_rights_of_a_file_are_no_trust(home, mode):
    """Linkers make their files executable, archives keep that, and a guest with a folder writes files of its user."""
    path = home / "app.wasm"
    for data in (forged(), forged(KEY)):
        path.write_bytes(data)
        path.chmod(mode)
        for make in (Module.deserialize_file, Module):
            found, refused = load(lambda engine, make=make: make(path, engine))
            assert found == EXPECTED and "mark" in refused


def test_trust_for_one_process_is_none_for_others(home):
    """Who takes foreign code does not put this user's mark on it: what it writes was compiled here."""
    trusted = Module.deserialize(forged(), trusted=True)
    assert answers(trusted)[0] == 666
    for data in (trusted.serialize(), pickle.dumps(trusted)):
        again = pickle.loads(data) if data[:2] == b"\x80\x04" else Module.deserialize(data)
        assert answers(again) == EXPECTED


@pytest.mark.parametrize("given", [{"trusted": True}, {"key": KEY}], ids=str)
def test_code_of_an_old_image_has_no_mark_but_that_of_its_maker(given):
    """A build that follows an image of others may take code from there; what it writes under another mark has none."""
    built = Module.build(EDITED, old=forged(given.get("key"), "jit0"), tier="jit0", **given)
    assert answers(built)[0] == 666
    full = Module.build(EDITED, tier="jit0").serialize()
    assert built.serialize() == full and answers(pickle.loads(pickle.dumps(built)))[0] == 3
    assert built.serialize(key=b"another key than that") != built.serialize(key=KEY)
    again = Module.deserialize(built.serialize(key=KEY), key=KEY)
    assert answers(again)[0] == (666 if "key" in given else 3)


def test_what_others_say_of_bodies_has_no_mark_either():
    """An image says of its bodies whether a tail call leaves the instance, and code of the module depends on that."""
    text = '(module (import "a" "b" (func $b)) (func (export "f") (return_call $b)) (func (export "g") (call 1)))'
    honest = Module.build(text).serialize()
    parts = container.read(honest)
    sections = {name: parts.section(name) for name in parts.sections}
    said = bytearray(sections["skeleton"])
    place = 0
    for _ in range(5):  # numbers that stand before whether one leaves
        place = read_uleb(said, place)[1]
    assert said[place] == 1
    said[place] = 0
    sections["skeleton"] = bytes(said)
    told = Module.deserialize(b"".join(container.write(sections)), trusted=True)
    assert told.serialize() == pickle.loads(pickle.dumps(told)).serialize() == honest


def test_an_update_carries_no_code_of_others_to_the_cache(home):
    """Where an engine shares what it has loaded, the new module may be one whose code is kept."""
    padding = '(data (i32.const 0) "' + "x" * (1 << 16) + '")'
    old, new = (text[:-1] + padding + ")" for text in (TEXT, EDITED))
    parts, others = (container.read(Module.build(t).serialize()) for t in (old, old.replace("const 3)", "const 666)")))
    sections = {"facts": parts.section("facts"), "code": others.section("code"), "binary": parts.section("binary")}
    engine = Engine(services={ModuleCache: SharedModuleCache()})
    known = Module(parse_wat_to_bytes(new), engine)
    trusted = Module.deserialize(b"".join(container.write(sections)), engine, trusted=True)
    instance = Linker(engine).instantiate(Store(engine), trusted)
    assert instance.update(known.model.binary).applied and instance.exports.three() == 666
    assert instance.module.code is known.code
    known._keep()
    assert answers(Module(known.model.binary, Engine()))[0] == 3


@pytest.mark.parametrize(
    ("given", "options", "compiled"),
    [
        ({}, {}, False),
        ({}, {"tier": "jit1"}, False),
        ({"trusted": True}, {}, False),
        ({"key": KEY}, {}, True),
        ({}, {"fuel": True}, True),
        ({}, {"allocator": "naive"}, True),
        ({}, {"tier": "oracle"}, True),
    ],
    ids=str,
)
def test_code_of_an_own_image_is_not_compiled_again_to_be_written(home, monkeypatch, given, options, compiled):
    """Of any other, or for other options, it is: what this process was told to trust gets no mark of this user's."""
    data = Module.build(TEXT).serialize(key=given.get("key"))
    engine = Engine(**options)
    module = Module.deserialize(data, engine, **given)
    answers(module)
    built, real = [], aot._build
    monkeypatch.setattr(aot, "_build", lambda *values: built.append(1) or real(*values))
    again = module.serialize()
    assert bool(built) is compiled
    assert answers(Module.deserialize(again, engine))[:2] == EXPECTED[:2]
    if not options:
        assert again == Module.build(TEXT).serialize()


def test_code_that_was_compiled_besides_is_not_taken_for_the_images(home):
    """Whoever made it: then all is compiled."""
    data = Module.build(TEXT, tier="jit0").serialize()
    module = Module.deserialize(data, Engine(tier="auto", lift_after=1))
    answers(module)
    assert module.serialize() == Module.build(TEXT, module.engine).serialize()


def test_images_are_programs(home):
    """For ``stratavm.run`` as for ``strata run``."""
    path = home / "app.strata"
    Module.build('(module (func (export "_start")))').serialize_file(path, key=KEY, executable=True)
    assert stratavm.run(path).reason == "exit"
    assert stratavm.run(path, isolate=True).reason == "exit"


@pytest.mark.parametrize(("key", "error"), [("x" * 32, TypeError), (b"short", ValueError), (b"x" * 65, ValueError)])
def test_what_is_no_key_is_refused(key, error):
    """Everywhere."""
    module = Module.build(TEXT)
    data = module.serialize()
    for call in (lambda: module.serialize(key=key), lambda: Module.deserialize(data, key=key)):
        with pytest.raises(error, match="key must"):
            call()


# ---- where it runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("built", "here", "why"),
    [
        ({}, {"fuel": True}, "its code counts no fuel, and this engine does"),
        ({"memory_plan": "bounded"}, {}, "its code has the memory plan bounded, and this engine guard"),
    ],
    ids=str,
)
def test_code_for_other_options_does_not_run(built, here, why):
    """The binary is compiled as the engine says."""
    data = Module.build(TEXT, Engine(**built)).serialize()
    engine = Engine(**here)
    with EventRecorder(engine.bus, BuiltCodeRefused) as recorder:
        module = Module.deserialize(data, engine)
    assert why in recorder.events[0].reason
    exports = Linker(engine).instantiate(Store(engine, fuel=1000 if here.get("fuel") else None), module).exports
    assert exports.answer(7) == 21


def test_code_of_another_build_does_not_run(monkeypatch):
    """Any file of the package that has something else in it."""
    data = Module.build(TEXT).serialize()
    monkeypatch.setattr(aot, "_content_identity", lambda: b"another")
    assert "another build" in load(lambda engine: Module.deserialize(data, engine))[1]


def test_the_build_is_known_by_what_its_files_say(monkeypatch, home):
    """Not by times, which a shipped package has others of; those only spare reading the files again."""
    monkeypatch.setenv("STRATA_CACHE", "on")
    plain = aot._content_identity.__wrapped__
    first = plain()
    monkeypatch.setattr(aot, "open", lambda *_: pytest.fail("the files were read again"), raising=False)
    assert plain() == first
    monkeypatch.delattr(aot, "open")
    files = aot.package_identity()
    monkeypatch.setattr(aot, "package_identity", lambda: tuple((name, 1, 2, 3) for name, *_ in files))
    assert plain() == first
    monkeypatch.setattr(aot, "package_identity", lambda: tuple((name, 1, 2, 4) for name, *_ in files[1:]))
    assert plain() != first


def test_a_process_whose_package_was_changed_builds_nothing(monkeypatch):
    """And takes no code: it runs what it imported, and what lies there now is something else."""
    data = Module.build(TEXT).serialize()
    monkeypatch.setattr(codecache, "IMPORTED_NS", 0)
    with pytest.raises(stratavm.StrataError, match="changed since this process imported it"):
        Module.build(TEXT)
    assert "changed since" in load(lambda engine: Module.deserialize(data, engine))[1]


def test_code_for_less_than_this_processor_runs_and_code_for_more_does_not():
    """Levels of x86-64."""
    data = Module.build(TEXT, cpu="v2").serialize()
    image = container.read(data)
    facts = image.section("facts").decode()
    assert "features=popcnt sse42\n" in facts
    assert load(lambda engine: Module.deserialize(data, engine))[1] == ""
    assert load(lambda engine: Module.deserialize(data, engine), cpu="v2")[1] == ""
    sections = {name: image.section(name) for name in image.sections}
    sections["facts"] = facts.replace("popcnt", "popcnt avx9000").encode()
    newer = b"".join(container.write(sections))
    assert "avx9000" in load(lambda engine: Module.deserialize(newer, engine, trusted=True))[1]
    native = Module.build(TEXT).serialize()
    if "bmi2" in container.read(native).section("facts").decode():
        assert "lacks" in load(lambda engine: Module.deserialize(native, engine), cpu="v2")[1]


def test_a_processor_is_not_asked_for_what_it_lacks(monkeypatch):
    """An engine of such a level could run nothing that it compiles."""
    from stratavm.native import processor

    monkeypatch.setattr(processor, "host_features", lambda: processor.REQUIRED)
    with pytest.raises(ValueError, match="this processor lacks avx, bmi1, bmi2, lzcnt"):
        Engine(cpu="v3")
    with pytest.raises(ValueError, match="cpu must be one of"):
        Engine(cpu="v9")


# ---- files --------------------------------------------------------------------------------------------------------


def test_a_file_is_written_aside(home, monkeypatch):
    """Where there is no room, what was there is there still, and nothing else."""
    path = home / "out/app.strata"
    path.parent.mkdir()
    path.write_bytes(b"before")
    module, real = Module.build(TEXT), os.write
    written = []

    def full(number, data):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(len(data))
        return real(number, bytes(data[:100]))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        module.serialize_file(path)
    monkeypatch.undo()
    assert path.read_bytes() == b"before" and len(list(path.parent.iterdir())) == 1
    with pytest.raises(OSError, match=r"No space left.*/dev/full"):
        module.serialize_file("/dev/full")


def test_a_directory_that_cannot_be_written_is_said(home):
    """As any file's."""
    with pytest.raises(FileNotFoundError) as raised:
        Module.build(TEXT).serialize_file(home / "nope/app.strata")
    assert raised.value.filename == str(home / "nope/app.strata")  # and not that of a file aside
    with pytest.raises(OSError):
        Module.build(TEXT).serialize_file("/proc/app.strata")


def test_the_file_that_a_link_leads_to_is_written(home):
    """The link stays one."""
    (home / "link").symlink_to(home / "target")
    Module.build(TEXT).serialize_file(home / "link", executable=True)
    assert (home / "link").is_symlink() and (home / "target").stat().st_mode & 0o111


def test_building_ends_in_time():
    """As loading does."""
    with pytest.raises(stratavm.DeadlineExceeded):
        Module.build(TEXT, timeout=0)


@pytest.mark.parametrize(
    "given", [{"tier": "auto"}, {"tier": "oracle"}, {"cpu": "v9"}, {"trusted": 1, "old": b"x"}], ids=str
)
def test_what_cannot_be_built_is_said(given):
    """Before anything is compiled."""
    with pytest.raises((ValueError, TypeError, DecodeError)):
        Module.build(TEXT, **given)


def test_progress_is_told():
    """At the end at least, with all of them."""
    heard = []
    Module.build(TEXT, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (4, 4) and all(done <= total for done, total in heard)


def large(home):
    """An image of more than a megabyte in a file."""
    path = home / "large.strata"
    Module.build(TEXT.replace("(memory 1)", '(memory 1) (data "' + "z" * (1 << 20) + '")')).serialize_file(path)
    return path


def test_a_binary_with_the_right_sum_is_not_taken_for_the_one_that_was_marked(home, monkeypatch):
    """Sums can be made to fit: here all do. Code that belongs to another binary does not run."""
    monkeypatch.setattr(container, "sum_of", lambda content: bytes(8))
    for key, make in ((KEY, Module.deserialize), (None, Module.deserialize), (None, Module)):
        data = bytearray(Module.build(TEXT).serialize(key=key))
        at = data.rindex(b"\x41\x03\x0b")  # the constant of `three`, in the binary
        data[at + 1] = 4
        if key is None:
            with pytest.raises(DecodeError, match="binary is damaged"):
                make(bytes(data))
            continue
        engine = Engine()
        with EventRecorder(engine.bus, BuiltCodeRefused) as recorder:
            module = make(bytes(data), engine, key=key)
        assert "binary is damaged" in recorder.events[0].reason and answers(module)[0] == 4
        _, report = aot.build_module(Module, TEXT, Engine(), aot.Order(old=bytes(data), key=key))
        assert len(report.compiled) == 4 and "binary is damaged" in report.compiled[0][2]


@pytest.mark.parametrize("part", ["facts", "skeleton", "code"])
def test_a_part_with_the_right_sum_is_not_taken_for_the_one_that_was_marked(home, monkeypatch, part):
    """Nor is any other part."""
    monkeypatch.setattr(container, "sum_of", lambda content: bytes(8))
    for key in (None, KEY):
        data = bytearray(Module.build(TEXT).serialize(key=key))
        section = container.read(bytes(data)).sections[part]
        data[section.offset + section.size - 2] ^= 1
        refused = []
        engine = Engine()
        engine.bus.subscribe(BuiltCodeRefused, refused.append)
        assert answers(Module.deserialize(bytes(data), engine, key=key)) == EXPECTED
        engine.bus.drain()
        assert f"{part} is damaged" in refused[0].reason


def test_a_file_that_is_cut_off_behind_its_head_is_no_crash(home):
    """While it is being used: what is asked for is not there then."""
    path = large(home)
    origin = source.read_source(path)
    os.truncate(path, 600)
    engine = Engine()
    with EventRecorder(engine.bus, BuiltCodeRefused) as recorder:
        assert aot.kept_in("large", engine, origin, lambda: None) is None
    assert "cut off" in recorder.events[0].reason


def test_an_image_goes_when_its_code_was_taken(home):
    """A module that lives for long does not hold a second copy of its program."""
    module = Module(large(home))
    held = [o for o in gc.get_objects() if isinstance(o, container.Image) and o.content.size > 1 << 20]
    assert held == [] and answers(module)[0] == 3


@pytest.mark.parametrize(
    "options", [{}, {"tier": "oracle"}, {"fuel": True}, {"limits": Limits(locals=40_000)}], ids=str
)
def test_a_module_of_an_image_goes_like_any_other(options):
    """Whether its code is used or not."""
    data = Module.build(TEXT).serialize()
    engine = Engine(**options)
    module = Module.deserialize(data, engine)
    gone = weakref.ref(module), weakref.ref(module._loaded)
    del module
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


@pytest.mark.parametrize("limits", [True, False])
def test_an_image_says_that_its_binary_is_valid(limits, monkeypatch):
    """For engines that accept the same: others find out themselves."""
    from stratavm.engine import module

    told, real = [], module.validate

    def validate(*values, vouched=False, **named):
        told.append(vouched)
        return real(*values, vouched=vouched, **named)

    monkeypatch.setattr(module, "validate", validate)
    data = Module.build(TEXT).serialize()
    given = stratavm.base.forms.replace(stratavm.Config().limits, locals=40_000)
    told.clear()
    assert load(lambda engine: Module.deserialize(data, engine), **({"limits": given} if limits else {}))[1] == ""
    assert told == [not limits]
