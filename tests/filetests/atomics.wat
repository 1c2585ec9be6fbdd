;; On a memory that nobody shares an atomic instruction is what it says in turn, behind a look at the address's low bits.
;;! show: ssa
;;! run: add 8 5 => 0
;;! run: add 9 5 => trap unaligned_atomic
;;! run: swap 6 0 7 => 0
;;! run: swap 5 0 7 => trap unaligned_atomic
;;! run: wait 8 => trap not_shared
(module (memory 1)
  (func $add (export "add") (param i32 i32) (result i32) (i32.atomic.rmw.add (local.get 0) (local.get 1)))
  (func $swap (export "swap") (param i32 i32 i32) (result i32)
    (i32.atomic.rmw16.cmpxchg_u offset=2 (local.get 0) (local.get 1) (local.get 2)))
  (func $wait (export "wait") (param i32) (result i32)
    (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const 0))))
