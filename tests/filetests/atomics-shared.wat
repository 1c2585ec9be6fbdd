;; On a shared memory an atomic instruction is one locked one, a store an exchange; what tells what was there loops.
;;! show: opt ra asm
;;! passes: level 1
;;! machine: level 1
;;! allocator: splitting
;;! run: add 8 5 => 0
;;! run: add 9 5 => trap unaligned_atomic
;;! run: swap 6 65536 7 => 0
;;! run: swap 5 0 7 => trap unaligned_atomic
;;! run: or 65536 1 => trap memory_out_of_bounds
;;! run: narrow 3 -1 => 0
(module (memory 1 1 shared)
  (func $load (export "load") (param i32) (result i64) (i64.atomic.load32_u offset=4 (local.get 0)))
  (func $store (export "store") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
  (func $add (export "add") (param i32 i32) (result i32) (i32.atomic.rmw.add (local.get 0) (local.get 1)))
  (func $count (export "count") (param i32) (drop (i32.atomic.rmw.add (local.get 0) (i32.const 1))))
  (func $narrow (export "narrow") (param i32 i32) (result i32) (i32.atomic.rmw8.sub_u (local.get 0) (local.get 1)))
  (func $or (export "or") (param i32 i32) (result i32) (i32.atomic.rmw.or (local.get 0) (local.get 1)))
  (func $swap (export "swap") (param i32 i32 i32) (result i32)
    (i32.atomic.rmw16.cmpxchg_u offset=2 (local.get 0) (local.get 1) (local.get 2)))
  (func $fence (export "fence") (atomic.fence))
  (func $wait (export "wait") (param i32) (result i32)
    (memory.atomic.wait32 offset=8 (local.get 0) (i32.const 0) (i64.const 0)))
  (func $notify (export "notify") (param i32) (result i32)
    (memory.atomic.notify (local.get 0) (i32.const 1))))
