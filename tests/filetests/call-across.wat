;; Values that live across a call stay in their slots: no register survives it.
;;! show: ra asm
;;! run: f 5 6 => 41
(module
  (func $g (param i32) (result i32) (i32.mul (local.get 0) (i32.const 6)))
  (func $f (export "f") (param i32 i32) (result i32)
    (i32.add (i32.add (call $g (local.get 0)) (local.get 0)) (local.get 1))))
