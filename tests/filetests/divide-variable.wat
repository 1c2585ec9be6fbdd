;; The tests for zero and, signed, for -1 come before the division; a remainder by -1 is 0 and no trap.
;;! show: minst asm
;;! run: div 7 -2 => -3
;;! run: div 1 0 => trap div_by_zero
;;! run: div -2147483648 -1 => trap int_overflow
;;! run: rem -2147483648 -1 => 0
(module
  (func $div (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $rem (export "rem") (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1))))
