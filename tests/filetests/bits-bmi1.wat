;; With BMI1, x & ~y, x & (x - 1) and x & -x are one instruction each.
;;! show: minst asm
;;! machine: bits
;;! cpu: bmi1
;;! run: choose 12 10 99 => 107
;;! run: clear 12 => 8
;;! run: lowest 12 => 4
(module
  (func $choose (export "choose") (param i32 i32 i32) (result i32)
    (i32.xor (i32.and (local.get 0) (local.get 1)) (i32.and (i32.xor (local.get 0) (i32.const -1)) (local.get 2))))
  (func $clear (export "clear") (param i64) (result i64) (i64.and (local.get 0) (i64.sub (local.get 0) (i64.const 1))))
  (func $lowest (export "lowest") (param i64) (result i64) (i64.and (i64.sub (i64.const 0) (local.get 0)) (local.get 0))))
