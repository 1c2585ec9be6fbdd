"""Plugins for tests, as text: a body in a module that keeps to the convention, and its manifest."""

from __future__ import annotations

from typing import Any

from stratavm.plugins import Manifest

PAGES = 1
FRAME = """(module
  {imports}
  (memory (export "memory") {pages})
  (global $top (mut i32) (i32.const 4096))
  (global $live (mut i32) (i32.const 0))
  (func $alloc (export "plugin_alloc") (param $n i32) (result i32) (local $at i32)
    (local.set $at (global.get $top))
    (if (i32.gt_u (i32.add (local.get $at) (local.get $n)) (i32.shl (memory.size) (i32.const 16)))
      (then (return (i32.const 0))))
    (global.set $top (i32.add (local.get $at) (local.get $n)))
    (global.set $live (i32.add (global.get $live) (i32.const 1)))
    (local.get $at))
  (func $free (export "plugin_free") (param i32 i32)
    (global.set $live (i32.sub (global.get $live) (i32.const 1)))
    (if (i32.eqz (global.get $live)) (then (global.set $top (i32.const 4096)))))
  (func $pack (param $at i32) (param $n i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $n))))
  {body})"""
ECHO = '(func $echo (export "echo") (param i32 i32) (result i64) (call $pack (local.get 0) (local.get 1)))'
COUNT = """(global $count (mut i32) (i32.const 0))
  (func (export "count") (param i32 i32) (result i64)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store8 (i32.const 64) (i32.add (i32.const 48) (global.get $count)))
    (call $pack (call $kept) (i32.const 1)))
  (func $kept (result i32) (local $at i32)
    (local.set $at (call $alloc (i32.const 1)))
    (i32.store8 (local.get $at) (i32.load8_u (i32.const 64)))
    (local.get $at))"""
TRAP = '(func (export "trap") (param i32 i32) (result i64) unreachable)'
SPIN = '(func (export "spin") (param i32 i32) (result i64) (loop (br 0)) (i64.const 0))'
ERROR = """(data (i32.const 32) "not today")
  (func (export "refuse") (param i32 i32) (result i64) (local $at i32)
    (local.set $at (call $alloc (i32.const 9)))
    (memory.copy (local.get $at) (i32.const 32) (i32.const 9))
    (call $pack (local.get $at) (i32.const 0x80000009)))"""
HOST = '(import "host" "ask" (func $ask (param i32 i32) (result i64)))'
ASK = '(func (export "ask") (param i32 i32) (result i64) (call $ask (local.get 0) (local.get 1)))'
LIVE = '(func (export "live") (result i32) (global.get $live))'


def module(*body: str, imports: str = "", pages: int | str = PAGES) -> bytes:
    """The text of a plugin."""
    return FRAME.format(imports=imports, body="\n  ".join(body), pages=pages).encode()


def said(name: str = "guest", **functions: str) -> dict[str, Any]:
    """What a manifest has at least."""
    return {"plugin": 1, "name": name, "version": "1.0.0", "module": f"{name}.wat", "functions": functions}


def manifest(name: str = "guest", functions: dict[str, str] | None = None, **more: Any) -> Manifest:
    """A manifest."""
    return Manifest.of(said(name, **(functions or {})) | more)
