"""The boundary with Python: calls, host calls, traps, memory, instances. Nanoseconds net of the loop."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from tests.bench import tail_loops
from tests.bench.measure import Row, per_call

MODULE: Final = """(module
  (import "e" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "nop"))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "six") (param i32 i64 f32 f64 i32 i64) (result f64) (local.get 3))
  (func (export "two") (result i32 i32) (i32.const 1) (i32.const 2))
  (func (export "trap") unreachable)
  (func (export "host") (param i32)
    (loop (drop (call $f (local.get 0))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
THROWS: Final = """(module (import "e" "throw" (func $host (param i32)))
  (tag $e (export "tag") (param i32)) (tag $other)
  (func $throw (param i32) (throw $e (local.get 0)))
  (func $deep (param i32 i32)
    (if (local.get 1)
      (then (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1))))
      (else (call $throw (local.get 0)))))
  (func (export "in one frame") (param $n i32)
    (loop $again
      (block $h (result i32)
        (block $o (try_table (catch $other $o) (catch $e $h) (throw $e (local.get $n)))) (unreachable))
      (drop)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "through ten frames") (param $n i32)
    (loop $again
      (block $h (result i32)
        (try_table (catch $e $h) (call $deep (local.get $n) (i32.const 9))) (unreachable))
      (drop)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "from a host function") (param $n i32)
    (loop $again
      (block $h (result i32)
        (try_table (catch $e $h) (call $host (local.get $n))) (unreachable))
      (drop)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func $clean (param i32)
    (block $c (result exnref) (try_table (catch_all_ref $c) (call $throw (local.get 0))) (unreachable)) (throw_ref))
  (func (export "through a clean-up") (param $n i32)
    (loop $again
      (block $h (result i32)
        (try_table (catch $e $h) (call $clean (local.get $n))) (unreachable))
      (drop)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "throw") (param i32) (throw $e (local.get 0))))"""
"""Exceptions that are caught, by where they pass."""
PLAIN: Final = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
WITH_MEMORY: Final = """(module (memory (export "memory") 1) (data (i32.const 8) "hello")
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""
WITH_DATA: Final = f"""(module (memory (export "memory") 32) (data (i32.const 0) "{"Z" * (1 << 20)}")
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""
DIRTY: Final = """(module (memory (export "memory") 1) (data (i32.const 8) "hello")
  (func (export "nop"))
  (func (export "dirty") (i32.store (i32.const 0x2000) (i32.const 1))))"""
WITH_TABLE: Final = "(module (table 8 8 funcref) (elem (i32.const 1) $f $f $f) (func $f))"
HOST_CALLS: Final = 1000
MIB: Final = 1 << 20

MAKE: Final = (
    "instantiate", "instantiate, memory", "instantiate, table", "instantiate, pooled memory", "pooled, first call",
    "pooled, one dirty page", "pooled, one page given back", "instantiate, 1 MiB of data",
)  # fmt: skip
SLOW: Final = ("trap to exception", "copy 1 MiB out", "copy 1 MiB in", *MAKE)
"""Operations that take microseconds everywhere."""

Statement: TypeAlias = "tuple[str, Mapping[str, Any]]"
Column: TypeAlias = "dict[str, Statement]"
LIMITS: Final[Mapping[str, float]] = {
    "no arguments": 30, "add(i32, i32)": 40, "six mixed": 70, "host call": 60, "trap to exception": 6000,
    "read 1 byte": 35, "slice of 1 MiB": 80, "instantiate": 10_000, "instantiate, memory": 30_000,
    "instantiate, pooled memory": 3000, "pooled, one dirty page": 6000, "throw in one frame": 1000,
    "throw through ten frames": 3000, "throw through a clean-up": 3000,
    "throw from a host function": 10_000, "throw through a host function": 10_000,
}  # fmt: skip
"""What is allowed, in nanoseconds, on the quiet machine on which the targets were set: there ``operator.add`` took
``QUIET_FLOOR_NS``. (Another processor than those that this has run on since: the scaling is a convention.)"""
QUIET_FLOOR_NS: Final = 8.5


def same(x: int) -> int:
    """The host function."""
    return x


def caught(call: Callable[[], object]) -> None:
    """A call that traps."""
    try:
        call()
    except Exception:
        return
    raise AssertionError("no trap")


def spec_same(memory: object, x: int) -> int:
    """The host function in the form that WASI uses."""
    return x


def _calls(**options: Any) -> Column:
    """Calls alone, with or without machine code of their own."""
    import stratavm
    from stratavm.spec.types import I32, FuncType

    exports = stratavm.load(MODULE, imports={"e": {"f": same}}, **options).exports
    spec = stratavm.HostSpec(FuncType((I32,), (I32,)), spec_same)
    return {
        "no arguments": ("f()", {"f": exports.nop}),
        "add(i32, i32)": ("f(1, 2)", {"f": exports.add}),
        "six mixed": ("f(1, 2, 3.0, 4.0, 5, 6)", {"f": exports.six}),
        "two results": ("f()", {"f": exports.two}),
        "host call": (f"f({HOST_CALLS})", {"f": exports.host}),
        "host call, HostSpec": (
            f"f({HOST_CALLS})",
            {"f": stratavm.load(MODULE, imports={"e": {"f": spec}}, **options).exports.host},
        ),
        "trap to exception": ("t(f)", {"f": exports.trap, "t": caught}),
    }


def _throws() -> Column:
    """Exceptions, thrown and caught in a loop of a guest."""
    import stratavm

    def throw(n: int) -> None:
        raise stratavm.WasmException(tag, (n,))

    def call(n: int) -> None:
        exports.throw(n)

    from_host = stratavm.load(THROWS, imports={"e": {"throw": throw}}).exports
    tag = from_host.tag
    exports = stratavm.load(THROWS, imports={"e": {"throw": call}}).exports
    names = ("in one frame", "through ten frames", "through a clean-up", "from a host function")
    found: Column = {f"throw {name}": (f"f({HOST_CALLS})", {"f": from_host[name]}) for name in names}
    found["throw through a host function"] = (f"f({HOST_CALLS})", {"f": exports["from a host function"]})
    return found


def _many() -> Column:
    """Many instances of one module: imports resolved once, slots of a pool, an image of the data."""
    import stratavm

    def prepare(text: str, **options: Any) -> stratavm.InstancePre:
        engine = stratavm.Engine(**options)
        return stratavm.Linker(engine).instantiate_pre(stratavm.Module(text, engine=engine))

    def again(pre: stratavm.InstancePre) -> None:
        with stratavm.Store(pre.module.engine) as store:
            pre.instantiate(store)

    def call(pre: stratavm.InstancePre, name: str) -> None:
        with stratavm.Store(pre.module.engine) as store:
            pre.instantiate(store).exports[name]()

    pooled, data = prepare(WITH_MEMORY, memory_slots=stratavm.MemorySlots(16)), prepare(WITH_DATA)
    called, dropped = (prepare(DIRTY, memory_slots=stratavm.MemorySlots(16, keep_pages=n)) for n in (32, 0))
    return {
        "instantiate, table": ("again(pre)", {"again": again, "pre": prepare(WITH_TABLE)}),
        "instantiate, pooled memory": ("again(pre)", {"again": again, "pre": pooled}),
        "pooled, first call": ("call(pre, 'nop')", {"call": call, "pre": called}),
        "pooled, one dirty page": ("call(pre, 'dirty')", {"call": call, "pre": called}),
        "pooled, one page given back": ("call(pre, 'dirty')", {"call": call, "pre": dropped}),
        "instantiate, 1 MiB of data": ("again(pre)", {"again": again, "pre": data}),
    }


def _strata() -> Column:
    import stratavm

    instance = stratavm.load(MODULE, imports={"e": {"f": same}})
    exports = instance.exports
    linker = stratavm.Linker()
    modules = {name: stratavm.Module(text) for name, text in (("plain", PLAIN), ("memory", WITH_MEMORY))}

    def make(name: str) -> None:
        with (
            stratavm.Store() as store
        ):  # closing it frees everything, as dropping the last reference does for the others
            linker.instantiate(store, modules[name])

    memory = {"m": exports.memory, "data": bytes(MIB)}
    return {
        **_calls(),
        "read 1 byte": ("m[5]", memory),
        "read 16 bytes": ("m.read(0, 16)", memory),
        "slice of 1 MiB": (f"m[0:{MIB}]", memory),
        "copy 1 MiB out": (f"m.read(0, {MIB})", memory),
        "copy 1 MiB in": ("m.write(0, data)", memory),
        "look up an export": ("i.exports.nop", {"i": instance}),
        "instantiate": ("make('plain')", {"make": make}),
        "instantiate, memory": ("make('memory')", {"make": make}),
        **_many(),
        **_throws(),
    }


def _wasmtime_pool() -> Any:
    """An engine with a pool, through the raw bindings: wasmtime-py has no other way to it."""
    import wasmtime
    from wasmtime import _bindings as raw

    config = wasmtime.Config()
    pool = raw.wasmtime_pooling_allocation_config_new()
    for part in ("memories", "tables", "core_instances"):
        getattr(raw, f"wasmtime_pooling_allocation_config_total_{part}_set")(pool, 16)
    raw.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    raw.wasmtime_pooling_allocation_config_delete(pool)
    return wasmtime.Engine(config)


def _wasmtime() -> Column:
    import wasmtime

    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    i32 = wasmtime.ValType.i32()
    host = wasmtime.Func(store, wasmtime.FuncType([i32], [i32]), same)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, MODULE), [host])
    exports = instance.exports(store)
    throwing = wasmtime.Config()
    throwing.wasm_exceptions = True
    throws = wasmtime.Engine(throwing)
    caught_in = wasmtime.Store(throws)
    nothing = wasmtime.Func(caught_in, wasmtime.FuncType([i32], []), lambda n: None)
    throw = wasmtime.Instance(caught_in, wasmtime.Module(throws, THROWS), [nothing]).exports(caught_in)
    memory = {"m": exports["memory"], "s": store, "data": bytes(MIB)}
    modules = {name: wasmtime.Module(engine, text) for name, text in (("plain", PLAIN), ("memory", WITH_MEMORY))}
    make = {name: lambda m=m: wasmtime.Instance(wasmtime.Store(engine), m, []) for name, m in modules.items()}  # type: ignore[misc]

    def again(engine: Any, text: str, call: str = "") -> Callable[[], object]:
        pre = wasmtime.Linker(engine).instantiate_pre(wasmtime.Module(engine, text))

        def called() -> None:
            store = wasmtime.Store(engine)
            pre.instantiate(store).exports(store)[call](store)

        return called if call else lambda: pre.instantiate(wasmtime.Store(engine))

    def f(name: str) -> dict[str, Any]:
        return {"f": exports[name], "s": store}

    trap = exports["trap"]
    return {
        "no arguments": ("f(s)", f("nop")),
        "add(i32, i32)": ("f(s, 1, 2)", f("add")),
        "six mixed": ("f(s, 1, 2, 3.0, 4.0, 5, 6)", f("six")),
        "two results": ("f(s)", f("two")),
        "host call": (f"f(s, {HOST_CALLS})", f("host")),
        "trap to exception": ("t(f)", {"f": lambda: trap(store), "t": caught}),
        "read 1 byte": ("m.read(s, 5, 6)", memory),
        "read 16 bytes": ("m.read(s, 0, 16)", memory),
        "copy 1 MiB out": (f"m.read(s, 0, {MIB})", memory),
        "copy 1 MiB in": ("m.write(s, data)", memory),
        "look up an export": ("i.exports(s)['nop']", {"i": instance, "s": store}),
        "instantiate": ("make()", {"make": make["plain"]}),
        "instantiate, memory": ("make()", {"make": make["memory"]}),
        "instantiate, table": ("make()", {"make": again(engine, WITH_TABLE)}),
        "instantiate, pooled memory": ("make()", {"make": again(_wasmtime_pool(), WITH_MEMORY)}),
        "pooled, first call": ("make()", {"make": again(_wasmtime_pool(), DIRTY, "nop")}),
        "pooled, one dirty page": ("make()", {"make": again(_wasmtime_pool(), DIRTY, "dirty")}),
        "instantiate, 1 MiB of data": ("make()", {"make": again(engine, WITH_DATA)}),
        **{
            f"throw {name}": (f"f(s, {HOST_CALLS})", {"f": throw[name], "s": caught_in})
            for name in ("in one frame", "through ten frames", "through a clean-up")
        },
    }


def _wasm3() -> Column:
    import wasm3

    from stratavm.module.parser import parse_module

    environment = wasm3.Environment()
    runtime = environment.new_runtime(1 << 20)
    module = environment.parse_module(parse_module(MODULE).binary)
    runtime.load(module)
    module.link_function("e", "f", "i(i)", same)
    memory = {"m": runtime.get_memory(0)}
    binaries = {name: parse_module(text).binary for name, text in (("plain", PLAIN), ("memory", WITH_MEMORY))}

    def make(name: str) -> None:
        new = environment.new_runtime(65536)
        new.load(environment.parse_module(binaries[name]))

    def f(name: str) -> dict[str, Any]:
        return {"f": runtime.find_function(name)}

    return {  # no traps: each one writes a backtrace to standard error
        "no arguments": ("f()", f("nop")),
        "add(i32, i32)": ("f(1, 2)", f("add")),
        "six mixed": ("f(1, 2, 3.0, 4.0, 5, 6)", f("six")),
        "two results": ("f()", f("two")),
        "host call": (f"f({HOST_CALLS})", f("host")),
        "read 1 byte": ("m[5]", memory),
        "slice of 1 MiB": (f"m[0:{MIB}]", memory),
        "instantiate": ("make('plain')", {"make": make}),
        "instantiate, memory": ("make('memory')", {"make": make}),
    }


def measure(rounds: int) -> Iterator[Row]:
    """One row per operation. What takes nanoseconds is repeated more often: a cold start must not count."""
    columns = {
        "strata": _strata(),
        "generic calls": _calls(calls="generic"),
        "wasmtime": _wasmtime(),
        "pywasm3": _wasm3(),
    }
    floor: Statement = ("f(1, 2)", {"f": operator.add})
    for name in columns["strata"]:
        inner = HOST_CALLS if name.startswith(("host call", "throw")) else 1
        statements = {engine: column[name] for engine, column in columns.items() if name in column}
        if name in SLOW:
            values = per_call(statements, rounds, 60) | per_call({"operator.add": floor}, rounds)
        else:
            theirs = {e: statements.pop(e) for e in ("wasmtime",) if e in statements}
            ours = per_call(statements, rounds, 5000 // inner)
            values = ours | per_call(theirs, rounds, max(1, 200 // inner)) | per_call({"operator.add": floor}, rounds)
        yield Row("boundary", name, "ns", {e: v / (inner if e != "operator.add" else 1) for e, v in values.items()})
    yield from tail_loops.measure(rounds)


def failures(rows: list[Row]) -> list[str]:
    """Rows over what the issue allows. On a machine that is slower, or busy, the allowance grows with the floor."""
    ours = [row for row in rows if row.suite == "boundary"]
    slower = max([1.0, *(row.values["operator.add"] / QUIET_FLOOR_NS for row in ours if row.name == "no arguments")])
    return tail_loops.failures(ours) + [
        f"{row.name}: {row.values['strata']:.0f} ns, at most {LIMITS[row.name]:.0f} ns × {slower:.2f}"
        for row in ours
        if row.name in LIMITS and row.values["strata"] > LIMITS[row.name] * slower
    ]
