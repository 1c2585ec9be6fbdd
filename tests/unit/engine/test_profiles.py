"""Claims about profiles of modules: what a run has found hot is compiled early in the next, and changes no result."""

import time

import pytest

import stratavm
from stratavm import Config, Engine, Linker, Module, Profile, ProfileError, Store
from stratavm.aot.container import read
from stratavm.aot.contents import CODE
from stratavm.aot.profile import FunctionProfile, digest_of
from stratavm.testing import EventRecorder
from stratavm.tiers.jit.lift_events import FunctionLifted
from stratavm.tiers.policy import Policy, Thresholds

COUNT = 600
LONG = "(local.set 0 (i32.add (local.get 0) (i32.const 3)))" * 40
"""Too long to be inlined."""
TEXT = f"""(module $m (import "env" "tick" (func $tick (param i32)))
  (func $f1 (export "f1") (param i32) (result i32) {LONG} (local.get 0))
  (func $f2 (export "f2") (param i32) (result i32) {LONG} (call $f1 (local.get 0)))
  (func $f3 (export "f3") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $loop (export "loop") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 3)) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func $never (export "never")))"""
F1, F2, F3, LOOP, NEVER = range(1, 6)
IMPORTS = {"env": {"tick": print}}
"""Index 0 is the import."""


def started(source=TEXT, policy=None, imports=True, **options):
    """A module of an engine of the tier, and the exports of an instance."""
    options = {"threads": 2} | options  # as on two processors
    engine = Engine(tier="auto", services={} if policy is None else {Policy: policy}, **options)
    module = Module(source, engine=engine)
    linker = Linker(engine)
    linker.define_namespaces(IMPORTS if imports else {})
    return module, linker.instantiate(Store(engine), module).exports


def level(module, function):
    """Of a function's code."""
    return module.code.lazy.table.level(function - len(module.model.imported_funcs))


def binary():
    """The module's."""
    return Module(TEXT).model.binary


def profile(*rows):
    """One of the module, as a run that saw so much would have made it."""
    return Profile(digest_of(binary()), "m", rows)


def wait_for(condition, call=lambda: None):
    """Until a thread has done something; ``call`` lets it be noticed."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        call()
        time.sleep(0.001)


def test_a_profile_says_what_was_seen(alone):
    """Of functions that had code; others are not in it."""
    module, exports = started(policy=Thresholds(50, 1, calls_waited=50))
    for n in range(60):
        exports.f1(n)
    exports.f3(6, 2)
    found = module.profile()
    assert found.digest == digest_of(module.model.binary) and found.hot == (F1,)
    rows = {row.function: row for row in found.functions}
    assert rows.keys() == {F1, F3} and (rows[F1].level, rows[F3].level, rows[F3].calls) == (1, 0, 1)
    assert 50 <= rows[F1].calls <= 60
    assert Profile.parse(bytes(found)) == found


@pytest.mark.trace_slow
def test_a_loop_that_went_on_at_level_1_is_in_it_by_its_place(alone):
    """An offset in the binary, within the function's body."""
    module, exports = started(policy=Thresholds(1 << 20, 1, polls=1))
    expected = Module(TEXT, Engine(tier="jit0"))
    linker = Linker(expected.engine)
    linker.define_namespaces(IMPORTS)
    want = linker.instantiate(Store(expected.engine), expected).exports.loop(5000)
    assert exports.loop(5000) == want
    [row] = [row for row in module.profile().functions if row.function == LOOP]
    body = module.model.functions[LOOP - 1]
    assert row.is_hot and len(row.loops) == 1 and body.start <= row.loops[0] < body.end


def test_a_tier_that_does_not_count_has_no_profile():
    """And takes none."""
    with pytest.raises(ValueError, match="counted by the tier auto; the engine's is jit1"):
        Module(TEXT, Engine(tier="jit1")).profile()
    with pytest.raises(ValueError, match="for the tier auto; the engine's is jit0"):
        Config(tier="jit0", profile=profile())
    with pytest.raises(ValueError, match="for the tier auto; the engine's is jit1"):
        Engine(tier="jit1", profile=profile())


def test_without_threads_what_is_hot_has_level_1_at_its_first_call(alone):
    """It is compiled once; what the profile does not name is as ever."""
    module, exports = started(profile=profile(FunctionProfile(F1, 5000), FunctionProfile(F3, 1)))
    with EventRecorder(module.engine.bus) as recorder:
        assert exports.f2(1) == 241
        assert exports.f3(7, 2) == 3
    module.engine.bus.drain()
    assert (level(module, F1), level(module, F2), level(module, F3)) == (1, 0, 0)
    assert [e.function for e in recorder.of(FunctionLifted)] == [F1]
    reasons = {v.function: v.reason for v in module.code.verdicts()}
    assert reasons[F1] == "profile" and reasons[F3] == "few"


def test_beside_the_program_what_is_hot_is_compiled_at_the_first_instance(beside):
    """Before anything is called."""
    module, exports = started(profile=profile(FunctionProfile(F1, 5000), FunctionProfile(LOOP, 0, 3)))
    wait_for(lambda: level(module, F1) == level(module, LOOP) == 1)
    assert level(module, F2) == -1 and exports.f1(1) == 121
    assert {v.function for v in module.code.verdicts() if v.reason == "profile" and v.beside} >= {F1, LOOP}


def test_more_than_a_queue_holds_are_all_compiled(beside):
    """In portions; one whose first call was quicker is asked for again."""
    text = "".join(f'(func (export "f{n}") (param i32) (result i32) {LONG} (local.get 0))' for n in range(COUNT))
    source = Module(f"(module {text})").model.binary
    rows = tuple(FunctionProfile(n, 5000 + n) for n in range(COUNT))
    module, exports = started(source, imports=False, profile=Profile(digest_of(source), "m", rows))
    for n in range(COUNT):
        assert exports[f"f{n}"](n) == n + 120
    wait_for(lambda: all(level(module, n) == 1 for n in range(COUNT)), module.code.verdicts)


def test_another_module_is_refused():
    """When it is loaded, with both names."""
    engine = Engine(tier="auto", profile=profile())
    with pytest.raises(ProfileError, match="the profile is of another module"):
        Module("(module)", engine)
    with pytest.raises(ProfileError, match="names function 0; the module defines functions 1 to 5"):
        Module(TEXT, Engine(tier="auto", profile=profile(FunctionProfile(0, 1))))
    with pytest.raises(TypeError, match=r"profile must be a Profile \(Profile\.load\(PATH\)\) or None, got 'p'"):
        Config(profile="p")


def test_a_build_compiles_what_is_hot_at_level_1():
    """The rest at level 0, or as is said; the code is what each level makes."""
    hot = profile(FunctionProfile(F1, 5000), FunctionProfile(F3, 1))
    built = Module.build(TEXT, profile=hot)
    parts = {tier: Module.build(TEXT, tier=tier) for tier in ("jit0", "jit1")}
    code = {name: read(module.serialize()).section(CODE) for name, module in {**parts, "both": built}.items()}
    assert len({*code.values()}) == 3 and len(code["both"]) < len(code["jit0"])
    linker = Linker(built.engine)
    linker.define_namespaces(IMPORTS)
    loaded = Module.deserialize(built.serialize(), trusted=True)
    exports = linker.instantiate(Store(built.engine), loaded).exports
    levels = [loaded.code.lazy.table.level(n) for n in range(5)]
    assert levels == [1, 0, 0, 0, 0]
    assert (exports.f2(1), exports.f3(7, 2)) == (241, 3)
    with pytest.raises(stratavm.Trap, match="divide by zero"):
        exports.f3(1, 0)
    all_hot = Module.build(TEXT, profile=hot, tier="jit1")
    assert read(all_hot.serialize()).section(CODE) == code["jit1"]


def test_a_build_refuses_what_does_not_fit():
    """Another module, an old image, no profile at all."""
    with pytest.raises(ProfileError, match="another module"):
        Module.build("(module)", profile=profile())
    with pytest.raises(ValueError, match="profile and old"):
        Module.build(TEXT, profile=profile(), old=Module.build(TEXT).serialize())
    with pytest.raises(TypeError, match="profile must be a Profile"):
        Module.build(TEXT, profile=b"")


def test_an_old_image_of_a_profile_is_not_taken_for_one_without():
    """Its functions have another level."""
    old = Module.build(TEXT, profile=profile(FunctionProfile(F1, 5000))).serialize()
    assert Module.build(TEXT, old=old, tier="jit0").serialize() == Module.build(TEXT, tier="jit0").serialize()
