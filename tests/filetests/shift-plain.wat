;; Without BMI2 a variable count goes through cl; a constant one is an immediate modulo the width.
;;! show: minst asm
;;! run: var 3 33 => 6
;;! run: fixed 3 => 6
;;! run: rot 1 => 8388608
(module
  (func $var (export "var") (param i32 i32) (result i32) (i32.shl (local.get 0) (local.get 1)))
  (func $fixed (export "fixed") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 33)))
  (func $rot (export "rot") (param i32) (result i32) (i32.rotr (local.get 0) (i32.const 9))))
