"""Claims about the code of exceptions: what it costs who does not throw, where it lands, that its tables are checked,
and that throwing leaves nothing behind."""

import os
import struct
from pathlib import Path

import capstone
import pytest

from stratavm import Config, Engine, Linker, Module, Store, Trap, WasmException
from stratavm.ir.pipeline import PASSES
from stratavm.machine.code import Code
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native import codeimage
from stratavm.native.codeimage import DamagedImage
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.native.execmem import CodeOwner
from stratavm.runtime.codetable import CodeTable

TIERS = ["jit0", "jit1"]
OPTIONS = {
    "jit0": Options(machine=MACHINE_LEVELS[0]),
    "jit1": Options(passes=tuple(PASSES), machine=MACHINE_LEVELS[1], allocator="splitting", level=1),
}
BODY = """
    (local.set $sum (i32.load (local.get $n)))
    (loop $again
      (i32.store (local.get $n) (call $other (local.get $n)))
      (local.set $n (call $own (i32.load offset=4 (local.get $n))))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))
    (call $own (i32.const 3)) (local.set $sum)"""
PLAIN = f"""(module (import "" "" (func $other (param i32) (result i32))) (memory 1) (tag $t)
  (func $own (param i32) (result i32) (if (i32.eqz (local.get 0)) (then (throw $t))) (local.get 0))
  (func (param $n i32) (result i32) (local $sum i32)
    (block $h (block {BODY}) (return (local.get $sum)))
    (i32.const -1)))"""
CAREFUL = PLAIN.replace("(block $h (block", "(block $h (try_table (catch_all $h)")


def code_of(text: str, tier: str) -> Code:
    """The code of a module's second function."""
    return wasm_compiler(validate(parse_module(text)), OPTIONS[tier]).compile(1)


def straight(code: Code) -> tuple[int, list[str]]:
    """Where the return is, and what runs up to there where nothing unusual happens. Jumps have no targets: what is rare
    lies farther away behind more code."""
    found = list(capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(code.code, 0))
    last = [i.mnemonic for i in found].index("ret")
    steps = [i.mnemonic if i.mnemonic[0] == "j" else f"{i.mnemonic} {i.op_str}" for i in found[:last]]
    return found[last].address, steps


@pytest.mark.parametrize("tier", TIERS)
def test_a_try_table_costs_nothing_where_nothing_is_thrown(tier):
    """Its code is that of a block, then what is behind all else; a module that does not throw lands nowhere."""
    plain, careful = code_of(PLAIN, tier), code_of(CAREFUL, tier)
    assert not plain.landing_sites and len(careful.landing_sites) == 3
    first = min(landing for _, landing in careful.landing_sites)
    end, steps = straight(careful)
    block = straight(plain)[1]
    assert steps == block if tier == "jit0" else len(steps) <= len(block)  # values may be in other registers
    assert len([step for step in steps if step.startswith("call")]) == 3
    assert end < first < len(careful.code)


@pytest.mark.parametrize("tier", TIERS)
def test_calls_land_behind_their_function_s_code(tier):
    """Each by its return address, in order, and with the stack and the context in order first."""
    code = code_of(CAREFUL, tier)
    returns = {site.pc for site in code.return_sites}
    assert [pc for pc, _ in code.landing_sites] == sorted({pc for pc, _ in code.landing_sites})
    for pc, landing in code.landing_sites:
        assert pc in returns
        assert code.code[landing : landing + 4] == bytes.fromhex("488d65") + struct.pack("b", -code.frame_bytes)
        assert code.code[landing + 4 : landing + 8] == bytes.fromhex("4c8b75f8")


def test_landings_of_an_image_are_checked():
    """Out of order, or outside of their function: nothing of it is published."""
    code = code_of(CAREFUL, "jit1")
    owner, table = CodeOwner("made"), CodeTable(2, 1)
    addresses = owner.publish_many([(code.code, code.traps, code.returns, 1, b"", 1, code.landings)])
    table = CodeTable(2, owner.serial)
    table.publish(1, 0, addresses[0])
    data = codeimage.pack(owner, table, 0)
    fresh = CodeOwner("read")
    assert codeimage.unpack(fresh, CodeTable(2, fresh.serial), 0, data)[0] == 1
    at = data.rindex(code.landings)
    words = list(struct.unpack("=6I", code.landings))
    for place, word in ((1, len(code.code)), (2, words[0]), (4, len(code.code) + 1)):
        wrong = [word if i == place else w for i, w in enumerate(words)]
        damaged = data[:at] + struct.pack("=6I", *wrong) + data[at + len(code.landings) :]
        with pytest.raises(DamagedImage):
            codeimage.unpack(CodeOwner("read"), CodeTable(2, 1), 0, damaged)


INNER = """(module (import "m" "tag" (tag $e (param i32))) (global $own (mut i32) (i32.const 5))
  (func (export "throw") (param i32)
    (global.set $own (i32.add (global.get $own) (local.get 0))) (throw $e (global.get $own))))"""
OUTER = """(module (tag $e (export "tag") (param i32)) (global $own (mut i32) (i32.const 70)) (table 1 funcref)
  (func (export "set") (param funcref) (table.set (i32.const 0) (local.get 0)))
  (func $direct (param i32) (call_indirect (param i32) (local.get 0) (i32.const 0)))
  (func (export "run") (param $n i32) (result i32)
    (block $h (result i32)
      (try_table (catch $e $h) (call $direct (local.get $n)))
      (return (i32.const -1)))
    (global.set $own (i32.add (global.get $own)))
    (global.get $own)))"""


@pytest.mark.parametrize("tier", [*TIERS, "auto"])
def test_who_catches_has_its_own_instance_again(tier):
    """Another instance throws: globals, tables and memories behind the handler are the catcher's."""
    engine = Engine(Config(tier=tier))
    store, linker = Store(engine), Linker(engine)
    outer = linker.instantiate(store, Module(OUTER, engine)).exports
    linker.define("m", "tag", outer.tag)
    inner = linker.instantiate(store, Module(INNER, engine)).exports
    outer.set(inner.throw)
    assert [outer.run(1), outer.run(2)] == [70 + 6, 70 + 6 + 8]
    with pytest.raises(WasmException):
        inner.throw(1)


THROWS = """(module (import "h" "f" (func $host (param i32))) (tag $e (export "tag") (param i32))
  (func $throw (param i32) (throw $e (local.get 0)))
  (func $host_or_own (param $n i32) (param $host i32)
    (if (local.get $host) (then (call $host (local.get $n))) (else (call $throw (local.get $n)))))
  (func (export "run") (param $n i32) (param $host i32) (result i32) (local $sum i32)
    (loop $again
      (block $h (result i32)
        (try_table (catch $e $h) (call $host_or_own (local.get $n) (local.get $host))) (unreachable))
      (local.set $sum (i32.add (local.get $sum)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"""


@pytest.mark.trace_slow
@pytest.mark.parametrize("tier", TIERS)
def test_a_million_exceptions_leave_nothing_behind(tier):
    """Neither those of a guest nor those of a host function."""
    engine = Engine(Config(tier=tier))
    store, linker = Store(engine), Linker(engine)

    def throw(n):
        raise WasmException(tag, (n,))

    linker.define("h", "f", throw)
    exports = linker.instantiate(store, Module(THROWS, engine)).exports
    tag = exports.tag
    exports.run(1000, 0), exports.run(1000, 1)
    before = resident_bytes()
    assert exports.run(1_000_000, 0) & 0xFFFFFFFF == sum(range(1_000_001)) & 0xFFFFFFFF
    exports.run(20_000, 1)
    assert resident_bytes() - before < 1 << 20


def resident_bytes() -> int:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


OVERFLOWS = """(module (func $f (call $f))
  (func (export "run") (result i32)
    (block $h (try_table (catch_all $h) (call $f)) (return (i32.const 1))) (i32.const 2)))"""


@pytest.mark.parametrize("tier", [*TIERS, "auto"])
def test_a_full_stack_is_a_trap_and_not_caught(tier):
    """``catch_all`` is for exceptions."""
    engine = Engine(Config(tier=tier))
    exports = Linker(engine).instantiate(Store(engine), Module(OVERFLOWS, engine)).exports
    with pytest.raises(Trap) as caught:
        exports.run()
    assert caught.value.kind == "stack_overflow"


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
@pytest.mark.parametrize("throw", ["(throw $e)", "(throw_ref (local.get $kept))", "(throw $e) (drop (i32.const 1))"])
@pytest.mark.parametrize("caught", [False, True])
def test_what_a_loop_wrote_is_there_where_it_throws(tier, throw, caught):
    """Globals that a loop keeps in registers are in their places, for Python and for whoever catches."""
    text = f"""(module (tag $e) (global $g (export "g") (mut i32) (i32.const 0)) (global $h (mut i64) (i64.const 1))
      (func $loop (export "loop") (param $n i32) (local $kept exnref)
        (local.set $kept (block $b (result exnref) (try_table (catch_all_ref $b) (throw $e)) (unreachable)))
        (loop $l
          (global.set $g (i32.add (global.get $g) (i32.const 1)))
          (global.set $h (i64.mul (global.get $h) (i64.const 3)))
          (if (i32.eq (global.get $g) (local.get $n)) (then {throw}))
          (br $l)))
      (func (export "catch") (param i32) (result i32 i64)
        (block $b (try_table (catch_all $b) (call $loop (local.get 0))))
        (global.get $g) (global.get $h)))"""
    engine = Engine(tier=tier)
    exports = Linker(engine).instantiate(Store(engine), Module(text, engine=engine)).exports
    if caught:
        assert exports["catch"](10) == (10, 3**10)
    else:
        with pytest.raises(WasmException):
            exports["loop"](10)
    assert exports["g"].value == 10
