"""Claims about what loading found out, between processes: a later start validates what it compiles, nothing else."""

from __future__ import annotations

import gc
import pickle
import random
import threading

import pytest

from stratavm import Config, Engine, Linker, Module, Store, ValidationError
from stratavm.base.errors import StrataError
from stratavm.base.forms import replace
from stratavm.engine import codecache
from stratavm.engine.codecache import CodeNotKept, SkeletonKept, SkeletonRestored
from stratavm.engine.module import way_of
from stratavm.engine.stages import dump_stage
from stratavm.module import validate as validate_module
from stratavm.module.decode import decode
from stratavm.module.encode import ModuleDraft, encode
from stratavm.module.limits import Limits
from stratavm.module.model import Custom, Names
from stratavm.module.model import Module as Model
from stratavm.module.skeleton import pack, unpack
from stratavm.module.validate import find_facts, validate
from stratavm.native.compile import wasm_compiler
from stratavm.spec.types import FuncType
from stratavm.testing import EventRecorder

pytestmark = pytest.mark.usefixtures("home")

COUNT = 100
of_names = Names.__getattr__
PADDING = "x" * (1 << 16)
I32_ADD, I64_ADD = 0x6A, 0x7C


def text() -> str:
    """Functions with locals, loops and calls; segments of each kind."""
    functions = "".join(
        f"""(func $f{n} (export "f{n}") (param i32) (result i32) {"(local i32 i32) (local i64)" * (n % 3)}
          (loop $again
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $again (i32.gt_s (local.get 0) (i32.const 0))))
          (i32.add (call $add (i32.const {n}) (i32.const 2)) (i32.load8_u (i32.const {n}))))"""
        for n in range(COUNT)
    )
    segments = "".join(f'(data (i32.const {n * 3}) "{n:02}")' for n in range(COUNT))
    return f"""(module (memory (export "memory") 4) {functions} {segments} (data "{PADDING}")
      (global $g i32 (i32.const 1000)) (data (offset (i32.add (i32.const 500) (i32.const 500))) "computed")
      (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "passive") (memory.init {COUNT} (i32.const 2000) (i32.const 0) (i32.const 8)))
      (table funcref (elem $f1 $f2)) (start $begin) (func $begin (global.get $g) (drop)))"""


@pytest.fixture(scope="session")
def binary() -> bytes:
    """The module's bytes."""
    return Module(text(), engine=Engine(cache=False)).model.binary


def known_of(model: Model) -> tuple:
    """Functions and segments as another process has them."""
    return unpack(pack(model.functions, model.datas, len(model.binary)), len(model.binary))


def start(binary: bytes, **options):
    """The module, the results of some calls, and what was said of skeletons."""
    engine = Engine(**options)
    with EventRecorder(engine.bus) as recorder:
        module = Module(binary, engine=engine)
        exports = Linker(engine).instantiate(Store(engine), module).exports
        exports.passive()
        results = [exports[f"f{n}"](n) for n in range(COUNT)] + [bytes(exports.memory[0:3000])]
        vouched = module.valid.bodies.vouched
        del module, exports
        gc.collect()
        engine.bus.drain()
    return results, vouched, [type(event) for event in recorder.events]


def test_what_was_found_valid_is_not_checked_again(binary, monkeypatch):
    """Nothing of it; without what was kept everything is."""
    checked = []
    plain = validate_module._checked_context
    monkeypatch.setattr(validate_module, "_checked_context", lambda *given: checked.append(given) or plain(*given))
    for cache, expected in ((True, 1), (True, 0), (True, 0), (False, 1)):
        checked.clear()
        module = Module(binary, engine=Engine(cache=cache))
        assert len(checked) == expected
        contexts = module.valid.context
        assert contexts.is_subtype(0x7F, 0x7F)
        del module, contexts
        gc.collect()


def test_parts_that_are_unsure_have_the_rest_checked(binary):
    """Who vouches for bodies alone answers for nothing else."""
    model = decode(binary)
    wrong = replace(model, start=COUNT)  # it takes something
    assert validate(wrong, vouched=True, known=True).bodies.vouched
    with pytest.raises(ValidationError, match="start function"):
        validate(wrong, vouched=True)


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
def test_a_later_start_validates_no_body_that_it_does_not_compile(binary, tier):
    """All that it does is the same."""
    options = {"tier": tier, "cache": True}
    first, vouched, said = start(binary, **options)
    assert not vouched and SkeletonKept in said and SkeletonRestored not in said
    second, vouched, said = start(binary, **options)
    assert vouched and SkeletonRestored in said and SkeletonKept not in said
    assert first == second


def test_features_and_limits_are_part_of_its_key(binary):
    """What is valid with some is not with others."""
    start(binary)
    for options in ({"limits": Limits(locals=1000)}, {"features": Config().features - {"multi-value"}}):
        _, vouched, said = start(binary, **options)
        assert not vouched and SkeletonKept in said
    assert start(binary)[1]
    assert way_of(Config()) == way_of(Config(tier="jit1", fuel=True))


def test_a_skeleton_is_what_the_decoder_finds(binary):
    """Functions with their locals, segments of each kind."""
    model = decode(binary)
    again = decode(binary, known=known_of(model))
    assert again == model and validate(again, vouched=True).bodies.vouched
    assert again.datas.not_plain() == model.datas.not_plain() == [COUNT + 1]


def named_binary() -> bytes:
    """A module with names of several kinds, one of which is broken, and two name sections."""
    function, local = b"\1\4\1\0\1f", b"\2\6\1\0\1\0\1x"
    broken, module, again = b"\7\3\xff\xff\xff", b"\0\2\1m", b"\1\4\1\0\1g"
    draft = ModuleDraft(customs=[Custom("name", local + function + broken + module + again, 0), Custom("name", b"", 0)])
    draft.function(FuncType((), ()), b"\x0b", [])
    return encode(draft)


def test_names_of_a_later_start_are_read_when_somebody_asks(monkeypatch):
    """Each kind by itself, and they are what the decoder finds: the last of two subsections, none that is broken."""
    binary = named_binary()
    model = decode(binary)
    assert model.names == Names(module="m", funcs={0: "g"}, locals={0: {0: "x"}})
    for field in Names.__match_args__:
        again = decode(binary, known=known_of(model)).names
        asked = []
        monkeypatch.setattr(Names, "__getattr__", lambda own, name, a=asked: (a.append(name), of_names(own, name))[1])
        assert getattr(again, field) == getattr(again, field) == getattr(model.names, field)
        monkeypatch.undo()
        assert asked == [field]
    again = decode(binary, known=known_of(model)).names
    assert again == model.names and repr(again) == repr(model.names) and pickle.loads(pickle.dumps(again)) == again
    with pytest.raises(AttributeError, match="'Names' object has no attribute 'function'"):
        again.function  # noqa: B018
    assert decode(binary, known=known_of(model)) == model


@pytest.mark.parametrize("name", ["python.wasm", "quickjs.wasm", "boolector.wasm", "resvg.wasm", "icepll.wasm"])
def test_a_skeleton_of_a_program_is_what_the_decoder_finds(program, name):
    """Those that compilers make."""
    model = decode(program(name).read_bytes())
    again = decode(model.binary, known=known_of(model))
    assert again.functions == model.functions and again.datas == model.datas and again.names == model.names
    assert again.datas.not_plain() == model.datas.not_plain()


def test_facts_and_code_are_those_of_a_module_that_was_validated(binary):
    """Byte for byte, whoever walks when."""
    model = decode(binary)
    fresh, later = validate(model), validate(decode(binary, known=known_of(model)), vouched=True)
    facts = find_facts(later)
    assert not facts.vouched
    names = [name for name in dir(facts[0]) if name[0] != "_"]
    for n in range(len(model.functions)):
        assert [getattr(facts[n], k) for k in names] == [getattr(fresh.bodies[n], k) for k in names]
    codes = [[wasm_compiler(valid).compile(n).code for n in range(len(model.functions))] for valid in (fresh, later)]
    assert codes[0] == codes[1]
    with pytest.raises(ValueError, match="no walk has been"):
        later.bodies[0]


def test_tools_show_facts_of_a_module_that_was_not_walked(binary):
    """``strata dump`` finds them then."""
    shown = []
    for _ in range(2):
        module = Module(binary, engine=Engine())
        shown.append(dump_stage(module, 3, "valid"))
        del module
        gc.collect()
    assert shown[0] == shown[1] and "loops=((0,),)" in shown[1]


def test_a_body_that_is_not_valid_after_all_is_an_error_at_its_call(binary):
    """Whoever vouched for it was wrong: it is never compiled, and others run."""
    model = decode(binary)
    place = model.functions[COUNT].start
    damaged = bytearray(binary)
    damaged[binary.index(bytes([I32_ADD]), place)] = I64_ADD
    with pytest.raises(ValidationError):
        validate(decode(bytes(damaged)))
    engine = Engine(cache=False)
    module = Module.from_model(model, engine=engine)
    loaded = validate(decode(bytes(damaged), known=known_of(model)), vouched=True)
    for tier in ("jit0", "jit1"):
        code = Engine(tier=tier, cache=False).tier.load(loaded)
        with pytest.raises(ValidationError, match="found to be valid before is not") as error:
            code.lazy.compile_at_call(COUNT)
        assert error.value.func == COUNT and error.value.offset >= place
        assert code.lazy.compile_at_call(COUNT + 2)
    assert module.code.lazy.compile_at_call(COUNT)


def test_damage_that_is_marked_as_right_is_harmless(binary):
    """What cannot be seen at once is seen when a body is compiled."""
    good = pack((model := decode(binary)).functions, model.datas, len(binary))
    chance = random.Random(5)
    refused = compiled = 0
    for n in range(300):
        data = bytearray(good)
        if n % 4:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) :]
        try:
            known = unpack(bytes(data), len(binary))
            valid = validate(decode(binary, known=known), vouched=True)
        except (ValueError, StrataError):
            refused += 1
            continue
        code = Engine(cache=False).tier.load(valid)
        for index in range(COUNT):
            try:
                code.lazy.compile_at_call(index)
                compiled += 1
            except StrataError:
                refused += 1
    assert refused > 100 and compiled > 1000


@pytest.mark.parametrize("change", ["longer", "counts"])
def test_a_skeleton_of_another_binary_is_refused(binary, change):
    """Its length and its counts are looked at."""
    model = decode(binary)
    packed = pack(model.functions, model.datas, len(binary))
    if change == "longer":
        with pytest.raises(ValueError, match="another module"):
            unpack(packed, len(binary) + 1)
    else:
        other = Module(text().replace("(func $f1 ", "(func) (func $f1 "), engine=Engine(cache=False)).model
        with pytest.raises(ValueError, match="items were known"):
            decode(other.binary, known=unpack(packed, len(binary)))


def test_a_damaged_entry_is_said_and_mended(binary, home):
    """The module is decoded and validated as at a first start."""
    first, _, _ = start(binary)
    file = next(f for f in (home / "cache/stratavm/code").iterdir() if b"skeleton of" in f.read_bytes()[:4096])
    whole = file.read_bytes()
    chance = random.Random(3)
    for _ in range(10):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        results, vouched, said = start(binary)
        assert results == first and not vouched
        assert CodeNotKept in said and SkeletonKept in said and SkeletonRestored not in said
    assert start(binary)[1]


def test_nothing_is_looked_for_of_a_binary_that_is_new(binary, home, monkeypatch):
    """Its digest is found beside the loading, and known at the end; without that mark it is new again."""
    threads = []
    real = codecache.digest
    monkeypatch.setattr(
        codecache, "digest", lambda *parts: threads.append((len(parts[0]), threading.get_ident())) or real(*parts)
    )

    def here():
        threads.clear()
        start(binary)
        return [ident == threading.get_ident() for size, ident in threads if size == len(binary)]

    assert here() == [False] and here() == [True]
    [mark] = (file for file in (home / "cache/stratavm/code").iterdir() if file.read_bytes().endswith(b"loaded"))
    mark.unlink()
    assert here() == [False] and mark.exists() and start(binary)[1]


def test_an_invalid_module_is_refused_at_every_load(binary, home):
    """Nothing is kept of it."""
    damaged = bytearray(binary)
    damaged[binary.index(bytes([I32_ADD]), decode(binary).functions[COUNT].start)] = I64_ADD
    for _ in range(2):
        with pytest.raises(ValidationError):
            Module(bytes(damaged), engine=Engine())
    assert not list((home / "cache/stratavm/code").iterdir())
