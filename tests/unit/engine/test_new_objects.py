"""New objects are zero whoever makes them: what their room had before is nobody's."""

from __future__ import annotations

import pytest

from stratavm import Config, GcConfig, GuestType, Linker, Module, Store
from stratavm.engine.engine import Engine

TEXT = """(module
  (type $s (struct (field (mut i64)) (field (mut i64)) (field (mut (ref null $s)))))
  (type $numbers (array (mut i32))) (type $objects (array (mut externref)))
  (func (export "junk") (param $k i32)
    (loop
      (drop (struct.new $s (i64.const -1) (i64.const -1)
        (struct.new $s (i64.const -2) (i64.const -2) (ref.null $s))))
      (drop (array.new $numbers (i32.const -1) (i32.const 9)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "s") (result (ref $s)) (struct.new_default $s))
  (func (export "numbers") (param i32) (result (ref $numbers)) (array.new_default $numbers (local.get 0)))
  (func (export "objects") (param i32) (result (ref $objects)) (array.new_default $objects (local.get 0))))"""


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
def test_they_are_zero(tier: str) -> None:
    """Made by Python, by machine code, by the interpreter, and where machine code asks the runtime, in holes of what
    has died."""
    engine = Engine(Config(tier=tier, gc=GcConfig(pause_us=20)))
    store, module = Store(engine), Module(TEXT, engine=engine)
    call = Linker(engine).instantiate(store, module).exports
    types: list[GuestType] = [module.object_type(name) for name in ("s", "numbers", "objects")]
    for _ in range(12):
        call["junk"](100 if tier == "oracle" else 3000)
        store.gc()
        for _ in range(40):
            for made in (types[0].new(store), call["s"]()):
                assert list(made) == [0, 0, None]
            for length in (5, 40, 300):
                for made in (types[1].new(store, length=length), call["numbers"](length)):
                    assert made.tobytes() == bytes(4 * length)
                for made in (types[2].new(store, length=length), call["objects"](length)):
                    assert list(made) == [None] * length


VECTORS = """(module
  (type $v (struct (field i64) (field v128) (field i16)))
  (type $vectors (array (mut v128)))
  (func (export "junk") (param $k i32)
    (loop
      (drop (struct.new $v (i64.const -1) (v128.const i64x2 -1 -1) (i32.const -1)))
      (drop (array.new_fixed $vectors 2 (v128.const i64x2 -1 -1) (v128.const i64x2 -1 -1)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "struct") (result (ref $v)) (struct.new $v (i64.const 0) (v128.const i64x2 0 0) (i32.const 0)))
  (func (export "fixed") (result (ref $vectors))
    (array.new_fixed $vectors 2 (v128.const i64x2 0 0) (v128.const i64x2 0 0)))
  (func (export "filled") (result (ref $vectors)) (array.new $vectors (v128.const i64x2 0 0) (i32.const 2)))
  (func (export "default") (result (ref $vectors)) (array.new_default $vectors (i32.const 2))))"""


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
def test_zeros_that_are_vectors_are_written(tier: str) -> None:
    """All sixteen bytes of each."""
    engine = Engine(Config(tier=tier, gc=GcConfig(pause_us=20)))
    store, module = Store(engine), Module(VECTORS, engine=engine)
    call = Linker(engine).instantiate(store, module).exports
    for _ in range(6):
        call["junk"](100 if tier == "oracle" else 3000)
        store.gc()
        for _ in range(40):
            assert list(call["struct"]()) == [0, bytes(16), 0]
            for name in ("fixed", "filled", "default"):
                assert list(call[name]()) == [bytes(16)] * 2
