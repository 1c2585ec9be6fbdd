;; Without LZCNT and BMI1 zero is a case of its own, since bsr and bsf leave it undefined.
;;! show: minst asm
;;! run: clz 0 => 32
;;! run: ctz 0 => 64
;;! run: ones 255 => 8
(module
  (func $clz (export "clz") (param i32) (result i32) (i32.clz (local.get 0)))
  (func $ctz (export "ctz") (param i64) (result i64) (i64.ctz (local.get 0)))
  (func $ones (export "ones") (param i32) (result i32) (i32.popcnt (local.get 0))))
