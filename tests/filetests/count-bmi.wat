;; With LZCNT and BMI1 each is one instruction.
;;! show: minst asm
;;! cpu: lzcnt bmi1
;;! run: clz 1 => 31
;;! run: ctz 8 => 3
(module
  (func $clz (export "clz") (param i32) (result i32) (i32.clz (local.get 0)))
  (func $ctz (export "ctz") (param i64) (result i64) (i64.ctz (local.get 0))))
