;; Results use registers in the sequence of parameters.
;;! show: minst asm
;;! run: f => 6
(module
  (func $three (result i32 f64 i32) (i32.const 1) (f64.const 2) (i32.const 3))
  (func $f (export "f") (result i32) (local $x f64) (local $y i32)
    (call $three) (local.set $y) (local.set $x)
    (i32.add (i32.add (local.get $y)) (i32.trunc_f64_s (local.get $x)))))
