"""Large and odd functions: no field of the compiler is too narrow for what the limits allow."""

import threading

import pytest

from stratavm.base.errors import StackOverflow, Trap

from . import worlds

DIRTY = "(i32.wrap_i64 (i64.or (i64.extend_i32_u (local.get 0)) (i64.const 0x8000000100000000)))"


@worlds.every_config
def test_the_largest_branch_table(config):
    """Ends, middle, the default, negative and dirty indices, with a value passed along."""
    n = 65_520 if config != "oracle" else 1000
    depths = " ".join("1" if i % 1000 == 999 or i == n - 1 else "0" for i in range(n))
    text = f"""(module (func (export "f") (param i32) (result i32)
      (block (result i32) (block (result i32) (block (result i32)
        (br_table {depths} 2 (i32.const 5) {DIRTY}))
        (return (i32.add (i32.const 100)))) (return (i32.add (i32.const 200))))
      (i32.add (i32.const 300))))"""
    f = worlds.instance(text, config).exports.f
    for index in (0, 1, 998, n - 2):
        assert f(index) == 105
    for index in (999, n - 1):
        assert f(index) == 205
    for index in (n, n + 1, -1, 0x7FFFFFFF, -0x80000000):
        assert f(index) == 305


@worlds.every_config
def test_a_thousand_parameters_and_results_arrive_in_order(config):
    """Directly, through a table, through a host function, from and to Python; of mixed types."""
    kinds = ("i32", "f32", "i64", "f64")
    types = [kinds[i % 4] for i in range(1000)]
    sig = f"(param {' '.join(types)}) (result {' '.join(types)})"
    gets = " ".join(f"(local.get {i})" for i in range(1000))
    text = f"""(module (type $t (func {sig})) (import "m" "h" (func $h (type $t))) (table 1 funcref)
      (elem (i32.const 0) $id) (func $id (type $t) {gets})
      (func (export "direct") (type $t) (call $id {gets})) (func (export "host") (type $t) (call $h {gets}))
      (func (export "table") (type $t) (call_indirect (type $t) {gets} (i32.const 0))))"""
    exports = worlds.instance(text, config, {"m": {"h": lambda *values: values}}).exports
    values = tuple(float(i) if i % 2 else -i for i in range(1000))
    for name in ("direct", "table", "host"):
        assert exports[name](*values) == values, name


@worlds.every_native
def test_huge_frames_cannot_jump_over_the_stack_guard(config):
    """Functions whose frame is larger than the guard zone, recursing, on the main thread and on a small one."""
    n = 8_000
    sets = " ".join(f"(local.set {i + 1} (i64.add (local.get {i}) (i64.const {i})))" for i in range(n))
    sums = " ".join(f"(i64.xor (local.get {i}))" for i in range(n))
    text = f"""(module (func $f (export "f") (param i64) (result i64) (local {"i64 " * n}) {sets}
      (call $f (local.get {n})) {sums}) (func $g (export "g") (result i64) (i64.add (call $g) (i64.const 1)))
      (func (export "ok") (result i32) (i32.const 7)))"""
    exports = worlds.instance(text, config).exports
    caught = []

    def run():
        for name in ("f", "g"):
            try:
                exports[name](*(1,) if name == "f" else ())
            except StackOverflow as error:
                caught.append(len(error.frames))
        assert exports.ok() == 7

    run()
    old = threading.stack_size(1 << 20)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)
    assert len(caught) == 4


@worlds.every_native
def test_long_functions_branch_as_far_as_they_must(config):
    """Hundreds of kilobytes of code between a branch and its target, forwards, backwards and out of a table."""
    body = "(local.set 1 (i64.add (i64.mul (local.get 1) (i64.const 0x123456789abcdef)) (i64.const 7)))" * 6_000
    text = f"""(module (func (export "f") (param i32) (result i64) (local i64) (local i32)
      (block (loop (br_if 1 (i32.eq (local.get 2) (local.get 0)))
        (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (block (br_table 0 0 1 2 (i32.const 2))) {body} (br 0)) {body}) (local.get 1)))"""
    text = text.replace("(br_table 0 0 1 2 (i32.const 2))", "(br_table 0 0 0 2 (i32.and (local.get 2) (i32.const 1)))")
    want, bits = 0, (1 << 64) - 1
    for _ in range(2 * 6_000):
        want = want * 0x123456789ABCDEF + 7 & bits
    f = worlds.instance(text, config).exports.f
    assert f(0) == 0
    assert f(2) & bits == want


@worlds.every_config
def test_operations_at_the_last_bytes_read_no_further(config):
    """Values that selection might fold into the operation that uses them: an access of the load's own width only."""
    uses = {
        "i32": ["i32.add", "i32.and", "i32.mul", "i32.eq", "i32.lt_u", "i32.shl", "i32.div_u"],
        "i64": ["i64.add", "i64.and", "i64.mul", "i64.eq", "i64.lt_u", "i64.rotl"],
        "f32": ["f32.add", "f32.sub", "f32.min", "f32.copysign", "f32.lt", "f32.eq"],
        "f64": ["f64.add", "f64.mul", "f64.max", "f64.copysign", "f64.lt", "f64.ne"],
    }
    unary = {"i32": ["i32.clz", "i32.popcnt", "i64.extend_i32_s", "f64.convert_i32_u"], "f32": ["f32.sqrt", "f32.abs",
             "f64.promote_f32", "i32.trunc_sat_f32_s"], "f64": ["f64.neg", "f64.floor", "f32.demote_f64"],
             "i64": ["i64.ctz", "i32.wrap_i64", "f32.convert_i64_u"]}  # fmt: skip
    width = {"i32": 4, "i64": 8, "f32": 4, "f64": 8}
    names, functions = [], ""
    for type_, ops in uses.items():
        for op in ops:
            load = f"({type_}.load (local.get 0))"
            for k, args in enumerate((f"{load} ({type_}.const 3)", f"({type_}.const 3) {load}", f"{load} {load}")):
                names.append((f"{op}{k}", width[type_]))
                functions += f'(func (export "{op}{k}") (param i32) (drop ({op} {args})))'
    for type_, ops in unary.items():
        for op in ops:
            names.append((op, width[type_]))
            functions += f'(func (export "{op}") (param i32) (drop ({op} ({type_}.load (local.get 0)))))'
    narrow = {"i32.load8_s": 1, "i32.load16_u": 2, "i64.load8_u": 1, "i64.load16_s": 2, "i64.load32_s": 4}
    for op, size in narrow.items():
        names.append((op, size))
        functions += f'(func (export "{op}") (param i32) (drop ({op[:3]}.add ({op} (local.get 0)) ({op[:3]}.const 1))))'
    exports = worlds.instance(f'(module (memory (export "memory") 1 1) {functions})', config).exports
    exports.memory.write(65520, b"\x01" * 16)
    for name, size in names:
        exports[name](65536 - size)
        with pytest.raises(Trap, match="out of bounds memory access"):
            exports[name](65536 - size + 1)
