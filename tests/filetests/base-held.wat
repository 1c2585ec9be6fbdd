;; The base of memory stays in r11 on the way into a block, where every way there brings it: not behind a call on one of
;; them. A loop begins with it.
;;! show: asm
;;! run: both 0 3 => 33
;;! run: both 1 3 => 16
;;! run: one 0 3 => 24
;;! run: one 1 3 => 16
;;! run: around 16 3 => 21
(module (memory 1) (data (i32.const 16) "\05\00\00\00\07\00\00\00\09\00\00\00\18\00\00\00")
  (func $g (result i32) (i32.const 8))
  (func $both (export "both") (param i32 i32) (result i32)
    (local.set 1 (i32.load offset=16 (i32.shl (local.get 1) (i32.const 2))))
    (if (local.get 0) (then (local.set 1 (i32.load (i32.const 20)))))
    (i32.add (local.get 1) (i32.load (i32.const 24))))
  (func $one (export "one") (param i32 i32) (result i32)
    (local.set 1 (i32.load offset=16 (i32.shl (local.get 1) (i32.const 2))))
    (if (local.get 0) (then (local.set 1 (i32.add (i32.load (i32.const 24)) (i32.sub (call $g) (i32.const 1))))))
    (i32.add (local.get 1) (i32.load (i32.const 0))))
  (func $around (export "around") (param i32 i32) (result i32) (local i32)
    (local.set 2 (i32.load (i32.const 0)))
    (loop $l
      (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))
      (local.set 0 (i32.add (local.get 0) (i32.const 4)))
      (br_if $l (i32.and (local.tee 1 (i32.sub (local.get 1) (i32.const 1))) (i32.const 3))))
    (local.get 2)))
