;; A constant divisor other than 0 and -1 needs no test and cannot trap.
;;! show: minst asm
;;! run: div -100 => -10
;;! run: zero 1 => trap div_by_zero
(module
  (func $div (export "div") (param i64) (result i64) (i64.div_s (local.get 0) (i64.const 10)))
  (func $zero (export "zero") (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 0))))
