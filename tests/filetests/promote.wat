;; promote: the state of a generator stays in a register; the slow path of the poll puts it in its place, and takes it
;; from there. Where a store may trap, the global is set in each round.
;;! show: opt asm
;;! passes: cfg share loads promote
;;! run: quiet 3 => 161
;;! run: loud 3 65532 => 161
;;! run: loud 3 65533 => trap memory_out_of_bounds
(module (memory 1) (global $state (mut i32) (i32.const 1))
  (func $quiet (export "quiet") (param $n i32) (result i32)
    (global.set $state (i32.const 1))
    (loop $l
      (global.set $state (i32.add (i32.mul (global.get $state) (i32.const 5)) (i32.const 1)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (global.get $state) (i32.const 5)))
  (func $loud (export "loud") (param $n i32) (param $p i32) (result i32)
    (global.set $state (i32.const 1))
    (loop $l
      (global.set $state (i32.add (i32.mul (global.get $state) (i32.const 5)) (i32.const 1)))
      (i32.store (local.get $p) (global.get $state))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (i32.load (local.get $p)) (i32.const 5))))
