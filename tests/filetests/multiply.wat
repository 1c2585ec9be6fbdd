;; By a constant, multiplication has three operands and needs no copy.
;;! show: minst asm
;;! run: by 7 => 70
;;! run: two 7 6 => 42
(module
  (func $by (export "by") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 10)))
  (func $two (export "two") (param i64 i64) (result i64) (i64.mul (local.get 0) (local.get 1))))
